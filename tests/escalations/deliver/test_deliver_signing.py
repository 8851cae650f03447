"""Signatures, checked by the package receivers use."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from escalations import outbox, vault
from escalations.deliver import signing
from escalations.deliver.failed import DeliveryFailed
from escalations.models import SigningSecret
from tests.factories import SourceFactory

BODY = json.dumps({"type": "proposal.settled", "data": {"title": "Café"}}, ensure_ascii=False).encode()
SECRET, OTHER = vault.new_signing_secret(), vault.new_signing_secret()


def real_now():
    return datetime.now(UTC)  # noqa: TID251 - the package under test compares with the machine's clock


def test_the_package_accepts_what_we_sign():
    assert Webhook(SECRET).verify(BODY, signing.headers("msg_1", BODY, [SECRET], real_now())) == json.loads(BODY)


@pytest.mark.parametrize("secret", [SECRET, OTHER], ids=["this one", "the other"])
def test_during_a_rotation_either_secret_verifies(secret):
    headers = signing.headers("msg_1", BODY, [SECRET, OTHER], real_now())
    assert len(headers["webhook-signature"].split(" ")) == 2
    Webhook(secret).verify(BODY, headers)


def test_another_secret_does_not_verify():
    with pytest.raises(WebhookVerificationError):
        Webhook(vault.new_signing_secret()).verify(BODY, signing.headers("msg_1", BODY, [SECRET, OTHER], real_now()))


def flipped(data):
    """Return every way to change one bit."""
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


def test_a_thousand_single_flipped_bits_are_all_refused():
    body = BODY + b" " * 40
    headers = signing.headers("msg_1", body, [SECRET], real_now())
    webhook = Webhook(SECRET)
    webhook.verify(body, headers)
    mac = base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))
    changed = [(one, headers) for one in flipped(body)]
    changed += [
        (body, headers | {"webhook-signature": "v1," + base64.b64encode(one).decode()}) for one in flipped(mac)
    ]
    assert len(changed) > 1000
    for sent, under in changed:
        with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
            webhook.verify(sent, under)


@given(body=st.binary(max_size=200), message_id=st.uuids(), other=st.binary(max_size=200))
def test_a_signature_is_of_these_bytes_and_no_others(body, message_id, other):
    assume(body != other)
    one, two = (signing.sign(SECRET, str(message_id), "1795217761", data) for data in (body, other))
    assert one != two
    assert one == Webhook(SECRET).sign(str(message_id), datetime.fromtimestamp(1795217761, UTC), body.decode("latin-1")) or not body.isascii()


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_another_id_or_time_is_refused(header):
    headers = signing.headers("msg_1", BODY, [SECRET], real_now())
    changed = {"webhook-id": "msg_2", "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, headers | {header: changed[header]})


def test_an_old_one_played_again_is_refused():
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, signing.headers("msg_1", BODY, [SECRET], real_now() - timedelta(minutes=6)))


def test_nothing_is_sent_unsigned():
    with pytest.raises(DeliveryFailed) as caught:
        signing.headers("msg_1", BODY, [], real_now())
    assert caught.value.permanent


@pytest.mark.django_db
def test_live_secrets_come_newest_first_and_retired_ones_not_at_all():
    source, other = SourceFactory(), SourceFactory()
    first = outbox.ensure_secret(source)
    assert outbox.ensure_secret(source) is None
    second = outbox.add_secret(source)
    assert signing.live_secrets([source.pk, other.pk]) == {source.pk: [second, first], other.pk: []}
    oldest = SigningSecret.objects.filter(source=source).earliest("pk")
    oldest.retired_at = oldest.created_at
    oldest.save()
    assert signing.live_secrets([source.pk]) == {source.pk: [second]}


@pytest.mark.django_db
def test_the_database_holds_no_secret_in_the_clear():
    source = SourceFactory()
    text = outbox.ensure_secret(source)
    sealed = bytes(SigningSecret.objects.get(source=source).sealed)
    assert text.encode() not in sealed
    assert base64.b64decode(text.removeprefix("whsec_")) not in sealed
