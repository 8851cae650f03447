"""Law 9: a role is asked, not a random person. Queues belong to roles; a person claims from a queue.

Claims by the verb are in tests/escalations/lifecycle/test_desk.py, one holder under a race in tests/races/test_one_winner.py.
"""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group

from escalations import audit, clock, lifecycle, policies
from escalations.models import AuditEntry, Decision, Notice, Proposal, Role, StepRun
from tests.escalations.api.speaking import ACTION
from tests.factories import PersonFactory, role

from .conftest import shown

pytestmark = pytest.mark.django_db

INCIDENTS = {
    "action": ACTION,
    "draft": {"kind": "draft", "title": "Answer", "proposal": {"draft": {"to": "a@b.example", "subject": "s", "body": "b"}}},
    "exception": {"kind": "exception", "title": "Boom", "payload": {"exception": {"type": "KeyError", "message": "x"}}},
    "alert": {"kind": "alert", "title": "Disk full", "severity": "critical"},
    "question": {"kind": "question", "title": "May I?"},
    "handoff": {"kind": "handoff", "title": "I give up"},
}


@pytest.mark.parametrize("kind", INCIDENTS)
def test_whatever_comes_a_queue_is_asked_and_nobody_by_name(posted, kind):
    for name in Role.objects.values_list("name", flat=True):
        PersonFactory(roles=[name])
    one = posted(INCIDENTS[kind], on_behalf_of="", customer={"id": "c-1"})

    assert one.role is not None and one.asked == [one.role_id]
    assert (one.claimed_by, one.claim_until, one.author_person) == (None, None, None)


def test_every_member_has_it_in_the_inbox_and_who_is_none_has_not(posted, browser, rosa, carl):
    stranger = PersonFactory(roles=["support"])
    one = posted(title="Refund for Mrs Jones")

    for person, sees in ((rosa, True), (carl, True), (stranger, False)):
        assert ("Refund for Mrs Jones" in browser(person).get("/").content.decode()) == sees, person
    assert one.role.name == "finance"


def test_what_is_critical_tells_everybody_of_its_role_and_not_the_first(posted):
    people = {PersonFactory(roles=["operations"]) for _ in range(4)}
    gone = PersonFactory(roles=["operations"], is_active=False)

    posted(INCIDENTS["alert"], title="checkout is down: service unavailable", body="outage, all requests fail with 503")

    told = {notice.person for notice in Notice.objects.filter(kind="critical")}
    assert told == people and gone not in told


def test_whoever_is_away_holds_up_nobody(posted, browser, rosa, carl):
    """A claim shows who is at it; it is no lock against colleagues who sign what they were shown."""
    one = posted()
    browser(rosa).post(f"/proposals/{one.pk}/acts/", {"act": "claim"})
    assert Proposal.objects.get().claimed_by == rosa

    answer = browser(carl).post(f"/proposals/{one.pk}/", shown(Proposal.objects.get()))

    assert answer.status_code == 303 and Decision.objects.get().person == carl


@pytest.mark.parametrize("end", ["lapse", "deactivated", "escalated", "handed over", "taken over", "released"])
def test_a_claim_always_ends_and_the_item_stays_in_a_queue(posted, browser, rosa, carl, end):
    one = posted()
    client = browser(rosa)
    client.post(f"/proposals/{one.pk}/acts/", {"act": "claim"})
    acts = {
        "lapse": lambda: later(timedelta(hours=1), lifecycle.lapse_claims),
        "deactivated": lambda: policies.deactivate(rosa, actor=audit.Actor.of(carl)),
        "escalated": lambda: later(timedelta(hours=4, minutes=1), lifecycle.run_out),
        "handed over": lambda: client.post(f"/proposals/{one.pk}/acts/", {"act": "hand_over", "role": role("support").pk}),
        "taken over": lambda: browser(carl).post(f"/proposals/{one.pk}/acts/", {"act": "take_over"}),
        "released": lambda: client.post(f"/proposals/{one.pk}/acts/", {"act": "release"}),
    }
    acts[end]()

    now = Proposal.objects.get()
    assert now.claimed_by == (carl if end == "taken over" else None)
    assert now.state == "pending" and now.role is not None and now.due_at


def later(span, verb):
    with clock.frozen_at(clock.now() + span):
        return verb()


def test_it_is_handed_to_a_role_and_never_to_a_person_or_any_other_group(posted, browser, rosa, carl):
    one = posted()
    group = Group.objects.create(name="no role")
    for to in (group.pk, 10**6, "carl", "", f"{carl.username}"):
        answer = browser(rosa).post(f"/proposals/{one.pk}/acts/", {"act": "hand_over", "role": to, "person": carl.pk, "to": carl.pk})
        assert answer.status_code == 422, to

    now = Proposal.objects.get()
    assert (now.role.name, now.claimed_by) == ("finance", None)


def test_a_colleague_cannot_be_made_to_hold_something(posted, browser, rosa, carl):
    one = posted()

    browser(rosa).post(f"/proposals/{one.pk}/acts/", {"act": "claim", "person": carl.pk, "for": carl.pk, "claimed_by": carl.pk})

    assert Proposal.objects.get().claimed_by == rosa


def test_a_queue_without_people_is_no_dead_end(posted, browser, mona):
    """Nobody sits there: it is with the managers at once, and its story says why."""
    one = posted()
    assert not role("finance").user_set.exists()

    now = Proposal.objects.get()
    assert now.role.name == "manager" and now.asked == [role("finance").pk, role("manager").pk]
    assert StepRun.objects.get(proposal=one).why == "nobody"
    assert "Nobody of finance is there" in AuditEntry.objects.get(action="proposal.stepped").body
    assert browser(mona).post(f"/proposals/{one.pk}/", shown(now)).status_code == 303
