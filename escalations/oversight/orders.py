"""What people tell a run: pause, resume, stop, a note; and who takes it on."""

from collections.abc import Iterable
from uuid import UUID

from escalations import audit, authority, clock
from escalations.errors import ChangedSinceSeen, CountersignError, IllegalMove, Invalid, NotFound
from escalations.models import OversightSession, Person, Role, SessionOrder
from escalations.states import Order

from . import alarms, rows

LONGEST_TEXT = 20_000


def order(session_id: UUID, order: Order, *, person: Person, text: str = "", seen: int | None = None) -> SessionOrder:
    """Tell a run something. Raises NotFound, NotYourQueue, OwnRequest, NotAllowed, IllegalMove, Invalid for a note without words.

    `seen` is the last order this person had before them: whoever resumes lifts the pause they know, ChangedSinceSeen for a later one.
    Whoever may let it go on and resumes or stops it has dealt with its open alarms: they are withdrawn, in that person's name.
    """
    text = text.replace("\x00", "\ufffd").strip()
    if order == Order.NOTE and not text:
        raise Invalid([{"pointer": "/text", "code": "required", "detail": "a note has words"}])
    if len(text) > LONGEST_TEXT:
        raise Invalid([{"pointer": "/text", "code": "too_long", "detail": f"must have at most {LONGEST_TEXT} characters"}])
    with rows.locked(session_id) as run:
        roles = _allowed(run.session, order, person)
        if order == Order.RESUME and seen is not None and run.ruling and run.ruling["number"] > seen:
            raise ChangedSinceSeen("It was paused again since you saw it. Read why before you let it go on.")
        given = rows.give(run, order, now=clock.now(), person=person, actor=audit.Actor.of(person), text=text)
        if order in (Order.RESUME, Order.STOP) and authority.why_not_run(person, run.session, Order.RESUME, roles=roles) is None:
            alarms.withdraw_open(run.session, person=person)
    return given


def hand_over(session_id: UUID, *, to: Person, person: Person, text: str = "") -> OversightSession:
    """Give a run to a colleague who may watch it. Raises what `order` does, NotYourQueue for a colleague who may not."""
    with rows.locked(session_id) as run:
        session = run.session
        _allowed(session, authority.HAND_OVER, person)
        if session.state in rows.HALTED:
            raise IllegalMove(f"This run is {session.state}.")
        if problem := authority.why_not_run(to, session, authority.HAND_OVER):
            raise problem
        session.person = to
        audit.record(
            "session.handed_over", actor=audit.Actor.of(person), subject=rows.subject(session), to=to.username, why=text[:2_000],
        )
    return session


def stop_many(ids: Iterable[UUID], *, person: Person, text: str = "") -> list[tuple[UUID, SessionOrder | CountersignError]]:
    """Stop each of these runs in a transaction of its own; return what became of each, in order."""
    became: list[tuple[UUID, SessionOrder | CountersignError]] = []
    for session_id in ids:
        try:
            became.append((session_id, order(session_id, Order.STOP, person=person, text=text)))
        except CountersignError as error:
            became.append((session_id, error))
    return became


def _allowed(session: OversightSession, order: str, person: Person) -> list[Role]:
    """Return the person's roles. Raises why this person may not give this order; NotFound for who may not even read the run."""
    roles = list(person.roles())
    problem = authority.why_not_run(person, session, order, roles=roles)
    if problem is not None:
        if not authority.runs_readable_by(person, roles).filter(pk=session.pk).exists():
            raise NotFound
        raise problem
    return roles
