"""Calls that survive: cut connections, restarts, a busy server, and answers that were lost on their way."""

import asyncio
import json
import threading

import httpx
import pytest
from countersign_fakes import KEY, Fake, Hurried, HurriedAsync, busy, cut, gone, kept, page, problem

import countersign
from countersign import Client, Conflict, NotFound, Overloaded, RateLimited, Refused, TimedOut, Unreachable


@pytest.fixture
def fake():
    return Fake()


ALERT = {"kind": "alert", "title": "Disk full"}


def test_a_post_is_repeated_with_one_key_until_it_is_taken(fake):
    fake.troubles = [gone, cut, busy(503), busy(500), busy(502), page, None]
    client = Hurried(fake)

    incident = client.post_incident(ALERT)

    assert incident["id"] == "incident-1" and len(fake.incidents) == 1
    assert len({request.headers["idempotency-key"] for request in fake.requests}) == 1 and len(fake.requests) == 7


def test_an_answer_that_was_lost_makes_no_second_incident(fake):
    fake.lose = {"/incidents"}
    Hurried(fake).post_incident(ALERT)
    assert len(fake.requests) == 2 and len(fake.incidents) == 1


def test_two_calls_have_two_keys_and_a_given_key_is_used(fake):
    client = Hurried(fake)
    assert client.post_incident(ALERT)["id"] != client.post_incident(ALERT)["id"]
    assert client.post_incident(ALERT, "mine")["id"] == client.post_incident(ALERT, key="mine")["id"]


def test_pauses_grow_are_random_and_bounded(fake):
    fake.troubles = [gone] * 12
    client = Hurried(fake, retry_for=3600)
    client.post_incident(ALERT)
    assert len(client.slept) == 12 and max(client.slept) <= 15.1 and len(set(client.slept)) > 6
    assert sum(client.slept[:3]) < 0.25 + 0.5 + 1.0 + 0.1


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_how_long_to_wait(fake, status):
    fake.troubles = [busy(status, **{"retry-after": "7"})]
    client = Hurried(fake)
    client.post_incident(ALERT)
    assert 7 <= client.slept[0] <= 7.25


@pytest.mark.parametrize("said", ["soon", "-1", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_wish_nobody_can_read_is_no_wish(fake, said):
    fake.troubles = [busy(503, **{"retry-after": said})]
    client = Hurried(fake)
    client.post_incident(ALERT)
    assert client.slept[0] < 1


@pytest.mark.parametrize(("trouble", "error"), [(gone, Unreachable), (busy(503), Overloaded), (busy(429), RateLimited), (page, Unreachable)])
def test_who_shall_not_try_again_tries_once(fake, trouble, error):
    fake.troubles = [trouble]
    with pytest.raises(error):
        Hurried(fake, retry_for=0).post_incident(ALERT)
    assert len(fake.requests) == 1


def test_a_wish_beyond_the_deadline_is_not_waited_for(fake):
    fake.troubles = [busy(503, **{"retry-after": "120"})]
    client = Hurried(fake, retry_for=60)
    with pytest.raises(Overloaded):
        client.post_incident(ALERT)
    assert client.slept == []


@pytest.mark.parametrize(("status", "code", "error"), [
    (400, "invalid", countersign.BadRequest), (401, "not_authenticated", Refused), (403, "not_allowed", Refused),
    (404, "not_found", NotFound), (409, "conflict", Conflict), (422, "idempotency_mismatch", countersign.BadRequest),
])
def test_a_refusal_is_not_repeated_and_says_its_code(fake, status, code, error):
    fake.troubles = [lambda request: problem(status, code)]
    with pytest.raises(error) as caught:
        Hurried(fake).post_incident(ALERT)
    assert caught.value.code == code and code in str(caught.value) and len(fake.requests) == 1


def test_faults_of_an_invalid_post_are_named():
    said = {"code": "invalid", "detail": "The request is not valid.", "errors": [{"pointer": "/kind", "detail": "is required"}]}
    error = countersign.errors.of(400, said)
    assert "/kind: is required" in str(error)


def test_waiting_goes_on_across_whatever_happens(fake):
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    fake.decides("approve")
    fake.troubles = [gone, cut, busy(502), page, busy(503, **{"retry-after": "2"})]
    assert client.wait(incident["id"])["decision"]["type"] == "approve"


def test_waiting_asks_to_be_told_when_there_is_an_answer(fake):
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    fake.decides("approve")
    client.wait(incident["id"])
    assert fake.requests[-1].url.params["wait"] == "50"
    assert fake.requests[-1].extensions["timeout"]["read"] == 60


def test_a_server_that_answers_at_once_without_an_answer_is_not_hurried(fake):
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    looks = []
    fake.decide = lambda incident: looks.append(1) if len(looks) < 3 else fake.settle(incident, "approve")
    client.wait(incident["id"])
    assert client.slept == [0.5, 0.5, 0.5]


def test_a_deadline_ends_waiting_with_what_is_known(fake):
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    with pytest.raises(TimedOut) as caught:
        client.wait(incident["id"], deadline=0.02)
    assert caught.value.incident["status"] == "waiting"


def test_a_deadline_ends_waiting_for_a_server_that_is_away(fake):
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    fake.troubles = [gone] * 10_000
    with pytest.raises(TimedOut):
        client.wait(incident["id"], deadline=0.02)


def test_a_revoked_key_ends_waiting(fake):
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    fake.troubles = [lambda request: problem(401, "not_authenticated")]
    with pytest.raises(Refused):
        client.wait(incident["id"])


def test_an_acknowledgement_whose_answer_was_lost_is_recognised(fake):
    fake.lose = {"/ack"}
    fake.decides("approve")
    client = Hurried(fake)
    incident = client.wait(client.post_incident(ALERT)["id"])
    told = client.ack(incident["id"], "done", args_digest=incident["decision"]["args_digest"], detail="paid")
    assert told["acknowledged"]["result"] == "done" and len(fake.acks) == 1


def test_an_acknowledgement_of_somebody_else_is_a_conflict(fake):
    fake.decides("approve")
    client = Hurried(fake)
    incident = client.wait(client.post_incident(ALERT)["id"])
    client.ack(incident["id"], "failed")
    with pytest.raises(Conflict):
        client.ack(incident["id"], "done")


def test_a_withdrawal_whose_answer_was_lost_is_one(fake):
    fake.lose = {"/withdraw"}
    client = Hurried(fake)
    incident = client.post_incident(ALERT)
    assert client.withdraw(incident["id"])["proposal"]["state"] == "withdrawn"


def test_withdrawing_too_late_is_a_conflict(fake):
    fake.decides("approve")
    client = Hurried(fake)
    incident = client.wait(client.post_incident(ALERT)["id"])
    with pytest.raises(Conflict):
        client.withdraw(incident["id"])


@pytest.mark.parametrize("lost", [False, True])
def test_a_revision_is_made_once_though_its_answer_was_lost(fake, lost):
    client = Hurried(fake)
    incident = client.post_incident({"kind": "action", "title": "t", "proposal": {"action": "pay", "args": {"amount": 9}}})
    fake.decides("reject", retry=True)
    client.wait(incident["id"])
    fake.lose = {"/proposals"} if lost else set()
    fake.decide = None
    told = client.revise(incident["id"], {"action": "pay", "args": {"amount": 8}})
    assert told["proposal"]["revision"] == 2 and len(kept(fake.requests, "POST", "/proposals")) == 1


def test_an_asyncio_program_has_the_same(fake):
    async def work():
        async with HurriedAsync(fake) as client:
            fake.troubles = [gone, busy(503, **{"retry-after": "3"})]
            incident = await client.post_incident(ALERT)
            fake.decides("approve")
            told = await client.wait(incident["id"])
            await client.ack(told["id"], "done")
            return told, client.slept

    told, slept = asyncio.run(work())
    assert told["decision"]["type"] == "approve" and slept[1] >= 3 and len(fake.acks) == 1


def test_a_cancelled_wait_ends_and_leaves_the_client_usable(fake):
    held = asyncio.Event()

    async def answer(request):
        if request.method == "GET" and not held.is_set():
            held.set()
            await asyncio.Event().wait()
        return fake(request)

    async def work():
        async with HurriedAsync(answer) as client:
            incident = await client.post_incident(ALERT)
            waiting = asyncio.create_task(client.wait(incident["id"]))
            await held.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            fake.decides("approve")
            return await client.wait(incident["id"])

    assert asyncio.run(work())["status"] == "settled"


def test_closing_ends_a_wait_in_another_thread(fake):
    client = Client("http://countersign.test", KEY, transport=httpx.MockTransport(fake))
    incident = client.post_incident(ALERT)
    ended, asked = [], threading.Event()
    fake.decide = lambda incident: asked.set()

    def wait():
        with pytest.raises(countersign.CountersignError):
            client.wait(incident["id"])
        ended.append(True)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert asked.wait(20)
    client.close()
    thread.join(20)
    assert ended


def test_address_and_key_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_URL", "https://signs.example/")
    monkeypatch.setenv("COUNTERSIGN_KEY", "cs_live_secret")
    client = Client()
    assert client.base_url == "https://signs.example" and "secret" not in repr(client)


def test_without_a_key_nothing_is_begun(monkeypatch):
    monkeypatch.delenv("COUNTERSIGN_KEY", raising=False)
    with pytest.raises(countersign.CountersignError, match="COUNTERSIGN_KEY"):
        Client("http://countersign.test")


def test_a_redirect_is_not_followed(fake):
    fake.troubles = [lambda request: httpx.Response(307, headers={"location": "http://elsewhere.test/"})]
    with pytest.raises(countersign.ApiError):
        Hurried(fake).post_incident(ALERT)
    assert len(fake.requests) == 1


def test_what_is_posted_is_what_was_given(fake):
    Hurried(fake).post_incident({**ALERT, "payload": {"free": "ä"}})
    assert json.loads(fake.requests[0].content)["payload"] == {"free": "ä"}


@pytest.mark.parametrize(("url", "key"), [
    ("localhost:8000", KEY), ("ftp://x", KEY), ("http://x", "cs_live\nx"), ("http://x", "cs live"), ("http://x", "cs_lïve"),
])
def test_what_can_never_work_is_refused_at_once(url, key):
    with pytest.raises(countersign.CountersignError):
        Client(url, key)


def test_an_id_is_one_part_of_the_path(fake):
    with pytest.raises(NotFound):
        Hurried(fake).get_incident("../../admin?x=1")
    assert fake.requests[0].url.raw_path == b"/api/v1/incidents/..%2F..%2Fadmin%3Fx%3D1"


def test_a_body_that_cannot_be_decoded_is_asked_for_again(fake):
    fake.troubles = [lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))]
    assert Hurried(fake).post_incident(ALERT)["id"] == "incident-1"


def test_who_tries_for_long_says_so(fake, caplog):
    fake.troubles = [gone] * 12
    Hurried(fake, retry_for=3600).post_incident(ALERT)
    assert caplog.text.count("trying on") == 2 and KEY not in caplog.text


@pytest.mark.parametrize("kind", ["threads", "event loop"])
def test_what_came_of_it_is_said_once_however_often_the_answer_is_lost(fake, kind):
    async def said(client):
        return await client.feedback("incident-1", "wrong", how="complaint", detail="charged twice", complaint="incident-2")

    fake.decides("approve")
    client = Hurried(fake)
    client.wait(client.post_incident(ALERT)["id"], deadline=5)
    fake.lose = {"/feedback"}
    if kind == "threads":
        told = client.feedback("incident-1", "wrong", how="complaint", detail="charged twice", complaint="incident-2")
    else:
        told = asyncio.run(said(HurriedAsync(fake)))

    assert told == fake.reports[0] and len(fake.reports) == 1
    assert (told["outcome"], told["how"], told["detail"], told["complaint"]) == ("wrong", "complaint", "charged twice", "incident-2")


def test_nothing_came_of_what_is_not_decided(fake):
    client = Hurried(fake)
    with pytest.raises(Conflict) as refused:
        client.feedback(client.post_incident(ALERT)["id"], "right")
    assert refused.value.code == "nothing_decided"
