"""What can go wrong. Whoever catches `NotApproved` has caught every way of not having a yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class CountersignError(Exception):
    """The root of everything this package raises."""


class NotSignable(CountersignError, ValueError):
    """A value that nobody can sign, because it is not JSON or can be read in two ways. `pointer` says where it stands."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(f"{pointer or 'the value'}: {why}")
        self.pointer = pointer
        self.why = why


class Unreachable(CountersignError):
    """Countersign could not be reached, or did not answer usefully, for as long as the call was willing to try."""


class ApiError(CountersignError):
    """Countersign refused. `code` is stable (docs/api.md), `problem` is everything it said."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(self.problem.get("code") or "error")
        self.detail = str(self.problem.get("detail") or self.problem.get("title") or "")
        faults = self.problem.get("errors")
        more = "; ".join(
            f"{one.get('pointer', '')}: {one.get('detail', '')}" for one in (faults if isinstance(faults, list) else [])
            if isinstance(one, Mapping)
        )
        super().__init__(f"{status} {self.code}: {self.detail}" + (f" ({more})" if more and more not in self.detail else ""))


class Refused(ApiError):
    """401 or 403: the key is missing, unknown, revoked, or not for this."""


class NotFound(ApiError):
    """404: there is no such thing, or it is not this source's."""


class Conflict(ApiError):
    """409: not in this state. `code` says why, for example already_settled, decision_expired, stopped."""


class BadRequest(ApiError):
    """400, 413, 415 or 422: what was sent is wrong, and would be wrong again."""


class RateLimited(ApiError):
    """429, for longer than the call was willing to wait."""


class Overloaded(Unreachable):
    """5xx, for longer than the call was willing to wait."""


class NotApproved(CountersignError):
    """There is no yes. `incident` is the incident as it was told last, None when it never was."""

    def __init__(self, message: str, incident: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.incident: dict[str, Any] | None = dict(incident) if incident is not None else None

    @property
    def decision(self) -> dict[str, Any]:
        """The decision, empty when there is none."""
        found = (self.incident or {}).get("decision")
        return dict(found) if isinstance(found, Mapping) else {}


class Rejected(NotApproved):
    """Somebody said no; `reason` is theirs. With `retry` they ask for another revision: `client.revise(...)`."""

    @property
    def reason(self) -> str:
        return str(self.decision.get("reason") or "")

    @property
    def retry(self) -> bool:
        return bool(self.decision.get("retry"))


class Answered(NotApproved):
    """Somebody answered in words instead of signing: nothing is to run. `message` is what they said."""

    @property
    def message(self) -> str:
        return str(self.decision.get("message") or "")


class Expired(NotApproved):
    """Nobody decided in time, or the yes came so long ago that it is no longer valid. Ask again."""


class Withdrawn(NotApproved):
    """It was withdrawn before anybody decided."""


class TimedOut(NotApproved):
    """The caller's own `timeout` passed without a decision. Asked again with the same key, the decision is still to be had."""


class AlreadyActed(NotApproved):
    """The yes was used: whoever asked with the same key before has acknowledged it. It is not to run a second time."""


class DigestMismatch(NotApproved):
    """What is about to run is not what was signed. It did not run."""


class DoesNotFit(NotApproved):
    """What was signed cannot be passed to the function: an edit took away, added or bent an argument. It did not run."""


class HandedOver(CountersignError):
    """A task failed for good and a person has it now. `incident` tells which, `__cause__` is the last error."""

    def __init__(self, message: str, incident: Mapping[str, Any], attempts: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.incident = dict(incident)
        self.attempts = attempts


class RunStopped(CountersignError):
    """A person or a policy stopped this run. Do nothing more; `reason` and `by` say why and who."""

    def __init__(self, directive: Mapping[str, Any]) -> None:
        self.directive = dict(directive)
        by = self.directive.get("by")
        self.by = dict(by) if isinstance(by, Mapping) else None
        self.reason = str(self.directive.get("reason") or "")
        super().__init__(f"stopped: {self.reason}" if self.reason else "stopped")


class BadSignature(CountersignError):
    """A webhook that is not Countersign's, was changed on its way, or is too old."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest, 401: Refused, 403: Refused, 404: NotFound, 409: Conflict, 413: BadRequest, 415: BadRequest, 422: BadRequest,
    429: RateLimited,
}


def of(status: int, problem: Mapping[str, Any]) -> ApiError:
    """Return the error for an answer that is a refusal."""
    return _BY_STATUS.get(status, ApiError)(status, problem)
