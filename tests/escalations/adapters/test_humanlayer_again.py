"""The call that an edit asked for goes ahead by the signature that was given to it: once, for exactly that, and for nothing else."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from escalations import clock
from escalations.adapters.humanlayer import again
from escalations.adapters.humanlayer.asked import FUNCTION, read
from escalations.api.auth import Caller
from escalations.models import Acknowledgement, ApiKey, Decision, Proposal
from escalations.policies.stop import stop_everything
from tests.escalations.adapters.humanlayering import Speaking, asked, call, decided, incident_of, program, waiting
from tests.escalations.api.speaking import key_for
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db
__all__ = ["program", "waiting"]


@pytest.fixture
def edited(waiting, mona):
    decided(mona, "call-1", "edit", args={"order": "A-1", "cents": 900}, reason="cap")
    return waiting


def test_the_call_as_it_was_signed_goes_ahead_once_without_asking_again(edited, run_jobs):
    edited.asks(call("call-2", cents=900, order="A-1"))
    status = edited.status("call-2")
    assert status["approved"] is True and "Mona" in status["comment"]
    assert edited.asks(call("call-2", cents=900, order="A-1"))["status"]["approved"] is True, "the same post again is the same call"
    run_jobs()
    edited.asks(call("call-3", cents=900, order="A-1"))
    run_jobs()
    assert edited.status("call-3")["approved"] is None and asked("call-3").state == "pending", "once is once"


def test_both_records_say_that_one_signature_let_the_call_go(edited, mona):
    edited.asks(call("call-2", order="A-1", cents=900))
    given = Acknowledgement.objects.get()
    assert given.decision.proposal.incident == incident_of("call-1") and "call-2" in given.detail
    second = incident_of("call-2")
    assert second.status == "settled" and asked("call-2").state == "withdrawn" and asked("call-2").args_digest == given.args_digest
    [item] = second.added_context.all()
    assert mona.name in item.context["summary"] and str(given.decision.proposal_id) in item.context["links"][0]["url"]
    assert Decision.objects.count() == 1, "nobody decided twice"


@pytest.mark.parametrize("other", [
    call("call-2", order="A-1", cents=901), call("call-2", order="A-1", cents=1250), call("call-2", run_id="run-43", order="A-1", cents=900),
    call("call-2", fn="pay", order="A-1", cents=900), call("call-2", order="A-1"), call("call-2", order="A-1", cents=900, note=""),
])
def test_anything_else_asks_a_person(edited, run_jobs, other):
    edited.asks(other)
    run_jobs()
    assert edited.status("call-2")["approved"] is None and asked("call-2").state == "pending"
    assert not Acknowledgement.objects.exists()


def test_a_plain_yes_lets_the_same_call_go_only_the_once_it_was_asked(waiting, mona, run_jobs):
    decided(mona, "call-1", "approve")
    waiting.asks(call("call-2", order="A-1", cents=1250))
    run_jobs()
    assert waiting.status("call-2")["approved"] is None


def test_a_signature_past_its_time_or_of_another_source_lets_nothing_go(edited, run_jobs):
    other = Speaking(key_for(SourceFactory(name="another")))
    other.asks(call("call-2", order="A-1", cents=900))
    rehearsal = Speaking(key_for(edited.source, env="test"))
    rehearsal.asks(call("call-t", order="A-1", cents=900))
    with clock.frozen_at(Decision.objects.get().valid_until):
        edited.asks(call("call-3", order="A-1", cents=900))
    run_jobs()
    assert other.status("call-2")["approved"] is None and edited.status("call-3")["approved"] is None
    assert rehearsal.status("call-t")["approved"] is None and not Acknowledgement.objects.exists()


def test_while_everything_is_stopped_a_person_is_asked(edited, mona, run_jobs):
    stop_everything(person=mona, reason="an agent gone wrong")
    edited.asks(call("call-2", order="A-1", cents=900))
    assert edited.status("call-2")["approved"] is None and not Acknowledgement.objects.exists()


def test_what_was_let_go_and_not_yet_told_is_not_told_while_everything_is_stopped(edited, mona):
    edited.asks(call("call-2", order="A-1", cents=900))
    stop_everything(person=mona, reason="an agent gone wrong")
    assert edited.status("call-2")["approved"] is None


def test_a_call_that_was_let_go_is_a_yes_no_longer_than_its_signature(edited):
    edited.asks(call("call-2", order="A-1", cents=900))
    with clock.frozen_at(Decision.objects.get().valid_until):
        status = edited.status("call-2")
    assert status["approved"] is False and status["comment"].startswith("Expired")


def test_nothing_is_left_half_done_where_the_id_was_taken_before(edited, run_jobs):
    """The first call's id with the signed arguments: its own incident stands, and the signature is not used up by the attempt."""
    answer = edited.post("function_calls", call("call-1", order="A-1", cents=900))
    assert answer.status_code == 409 and not Acknowledgement.objects.exists() and Proposal.objects.count() == 1


def test_a_call_a_person_was_asked_about_uses_up_no_signature_when_it_is_posted_again(waiting, mona, run_jobs):
    same = call("call-2", order="A-1", cents=900)
    waiting.asks(same)
    run_jobs()
    decided(mona, "call-1", "edit", args={"order": "A-1", "cents": 900}, reason="cap")
    assert waiting.asks(same)["status"]["approved"] is None
    assert asked("call-2").state == "pending" and not Acknowledgement.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_many_that_come_at_once_one_goes_ahead(edited):
    caller = Caller(ApiKey.objects.get(source=edited.source), source=edited.source)

    def comes(number):
        try:
            return again.let_go(caller, read(FUNCTION, json.dumps(call(f"race-{number}", order="A-1", cents=900)).encode()))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        went = [one for one in pool.map(comes, range(6)) if one is not None]
    assert len(went) == 1 and Acknowledgement.objects.count() == 1
    assert Proposal.objects.filter(incident__key__contains=":race-").count() == 1, "of the others nothing was written"
