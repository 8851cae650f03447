"""Countersign: ask a person before your agent or service acts, and run exactly what was signed."""

from .approval import Answer, Signed
from .canonical import digest
from .client import AsyncClient, Client
from .errors import (
    AlreadyActed,
    Answered,
    ApiError,
    BadRequest,
    BadSignature,
    Conflict,
    CountersignError,
    DigestMismatch,
    DoesNotFit,
    Expired,
    HandedOver,
    NotApproved,
    NotFound,
    NotSignable,
    Overloaded,
    RateLimited,
    Refused,
    Rejected,
    RunStopped,
    TimedOut,
    Unreachable,
    Withdrawn,
)
from .people import Approval
from .people_async import AsyncApproval, AsyncRun
from .session import Run
from .version import __version__

__all__ = [
    "AlreadyActed", "Answer", "Answered", "ApiError", "Approval", "AsyncApproval", "AsyncClient", "AsyncRun",
    "BadRequest", "BadSignature", "Client", "Conflict", "CountersignError", "DigestMismatch", "DoesNotFit", "Expired",
    "HandedOver", "NotApproved", "NotFound", "NotSignable", "Overloaded", "RateLimited", "Refused", "Rejected", "Run",
    "RunStopped", "Signed", "TimedOut", "Unreachable", "Withdrawn", "__version__", "digest",
]
