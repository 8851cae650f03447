"""What an agent did, taken in: the hot path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from escalations.models import Source


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call with steps is answered: how many of them were new, how many the run has, and what it is to do now."""

    accepted: int
    steps: int
    directive: dict[str, Any]


def take_steps(session_id: UUID, *, source: Source, steps: Sequence[dict[str, Any]], seen: int | None = None) -> Answer:
    """Write steps down and return what the run is to do now. Two statements as a rule. Raises NotFound.

    Each step is {"tool", "args", "result", "error", "tokens", "cost", "took_ms", "number"}, validated by the door; only `tool` must be.
    """
    raise NotImplementedError
