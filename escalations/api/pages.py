"""`GET /incidents`: newest first, in pages whose cursor keeps its place while new ones arrive."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter

from escalations import standstill
from escalations.errors import Invalid
from escalations.models import Delivery, Incident, Proposal
from escalations.states import Kind, Sending, Severity, State, Status

PAGE = 50
MAX_PAGE = 200
CHOICES: dict[str, list[str]] = {"status": Status.values, "kind": Kind.values, "severity": Severity.values}
TEXTS = ("session", "fingerprint")
KNOWN = frozenset({*CHOICES, *TEXTS, "role", "created_after", "cursor", "limit"})

PARAMETERS = [
    *(OpenApiParameter(name, str, enum=values) for name, values in CHOICES.items()),
    OpenApiParameter("role", str, description="The role that is asked now, by name."),
    OpenApiParameter("session", str),
    OpenApiParameter("fingerprint", str),
    OpenApiParameter("created_after", datetime, description="RFC 3339; later than this."),
    OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}; {PAGE} unless told."),
    OpenApiParameter("cursor", str, description="From `next`; do not make one up."),
]


@dataclass(frozen=True)
class Page:
    items: list[Incident]
    next: str | None


def page_of(incidents: QuerySet[Incident], query: Any, absolute: Callable[[str], str], *, for_source: bool) -> Page:
    """Return one page of what the query asks for. One SQL query, two where a filter could tell a source what a stop holds back.

    Raises Invalid for a filter that is none.
    """
    faults = [f"{name} is not known" for name in query if name not in KNOWN]
    faults += [f"{name} is given twice" for name in query if len(query.getlist(name)) > 1]
    found = incidents
    held = for_source and not {"status", "role"}.isdisjoint(query) and standstill.is_stopped()
    for name, values in CHOICES.items():
        if name in query:
            faults += [] if query[name] in values else [f"{name}: one of {', '.join(values)}"]
            found = found.filter(_status_told(query[name]) if held and name == "status" else Q(**{name: query[name]}))
    for name in TEXTS:
        if name in query:
            faults += [f"{name}: no NUL"] if "\x00" in query[name] else []
            found = found.filter(**{name: query[name]})
    if "role" in query:
        faults += ["role: no NUL"] if "\x00" in query["role"] else []
        found = found.filter(
            _role_told(query["role"]) if held else Q(proposals__state="pending", proposals__role__name=query["role"])
        )
    if "created_after" in query:
        after = time_of(query["created_after"])
        faults += [] if after else ["created_after: an RFC 3339 time with its offset (write + as %2B)"]
        found = found.filter(received_at__gt=after) if after else found
    limit = query.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= MAX_PAGE):
        faults.append(f"limit: 1 to {MAX_PAGE}")
    place = opened(query["cursor"]) if "cursor" in query else None
    faults += ["cursor: not one of ours"] if "cursor" in query and place is None else []
    if faults:
        raise Invalid([{"pointer": "", "code": "bad_filter", "detail": fault} for fault in faults])
    if place:
        found = found.filter(Q(received_at__lt=place[0]) | Q(received_at=place[0], id__lt=place[1]), received_at__lte=place[0])
    size = int(limit)
    rows = list(found.order_by("-received_at", "-id")[: size + 1])
    following = None
    if len(rows) > size:
        last = rows[size - 1]
        asked = {name: query[name] for name in query if name != "cursor"} | {"cursor": sealed(last.received_at, last.pk)}
        following = absolute(f"/api/v1/incidents?{urlencode(asked)}")
    return Page(rows[:size], following)


def _status_told(status: str) -> Q:
    """Return which incidents look so while everything is stopped: what has not left looks as if it waited."""
    held = Q(Exists(_held_outcomes()))
    if status == Status.WAITING:
        return Q(status=Status.WAITING) | Q(status=Status.SETTLED) & held
    return Q(status=status) & ~held if status == Status.SETTLED else Q(status=status)


def _role_told(role: str) -> Q:
    pending = Proposal.objects.filter(incident=OuterRef("pk"), state=State.PENDING, role__name=role)
    return Q(Exists(pending)) | Q(Exists(_held_outcomes().filter(proposal__role__name=role)))


def _held_outcomes() -> QuerySet[Delivery]:
    return Delivery.objects.filter(incident=OuterRef("pk"), type="proposal.settled", state=Sending.WAITING)


def time_of(text: str) -> datetime | None:
    """Return the moment a text names, in UTC; None for what is none, has no time zone, or lies where no calendar reaches."""
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at is not None and at.tzinfo is not None and 1 < at.year < 9999 else None


def sealed(at: datetime, pk: UUID) -> str:
    """Return the cursor of the place after this row."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{pk}".encode()).decode().rstrip("=")


def opened(cursor: str) -> tuple[datetime, UUID] | None:
    """Return the place a cursor names; None for what is none of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, pk = text.partition("|")
        moment = time_of(at)
        return (moment, UUID(pk)) if moment else None
    except (ValueError, binascii.Error):
        return None
