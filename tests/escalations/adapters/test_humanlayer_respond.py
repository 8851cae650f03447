"""Who responds through HumanLayer's wire: a person with their own token, by the rules of every other door. Never a source's key."""

import pytest

from escalations import audit, lifecycle
from escalations.models import Decision, Signature
from tests.escalations.adapters.humanlayering import Speaking, asked, call, program, question
from tests.escalations.api.speaking import key_for, token_for
from tests.factories import PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db
__all__ = ["program"]

YES = {"approved": True, "comment": "it is due", "requested_at": None, "responded_at": None, "reject_option_name": None}
NO = {**YES, "approved": False, "comment": "Too much."}
TO_CALL, TO_QUESTION = "agent/function_calls/call-1/respond", "agent/human_contacts/call-q/respond"


@pytest.fixture
def waiting(program, run_jobs):
    program.asks(call(order="A-1", note="hello"))
    program.asks(question())
    run_jobs()
    return program


@pytest.fixture
def manager(mona):
    return Speaking(token_for(mona, interactive=True))


def test_a_person_says_yes_with_their_token(waiting, manager, mona):
    answer = manager.post(TO_CALL, YES)
    assert answer.status_code == 200 and answer.json()["status"]["approved"] is True, answer.content
    signature = Signature.objects.get()
    assert (signature.person, signature.digest, signature.method) == (mona, asked("call-1").args_digest, "api")
    assert waiting.status("call-1")["comment"] == "it is due"


def test_a_person_says_no_and_may_leave_the_words_to_an_option(waiting, manager):
    answer = manager.post(TO_CALL, {"approved": False, "reject_option_name": "wrong_amount"})
    assert answer.status_code == 200, answer.content
    status = waiting.status("call-1")
    assert (status["approved"], status["comment"], status["reject_option_name"]) == (False, "Wrong amount", "wrong_amount")


def test_a_person_answers_a_question(waiting, manager):
    assert manager.post(TO_QUESTION, {"response": "", "response_option_name": None}).status_code == 400, "an empty answer never leaves"
    answer = manager.post(TO_QUESTION, {"response": "eu-west"})
    assert answer.status_code == 200 and answer.json()["status"]["response"] == "eu-west"
    assert waiting.status("call-q", "contact_requests")["response_option_name"] == "eu"


@pytest.mark.parametrize("path, body", [(TO_CALL, YES), (TO_CALL, NO), (TO_QUESTION, {"response": "eu"})])
def test_a_key_of_a_source_never_decides(waiting, path, body):
    answer = waiting.post(path, body)
    assert answer.status_code == 403 and answer.json()["code"] == "not_allowed" and not Decision.objects.exists()


def test_who_may_not_decide_may_not_decide_here(waiting, mona):
    outsider = Speaking(token_for(PersonFactory(roles=["support"]), interactive=True))
    assert outsider.post(TO_CALL, YES).status_code in (403, 404)
    waiting.source.owner = mona
    waiting.source.save()
    answer = Speaking(token_for(mona, interactive=True)).post(TO_CALL, YES)
    assert answer.status_code == 403 and answer.json()["code"] == "own_request" and not Decision.objects.exists()


def test_a_token_nobody_sits_behind_signs_nothing_that_cannot_be_undone(program, run_jobs, mona):
    program.asks(call())
    run_jobs()
    answer = Speaking(token_for(mona)).post(TO_CALL, YES)
    assert answer.status_code == 403 and answer.json()["code"] == "step_up_required"


def test_what_changed_since_it_was_first_asked_is_read_again_before_it_is_signed(waiting, manager, mona):
    lifecycle.add_context(asked("call-1").incident_id, context={"summary": "already refunded"}, actor=actor_of(waiting))
    for body in (YES, NO):
        answer = manager.post(TO_CALL, body)
        assert answer.status_code == 409 and answer.json()["code"] == "changed_since_seen"
    seen = manager.status("call-1")
    assert manager.post(TO_CALL, {**YES, "args_digest": seen["args_digest"], "version": seen["version"]}).status_code == 200


def test_a_revision_is_not_signed_by_whoever_knows_only_the_first_call(waiting, manager, run_jobs):
    """What this client is shown is the call as it was posted; what stands to be signed is another one by now."""
    lifecycle.revise(
        asked("call-1").incident_id, content={"action": "refund", "args": {"order": "A-666"}}, actor=actor_of(waiting)
    )
    run_jobs()
    answer = manager.post(TO_CALL, YES)
    assert answer.status_code == 409 and answer.json()["code"] == "changed_since_seen" and not Decision.objects.exists()


def test_a_yes_for_another_content_than_stands_there_is_refused(waiting, manager):
    seen = manager.status("call-1")
    answer = manager.post(TO_CALL, {**YES, "args_digest": "sha256:" + "0" * 64, "version": seen["version"]})
    assert answer.status_code == 409 and not Decision.objects.exists()


def test_two_who_respond_get_one_decision(waiting, manager):
    assert manager.post(TO_CALL, NO).status_code == 200
    answer = manager.post(TO_CALL, YES)
    assert answer.status_code == 409 and answer.json()["code"] == "already_settled"
    assert waiting.status("call-1")["approved"] is False and Decision.objects.count() == 1


@pytest.mark.parametrize("body", [{}, {"approved": None}, {"approved": "yes"}, {"approved": False}])
def test_what_says_neither_yes_nor_why_not_decides_nothing(waiting, manager, body):
    assert manager.post(TO_CALL, body).status_code == 400 and not Decision.objects.exists()


def test_before_anybody_was_asked_nobody_decides(program, manager):
    program.asks(call(order="A-1"))
    assert manager.post(TO_CALL, YES).status_code in (404, 409) and not Decision.objects.exists()


def test_an_id_that_two_sources_use_is_decided_on_its_page(waiting, manager, run_jobs):
    Speaking(key_for(SourceFactory(name="another"))).asks(call(order="A-1", note="hello"))
    run_jobs()
    answer = manager.post(TO_CALL, YES)
    assert answer.status_code == 409 and "page" in answer.json()["detail"] and not Decision.objects.exists()


def test_looking_decides_nothing_whoever_looks(waiting, manager):
    before = asked("call-1").version
    for who in (waiting, manager):
        for path in ("function_calls/call-1", "contact_requests/call-q"):
            assert who.get(path).status_code == 200
        assert who.get(TO_CALL).status_code == 405
    assert asked("call-1").version == before and not Decision.objects.exists()


def test_a_person_escalates_to_the_next_step(waiting, manager):
    answer = manager.post("agent/function_calls/call-1/escalate_email", {"escalation_msg": "wake up"})
    assert answer.status_code in (200, 409), answer.content
    if asked("call-1").role != role("manager"):
        raise AssertionError(answer.content)


def actor_of(program):
    return audit.Actor.source(program.source)


def test_a_yes_that_does_not_say_what_it_is_to_is_none_to_a_later_revision(waiting, manager, run_jobs):
    first = asked("call-1")
    content = {"action": first.action, "args": first.args, "description": "It is in fact another customer's."}
    lifecycle.revise(first.incident_id, content=content, author="source", actor=audit.Actor.source(waiting.source))
    run_jobs()
    now = asked("call-1")
    assert (now.revision, now.args_digest, now.version) == (2, first.args_digest, 2)

    assert manager.post(TO_CALL, YES).json()["code"] == "changed_since_seen" and not Decision.objects.exists()
    assert manager.post(TO_CALL, {**YES, "args_digest": now.args_digest, "version": now.version}).status_code == 200
