"""What was signed, checked before it may run: the digest, the action, the time, and that nobody ran it before."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import errors
from .canonical import digest
from .flow import ServerTime

LATEST = 2.0  # seconds before `valid_until` in which nothing is begun any more: the answer's clock tells whole seconds


@dataclass(frozen=True)
class Signed:
    """A yes. `args` (or `draft`) are what may run, as signed: a reviewer may have changed what was asked for (`edited`)."""

    incident: dict[str, Any]
    action: str | None
    args: dict[str, Any]
    draft: dict[str, Any] | None
    args_digest: str
    edited: bool
    by: dict[str, Any]
    reason: str
    valid_until: datetime | None
    _time: ServerTime = field(default_factory=ServerTime, repr=False, compare=False)
    _begun: list[bool] = field(default_factory=list, repr=False, compare=False)  # grows with each try to begin

    @property
    def id(self) -> str:
        """The incident's id."""
        return str(self.incident["id"])

    def check(self, action: str | None = None, args: Any = None, draft: Any = None) -> None:
        """Raise unless exactly this may run now. Call it with what you are about to do, right before you do it.

        Raises DigestMismatch when it is something else than what was signed, Expired when it is too late.
        """
        about_to_run = digest(action, args, draft)
        if about_to_run != self.args_digest:
            raise errors.DigestMismatch(
                f"What is about to run ({about_to_run[:23]}…) is not what was signed ({self.args_digest[:23]}…).", self.incident
            )
        self.check_time()

    def begin(self) -> None:
        """Raise unless it may be begun now: Expired when it is too late, AlreadyActed the second time. One yes is for one act; what
        failed under it went back to a person.
        """
        self.check_time()
        self._begun.append(True)  # before it is looked at: of two threads at once neither begins rather than both
        if len(self._begun) > 1:
            raise errors.AlreadyActed("This yes was used before. Ask again.", self.incident)

    def check_time(self) -> None:
        """Raise Expired when the signature is no longer valid, by the clock of the server that gave it."""
        if self.valid_until is not None and self._time.now() > self.valid_until.timestamp() - LATEST:
            raise errors.Expired(f"The signature was valid until {self.valid_until.isoformat()}. Ask again.", self.incident)


@dataclass(frozen=True)
class Answer:
    """What somebody answered to a question."""

    incident: dict[str, Any]
    text: str
    by: dict[str, Any]

    def __str__(self) -> str:
        return self.text


def signed(told: Mapping[str, Any], action: str | None, args: Any, draft: Any, time: ServerTime) -> Signed:
    """Return the yes in an incident that is answered. Raises the kind of NotApproved that it is instead.

    Nothing of the answer is taken on trust: the digest is computed from what came back, an approval that was never edited has to be
    about what was asked for, and the action must be the one asked for.
    """
    decision = _decided(told)
    if decision["type"] not in ("approve", "edit"):
        raise errors.NotApproved(f"An unknown decision, {decision['type']!r}, is no yes.", told)
    about = f"{action or 'draft'}"
    if (decision.get("action") or None) != action:
        raise errors.DigestMismatch(f"{about} was asked for, {decision.get('action')!r} was signed.", told)
    computed = digest(decision.get("action"), decision.get("args"), decision.get("draft"))
    if computed != decision.get("args_digest"):
        raise errors.DigestMismatch("What came back is not what its digest says was signed.", told)
    asked = digest(action, args, draft)
    proposal = told.get("proposal") or {}
    if decision["type"] == "approve" and proposal.get("revision") == 1 and computed != asked:
        raise errors.DigestMismatch(f"{about} was approved with other arguments than were asked for.", told)
    if told.get("acknowledged"):
        raise errors.AlreadyActed(f"{about} was acted upon before: {told['acknowledged'].get('result')}.", told)
    found = Signed(
        incident=dict(told), action=action, args=copy.deepcopy(decision.get("args") or {}), draft=copy.deepcopy(decision.get("draft")),
        args_digest=computed, edited=computed != asked, by=dict(decision.get("by") or {}), reason=str(decision.get("reason") or ""),
        valid_until=moment(decision.get("valid_until")), _time=time,
    )
    found.check_time()
    return found


def answer(told: Mapping[str, Any]) -> Answer:
    """Return the answer in an incident that is answered. Raises the kind of NotApproved that it is instead."""
    try:
        decision = _decided(told)
    except errors.Answered as error:
        return Answer(dict(told), error.message, dict(error.decision.get("by") or {}))
    raise errors.NotApproved(f"Asked in words, it was settled as {decision['type']!r}.", told)


def _decided(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decision that may be a yes. Raises what it is when it is none."""
    decision = told.get("decision")
    state = (told.get("proposal") or {}).get("state")
    if not isinstance(decision, Mapping) or state == "withdrawn":
        raise errors.Withdrawn("It was withdrawn before anybody decided.", told)
    by = decision.get("by") or {}
    who, reason = by.get("name") or by.get("kind") or "somebody", decision.get("reason") or ""
    kind = decision.get("type")
    if kind == "respond":
        raise errors.Answered(f"{who} answered: {decision.get('message') or ''}", told)
    if kind == "reject":
        if by.get("kind") == "clock":
            raise errors.Expired(f"Nobody decided in time. {reason}".strip(), told)
        raise errors.Rejected(f"{who} rejected it{': ' + reason if reason else ''}", told)
    return dict(decision)


def moment(text: Any) -> datetime | None:
    """Return an RFC 3339 time, None for nothing. What cannot be read is a ValueError: no yes is taken without knowing how long."""
    if not text:
        return None
    found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
