"""What the pages say after and about a decision."""

from uuid import UUID

from django import template

from escalations.models import Decision, Proposal

from ..schema_form import unbroken
from ..values import Change
from ..worddiff import Piece, diff
from .room import edited

register = template.Library()

UNDO = "undo:"  # a message tagged so carries the proposal whose signature can still be taken back


@register.filter
def undo_of(message: object) -> UUID | None:
    """Return which proposal's signature this message says can be taken back; None for every other message."""
    tags = str(getattr(message, "extra_tags", "") or "")
    try:
        return UUID(tags.removeprefix(UNDO)) if tags.startswith(UNDO) else None
    except ValueError:
        return None


@register.filter
def rewritten(decision: object, proposal: object) -> list[Piece]:
    """Return the proposed text of a draft and what an edit made of it, word by word; nothing where no text was edited."""
    before, after = ((getattr(one, "draft", None) or {}).get("body") for one in (proposal, decision))
    if not isinstance(before, str) or not isinstance(after, str) or before == after:
        return []
    return diff(unbroken(before), unbroken(after))


@register.filter
def edited_besides(decision: Decision | None, proposal: Proposal) -> list[Change]:
    """Return what may run instead of what was proposed, leaf by leaf, but for a text that `rewritten` shows."""
    told = "draft.body" if rewritten(decision, proposal) else ""
    return [change for change in edited(decision, proposal) if change.path != told]
