"""A run begins, and says that it is done."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from escalations import audit, clock
from escalations.errors import IdempotencyMismatch, Invalid
from escalations.models import ApiKey, OversightSession, Role, Source
from escalations.states import RunState

from . import rows

WATCHED_BY = "supervisor"


def start(
    *, source: Source, key_env: str, data: dict[str, Any], key: str | None, body_digest: str
) -> tuple[OversightSession, bool]:
    """Begin a run; return it, and whether the same key with the same body had begun it before.

    `data` is {"agent", "goal", "limits": {"steps", "repeats", "minutes", "cost"}, "role"}, validated by the door.
    Raises IdempotencyMismatch for a key that was used with another body, Invalid for a role that does not exist.
    """
    limits = data.get("limits") or {}
    now = clock.now()
    session = OversightSession(
        source=source, key=key or None, body_digest=body_digest, test=key_env == ApiKey.TEST, agent=data["agent"],
        goal=data.get("goal") or "", max_steps=limits.get("steps"), max_repeats=limits.get("repeats"),
        max_minutes=limits.get("minutes"), max_cost=Decimal(limits["cost"]) if limits.get("cost") is not None else None,
        role=_role(data.get("role")), started_at=now, heard_at=now,
    )
    try:
        with transaction.atomic():
            session.save(force_insert=True)
            audit.record(
                "session.started", actor=audit.Actor.source(source), subject=rows.subject(session), agent=session.agent,
                body_digest=body_digest, role=session.role.name, test=session.test,
            )
    except IntegrityError:
        known = OversightSession.objects.filter(source=source, key=key).first() if key else None
        if known is None:
            raise
        if known.body_digest != body_digest or known.test != session.test:
            raise IdempotencyMismatch(session=str(known.pk)) from None
        return known, True
    return session, False


def end(
    session_id: UUID, *, source: Source, outcome: str, detail: str = "", seen: int | None = None, only_test: bool = False
) -> OversightSession:
    """The agent says that it is done: `done`, `failed` or `stopped`. Again is nothing new. Raises NotFound.

    After a stop it is how the agent confirms it. The record keeps the digest over all its steps.
    """
    with rows.locked(session_id, source, only_test=only_test) as run:
        session, now = run.session, clock.now()
        if session.outcome:
            return session
        rows.confirm(run, session.told if seen is None else seen, now)
        if session.state != RunState.STOPPED:
            rows.move(run, RunState.STOPPED if session.state == RunState.STOPPING else RunState.ENDED, now)
        session.outcome, session.detail, session.heard_at = outcome, detail, now
        rows.tell(run, now)
        rows.record_end(run)
    return session


def _role(name: str | None) -> Role:
    """Return the role that watches. One query. Raises Invalid."""
    role = Role.objects.filter(name=name or WATCHED_BY).first()
    if role is None:
        raise Invalid([{"pointer": "/role", "code": "unknown_role", "detail": "no role has this name"}])
    return role
