"""Which of those that could go alone a person sees, without anybody being able to foresee it."""

import hmac
from hashlib import sha256

FIRST = 0.20  # of the first it lets go, one in five is seen
STEPS = ((100, 0.20), (300, 0.10))  # up to which item since the grant, and how much of them at least
LONG_RUN = 0.05


def audit_share(before: int, long_run: float = LONG_RUN) -> float:
    """Return the chance with which the next is drawn, when `before` passed the threshold since the grant (audited or not).

    In steps, so that there are few different weights to account for; never below the long-run share.
    """
    raise NotImplementedError


def draw(secret: bytes, what: str) -> float:
    """Return a number within [0, 1), always the same for the same thing and secret, foreseeable by nobody without it."""
    return int.from_bytes(hmac.new(secret, what.encode(), sha256).digest()[:7], "big") / 2 ** 56
