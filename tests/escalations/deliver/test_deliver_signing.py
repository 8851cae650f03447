"""Signatures, checked by the package receivers use."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
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


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_during_a_rotation_either_secret_verifies(secret):
    headers = signing.headers("msg_1", BODY, [SECRET, OTHER], real_now())
    assert len(headers["webhook-signature"].split(" ")) == 2
    Webhook(secret).verify(BODY, headers)


def test_another_secret_does_not_verify():
    with pytest.raises(WebhookVerificationError):
        Webhook(vault.new_signing_secret()).verify(BODY, signing.headers("msg_1", BODY, [SECRET, OTHER], real_now()))


@given(st.integers(min_value=0, max_value=len(BODY) * 8 - 1))
def test_one_flipped_bit_in_the_body_is_refused(at):
    headers = signing.headers("msg_1", BODY, [SECRET], real_now())
    flipped = bytearray(BODY)
    flipped[at // 8] ^= 1 << at % 8
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
        Webhook(SECRET).verify(bytes(flipped), headers)


@given(st.integers(min_value=0, max_value=32 * 8 - 1))
def test_one_flipped_bit_in_the_signature_is_refused(at):
    headers = signing.headers("msg_1", BODY, [SECRET], real_now())
    mac = bytearray(base64.b64decode(headers["webhook-signature"].removeprefix("v1,")))
    mac[at // 8] ^= 1 << at % 8
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, headers | {"webhook-signature": "v1," + base64.b64encode(bytes(mac)).decode()})


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
