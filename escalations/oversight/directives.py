"""What a run is to do now, and how it stands."""

from typing import Any
from uuid import UUID

from escalations.models import OversightSession, Source


def directive(session_id: UUID, *, source: Source, seen: int | None = None) -> dict[str, Any]:
    """Return what the run is to do now; the call confirms what the one before was told. Raises NotFound."""
    raise NotImplementedError


def told(session: OversightSession) -> dict[str, Any]:
    """Return the run as its caller reads it. Three queries; none of them locks."""
    raise NotImplementedError
