"""What can go wrong, each with a stable code. The doors turn these into statuses; nothing below the doors knows HTTP."""

from typing import Any


class CountersignError(Exception):
    """The root. `code` is the contract, `detail` is for people, `extra` travels with it to the door."""

    code = "error"
    status = 400
    detail = "That did not work."

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.detail)
        self.detail = detail or self.detail
        self.extra = extra


class Invalid(CountersignError):
    """The input is wrong. `errors` is a list of {"pointer", "code", "detail"}; pointers are RFC 6901 into what was sent."""

    code = "invalid"
    status = 400
    detail = "The request is not valid."

    def __init__(self, errors: list[dict[str, str]] | None = None, detail: str = "", **extra: Any) -> None:
        self.errors = errors or []
        super().__init__(detail or "; ".join(f"{e['pointer']}: {e['detail']}" for e in self.errors), **extra)


class MalformedJson(Invalid):
    code = "malformed_json"
    detail = "The body is not JSON that can be signed."


class TooLarge(CountersignError):
    code = "too_large"
    status = 413
    detail = "The body is larger than allowed."


class NotAuthenticated(CountersignError):
    code = "not_authenticated"
    status = 401
    detail = "Send a key: Authorization: Bearer cs_live_…"


class NotAllowed(CountersignError):
    code = "not_allowed"
    status = 403
    detail = "This key may not do that."


class NotYourQueue(NotAllowed):
    code = "not_your_queue"
    detail = "Only members of the role that is asked, or managers, may decide this."


class OwnRequest(NotAllowed):
    code = "own_request"
    detail = "Nobody decides what they asked for themselves, what their own service asked for, or what they edited into this."


class StepUpRequired(NotAllowed):
    code = "step_up_required"
    detail = "This needs a person at the page; a token may not decide it."


class NotFound(CountersignError):
    code = "not_found"
    status = 404
    detail = "There is no such thing here."


class Conflict(CountersignError):
    code = "conflict"
    status = 409


class AlreadySettled(Conflict):
    """Somebody or something was first. `extra["decision"]` tells who and when, where there is a decision."""

    code = "already_settled"
    detail = "This was already settled."


class ChangedSinceSeen(Conflict):
    code = "changed_since_seen"
    detail = "This changed since you saw it. Read it again before you sign."


class DecisionExpired(Conflict):
    code = "decision_expired"
    detail = "The decision is no longer valid. Ask again."


class AlreadyClaimed(Conflict):
    code = "already_claimed"
    detail = "A colleague holds this."


class Held(Conflict):
    """Somebody signed this and can still take it back. `extra` tells `by` whom and `until` when."""

    code = "held"
    detail = "A colleague signed this and can still take it back."


class AlreadySigned(Conflict):
    """This person's yes to this version stands already; more people are needed. `extra` tells how many have `signed` of `needed`."""

    code = "already_signed"
    detail = "You have signed this already; somebody else has to sign it too."


class Stopped(Conflict):
    """People stopped everything; `since` tells when."""

    code = "stopped"
    detail = "Everything is stopped. What was decided is handed out when people release it."


class IllegalMove(Conflict):
    code = "illegal_move"
    detail = "That cannot be done in this state."


class IdempotencyMismatch(CountersignError):
    code = "idempotency_mismatch"
    status = 422
    detail = "This Idempotency-Key was used with another body."


class DecisionNotAllowed(CountersignError):
    code = "decision_not_allowed"
    status = 422
    detail = "This proposal does not take that decision."


class Blocked(CountersignError):
    code = "blocked"
    status = 422
    detail = "A rule blocks what this would become."


class RateLimited(CountersignError):
    """`extra["retry_after"]` is seconds."""

    code = "rate_limited"
    status = 429
    detail = "Too many requests from this source."


class Overloaded(CountersignError):
    """Refused whole, nothing stored. `extra["retry_after"]` is seconds."""

    code = "overloaded"
    status = 503
    detail = "Countersign cannot take this now. Nothing was stored; try again with the same Idempotency-Key."
