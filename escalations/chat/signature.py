"""Whether a request comes from Slack: its v0 signature, over the raw body and a moment that is now.

https://docs.slack.dev/authentication/verifying-requests-from-slack: HMAC-SHA256 with the app's signing secret over
"v0:" + timestamp + ":" + body, as "v0=" and 64 hex digits. Older than five minutes it may be one that somebody kept.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime

from escalations import vault
from escalations.models import SlackWorkspace
from escalations.policies import chat

WINDOW = 300  # seconds, into the past and into the future
_SIGNATURE = re.compile(r"v0=([0-9a-f]{64})")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def looks_right(timestamp: str, signature: str, now: datetime) -> bool:
    """Say whether the headers have the form of Slack's, and are of now. Costs nothing, and so it comes first."""
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return False
    return abs(now.timestamp() - int(timestamp)) <= WINDOW


def signer_of(
    workspaces: Iterable[SlackWorkspace], *, timestamp: str, signature: str, body: bytes
) -> SlackWorkspace | None:
    """Return the workspace whose secret made this signature; None for nobody's. All are tried, in a time that tells nothing."""
    found = None
    for workspace in workspaces:
        try:
            secret = chat.signing_secret(workspace)
        except vault.CannotUnseal:
            continue
        if hmac.compare_digest(made(secret, timestamp, body), signature):
            found = workspace
    return found


def made(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature that Slack makes of this body at this moment."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256)
    return f"v0={digest.hexdigest()}"
