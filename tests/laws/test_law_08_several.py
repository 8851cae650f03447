"""Laws 3, 4 and 8 where a yes needs several people: different people, each of whom may, on the same bytes, through the real doors.

Threads that race are in tests/races/test_stop_and_quorum.py, the verb's own refusals in tests/escalations/lifecycle/test_quorum.py.
"""

import pytest

from escalations.models import Decision, EscalationPolicy, Signature
from tests.escalations.api.speaking import assert_problem
from tests.factories import PersonFactory

from .conftest import newest, said, shown

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_people(db):
    EscalationPolicy.objects.update(quorum=2)


def test_two_doors_of_one_person_are_one_person(posted, browser, token, rosa):
    proposal = posted()
    assert proposal.policy["quorum"] == 2
    assert browser(rosa).post(proposal.get_absolute_url(), shown(proposal)).status_code == 303
    assert browser(rosa).post(proposal.get_absolute_url(), shown(proposal)).status_code == 409
    assert_problem(token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal)), 409, "already_signed")
    assert not Decision.objects.exists() and Signature.objects.count() == 1


def test_neither_the_first_nor_the_last_may_be_who_asked(posted, agent, token, rosa, carl):
    agent.source.owner = rosa
    agent.source.save()
    proposal = posted(on_behalf_of="carl")
    for person in (rosa, carl):
        assert_problem(token(person).post(f"/proposals/{proposal.pk}/decision", said(proposal)), 403, "own_request")
    assert not Signature.objects.exists()
    others = [PersonFactory(roles=["finance"]) for _ in range(2)]
    for person in others:
        assert token(person).post(f"/proposals/{proposal.pk}/decision", said(proposal)).status_code == 200
    assert Decision.objects.get().person == others[1]


@pytest.mark.parametrize("change", ["context", "revision"])
def test_who_signed_before_it_changed_has_not_signed_this(posted, agent, token, run_jobs, rosa, carl, mona, change):
    proposal = posted()
    token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal))
    if change == "context":
        agent.post(f"/incidents/{proposal.incident_id}/context", {"summary": "another account"})
    else:
        agent.post(f"/incidents/{proposal.incident_id}/proposals", {"action": "refund", "args": {"order": 1182, "amount": 251}})
        run_jobs()
    now = newest(proposal.incident_id)
    answer = token(carl).post(f"/proposals/{now.pk}/decision", said(now))
    assert answer.json()["proposal"]["signatures"] == {"given": 1, "needed": 2} and not Decision.objects.exists()
    token(mona).post(f"/proposals/{now.pk}/decision", said(now))
    decision = Decision.objects.get()
    assert decision.args_digest == now.args_digest
    assert set(now.signatures.filter(version=now.version).values_list("person__username", flat=True)) == {"carl", "mona"}


def test_a_source_s_key_signs_nothing_and_lowers_nothing(posted, agent, rosa):
    proposal = posted()
    assert_problem(agent.post(f"/proposals/{proposal.pk}/decision", said(proposal)), 403, "not_allowed")
    body = {"kind": "action", "title": "t", "quorum": 1, "proposal": {"action": "refund", "args": {"amount": 1}}}
    assert_problem(agent.post("/incidents", body), 400, "invalid", "/quorum")
    body = {"kind": "action", "title": "t", "proposal": {"action": "refund", "args": {"amount": 1}, "quorum": 1}}
    assert_problem(agent.post("/incidents", body), 400, "invalid", "/proposal/quorum")
