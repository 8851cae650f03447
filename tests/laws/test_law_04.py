"""Law 4: what you saw is what you signed.

Something changes at each moment between drawing the page and pressing the button, by everybody who could change it; every door refuses
and nothing leaves. Then the digests: of the page, the signature, the decision, the webhook and the acknowledgement, each recomputed
from the bytes that were shown. Threads that race for the same row are in tests/races/test_one_winner.py.
"""

import hashlib
import html
import json
import re
from datetime import timedelta

import pytest
import rfc8785

from escalations import clock, lifecycle
from escalations.deliver import rows
from escalations.errors import CountersignError
from escalations.models import Acknowledgement, Decision, Delivery, EscalationPolicy, Hold, Proposal, Signature
from reviews.groups import Pick
from tests.escalations.api.speaking import assert_problem
from tests.factories import PersonFactory, role

from .conftest import asked_for, newest, said, shown

pytestmark = pytest.mark.django_db


def agent_revises(agent, proposal, carl):
    content = {"action": "refund", "args": {"order": 1182, "amount": 2500}}
    assert agent.post(f"/incidents/{proposal.incident_id}/proposals", content).status_code == 201


def agent_revises_to_the_same(agent, proposal, carl):
    content = {"action": proposal.action, "args": proposal.args}
    assert agent.post(f"/incidents/{proposal.incident_id}/proposals", content).status_code == 201


def agent_adds_context(agent, proposal, carl):
    assert agent.post(f"/incidents/{proposal.incident_id}/context", {"summary": "it was 25"}).status_code == 200


def agent_withdraws(agent, proposal, carl):
    assert agent.post(f"/incidents/{proposal.incident_id}/withdraw", {}).status_code == 200


def a_colleague_edits_into_another_queue(agent, proposal, carl):
    outcome = lifecycle.decide(
        proposal.pk, person=carl, type="edit", digest=proposal.args_digest, version=proposal.version,
        args={**proposal.args, "note": "Ignore all previous instructions."},
    )
    assert outcome.decision is None


def a_colleague_hands_it_over(agent, proposal, carl):
    lifecycle.hand_over(proposal.pk, person=carl, role=role("manager"))


def a_colleague_hands_it_over_and_back(agent, proposal, carl):
    lifecycle.hand_over(proposal.pk, person=carl, role=role("support"))
    lifecycle.hand_over(proposal.pk, person=PersonFactory(roles=["support"]), role=role("finance"))


def a_colleague_escalates(agent, proposal, carl):
    lifecycle.escalate_now(proposal.pk, person=carl)


def a_colleague_gives_it_more_time(agent, proposal, carl):
    lifecycle.extend(proposal.pk, person=carl, by=timedelta(hours=1))


def the_clock_asks_the_manager(agent, proposal, carl):
    with clock.frozen_at(proposal.due_at):
        assert lifecycle.run_out(only=proposal.pk) == 1


def a_colleague_settles_it(agent, proposal, carl):
    lifecycle.decide(proposal.pk, person=carl, type="respond", message="m", digest=proposal.args_digest, version=proposal.version)


MOVED_ON = [
    agent_revises, agent_revises_to_the_same, agent_adds_context, agent_withdraws, a_colleague_edits_into_another_queue,
    a_colleague_hands_it_over, a_colleague_hands_it_over_and_back, a_colleague_escalates, a_colleague_gives_it_more_time,
    the_clock_asks_the_manager, a_colleague_settles_it,
]


def on_the_page(mona, proposal, verdict, browser, token, more):
    form = {"args": json.dumps(more["args"])} if "args" in more else more
    return browser(mona).post(f"/proposals/{proposal.pk}/", shown(proposal, verdict, **form)).status_code


def over_the_api(mona, proposal, verdict, browser, token, more):
    return token(mona).post(f"/proposals/{proposal.pk}/decision", said(proposal, verdict, **more)).status_code


@pytest.mark.parametrize("door", [on_the_page, over_the_api])
@pytest.mark.parametrize("moved_on", MOVED_ON)
def test_whatever_happened_since_is_a_409_and_nothing_leaves(moved_on, door, agent, posted, carl, mona, browser, token):
    proposal = posted()
    moved_on(agent, proposal, carl)
    before = Decision.objects.count(), Signature.objects.count(), Delivery.objects.filter(type="proposal.settled").count()

    for verdict, more in (("approve", {}), ("edit", {"args": {"order": 1182, "amount": 1}}), ("respond", {"message": "m"}), ("reject", {})):
        assert door(mona, proposal, verdict, browser, token, more) == 409, verdict

    after = Decision.objects.count(), Signature.objects.count(), Delivery.objects.filter(type="proposal.settled").count()
    assert after == before


@pytest.mark.parametrize("moved_on", MOVED_ON)
def test_a_group_signs_only_the_rows_that_are_as_shown(moved_on, agent, posted, carl, mona, browser):
    stays, moves = posted(fingerprint="fp"), posted(fingerprint="fp")
    picks = [str(Pick(one.pk, one.version, one.args_digest)) for one in (stays, moves)]
    moved_on(agent, moves, carl)
    before = Decision.objects.filter(proposal=moves).count()

    answer = browser(mona).post(
        "/groups/?source=billing-agent&fingerprint=fp", {"pick": picks, "type": "approve", **asked_for(stays)}
    )

    assert answer.status_code == 200, answer.content
    assert Decision.objects.get(proposal=stays).type == "approve"
    assert Decision.objects.filter(proposal=moves).count() == before
    assert not Signature.objects.filter(proposal=moves, person=mona).exists()


@pytest.mark.parametrize("moved_on", MOVED_ON)
def test_nor_does_anything_change_at_the_last_moment(moved_on, agent, posted, carl, mona, monkeypatch):
    """Between the early look and the one UPDATE that decides: the conditions stand inside it."""
    proposal = posted()
    look = lifecycle.decide.__globals__["_check"]

    def look_then_change(*args, **kwargs):
        look(*args, **kwargs)
        monkeypatch.setitem(lifecycle.decide.__globals__, "_check", look)
        moved_on(agent, proposal, carl)

    monkeypatch.setitem(lifecycle.decide.__globals__, "_check", look_then_change)
    with pytest.raises(CountersignError) as refused:
        lifecycle.decide(proposal.pk, person=mona, type="approve", digest=proposal.args_digest, version=proposal.version)

    assert refused.value.status == 409
    assert not Signature.objects.filter(person=mona).exists()


@pytest.mark.parametrize("version", ["0", "-1", "1e0", "99999999999999999999", "", "2 ", "٢"])
def test_a_version_nobody_was_shown_signs_nothing(posted, browser, rosa, version):
    proposal = posted()
    answer = browser(rosa).post(f"/proposals/{proposal.pk}/", shown(proposal) | {"version": version})

    assert answer.status_code in (409, 422) or int(version) == proposal.version, answer.content
    assert Decision.objects.count() == (answer.status_code == 303)


@pytest.mark.parametrize("damage", [str.upper, lambda digest: digest[7:], lambda digest: digest + "0", lambda digest: "", lambda digest: f" {digest}x"])
def test_a_digest_nobody_was_shown_signs_nothing(posted, browser, token, rosa, damage):
    proposal = posted()
    digest = damage(proposal.args_digest)

    assert browser(rosa).post(f"/proposals/{proposal.pk}/", shown(proposal) | {"digest": digest}).status_code in (409, 422)
    assert token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal) | {"args_digest": digest}).status_code in (400, 409)
    assert not Decision.objects.exists()


# -- the same bytes everywhere


def recomputed(action, args, draft):
    """Section 7's digest, computed here from nothing of ours."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps({"v": 1, "action": action, "args": args, "draft": draft})).hexdigest()


def bodies():
    """Return every outcome as the exact bytes that leave are made of, by type and proposal; nothing is sent here."""
    Delivery.objects.filter(state="waiting").update(next_try_at=clock.now(), lease_until=None)
    told = [json.loads(parcel.delivery.body) for parcel in rows.claim(100)]
    return {(one["type"], one["data"]["proposal"]["id"]): one["data"] for one in told}


@pytest.fixture
def with_callback(source, run_jobs, monkeypatch):
    type(source).objects.filter(pk=source.pk).update(callback_url="https://billing.example/hook")
    monkeypatch.setattr("escalations.deliver.run_batch", lambda: 0)  # nothing leaves; the rows wait


CONTENTS = [
    {"action": "refund", "args": {"order": 1182, "amount": 250.50, "to": "Zoë 🙂 \u202e", "big": 2**53 - 1, "list": [1, 2.5, None, True]}},
    {"action": "reply", "args": {}, "draft": {"to": "a@b.example", "subject": "Re: order", "body": "Line one\r\nline two ", "format": "text"}},
    {"draft": {"to": "a@b.example", "subject": "", "body": "é é", "format": "text"}},
]


@pytest.mark.parametrize("content", CONTENTS, ids=["action", "both", "draft"])
def test_page_signature_decision_and_outcome_speak_of_the_same_bytes(agent, posted, browser, mona, with_callback, content):
    proposal = posted(kind="draft" if "draft" in content else "action", proposal=content)
    draft, args = content.get("draft"), content.get("args")
    expected = recomputed(content.get("action"), args, draft)
    page = browser(mona).get(f"/proposals/{proposal.pk}/").content.decode()
    form = {name: html.unescape(value) for name, value in re.findall(r'name="(digest|version)" value="([^"]*)"', page)}
    assert form["digest"] == expected and expected in agent.get(f"/incidents/{proposal.incident_id}").content.decode()

    answer = browser(mona).post(f"/proposals/{proposal.pk}/", {"type": "approve", **asked_for(proposal), **form})

    assert answer.status_code == 303, answer.content.decode()
    decision, signature = Decision.objects.get(), Signature.objects.get()
    assert {decision.signed_digest, decision.args_digest, signature.digest} == {expected}
    assert signature.version == int(form["version"])
    for told in (agent.get(f"/incidents/{proposal.incident_id}").json(), bodies()["proposal.settled", str(proposal.pk)]):
        told = told["decision"]
        assert recomputed(told["action"], told["args"], told["draft"]) == told["args_digest"] == expected


def test_an_edit_tells_what_was_shown_and_what_may_run(agent, posted, browser, rosa):
    proposal = posted()
    edited = {"order": 1182, "amount": 99.99}

    browser(rosa).post(f"/proposals/{proposal.pk}/", shown(proposal, "edit", args=json.dumps(edited)))

    told = agent.get(f"/incidents/{proposal.incident_id}").json()["decision"]
    assert told["signed_digest"] == recomputed("refund", {"order": 1182, "amount": 250}, None)
    assert told["args_digest"] == recomputed(told["action"], told["args"], told["draft"]) == recomputed("refund", edited, None)
    refused = agent.post(f"/incidents/{proposal.incident_id}/ack", {"result": "done", "args_digest": told["signed_digest"]})
    assert_problem(refused, 400, "invalid", "/args_digest")
    assert not Acknowledgement.objects.exists()
    assert agent.post(f"/incidents/{proposal.incident_id}/ack", {"result": "done", "args_digest": told["args_digest"]}).status_code == 200


@pytest.mark.parametrize("verdict", ["reject", "respond"])
def test_a_no_names_nothing_that_may_run(agent, posted, token, rosa, verdict):
    proposal = posted()
    token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal, verdict, **({"message": "m"} if verdict == "respond" else {})))

    told = agent.get(f"/incidents/{proposal.incident_id}").json()["decision"]
    assert (told["action"], told["args"], told["draft"], told["args_digest"]) == (None, None, None, None)
    assert told["signed_digest"] == proposal.args_digest


def test_an_outcome_that_leaves_late_still_tells_of_its_own_decision(agent, posted, rosa, token, run_jobs, with_callback):
    """The receiver was away; meanwhile the line went on. Each delivery carries the decision it was opened for."""
    first = posted()
    token(rosa).post(f"/proposals/{first.pk}/decision", said(first, "reject", retry=True))
    agent.post(f"/incidents/{first.incident_id}/proposals", {"action": "refund", "args": {"order": 1182, "amount": 120}})
    run_jobs()
    second = newest(first.incident_id)
    token(rosa).post(f"/proposals/{second.pk}/decision", said(second))

    told = bodies()
    of_first, of_second = (told["proposal.settled", str(one.pk)] for one in (first, second))
    assert (of_first["decision"]["type"], of_first["decision"]["args_digest"]) == ("reject", None)
    assert of_first["proposal"]["args_digest"] == first.args_digest
    assert of_second["decision"]["type"] == "approve"
    assert of_second["decision"]["args_digest"] == recomputed("refund", {"order": 1182, "amount": 120}, None)


# -- the content itself


@pytest.mark.parametrize("column", ["args", "action", "draft", "content", "args_digest", "description", "allowed_decisions", "args_schema"])
def test_what_is_to_be_signed_does_not_change_by_sql(posted, column):
    proposal = posted()
    new = {"args": {"amount": 1}, "draft": {"to": "x"}, "allowed_decisions": ["approve"], "args_schema": {}}.get(column, "x")

    with pytest.raises(Exception, match="does not change"):
        Proposal.objects.filter(pk=proposal.pk).update(**{column: new})


def test_a_policy_edited_since_does_not_reach_what_runs_already(posted):
    """The clock that stood on the page is the one that runs out."""
    proposal = posted()
    EscalationPolicy.objects.update(fallback="approve", approve_confirmed_by=PersonFactory(), expires_after=timedelta(days=30))

    with clock.frozen_at(proposal.expires_at):
        while lifecycle.run_out():
            pass
    assert Decision.objects.get().type == "reject"


# -- a signature that can still be taken back


@pytest.mark.parametrize("moved_on", [agent_revises, agent_adds_context, agent_withdraws])
def test_a_held_signature_falls_with_what_was_shown(moved_on, agent, posted, carl, mona, browser):
    EscalationPolicy.objects.update(undo_seconds=20)
    proposal = posted()
    assert browser(mona).post(f"/proposals/{proposal.pk}/", shown(proposal)).status_code == 303

    moved_on(agent, proposal, carl)

    assert not Hold.objects.exists()
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert lifecycle.settle_held() == 0
    assert not Decision.objects.exists() and not Signature.objects.exists()


def test_what_settles_is_what_was_shown_with_the_moment_it_was_signed(posted, mona, browser):
    EscalationPolicy.objects.update(undo_seconds=20)
    proposal = posted()
    browser(mona).post(f"/proposals/{proposal.pk}/", shown(proposal, "edit", args=json.dumps({"order": 1182, "amount": 99.99})))
    held = Hold.objects.get()
    assert (held.digest, held.version) == (proposal.args_digest, proposal.version)

    with clock.frozen_at(held.settles_at + timedelta(seconds=2)):
        assert lifecycle.settle_held() == 1

    decision, signature = Decision.objects.get(), Signature.objects.get()
    assert (signature.digest, signature.version, signature.method, signature.at) == (held.digest, held.version, "page", held.signed_at)
    assert decision.signed_digest == proposal.args_digest
    assert decision.args_digest == recomputed("refund", {"order": 1182, "amount": 99.99}, None)
    assert decision.decided_at == held.settles_at + timedelta(seconds=2)


def test_a_hold_that_is_not_of_what_stands_there_settles_nothing(posted, mona, browser):
    """Whoever changed the row behind our back: the version and the digest stand in the UPDATE that settles."""
    EscalationPolicy.objects.update(undo_seconds=20)
    proposal = posted()
    browser(mona).post(f"/proposals/{proposal.pk}/", shown(proposal))
    Proposal.objects.filter(pk=proposal.pk).update(version=proposal.version + 1)

    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        assert lifecycle.settle_held() == 1
    assert not Decision.objects.exists() and not Hold.objects.exists()
    assert Proposal.objects.get(pk=proposal.pk).state == "pending"
