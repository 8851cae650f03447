"""What people tell a run: pause, resume, stop, a note; and who takes it on."""

from collections.abc import Iterable
from uuid import UUID

from escalations.errors import CountersignError
from escalations.models import OversightSession, Person, SessionOrder
from escalations.states import Order


def order(session_id: UUID, order: Order, *, person: Person, text: str = "") -> SessionOrder:
    """Tell a run something. Raises NotFound, NotYourQueue, OwnRequest, NotAllowed, IllegalMove, Invalid for a note without words."""
    raise NotImplementedError


def hand_over(session_id: UUID, *, to: Person, person: Person, text: str = "") -> OversightSession:
    """Give a run to a colleague who may watch it. Raises what `order` does, NotYourQueue for a colleague who may not."""
    raise NotImplementedError


def stop_many(ids: Iterable[UUID], *, person: Person, text: str = "") -> list[tuple[UUID, SessionOrder | CountersignError]]:
    """Stop each of these runs in a transaction of its own; return what became of each, in order."""
    raise NotImplementedError
