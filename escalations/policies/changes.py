"""What an edit changed, as JSON for its audit entry, and problems as pointers to fields."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.db import models

from escalations import audit, clock

Change = dict[str, Any]

HIDDEN = "It holds characters that are not seen, or turn what follows around. Whoever reads the name has to see what it says."


def stored(edited: models.Model) -> Any:
    """Return the row as the database has it, locked until the transaction ends; None for one that is new. One query."""
    if edited.pk is None or edited._state.adding:
        return None
    return edited._meta.model._default_manager.select_for_update(of=("self",)).filter(pk=edited.pk).first()


def changes(old: models.Model | None, new: models.Model, fields: Iterable[str]) -> dict[str, Change]:
    """Return {"field": {"old", "new"}} of what differs, JSON throughout; for a new row, all that is not empty."""
    found = {}
    for field in fields:
        after = readable(getattr(new, field))
        before = readable(getattr(old, field)) if old is not None else None
        if before != after and not (old is None and after in (None, "", [], {})):
            found[field] = {"old": before, "new": after}
    return found


def readable(value: Any) -> Any:
    """Return a value as JSON a person can read: names for rows, seconds for durations, ISO 8601 for times."""
    match value:
        case None | bool() | int() | float() | list() | dict():
            return value
        case models.Model():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def problem(field: str, code: str, detail: str) -> dict[str, str]:
    """Return one entry of `Invalid.errors`."""
    return {"pointer": f"/{field}", "code": code, "detail": detail}


def subject_of(row: models.Model) -> str:
    """Return what an audit entry calls this row: "RoutingRule 12"."""
    return f"{row._meta.object_name} {row.pk}"


def put_away(row: Any, *, action: str, actor: audit.Actor) -> None:
    """Archive a locked row that has a version, under that audit name. One UPDATE, one INSERT; whether it may be is for the caller."""
    row.archived_at = clock.now()
    row.version += 1
    row.save(update_fields=["archived_at", "version"])
    audit.record(
        action, actor=actor, subject=subject_of(row), name=row.name, version=row.version,
        changed={"archived_at": {"old": None, "new": readable(row.archived_at)}},
    )
