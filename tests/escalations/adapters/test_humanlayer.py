"""HumanLayer's wire: function calls and questions become incidents, and what was decided comes back as yes, no or words."""

import json
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client

from escalations import audit, clock, lifecycle, wire
from escalations.adapters.humanlayer import views
from escalations.errors import Overloaded
from escalations.models import Decision, Incident
from escalations.policies.stop import ask_release, confirm_release, stop_everything
from tests.escalations.adapters.humanlayering import Speaking, asked, call, decided, incident_of, program, question, waiting
from tests.escalations.api.speaking import key_for
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db
__all__ = ["program", "waiting"]


# -- what it becomes


def test_a_function_call_becomes_an_action_that_a_person_can_read(program, run_jobs):
    said = program.asks(call(order="A-1", cents=1250))
    run_jobs()
    proposal = asked("call-1")
    incident = proposal.incident
    assert (said["run_id"], said["call_id"], said["status"]["approved"]) == ("run-42", "call-1", None)
    assert said["spec"]["kwargs"] == {"order": "A-1", "cents": 1250} and said["spec"]["state"] == {"thread": "t1"}
    assert (incident.kind, incident.title) == ("action", 'refund(order="A-1", cents=1250)')
    assert (incident.session, incident.external_id, incident.source) == ("run-42", "call-1", program.source)
    assert (proposal.action, proposal.args) == ("refund", {"order": "A-1", "cents": 1250})
    assert "ops" in incident.context["summary"] and "Wrong amount: amount is off" in incident.context["summary"]
    assert not {"injection_suspected", "user_request", "irreversible"} & set(proposal.trigger_names), proposal.triggers


def test_a_secret_of_its_chat_is_neither_kept_nor_said_back(program):
    said = program.asks(call(order="A-1"))
    assert "xoxb" not in json.dumps(said) and "xoxb" not in json.dumps(incident_of("call-1").payload)
    assert said["spec"]["channel"]["slack"]["bot_token"] is None
    assert said["spec"]["channel"]["slack"]["context_about_channel_or_user"] == "ops"


def test_a_call_that_leaves_out_what_is_null_is_taken(program):
    said = program.asks({"run_id": "run-ts", "call_id": "call-989e6db8", "spec": {"fn": "refund", "kwargs": {"order": "A-1"}}})
    assert said["spec"] == {"fn": "refund", "kwargs": {"order": "A-1"}}
    assert program.asks({"run_id": "run-ts", "call_id": "call-2", "spec": {"fn": "now"}})["spec"]["kwargs"] == {}


def test_arguments_by_position_are_called_not_visible_and_a_person_always_looks(program, run_jobs):
    program.asks(call())
    run_jobs()
    proposal = asked("call-1")
    assert "Arguments not visible" in proposal.description and proposal.args == {}
    assert "irreversible" in proposal.trigger_names and proposal.state == "pending" and proposal.floor == "review"


def test_a_question_shows_its_words_and_the_answers_it_offers(program, run_jobs):
    said = program.asks(question(msg="Which region?\nThe customer did not say."))
    run_jobs()
    incident = incident_of("call-q")
    assert said["status"]["response"] is None
    assert (incident.kind, incident.title, incident.session) == ("question", "Which region?", "run-42")
    assert incident.body.endswith("did not say.") and "eu-west" in incident.context["summary"]


@pytest.mark.parametrize("body, pointer", [
    ({"call_id": "c", "spec": {"fn": "f", "kwargs": {}}}, "/run_id"),
    ({"run_id": "r", "spec": {"fn": "f", "kwargs": {}}}, "/call_id"),
    ({"run_id": "r", "call_id": "a/b", "spec": {"fn": "f", "kwargs": {}}}, "/call_id"),
    ({"run_id": "r", "call_id": "a?b", "spec": {"fn": "f", "kwargs": {}}}, "/call_id"),
    ({"run_id": "r", "call_id": "c"}, "/spec"),
    ({"run_id": "r", "call_id": "c", "spec": {"fn": " ", "kwargs": {}}}, "/spec/fn"),
    ({"run_id": "r", "call_id": "c", "spec": {"fn": "f", "kwargs": [1]}}, "/spec/kwargs"),
    ({"run_id": "r", "call_id": "c", "spec": {"fn": "f", "kwargs": {"n": 2**60}}}, "/spec/kwargs/n"),
    ({"run_id": "r", "call_id": "c", "spec": {"fn": "f", "kwargs": {"n": "a\x00b"}}}, "/spec/kwargs/n"),
])
def test_what_could_not_be_signed_or_found_again_is_refused_in_a_sentence(program, body, pointer):
    answer = program.post("function_calls", body)
    assert answer.status_code == 400 and pointer in answer.json()["detail"], answer.content
    assert not Incident.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'{"run_id": NaN}'])
def test_what_is_no_json_is_refused_as_json(program, body):
    answer = program.post("function_calls", body)
    assert answer.status_code == 400 and answer.json()["code"] == "malformed_json"


def test_an_odd_character_in_a_question_loses_nobody_the_question(program):
    program.asks(question(msg="What is \x00 there?"))
    assert incident_of("call-q").body == "What is � there?" and incident_of("call-q").sanitised


# -- one id, one call


def test_the_same_call_posted_again_is_the_same_incident(program, run_jobs):
    first, second = program.asks(call(order="A-1")), program.asks(call(order="A-1"))
    assert first["status"]["incident"] == second["status"]["incident"] and Incident.objects.count() == 1


@pytest.mark.parametrize("other", [call(run_id="run-43", order="A-1"), call(order="A-2"), call(fn="pay", order="A-1")])
def test_another_call_with_an_id_that_is_taken_is_told_so_and_never_hears_of_the_first(program, other):
    program.asks(call(order="A-1"))
    answer = program.post("function_calls", other)
    assert answer.status_code == 409 and "call-1" in answer.json()["detail"]
    assert Incident.objects.count() == 1


def test_a_question_and_a_call_may_have_the_same_id(program):
    program.asks(call("same", order="A-1"))
    program.asks(question("same"))
    assert program.status("same")["approved"] is None and program.status("same", "contact_requests")["response"] is None


def test_nobody_else_hears_of_a_call(program, monkeypatch):
    program.asks(call(order="A-1"))
    other = Speaking(key_for(SourceFactory(name="another")))
    rehearsal = Speaking(key_for(program.source, env="test"))
    for stranger in (other, rehearsal):
        answer = stranger.get("function_calls/call-1")
        assert answer.status_code == 404 and answer.json()["code"] == "not_found"
    assert Speaking("cs_live_nobody_secret").get("function_calls/call-1").status_code == 401


def test_a_key_may_do_what_its_scopes_say(program):
    writes, reads = (Speaking(key_for(program.source, scopes=[f"incidents:{one}"])) for one in ("write", "read"))
    assert reads.post("function_calls", call(order="A-1")).status_code == 403
    writes.asks(call(order="A-1"))
    assert writes.get("function_calls/call-1").status_code == 403 and reads.status("call-1")["approved"] is None


# -- what comes back


def test_while_nobody_decided_it_says_not_yet(waiting):
    status = waiting.status("call-1")
    assert status["approved"] is None and status["comment"] is None and status["responded_at"] is None and status["requested_at"]


def test_a_yes_to_what_was_posted_is_a_yes(waiting, mona):
    decided(mona, "call-1", "approve", reason="it is due")
    status = waiting.status("call-1")
    assert (status["approved"], status["comment"]) == (True, "it is due") and status["responded_at"]
    assert status["args_digest"] == asked("call-1").args_digest


def test_a_no_comes_with_its_words(waiting, mona):
    decided(mona, "call-1", "reject", reason="Too much.")
    status = waiting.status("call-1")
    assert (status["approved"], status["comment"], status["reject_option_name"]) == (False, "Too much.", None)


def test_a_no_for_a_reason_that_was_foreseen_names_it(waiting, mona):
    decided(mona, "call-1", "reject", reason="wrong amount")
    assert waiting.status("call-1")["reject_option_name"] == "wrong_amount"


def test_a_no_that_asks_for_another_try_says_so(waiting, mona):
    decided(mona, "call-1", "reject", reason="Too much.", retry=True)
    status = waiting.status("call-1")
    assert status["approved"] is False and status["comment"] == "Too much. (Change it and ask again.)"


def test_an_edit_is_never_a_yes_and_names_the_call_that_is_wanted(waiting, mona):
    decided(mona, "call-1", "edit", args={"order": "A-1", "cents": 900}, reason="cap")
    answer = waiting.get("function_calls/call-1").json()
    assert answer["status"]["approved"] is False
    assert 'call refund again with exactly {"cents": 900, "order": "A-1"}' in answer["status"]["comment"]
    assert "cap" in answer["status"]["comment"]
    assert answer["spec"]["kwargs"] == {"order": "A-1", "cents": 1250}, "what the client posted is what it is shown again"


def test_an_edit_that_a_second_person_approves_is_no_yes_to_the_first_arguments(waiting, mona, run_jobs):
    """It became a revision of its own: what is approved there is not what the client holds in its hands."""
    proposal = asked("call-1")
    lifecycle.revise(
        proposal.incident_id, content={"action": "refund", "args": {"order": "A-1", "cents": 900}}, actor=wire_actor(proposal)
    )
    run_jobs()
    decided(mona, "call-1", "approve", reason="better")
    assert asked("call-1").revision == 2
    status = waiting.status("call-1")
    assert status["approved"] is False and '"cents": 900' in status["comment"]


def wire_actor(proposal):
    return audit.Actor.source(proposal.source)


def test_words_instead_of_a_yes_do_not_run_it(waiting, mona):
    decided(mona, "call-1", "respond", message="I refunded it by hand.")
    status = waiting.status("call-1")
    assert status["approved"] is False and "I refunded it by hand." in status["comment"]


def test_when_time_ran_out_the_answer_is_no(waiting):
    proposal = asked("call-1")
    with clock.frozen_at(proposal.expires_at + timedelta(seconds=1)):
        lifecycle.run_out(only=proposal.pk)
        status = waiting.status("call-1")
    assert asked("call-1").state == "expired"
    assert status["approved"] is False and status["comment"].startswith("Expired")


def test_a_yes_that_came_too_late_to_be_used_is_no_yes(waiting, mona):
    decided(mona, "call-1", "approve")
    decision = Decision.objects.get()
    with clock.frozen_at(decision.valid_until + timedelta(seconds=1)):
        status = waiting.status("call-1")
    assert status["approved"] is False and status["comment"].startswith("Expired")


def test_a_yes_whose_outcome_failed_is_no_yes_again(waiting, mona, run_jobs):
    decided(mona, "call-1", "approve")
    proposal = asked("call-1")
    lifecycle.acknowledge(proposal.incident_id, result="failed", args_digest=proposal.args_digest, actor=wire_actor(proposal))
    assert waiting.status("call-1")["approved"] is None
    run_jobs()
    decided(mona, "call-1", "reject", reason="Not again.")
    assert waiting.status("call-1")["approved"] is False


def test_what_was_withdrawn_is_a_no(waiting):
    lifecycle.withdraw(asked("call-1").incident_id, actor=wire_actor(asked("call-1")))
    status = waiting.status("call-1")
    assert status["approved"] is False and status["comment"].startswith("Withdrawn")


def test_an_answer_comes_back_in_its_words(program, run_jobs, mona):
    program.asks(question())
    run_jobs()
    decided(mona, "call-q", "respond", message="EU-WEST")
    status = program.status("call-q", "contact_requests")
    assert (status["response"], status["response_option_name"]) == ("EU-WEST", "eu")


def test_a_question_nobody_answers_ends_with_words_that_say_so(program, run_jobs, mona):
    for name in ("call-a", "call-b", "call-c"):
        program.asks(question(name))
    run_jobs()
    decided(mona, "call-a", "reject", reason="Ask the customer.")
    lifecycle.withdraw(asked("call-b").incident_id, actor=wire_actor(asked("call-b")))
    late = asked("call-c")
    with clock.frozen_at(late.expires_at + timedelta(seconds=1)):
        lifecycle.run_out(only=late.pk)
        said = [program.status(name, "contact_requests")["response"] for name in ("call-a", "call-b", "call-c")]
    assert all(one.startswith("[no answer from a person]") for one in said), said
    assert "Ask the customer." in said[0] and "withdrawn" in said[1] and "in time" in said[2]


def test_while_everything_is_stopped_no_yes_leaves(waiting, mona):
    stop = stop_everything(person=mona, reason="an agent gone wrong")
    decided(mona, "call-1", "approve")
    assert waiting.status("call-1")["approved"] is None
    asked_at = ask_release(stop.pk, person=mona, why="it is over").release_asked_at
    confirm_release(stop.pk, person=PersonFactory(roles=["manager"]), asked_at=asked_at)
    assert waiting.status("call-1")["approved"] is True


# -- the client gives up at the first error


@pytest.mark.parametrize("trouble", [Overloaded(), OperationalError("the server closed the connection unexpectedly")])
@pytest.mark.parametrize("kind", ["function_calls", "contact_requests"])
def test_who_asks_how_a_call_stands_is_told_not_yet_where_nobody_can_look(program, monkeypatch, trouble, kind):
    def fails(*args):
        raise trouble

    monkeypatch.setattr("escalations.api.auth._calling", fails)
    answer = program.get(f"{kind}/call-7")
    assert answer.status_code == 200 and answer.json()["status"] is None and answer.json()["call_id"] == "call-7"
    assert program.post(kind, call()).status_code == 503, "what was not taken is not said to be"


def test_a_question_how_it_stands_is_held_open_until_there_is_an_answer(waiting, mona, monkeypatch):
    monkeypatch.setattr(views, "HOLD", 60.0)
    real, looks = wire.handed_out, []

    def and_decide(incidents):
        said = real(incidents)
        if not looks:
            decided(mona, "call-1", "approve", reason="just now")
        looks.append(1)
        return said

    monkeypatch.setattr(wire, "handed_out", and_decide)
    assert waiting.status("call-1")["comment"] == "just now" and len(looks) == 2


@pytest.mark.parametrize("path", ["function_calls", "contact_requests", "function_calls/call-1", "nothing/there"])
def test_every_error_is_json_and_nothing_redirects(path):
    for answer in (Client().post(f"/humanlayer/v1/{path}", b"{}", content_type="application/json"), Client().get(f"/humanlayer/v1/{path}")):
        assert answer.status_code in (401, 404, 405), (path, answer.status_code)
        assert answer["Content-Type"] == "application/json" and answer.json()["detail"]


def test_looking_costs_the_same_however_much_was_asked(waiting, django_assert_max_num_queries):
    for number in range(5):
        waiting.asks(call(f"more-{number}", order="A-1", cents=number))
    with django_assert_max_num_queries(12):
        waiting.status("call-1")


def test_escalating_adds_words_for_the_reviewer_once_and_answers_as_it_stands(waiting):
    before = asked("call-1").version
    for _ in range(2):
        answer = waiting.post("agent/function_calls/call-1/escalate_email", {"escalation_msg": "wake up", "additional_recipients": None})
        assert answer.status_code == 200 and answer.json()["call_id"] == "call-1"
    [item] = incident_of("call-1").added_context.all()
    assert "wake up" in item.context["summary"] and asked("call-1").version == before + 1
    assert waiting.post("agent/function_calls/call-1/escalate_email", {"escalation_msg": ""}).status_code == 400
    assert waiting.post("agent/human_contacts/call-1/escalate_email", {"escalation_msg": "x"}).status_code == 404
