"""All that is kept of a proposal and its incident, as JSON to read. Nothing of it is formatted, so nothing of it can mislead."""

from typing import Any

from django.db.models import Model

from escalations.models import ContextItem, Proposal

from . import values

LEFT_OUT = frozenset({"raw", "body_digest"})  # bytes as they came over the wire; the digest of the request


def raw_of(proposal: Proposal) -> list[tuple[str, str]]:
    """Return (name, JSON) of the proposal, its incident and the context that was added. One query."""
    added = ContextItem.objects.filter(incident_id=proposal.incident_id)[:100]
    parts = [("Proposal", fields(proposal)), ("Incident", fields(proposal.incident))]
    parts += [(f"Context added {item.received_at:%Y-%m-%d %H:%M} UTC", item.context) for item in added]
    return [(name, values.editable(part)) for name, part in parts]


def fields(row: Model) -> dict[str, Any]:
    """Return the columns of a row under their names; what JSON does not know as text."""
    plain = (str, int, float, bool, list, dict, type(None))
    said = {one.attname: getattr(row, one.attname) for one in row._meta.concrete_fields if one.name not in LEFT_OUT}
    return {name: value if isinstance(value, plain) else str(value) for name, value in said.items()}
