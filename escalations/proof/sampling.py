"""Which of those that could go alone a person sees, without anybody being able to foresee it."""

import hmac
from hashlib import sha256

STEPS = ((100, 0.20), (300, 0.10))  # up to which item since the grant, and how much of them at least: more at first
LONG_RUN = 0.05
DOUBTED = 100  # after an audit that was wrong, so many are looked at more closely:
DOUBT = 0.5  # at least this share of them. One wrong one is no proof, and waiting for the next at one in twenty costs many


def audit_share(before: int, long_run: float = LONG_RUN, since_wrong: int | None = None) -> float:
    """Return the chance with which the next is drawn, when `before` passed the threshold since the grant (audited or not).

    `since_wrong`: how many passed since the last audit that was known to be wrong; None where none was. What the chance depends on was
    known before the item came, so estimates weighted by it stay unbiased. In steps, so that there are few different weights to account
    for; never below the long-run share. Raises ValueError for a share of nothing or above 1: what is never drawn can never be
    accounted for.
    """
    if not 0 < long_run <= 1:
        raise ValueError(f"share {long_run}")
    if since_wrong is not None and since_wrong < DOUBTED:
        return max(DOUBT, long_run)
    for until, share in STEPS:
        if before < until:
            return max(share, long_run)
    return long_run


def draw(secret: bytes, what: str) -> float:
    """Return a number within [0, 1), always the same for the same thing and secret, foreseeable by nobody without it.

    HMAC-SHA256 (RFC 2104), its first 53 bits: as many as a float holds, so 1.0 never comes out.
    """
    return (int.from_bytes(hmac.new(secret, what.encode(), sha256).digest()[:8], "big") >> 11) / 2 ** 53
