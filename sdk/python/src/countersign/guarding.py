"""Trying again what may work the next time, and handing over to a person what does not."""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

from . import calls, errors
from .asking import current_session
from .flow import Call, Deadline, Flow, Sleep
from .shown import error_text, shown

log = logging.getLogger("countersign")

T = TypeVar("T")
RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
LONGEST_STACK = 30_000  # characters

# What people decided, and what is no failure of the task at all: these end it, and no hand-off is made of them.
DECIDED = (errors.NotApproved, errors.RunStopped, errors.HandedOver)


@dataclass(frozen=True)
class Guarding:
    """How often something is tried, and what is told of it when it fails for good.

    The wait before try n is a random share of `base * 2**n` seconds, at most `longest`.
    """

    retries: int = 3
    retry_on: RetryOn = Exception
    base: float = 0.5
    longest: float = 30.0
    title: str | None = None
    context: Mapping[str, Any] | str | None = None
    key: str | None = None
    kind: str = "handoff"
    more: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.retries < 0 or self.base < 0 or self.longest < 0:
            raise ValueError("retries, base and longest are not below zero")

    def retryable(self, error: BaseException) -> bool:
        """Say whether it may work the next time."""
        if isinstance(self.retry_on, (type, tuple)):
            return isinstance(error, self.retry_on)
        return bool(self.retry_on(error))


def guarded(task: Callable[..., Any], args: Mapping[str, Any], how: Guarding, until: Deadline) -> Flow[Any]:
    """Call the task until it works; return what it returns.

    When it fails for good a person gets it, with every attempt, and HandedOver is raised from the last error. When that cannot be
    told within the deadline, the last error itself is raised: nothing is swallowed.
    """
    name = getattr(task, "__qualname__", None) or type(task).__name__
    attempts: list[dict[str, Any]] = []
    while True:
        began = time.time()
        try:
            return (yield Call(task, (), args))
        except DECIDED:
            raise
        except Exception as error:
            attempts.append({
                "tool": name, "arguments": shown(dict(args)), "error": error_text(error),
                "at": datetime.fromtimestamp(began, timezone.utc).isoformat(timespec="milliseconds"),
            })
            retryable = how.retryable(error)
            if not retryable or len(attempts) > how.retries:
                incident = yield from _hand_over(name, attempts, error, retryable, how, until)
                if incident is None:
                    raise
                tries = "once" if len(attempts) == 1 else f"{len(attempts)} times"
                raise errors.HandedOver(f"{name} failed {tries}; a person has it now: {incident['id']}", incident, attempts) from error
        yield Sleep(random.uniform(0, min(how.longest, how.base * 2 ** (len(attempts) - 1))))


def _hand_over(
    name: str, attempts: list[dict[str, Any]], error: Exception, retryable: bool, how: Guarding, until: Deadline
) -> Flow[dict[str, Any] | None]:
    try:
        return (yield from calls.post_incident(handover(name, attempts, error, retryable, how), how.key, 0, until))
    except errors.CountersignError as lost:
        log.error("countersign: %s failed for good and nobody could be told: %s", name, lost)
        return None


def handover(name: str, attempts: list[dict[str, Any]], error: Exception, retryable: bool, how: Guarding) -> dict[str, Any]:
    """Return the incident that is posted: a hand-off with the attempts and the exception."""
    said = dict(how.context) if isinstance(how.context, Mapping) else {"summary": how.context} if how.context else {}
    why = f"Retries are exhausted: it was tried {len(attempts)} times." if retryable else "The error is not one to try again."
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    session = {"session": current} if (current := current_session.get()) else {}
    return {
        "kind": how.kind, "title": (how.title or f"{name} failed: {error_text(error)}")[:500], **session, **how.more,
        "context": {"why": why, **said, "attempts": [*said.get("attempts", []), *attempts]},
        "payload": {
            **how.more.get("payload", {}),
            "exception": {
                "type": type(error).__name__, "message": error_text(error), "stacktrace": shown(stack[-LONGEST_STACK:]),
                "retryable": retryable, "attempts": len(attempts),
            },
        },
    }
