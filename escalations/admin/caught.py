"""What a trigger or a category caught last week, as its page shows it."""

from typing import Any

from escalations.upkeep import Caught

from .bases import shown

SAID = {
    "approved": "approved", "edited": "changed, then approved", "rejected": "rejected", "answered": "answered", "expired": "ran out of time",
    "pending": "waits", "withdrawn": "withdrawn", "superseded": "replaced by a newer revision",
}  # fmt: skip


def caught_context(caught: Caught) -> dict[str, Any]:
    """Return what `caught.html` shows."""
    return {
        "caught": caught,
        "caught_rows": [
            {
                "row": row, "title": shown(row.title or row.action), "source": shown(row.source.name), "said": SAID[row.state],
                "by": shown(row.decision.by_name) if hasattr(row, "decision") else "",
                "role": row.role.name if row.role else "",
            }
            for row in caught.newest
        ],
    }
