"""What bridges share: many calls asked at once, each with its own verdict, and no way to a yes that nobody gave."""

import asyncio

import pytest
from countersign_fakes import Fake, Hurried, HurriedAsync, gone, kept

from countersign import Client, TimedOut, digest
from countersign.bridges.asking import Asked, Manner, acknowledge, arun, key_of, put, run, verdicts

ARGS = {"order": "A-1", "cents": 1250}


def call(name="refund", args=None, **more):
    args = ARGS if args is None else args
    return Asked(name, args, key_of("test", "thread-1", "call-1", name, args), **more)


def ask(fake, *calls, **manner):
    client = Hurried(fake)
    return run(client, verdicts(list(calls), Manner(**manner), client.time))


@pytest.mark.parametrize(("decided", "said", "verdict"), [
    ("approve", {}, ("approve", "", ARGS)),
    ("edit", {"args": {"order": "A-1", "cents": 900}}, ("edit", "", {"order": "A-1", "cents": 900})),
    ("reject", {"reason": "too much"}, ("reject", "too much", None)),
    ("respond", {"message": "done by hand"}, ("respond", "done by hand", None)),
    ("reject", {"by": "clock"}, ("reject", "Nobody decided in time, so it was not done.", None)),
])
def test_every_end_has_its_verdict(decided, said, verdict):
    (found,) = ask(Fake().decides(decided, **said), call())
    assert (found.type, found.message, found.args) == verdict
    assert found.may_run == (decided in ("approve", "edit"))


def test_the_same_in_an_event_loop():
    async def asked():
        client = HurriedAsync(Fake().decides("approve"))
        return await arun(client, verdicts([call()], Manner(), client.time))

    (found,) = asyncio.run(asked())
    assert found.type == "approve"


def test_all_are_put_before_the_first_is_waited_for_and_each_gets_its_own():
    fake = Fake()

    def decide(incident):
        fake.settle(incident, "approve" if incident["proposal"]["action"] == "refund" else "reject")

    fake.decide = decide
    one, two = ask(fake, call("delete", {"user": "bob"}), call())
    assert (one.type, two.type) == ("reject", "approve")
    assert [request.method for request in fake.requests[:3]] == ["POST", "POST", "GET"]


def test_the_same_question_after_a_restart_is_the_same_incident_and_other_args_are_another():
    fake = Fake().decides("approve")
    ask(fake, call())
    ask(fake, call())
    assert len(fake.incidents) == 1
    ask(fake, call(args={"order": "A-1", "cents": 1}))
    assert len(fake.incidents) == 2


def test_put_posts_once_however_often_it_is_called():
    fake = Fake()
    client = Hurried(fake)
    run(client, put([call()], Manner()))
    run(client, put([call()], Manner()))
    assert len(fake.incidents) == 1


def test_what_was_acted_upon_before_does_not_run_again():
    fake = Fake().decides("approve")
    (first,) = ask(fake, call())
    run(Hurried(fake), acknowledge(first, "done"))
    (second,) = ask(fake, call())
    assert not second.may_run and "carried out before" in second.message


def test_an_approval_that_lapsed_while_others_were_waited_for_is_none():
    fake = Fake()

    def decide(incident):
        if incident["proposal"]["action"] == "slow":
            fake.now = fake.now.replace(year=2031)
        fake.settle(incident, "approve", valid_for=3600)

    fake.decide = decide
    quick, slow = ask(fake, call(), call("slow"))
    assert not quick.may_run and "no longer valid" in quick.message and slow.may_run


def test_without_a_decision_in_time_it_raises_and_nothing_runs():
    with pytest.raises(TimedOut):
        ask(Fake(), call(), timeout=0)


def test_or_the_model_is_told_no_and_the_question_is_withdrawn():
    fake = Fake()
    (found,) = ask(fake, call(), timeout=0, on_timeout="reject")
    assert not found.may_run and kept(fake.requests, "POST", "/withdraw")


def test_with_nobody_to_ask_it_is_no():
    fake = Fake()
    fake.troubles = [gone] * 1000
    (found,) = ask(fake, call(), timeout=0, on_timeout="reject")
    assert not found.may_run
    with pytest.raises(TimedOut):
        ask(fake, call(), timeout=0)


def test_a_timeout_has_no_way_to_a_yes():
    with pytest.raises(ValueError, match="without a decision nothing runs"):
        Manner(on_timeout="approve")


def test_a_rejection_that_asks_for_another_try_closes_this_one():
    fake = Fake().decides("reject", reason="less", retry=True)
    (found,) = ask(fake, call())
    assert (found.type, found.message) == ("reject", "less") and kept(fake.requests, "POST", "/withdraw")


def test_what_goes_along_is_what_a_person_reads():
    fake = Fake().decides("approve")
    ask(fake, call(description="Refund an order", allowed=("approve", "reject"), args_schema={"type": "object"}),
        context="Somebody asked", more={"customer": {"id": "C-1"}})
    posted = fake.incidents["incident-1"]["posted"]
    assert posted["proposal"]["allowed_decisions"] == ["approve", "reject"] and posted["proposal"]["args_schema"] == {"type": "object"}
    assert posted["context"] == {"summary": "Somebody asked"} and posted["customer"] == {"id": "C-1"}


def test_an_acknowledgement_names_what_ran_and_its_failure_breaks_nothing():
    fake = Fake().decides("edit", args={"order": "A-1", "cents": 900})
    (found,) = ask(fake, call())
    run(Hurried(fake), acknowledge(found, "done", "refunded"))
    assert fake.acks == [{"id": "incident-1", "result": "done", "args_digest": digest("refund", found.args), "detail": "refunded"}]
    run(Hurried(fake), acknowledge(found, "failed", "other"))  # refused, and logged


def test_a_client_of_the_wrong_kind_is_refused_at_once():
    with pytest.raises(TypeError, match="AsyncClient"):
        asyncio.run(arun(Client("http://x", "k"), put([], Manner())))
    with pytest.raises(TypeError, match="Client"):
        run(HurriedAsync(Fake()), put([], Manner()))
