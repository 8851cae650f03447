"""Two administrators at once: one yes, no mixture, no way past each other. Real threads, real commits."""

import pytest

from escalations import audit, policies
from escalations.errors import AlreadySettled, ChangedSinceSeen, CountersignError, OwnRequest
from escalations.models import Change, RoutingRule, RuleVersion, Source
from tests.escalations.policies.asking import REFUNDS, asked_of, made, save
from tests.factories import PersonFactory, SourceFactory
from tests.races.test_one_winner import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


def test_of_two_who_confirm_at_once_one_does():
    ada, bob, cleo = (PersonFactory(is_staff=True) for _ in range(3))
    change = asked_of(ada)
    results = together(
        lambda: policies.confirm_change(change, person=bob), lambda: policies.confirm_change(change, person=cleo),
        lambda: policies.confirm_change(change, person=ada), lambda: policies.refuse_change(change, person=cleo, why="no"),
    )
    assert len([one for one in results if not isinstance(one, CountersignError)]) == 1
    assert all(isinstance(one, (AlreadySettled, OwnRequest, RoutingRule, Change)) for one in results)
    confirmed = Change.objects.get(pk=change.pk).state == "confirmed"
    assert RoutingRule.objects.get(name="Refunds").version == (2 if confirmed else 1)
    assert RuleVersion.objects.filter(rule__name="Refunds").count() == (2 if confirmed else 1)


def test_a_confirmation_and_an_edit_at_once_never_mix():
    ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    for number in range(12):
        one = made(name=f"Refunds {number}")
        edited = RoutingRule.objects.get(pk=one.pk)
        one.condition = "false"
        change, edited.why = save(one, ada), "edited"
        confirmed, saved = together(
            lambda change=change: policies.confirm_change(change, person=bob), lambda edited=edited: save(edited, bob)
        )
        now = RoutingRule.objects.get(pk=one.pk)
        assert now.version == 2
        if isinstance(saved, CountersignError):
            assert isinstance(saved, ChangedSinceSeen) and (now.condition, now.why) == ("false", "")
        else:
            assert isinstance(confirmed, (AlreadySettled, ChangedSinceSeen)) and (now.condition, now.why) == (REFUNDS, "edited")


def test_two_who_ask_at_once_leave_one_question():
    ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    one = made()
    edits = [RoutingRule.objects.get(pk=one.pk) for _ in range(2)]
    edits[0].condition, edits[1].state = "false", "archived"
    together(lambda: save(edits[0], ada), lambda: save(edits[1], bob))
    assert sorted(Change.objects.values_list("state", flat=True)) == ["waiting", "withdrawn"]


def test_a_rule_and_what_it_reads_do_not_slip_past_each_other():
    """One makes an auto rule read a path that nobody vouches for here; another has a source vouch for it: somebody looks twice."""
    ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    SourceFactory(authoritative_paths=["payload.total"])
    agent = SourceFactory()
    one = made(floor="auto", state="draft", condition="incident.payload.total < 5.0")
    agent.authoritative_paths = ["payload.total"]
    change = policies.promote(one, actor=audit.Actor.of(ada), person=ada)
    confirmed, saved = together(lambda: policies.confirm_change(change, person=bob), lambda: save(agent, ada))
    assert isinstance(confirmed, RoutingRule)
    # Either the source was first (and whoever confirmed the rule confirmed it for this source too), or it waits itself.
    assert isinstance(saved, Change) is (Source.objects.get(pk=agent.pk).authoritative_paths == [])
