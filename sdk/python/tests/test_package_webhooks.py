"""Webhooks: genuine, fresh, handled once; and nothing else."""

import asyncio
import base64
import hashlib
import hmac
import json
import time

import pytest

from countersign import BadSignature
from countersign.webhooks import Receiver, Seen

OLD, NEW = (f"whsec_{base64.b64encode(letter * 24).decode()}" for letter in (b"a", b"b"))
BODY = json.dumps({"type": "proposal.settled", "timestamp": "2026-11-20T23:36:01Z", "data": {"id": "i1", "status": "settled"}}).encode()


def signature(secret, identifier, stamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, f"{identifier}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()


def signed(*secrets, body=BODY, identifier="e1", at=None):
    stamp = str(int(time.time() if at is None else at))
    given = " ".join(signature(secret, identifier, stamp, body) for secret in secrets)
    return {"webhook-id": identifier, "webhook-timestamp": stamp, "webhook-signature": given}


def test_what_countersign_sent_is_read():
    event = Receiver(OLD).verify(BODY, signed(OLD))
    assert (event.id, event.type, event.data) == ("e1", "proposal.settled", {"id": "i1", "status": "settled"})


def test_names_of_headers_may_be_written_as_they_like():
    assert Receiver(OLD).verify(BODY, {name.title(): value for name, value in signed(OLD).items()}).id == "e1"


def test_both_secrets_are_good_while_rotating():
    for secrets, headers in (([OLD, NEW], signed(NEW)), ([OLD], signed(NEW, OLD)), ([NEW], signed(NEW, OLD)), ([OLD, NEW], signed(OLD))):
        assert Receiver(secrets).verify(BODY, headers)
    with pytest.raises(BadSignature):
        Receiver([NEW]).verify(BODY, signed(OLD))


def test_no_bit_may_be_another():
    headers, receiver = signed(OLD), Receiver(OLD)
    for bit in range(len(BODY) * 8):
        bent = bytearray(BODY)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            receiver.verify(bytes(bent), headers)


@pytest.mark.parametrize("bend", [
    {"webhook-id": "e2"}, {"webhook-id": ""}, {"webhook-timestamp": ""}, {"webhook-timestamp": "soon"}, {"webhook-timestamp": "-5"},
    {"webhook-timestamp": "９"}, {"webhook-timestamp": "9" * 400}, {"webhook-signature": ""}, {"webhook-signature": "v1,"},
    {"webhook-signature": "v1"}, {"webhook-signature": "v1,é"}, {"webhook-signature": "\udc80,x v1,\udc80"}, {"webhook-id": "\udc80"},
])
def test_headers_that_are_not_right_are_refused_cleanly(bend):
    with pytest.raises(BadSignature):
        Receiver(OLD).verify(BODY, {**signed(OLD), **bend})


def test_the_same_signature_under_another_version_is_none():
    headers = signed(OLD)
    with pytest.raises(BadSignature):
        Receiver(OLD).verify(BODY, {**headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v1a,")})


@pytest.mark.parametrize("away", [-301, 301])
def test_what_is_older_or_younger_than_five_minutes_is_refused(away):
    now = 1_900_000_000
    with pytest.raises(BadSignature, match="away"):
        Receiver(OLD).verify(BODY, signed(OLD, at=now + away), now=now)
    assert Receiver(OLD).verify(BODY, signed(OLD, at=now + away // 2), now=now)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'"x"', b"\xff", b'{"data": 1}', b"[" * 100_000])
def test_what_is_signed_but_no_event_is_refused(body):
    with pytest.raises(BadSignature):
        Receiver(OLD).verify(body, signed(OLD, body=body))


def test_parsed_bodies_are_not_taken():
    with pytest.raises(TypeError, match="raw bytes"):
        Receiver(OLD).verify(BODY.decode(), signed(OLD))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_####", "whsec_YWJj", []])
def test_a_receiver_without_a_proper_secret_is_not_made(secret):
    with pytest.raises(ValueError):
        Receiver(secret)


def test_each_event_is_handled_once_however_often_it_comes():
    receiver, handled = Receiver(OLD), []
    assert [receiver.handle(BODY, signed(OLD), handled.append) for _ in range(3)] == [204, 204, 204]
    assert len(handled) == 1
    assert receiver.handle(BODY, signed(OLD, identifier="e2"), handled.append) == 204 and len(handled) == 2


def test_an_event_whose_handling_failed_is_new_when_it_comes_again():
    receiver, handled = Receiver(OLD), []

    def fail(event):
        raise OSError("no room")

    with pytest.raises(OSError):
        receiver.handle(BODY, signed(OLD), fail)
    assert receiver.handle(BODY, signed(OLD), handled.append) == 204 and len(handled) == 1


def test_an_event_that_is_being_handled_is_not_begun_again():
    receiver, statuses = Receiver(OLD), []
    receiver.handle(BODY, signed(OLD), lambda event: statuses.append(receiver.handle(BODY, signed(OLD), statuses.append)))
    assert statuses == [503]


def test_a_stranger_gets_401_and_nothing_is_called():
    assert Receiver(OLD).handle(BODY, signed(NEW), lambda event: pytest.fail("called")) == 401


def test_what_is_remembered_has_an_end():
    seen = Seen(most=3)
    for number in range(10):
        assert seen.begin(str(number)) == "new"
        seen.done(str(number))
    assert seen.begin("9") == "done" and seen.begin("0") == "new"


def test_coroutines_are_awaited_once():
    receiver, handled = Receiver(OLD), []

    async def handle(event):
        handled.append(event.id)

    async def work():
        return [await receiver.handle_async(BODY, signed(OLD), handle) for _ in range(2)] + [
            await receiver.handle_async(BODY, signed(NEW), handle)]

    assert asyncio.run(work()) == [204, 204, 401] and handled == ["e1"]


def test_the_published_library_signs_what_we_verify():
    library = pytest.importorskip("standardwebhooks.webhooks")
    from datetime import datetime, timezone

    now = datetime.now(tz=timezone.utc)  # noqa: TID251 - the library wants it
    given = library.Webhook(OLD).sign("e1", now, BODY.decode())
    headers = {"webhook-id": "e1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": given}
    assert Receiver(OLD).verify(BODY, headers).data["id"] == "i1"
