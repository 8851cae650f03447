"""The life of everything that has one, as tables. Nothing else in the code knows which move is legal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what a type checker should know of Django's class without a plugin
    from enum import StrEnum
    from typing import ClassVar

    class TextChoices(StrEnum):
        choices: ClassVar[list[tuple[str, str]]]
        values: ClassVar[list[str]]
        label: str
else:
    from django.db.models import TextChoices


class State(TextChoices):
    """A proposal's state. `lifecycle` is its only writer."""

    PENDING = "pending"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


MOVES: dict[State, frozenset[State]] = {State.PENDING: frozenset(State) - {State.PENDING}}
OPEN = frozenset(MOVES)
SETTLED = frozenset(State) - OPEN
UNDECIDED = frozenset({State.WITHDRAWN, State.SUPERSEDED})  # settled with neither a decision nor a delivery


class Verdict(TextChoices):
    """What a decision says."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


STATE_OF = {
    Verdict.APPROVE: State.APPROVED,
    Verdict.EDIT: State.EDITED,
    Verdict.REJECT: State.REJECTED,
    Verdict.RESPOND: State.ANSWERED,
}


class Status(TextChoices):
    """What an incident's caller is told."""

    RECEIVED = "received"
    WAITING = "waiting"
    SETTLED = "settled"


class Kind(TextChoices):
    EXCEPTION = "exception"
    ACTION = "action"
    DRAFT = "draft"
    QUESTION = "question"
    HANDOFF = "handoff"
    ALERT = "alert"


DEFAULT_DECISIONS: dict[Kind, tuple[Verdict, ...]] = {
    Kind.ACTION: (Verdict.APPROVE, Verdict.EDIT, Verdict.REJECT, Verdict.RESPOND),
    Kind.DRAFT: (Verdict.APPROVE, Verdict.EDIT, Verdict.REJECT, Verdict.RESPOND),
    Kind.EXCEPTION: (Verdict.APPROVE, Verdict.EDIT, Verdict.RESPOND),
    Kind.ALERT: (Verdict.APPROVE, Verdict.EDIT, Verdict.RESPOND),
    Kind.QUESTION: (Verdict.RESPOND, Verdict.REJECT),
    Kind.HANDOFF: (Verdict.RESPOND, Verdict.REJECT),
}


class Severity(TextChoices):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Floor(TextChoices):
    AUTO = "auto"
    REVIEW = "review"
    BLOCK = "block"


class Risk(TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Fallback(TextChoices):
    REJECT = "reject"
    PARK = "park"
    APPROVE = "approve"


class Sensitive(TextChoices):
    """Kinds of values that are masked for who has no clearance for them."""

    FINANCIAL = "financial", "card and bank numbers"
    IDENTITY = "identity", "national identity numbers"
    SECRET = "secret", "passwords, keys and tokens"


class RuleState(TextChoices):
    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"
    ARCHIVED = "archived"


class ChangeState(TextChoices):
    """The life of a change that needs a second administrator. `policies` is its only writer."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # by who asked, or a newer one took its place
    OUTDATED = "outdated"  # what it was asked of was changed meanwhile


class ReplayState(TextChoices):
    """The life of a replay. `replay` is its only writer."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Digest(TextChoices):
    """How often what is not urgent is told in one message; "" is at once."""

    HOURLY = "hourly"
    DAILY = "daily"


class RunState(TextChoices):
    """The life of an agent's run. `oversight` is its only writer. What was asked holds at once; the agent confirms by its next call."""

    RUNNING = "running"
    PAUSING = "pausing"  # a pause was asked for
    PAUSED = "paused"  # and the agent knows
    STOPPING = "stopping"  # a stop was asked for: it never runs again
    STOPPED = "stopped"  # and the agent knows
    ENDED = "ended"  # the agent said that it is done


RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.RUNNING: frozenset({RunState.PAUSING, RunState.STOPPING, RunState.ENDED}),
    RunState.PAUSING: frozenset({RunState.PAUSED, RunState.RUNNING, RunState.STOPPING, RunState.ENDED}),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.STOPPING, RunState.ENDED}),
    RunState.STOPPING: frozenset({RunState.STOPPED}),
}


class Order(TextChoices):
    """What a run may be told."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    NOTE = "note"


class VersionState(TextChoices):
    """The life of a version of the `learned` engine. `learn` is its only writer."""

    WAITING = "waiting"
    TRAINING = "training"
    READY = "ready"  # speaks beside the live one, heard by nobody
    LIVE = "live"
    RETIRED = "retired"
    FAILED = "failed"


class LaneState(TextChoices):
    """Whether a lane's machine may act alone. `policies.lanes` is its only writer."""

    WATCHING = "watching"  # the machine says what it would do; people decide everything
    GRANTED = "granted"


class TrialMode(TextChoices):
    """What became of one proposal in a lane when it was routed."""

    WATCHED = "watched"  # no grant: a person decided
    BELOW = "below"  # a grant, but its score is below the threshold: a person decides
    AUDIT = "audit"  # would have been settled alone, and was drawn for a person, who is not told
    ALONE = "alone"  # settled without a person
    KEPT = "kept"  # a floor, a trigger or the past keeps it with a person whatever it scores


class LookState(TextChoices):
    """The life of a second look. `looks` is its only writer."""

    OPEN = "open"
    ANSWERED = "answered"
    LAPSED = "lapsed"


class ReviewState(TextChoices):
    """The life of a weekly escalation review. `weekly` is its only writer."""

    OPEN = "open"
    CLOSED = "closed"


class PromptState(TextChoices):
    """The life of a version of what the model is told. `policies.prompts` is its only writer."""

    DRAFT = "draft"
    LIVE = "live"
    RETIRED = "retired"


class Sending(TextChoices):
    """The life of an outbound row, a delivery or a notice."""

    WAITING = "waiting"  # to be sent when next_try_at has come
    SENT = "sent"
    NOTHING_TO_SEND = "nothing_to_send"  # the caller has no callback and polls
    GIVEN_UP = "given_up"


class Stage(TextChoices):
    """What a piece of work waits for. A row of `Work` moves through these from left to right."""

    CLASSIFY = "classify"
    ROUTE = "route"
    REDRAFT = "redraft"
    DONE = "done"


# In the order in which they are asked for the role when no rule names one. Who adds one adds a default row in `defaults.py`.
TRIGGERS = (
    "high_stakes",
    "irreversible",
    "policy_conflict",
    "sensitive_data",
    "injection_suspected",
    "user_request",
    "user_complaint",
    "low_confidence",
    "unfamiliar",
    "loop_detected",
    "agent_failed",
    "classifier_failed",
)
ALWAYS_ON = frozenset({"user_request", "classifier_failed"})

_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_FLOORS = (Floor.AUTO, Floor.REVIEW, Floor.BLOCK)


def worst(*said: str | None) -> Severity:
    """Return the worst severity of those said; `info` when nobody said anything."""
    return max((Severity(one) for one in said if one), key=_SEVERITIES.index, default=Severity.INFO)


def strictest(*floors: str | None) -> Floor:
    """Return the floor with the most human involvement; `review` when there is none to choose from (nothing matched)."""
    return max((Floor(one) for one in floors if one), key=_FLOORS.index, default=Floor.REVIEW)
