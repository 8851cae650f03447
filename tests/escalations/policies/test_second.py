"""What would let the machine do more, or look at less, is asked by one administrator and confirmed by another."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from escalations import audit, policies
from escalations.errors import AlreadySettled, ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, OwnRequest
from escalations.models import Change, Notice, Role, RoutingRule, RuleVersion, Source
from tests.escalations.policies.asking import asked_of, facts, made, rule, save
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db


def test_a_confirmed_change_holds_with_both_names_on_the_record(ada, bob):
    change = asked_of(ada)
    saved = policies.confirm_change(change, person=bob, seen=policies.second.shown_of(change))
    assert (saved.state, saved.version) == ("draft", 2)
    version = RuleVersion.objects.get(rule=saved, version=2)
    assert (version.actor, version.confirmed_by, version.why) == ("ada", "bob", "Too many of them.")
    change.refresh_from_db()
    assert (change.state, change.settled_by) == ("confirmed", bob)
    entry = facts("change.confirmed")
    assert entry["actor"]["id"] == "bob" and entry["facts"]["asked_by"] == "ada"
    assert facts("rule.saved")["actor"]["id"] == "bob" and facts("rule.saved")["facts"]["asked_by"] == "ada"


def test_who_asked_is_not_the_second_in_whatever_session(ada):
    change = asked_of(ada)
    with pytest.raises(OwnRequest):
        policies.confirm_change(change, person=type(ada).objects.get(pk=ada.pk))
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.objects.filter(pk=change.pk).update(state="confirmed", settled_by=ada)
    assert RoutingRule.objects.get(name="Refunds").state == "live"


@pytest.mark.parametrize("more", [{"is_staff": False}, {"is_staff": True, "is_active": False}])
def test_only_an_active_administrator_is_a_second_one(ada, more):
    change = asked_of(ada)
    other = PersonFactory(**more)
    for act in (
        lambda: policies.confirm_change(change, person=other), lambda: policies.refuse_change(change, person=other, why="no"),
        lambda: policies.withdraw_change(change, person=other),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert Change.objects.get(pk=change.pk).state == "waiting"


def test_who_answers_for_a_source_does_not_say_how_much_it_is_believed(ada, bob):
    source = SourceFactory(known_irreversible=["wire"], owner=bob)
    source.known_irreversible = []
    change = save(source, ada)
    with pytest.raises(OwnRequest):
        policies.confirm_change(change, person=bob)
    source.owner = ada
    policies.save_source(source, actor=audit.SYSTEM)
    source = Source.objects.get(pk=source.pk)
    source.known_irreversible, source.owner = ["other"], bob  # nor who would answer for it from then on
    made(condition='source.owner == "x"')
    source.known_irreversible = []
    with pytest.raises(OwnRequest):
        policies.confirm_change(_waiting(save(source, ada), source), person=bob)


def _waiting(saved, source):
    return saved if isinstance(saved, Change) else policies.waiting(source)


def test_what_was_asked_by_who_is_no_administrator_any_more_does_not_come_to_hold(ada, bob):
    change = asked_of(ada)
    ada.is_staff = False
    ada.save()
    with pytest.raises(IllegalMove):
        policies.confirm_change(change, person=bob)
    policies.refuse_change(change, person=bob, why="She left.")


def test_a_change_of_what_was_edited_meanwhile_is_outdated_at_once(ada, bob):
    change = asked_of(ada, condition="false")
    one = RoutingRule.objects.get(name="Refunds")
    one.why = "Money."
    save(one, bob)
    change.refresh_from_db()
    assert change.state == "outdated" and facts("change.outdated")["actor"]["id"] == "bob"
    with pytest.raises(AlreadySettled):
        policies.confirm_change(change, person=bob)


def test_a_change_of_what_moved_past_the_verbs_is_outdated_when_it_is_confirmed(ada, bob):
    source = SourceFactory(known_irreversible=["wire"])
    source.known_irreversible = []
    change = save(source, ada)
    Source.objects.filter(pk=source.pk).update(description="changed by hand")
    assert policies.second.asked(change).moved
    with pytest.raises(ChangedSinceSeen):
        policies.confirm_change(change, person=bob)
    assert Change.objects.get(pk=change.pk).state == "outdated"
    assert Source.objects.get(pk=source.pk).known_irreversible == ["wire"]


def test_a_newer_change_takes_the_place_of_the_older(ada, bob):
    first = asked_of(ada)
    one = RoutingRule.objects.get(name="Refunds")
    one.condition = "false"
    second = save(one, bob)
    first.refresh_from_db()
    assert (first.state, first.settled_by, second.state) == ("withdrawn", bob, "waiting")
    with pytest.raises(AlreadySettled):
        policies.confirm_change(first, person=bob)
    policies.confirm_change(second, person=ada)


def test_a_second_administrator_who_saw_something_else_is_told(ada, bob):
    with pytest.raises(ChangedSinceSeen):
        policies.confirm_change(asked_of(ada), person=bob, seen="99")


def test_what_has_become_impossible_is_refused_and_goes_on_waiting(ada, bob):
    shop = SourceFactory(authoritative_paths=["payload.total"])
    change = save(rule(floor="auto", condition="incident.payload.total < 5.0"), ada)
    shop.authoritative_paths = []
    save(shop, ada)
    with pytest.raises(Invalid):
        policies.confirm_change(change, person=bob)
    assert Change.objects.get(pk=change.pk).state == "waiting"
    assert RoutingRule.objects.get(name="Refunds").state == "draft"


def test_a_no_needs_a_reason_and_changes_nothing(ada, bob):
    change = asked_of(ada)
    with pytest.raises(Invalid):
        policies.refuse_change(change, person=bob, why="  ")
    with pytest.raises(OwnRequest):
        policies.refuse_change(change, person=ada, why="no")
    policies.refuse_change(change, person=bob, why="We need it.")
    assert facts("change.refused")["facts"]["why"] == "We need it."
    with pytest.raises(AlreadySettled):
        policies.confirm_change(change, person=bob)
    assert RoutingRule.objects.get(name="Refunds").version == 1


def test_who_asked_takes_it_back(ada, bob):
    change = asked_of(ada)
    with pytest.raises(NotAllowed):
        policies.withdraw_change(change, person=bob)
    assert policies.withdraw_change(change, person=ada).state == "withdrawn"
    assert not policies.waiting_changes()


def test_the_other_administrators_are_told_while_it_waits(ada, bob):
    owner = PersonFactory(is_staff=True)
    PersonFactory(is_staff=True, is_active=False)
    PersonFactory(roles=["manager"])
    change = asked_of(ada)
    assert set(Notice.objects.filter(kind="change_waits").values_list("person", flat=True)) == {bob.pk, owner.pk}
    told = Notice.objects.filter(person=bob).get().facts
    assert told["change"] == change.pk and "Refunds" in told["what"] and "no longer apply" in told["text"]
    policies.withdraw_change(change, person=ada)
    assert not Notice.objects.filter(kind="change_waits", state="waiting").exists()

    source = SourceFactory(known_irreversible=["wire"], owner=owner)
    source.known_irreversible = []
    save(source, ada)
    assert list(Notice.objects.filter(kind="change_waits", state="waiting").values_list("person", flat=True)) == [bob.pk]


# -- the pages


def page(row, act=""):
    name = f"admin:escalations_{row._meta.model_name}_{'act' if act else 'change'}"
    return reverse(name, args=[row.pk, act] if act else [row.pk])


def test_the_pages_tell_what_waits_and_the_second_administrator_decides_there(client, ada, bob):
    one = made(role=Role.objects.get(name="finance"))
    client.force_login(ada)
    answer = client.post(page(one, "archive"), {"why": "No <b>longer</b>\u202e needed", "seen": one.version}, follow=True)
    body = answer.content.decode()
    assert "Nothing has changed yet" in body and "waits for a second administrator" in body
    change = policies.waiting(one)
    assert page(change) in client.get(reverse("admin:index")).content.decode()
    own = client.get(page(change)).content.decode()
    assert "&lt;b&gt;longer" in own and "<b>longer" not in own and "\u202e" not in own and "hidden-character" in own
    assert page(change, "withdraw") in own and page(change, "confirm") not in own
    refused = client.post(page(change, "confirm"), {"seen": policies.second.shown_of(change)})
    assert refused.status_code == 200 and "cannot be the one who confirms" in refused.content.decode()

    client.force_login(bob)
    asked = client.get(page(change, "confirm")).content.decode()
    assert "no longer apply" in asked and "archived" in asked
    assert RoutingRule.objects.get(pk=one.pk).state == "live"  # a GET decides nothing
    assert client.post(page(change, "confirm"), {"seen": policies.second.shown_of(change)}).status_code == 302
    assert RoutingRule.objects.get(pk=one.pk).state == "archived"
    assert "confirmed by" in client.get(page(one)).content.decode()
    assert client.get(page(change)).status_code == 200


def test_an_edit_in_the_form_waits_and_the_form_says_so(client, ada):
    source = SourceFactory(known_irreversible=["wire"])
    client.force_login(ada)
    data = {
        "description": "x", "owner": "", "callback_url": "", "allowed_hosts": "", "authoritative_paths": "", "known_irreversible": "",
        "requests_per_minute": 100, "why_now": "It can be undone now.",
    }
    body = client.post(page(source), data, follow=True).content.decode()
    assert "Nothing has changed yet" in body and "no other administrator" in body and "It can be undone now." in body and "was changed successfully" not in body
    assert Source.objects.get(pk=source.pk).description == ""


def test_nobody_but_an_administrator_sees_changes(client, ada):
    change = asked_of(ada)
    client.force_login(PersonFactory(roles=["manager"]))
    assert client.get(page(change)).status_code == 302  # to sign in as somebody else
    assert client.post(page(change, "confirm"), {"seen": policies.second.shown_of(change)}).status_code == 302
    assert Change.objects.get(pk=change.pk).state == "waiting"


def test_the_change_page_costs_the_same_however_much_waits(client, ada, bob, django_assert_max_num_queries):
    change = asked_of(ada)
    client.force_login(bob)
    client.get(page(change))
    with django_assert_max_num_queries(24):
        assert client.get(page(change)).status_code == 200


