"""A run begins, and says that it is done."""

from typing import Any
from uuid import UUID

from escalations.models import OversightSession, Source


def start(
    *, source: Source, key_env: str, data: dict[str, Any], key: str | None, body_digest: str
) -> tuple[OversightSession, bool]:
    """Begin a run; return it, and whether the same key with the same body had begun it before.

    Raises IdempotencyMismatch for a key that was used with another body, Invalid for a role that does not exist.
    """
    raise NotImplementedError


def end(
    session_id: UUID, *, source: Source, outcome: str, detail: str = "", seen: int | None = None
) -> OversightSession:
    """The agent says that it is done: `done`, `failed` or `stopped`. Again is nothing new. Raises NotFound."""
    raise NotImplementedError
