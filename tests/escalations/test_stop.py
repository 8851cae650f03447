"""Everything is stopped: no machine says yes, nothing leaves by any door, people go on, and it takes two to release it."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from escalations import audit, clock, deliver, lifecycle, queue, standstill
from escalations.errors import ChangedSinceSeen, IllegalMove, Invalid, NotAllowed, NotFound, OwnRequest, Stopped
from escalations.models import AuditEntry, Decision, Delivery, Incident, Notice, RoutingRule, StepRun, Stop
from escalations.policies import stop as switch
from escalations.states import Sending
from tests.escalations.api.speaking import Speaker, assert_problem, key_for, token_for
from tests.escalations.deliver.world import development, outcome, receiver, source  # noqa: F401 - fixtures by name
from tests.escalations.test_route import auto, posted
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, SourceFactory, role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("development")]


@pytest.fixture(autouse=True)
def only_my_rules(db):
    RoutingRule.objects.update(state="archived")


@pytest.fixture
def stop(mona):
    return switch.stop_everything(person=mona, reason="Refunds go to strangers.")


def released(stop, first, second):
    asked = switch.ask_release(stop.pk, person=first, why="The rule is put right.")
    return switch.confirm_release(stop.pk, person=second, asked_at=asked.release_asked_at)


def signed(proposal, person, type="approve", **more):
    return lifecycle.decide(
        proposal.pk, person=person, type=type, digest=proposal.args_digest, version=proposal.version, reason="r", **more
    )


def entries(action):
    return [json.loads(one.body) for one in AuditEntry.objects.filter(action=action).order_by("pk")]


# -- the switch


def test_a_manager_or_an_administrator_stops_everything_and_says_why(mona, ada, rosa):
    with pytest.raises(NotAllowed):
        switch.stop_everything(person=rosa, reason="I can")
    with pytest.raises(Invalid):
        switch.stop_everything(person=mona, reason="  ")
    stop = switch.stop_everything(person=mona, reason=" Refunds go to strangers. ")

    assert standstill.standing() == stop and standstill.is_stopped()
    [entry] = entries("everything.stopped")
    assert entry["actor"]["id"] == "mona" and entry["facts"]["reason"] == stop.reason == "Refunds go to strangers."
    with pytest.raises(IllegalMove, match="Mona Manager stopped everything already"):
        switch.stop_everything(person=ada, reason="again")


def test_somebody_inactive_stops_nothing(mona, ada):
    for person in (mona, ada):
        person.is_active = False
        assert not switch.may_stop(person)


def test_two_people_release_it(stop, mona, ada, rosa):
    asked = switch.ask_release(stop.pk, person=mona, why="Put right.")
    assert standstill.is_stopped()
    with pytest.raises(OwnRequest):
        switch.confirm_release(stop.pk, person=mona, asked_at=asked.release_asked_at)
    with pytest.raises(NotAllowed):
        switch.confirm_release(stop.pk, person=rosa, asked_at=asked.release_asked_at)
    with pytest.raises(IllegalMove, match="Mona Manager has asked"):
        switch.ask_release(stop.pk, person=ada, why="me too")
    switch.confirm_release(stop.pk, person=ada, asked_at=asked.release_asked_at)

    assert not standstill.is_stopped()
    stop.refresh_from_db()
    assert (stop.release_asked_by, stop.released_by) == (mona, ada)
    [entry] = entries("everything.released")
    assert (entry["actor"]["id"], entry["facts"]["asked_by"]) == ("ada", "mona")
    with pytest.raises(NotFound):
        switch.confirm_release(stop.pk, person=ada, asked_at=asked.release_asked_at)


def test_a_question_that_was_taken_back_or_asked_anew_is_not_confirmed(stop, mona, ada):
    seen = switch.ask_release(stop.pk, person=mona, why="Put right.").release_asked_at
    switch.withdraw_release(stop.pk, person=ada)
    with pytest.raises(ChangedSinceSeen):
        switch.confirm_release(stop.pk, person=ada, asked_at=seen)
    with pytest.raises(IllegalMove):
        switch.withdraw_release(stop.pk, person=ada)
    with clock.frozen_at(clock.now() + timedelta(seconds=1)):
        switch.ask_release(stop.pk, person=mona, why="Put right, really.")
    with pytest.raises(ChangedSinceSeen):
        switch.confirm_release(stop.pk, person=ada, asked_at=seen)
    assert standstill.is_stopped() and len(entries("release.asked")) == 2 and len(entries("release.withdrawn")) == 1


def test_who_asked_and_lost_the_right_counts_no_more(stop, mona, ada):
    asked = switch.ask_release(stop.pk, person=mona, why="Put right.")
    mona.groups.clear()
    with pytest.raises(NotAllowed, match="may not any more"):
        switch.confirm_release(stop.pk, person=ada, asked_at=asked.release_asked_at)
    assert switch.ask_release(stop.pk, person=ada, why="Somebody has to.").release_asked_by == ada


def test_the_database_itself_wants_two_people_and_one_stop(stop, mona):
    with pytest.raises(IntegrityError), transaction.atomic():
        Stop.objects.create(reason="x", by=mona)
    for asker in (None, mona):
        with pytest.raises(IntegrityError), transaction.atomic():
            Stop.objects.filter(pk=stop.pk).update(release_asked_by=asker, released_by=mona, released_at=clock.now())


def test_the_command_line_stops_and_names_who_answers_for_it(mona, capsys):
    with pytest.raises(CommandError, match="Nobody"):
        call_command("stop", by="nobody", reason="x")
    call_command("stop", by="mona", reason="The pages are gone.")

    assert Stop.objects.get().by == mona
    [entry] = entries("everything.stopped")
    assert (entry["actor"]["kind"], entry["facts"]["by"]) == ("system", "mona")
    with pytest.raises(CommandError, match="already"):
        call_command("stop", by="mona", reason="x")


# -- nothing goes alone


def test_what_a_rule_would_let_go_goes_to_a_person_and_says_why(stop, rosa):
    auto(name="small refunds")
    proposal = posted(SourceFactory())

    assert (proposal.state, proposal.floor, proposal.role.name) == ("pending", "review", "finance")
    assert [rule["name"] for rule in proposal.rules] == ["small refunds", ""]
    assert proposal.rules[1]["why"].startswith("Everything was stopped at ")
    assert Incident.objects.get().escalate == "human" and not Decision.objects.exists()
    [routed] = entries("proposal.routed")
    assert routed["facts"]["floor"] == "review"


def test_what_a_rule_blocks_stays_blocked(stop):
    RuleFactory(floor="block", name="never", condition='proposal.action == "refund"')
    assert posted(SourceFactory()).state == "rejected"


def test_after_the_release_rules_let_go_again_but_not_what_a_person_was_asked(stop, mona, ada):
    auto()
    sender = SourceFactory()
    posted(sender)
    released(stop, mona, ada)

    assert posted(sender, args={"order": 7, "amount": 20}).state == "approved"
    assert posted(sender).state == "pending"  # law 12: a person was asked the same within seven days


def test_silence_is_no_yes_while_everything_is_stopped(mona, ada):
    manager = role("manager")
    policy = {**STANDARD, "steps": [{"role": manager.pk, "name": "manager", "after": 60}], "fallback": "approve"}

    def expired():
        proposal = ProposalFactory(policy=policy, step=1)
        due = clock.now() - timedelta(hours=1)
        StepRun.objects.create(proposal=proposal, step=1, role=manager, due_at=due, fired_at=due)
        Notice.objects.create(kind="escalated", proposal=proposal, step=1, state=Sending.SENT, finished_at=due)
        type(proposal).objects.filter(pk=proposal.pk).update(due_at=proposal.expires_at)
        with clock.frozen_at(proposal.expires_at):
            lifecycle.run_out(only=proposal.pk)
        return Decision.objects.get(proposal=proposal)

    stop = switch.stop_everything(person=mona, reason="x")
    no = expired()
    assert no.type == "reject" and "Everything was stopped" in no.reason
    released(stop, mona, ada)
    assert expired().type == "approve"  # the same, but for the stop


# -- nothing leaves


def test_outcomes_wait_and_go_when_it_is_released(source, receiver, mona, ada):  # noqa: F811 - the fixtures
    before = outcome(source)
    stop = switch.stop_everything(person=mona, reason="x")
    during = outcome(source)

    assert deliver.run_batch() == 0 and "deliver" not in queue.wake_due()
    assert receiver.requests == []
    assert set(Delivery.objects.values_list("state", "attempts")) == {(Sending.WAITING, 0)}

    released(stop, mona, ada)
    deliver.run_batch()
    told = {json.loads(body)["data"]["id"]: json.loads(body)["data"] for _, _, body in receiver.requests}
    assert set(told) == {str(before.incident_id), str(during.incident_id)}
    assert all(one["decision"]["type"] == "approve" for one in told.values())


def test_what_was_taken_and_not_begun_goes_back(source, receiver, mona, monkeypatch):  # noqa: F811
    row = outcome(source)
    [parcel] = deliver.rows.claim(10)
    switch.stop_everything(person=mona, reason="x")
    given = iter([[parcel]])
    monkeypatch.setattr(deliver.rows, "claim", lambda limit: next(given, []))

    assert deliver.run_batch() == 0
    assert receiver.requests == []
    row.refresh_from_db()
    assert (row.state, row.lease_until, row.attempts) == (Sending.WAITING, None, 0)


def test_a_body_that_is_frozen_as_everything_stops_tells_the_truth(source, mona, monkeypatch):  # noqa: F811
    outcome(source)
    plain = deliver.rows._freeze

    def stopped_meanwhile(parcels):
        switch.stop_everything(person=mona, reason="x")
        plain(parcels)

    monkeypatch.setattr(deliver.rows, "_freeze", stopped_meanwhile)
    deliver.rows.claim(10)
    bodies = [json.loads(body) for body in Delivery.objects.exclude(body="").values_list("body", flat=True)]
    assert bodies and all(body["data"]["decision"]["type"] == "approve" for body in bodies)


def test_nothing_is_sent_again_by_hand(source, receiver, stop):  # noqa: F811
    row = outcome(source)
    with pytest.raises(Stopped):
        deliver.replay(row.pk, actor=audit.SYSTEM)


# -- nor by asking


@pytest.fixture
def agent():
    polling = SourceFactory(name="polling-agent")
    return Speaker(key_for(polling), source=polling)


@pytest.fixture
def asked(agent):
    incident = IncidentFactory(source=agent.source, key="k", body_digest="a" * 64)
    return ProposalFactory(incident=incident, role=role("finance"))


def looks_open(told, proposal):
    assert (told["id"], told["status"]) == (str(proposal.incident_id), "waiting")
    assert told["decision"] is None and told["acknowledged"] is None
    assert told["proposal"]["state"] == "pending"
    return True


@pytest.mark.parametrize("verdict", ["approve", "reject", "respond"])
def test_a_source_that_asks_is_told_that_it_still_waits(agent, asked, rosa, stop, mona, ada, verdict):
    signed(asked, rosa, verdict, message="m")

    assert looks_open(agent.get(f"/incidents/{asked.incident_id}").json(), asked)
    assert looks_open(agent.get(f"/incidents/{asked.incident_id}", wait=1).json(), asked)
    assert looks_open(agent.get("/incidents").json()["items"][0], asked)

    released(stop, mona, ada)
    told = agent.get(f"/incidents/{asked.incident_id}", wait=30).json()
    assert (told["status"], told["decision"]["type"]) == ("settled", verdict)
    assert Delivery.objects.get(type="proposal.settled").state == Sending.NOTHING_TO_SEND


def test_what_was_handed_out_before_stays_handed_out(agent, asked, rosa, mona):
    signed(asked, rosa)
    switch.stop_everything(person=mona, reason="x")
    assert agent.get(f"/incidents/{asked.incident_id}").json()["decision"]["type"] == "approve"


def test_what_was_decided_before_and_not_sent_yet_is_not_told_either(source, rosa, mona):  # noqa: F811
    proposal = ProposalFactory(incident=IncidentFactory(source=source), role=role("finance"))
    signed(proposal, rosa)
    switch.stop_everything(person=mona, reason="x")
    agent = Speaker(key_for(source), source=source)
    assert looks_open(agent.get(f"/incidents/{proposal.incident_id}").json(), proposal)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("ack", {"result": "done", "args_digest": "DIGEST"}), ("withdraw", ""), ("context", {"context": {"summary": "x"}}),
        ("proposals", {"action": "refund", "args": {"order": 1, "amount": 2}}),
    ],
)
def test_no_call_of_a_source_tells_how_it_ended(agent, asked, rosa, stop, mona, ada, call, body):
    signed(asked, rosa)
    body = json.loads(json.dumps(body).replace("DIGEST", asked.args_digest)) or b""
    problem = assert_problem(agent.post(f"/incidents/{asked.incident_id}/{call}", body), 409, "stopped")
    assert "decision" not in problem and "rosa" not in json.dumps(problem).lower()

    released(stop, mona, ada)
    answer = agent.post(f"/incidents/{asked.incident_id}/{call}", body)
    assert answer.status_code == 200 if call == "ack" else answer.json()["code"] == "already_settled"


def test_the_same_post_again_tells_no_more(agent, rosa, stop, run_jobs):
    body = {"kind": "action", "title": "t", "proposal": {"action": "refund", "args": {"order": 1, "amount": 900}}}
    first = agent.post("/incidents", body, key="once").json()
    run_jobs()
    proposal = Incident.objects.get(pk=first["id"]).proposals.get()
    signed(proposal, PersonFactory(roles=["manager"]))

    assert looks_open(agent.post("/incidents", body, key="once").json(), proposal)
    batch = agent.post("/incidents/batch", {"items": [{**body, "key": "once"}]}).json()["items"][0]
    assert looks_open(batch["incident"], proposal)


def test_a_no_that_asks_for_another_try_is_held_too(agent, asked, rosa, stop):
    signed(asked, rosa, "reject", retry=True)
    assert looks_open(agent.get(f"/incidents/{asked.incident_id}").json(), asked)
    withdrawn = agent.post(f"/incidents/{asked.incident_id}/withdraw", b"").json()
    assert (withdrawn["status"], withdrawn["decision"]) == ("settled", None)  # its own doing it may know


def test_an_agent_that_was_reached_may_say_what_it_did(source, rosa, mona):  # noqa: F811
    proposal = ProposalFactory(incident=IncidentFactory(source=source), role=role("finance"))
    signed(proposal, rosa)
    deliver.rows.claim(10)  # it is being sent, and may arrive
    switch.stop_everything(person=mona, reason="x")
    agent = Speaker(key_for(source), source=source)
    body = {"result": "done", "args_digest": proposal.args_digest}
    assert agent.post(f"/incidents/{proposal.incident_id}/ack", body).status_code == 200


def test_people_go_on_and_see_what_they_decided(asked, rosa, stop):
    token = Speaker(token_for(rosa), person=rosa)
    body = {"type": "approve", "args_digest": asked.args_digest, "version": asked.version}
    told = token.post(f"/proposals/{asked.pk}/decision", body)
    assert told.status_code == 200
    assert (told.json()["status"], told.json()["decision"]["type"]) == ("settled", "approve")
    assert token.get(f"/incidents/{asked.incident_id}").json()["status"] == "settled"

