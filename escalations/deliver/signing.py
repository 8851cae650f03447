"""Standard Webhooks signatures: one per live secret of the source, so that receivers can change over at leisure.

`webhook-id` is the delivery's id and the same for every attempt (the receiver's key against doubles); the timestamp and
with it the signature are new for each attempt, because receivers accept five minutes either way.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from escalations import vault
from escalations.models import SigningSecret

from .failed import DeliveryFailed

USER_AGENT = "Countersign (Standard Webhooks)"


def headers(message_id: str, body: bytes, secrets: list[str], now: datetime) -> dict[str, str]:
    """Return the headers for `body`. Raises DeliveryFailed when there is nothing to sign with: unsigned is not sent."""
    if not secrets:
        raise DeliveryFailed("the source has no signing secret", permanent=True)
    timestamp = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return `v1,` and the base64 HMAC-SHA256 of "<id>.<seconds>.<body>" under the bytes of a `whsec_` secret."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise DeliveryFailed("a signing secret is not base64", permanent=True) from error
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def live_secrets(source_ids: Iterable[int]) -> dict[int, list[str]]:
    """Return each source's live secrets, newest first. One query. Raises vault.CannotUnseal when a key is missing."""
    found: dict[int, list[str]] = {source_id: [] for source_id in source_ids}
    for row in SigningSecret.objects.filter(source_id__in=found, retired_at=None).order_by("-created_at", "-pk"):
        found[row.source_id].append(vault.unseal(row.sealed).decode())
    return found
