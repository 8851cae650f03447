"""One thing in the configuration that does nothing, or not what it says."""

from dataclasses import dataclass
from typing import Any

from django.db import models


@dataclass(frozen=True)
class Finding:
    """`name` is the kind of trouble, `what` says it in words, `fix` what to do; `model` and `pk` name the row where that is done.

    `grave`: work waits, or will, with nobody who acts on it; the others do no harm but not what somebody believes they do.
    """

    name: str
    what: str
    fix: str
    grave: bool = False
    model: str = ""  # as an address in the administration has it: "routingrule"
    pk: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "what": self.what, "fix": self.fix, "grave": self.grave, "model": self.model, "pk": self.pk,
        }  # fmt: skip


def found(name: str, what: str, fix: str, row: models.Model | type[models.Model] | None = None, *, grave: bool = False) -> Finding:
    """Return a finding about a row, a whole table (a model class), or nothing in particular."""
    if row is None:
        return Finding(name, what, fix, grave)
    pk = str(row.pk) if isinstance(row, models.Model) else ""
    return Finding(name, what, fix, grave, row._meta.model_name, pk)


def named(names: list[str], most: int = 5) -> str:
    """Return names as a sentence has them, the first few of many."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
