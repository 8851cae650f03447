"""The past, a page at a time: incidents with what was proposed, what the engines said, and what people made of it.

Read from the database that is written to, by the index of each source's newest incidents. A page ends where its texts get long, so
that what is in memory stays bounded whatever was posted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from escalations.floors.anew import Past
from escalations.floors.facts import context_texts
from escalations.models import Classification, ContextItem, Decision, Incident, Proposal, Source
from escalations.states import State, Verdict

PAGE = 500  # incidents
PAGE_BYTES = 4_000_000  # as they are stored
PAUSE = timedelta(minutes=10)  # who signed nothing for so long was not reading all that time

_NEXT = """
SELECT id, received_at,
    coalesce(pg_column_size(payload), 0) + pg_column_size(context) + pg_column_size(customer) + octet_length(body) AS size
FROM escalations_incident
WHERE source_id = %(source)s AND received_at >= %(since)s AND received_at < %(until)s AND NOT test {after}
ORDER BY received_at DESC, id DESC LIMIT %(limit)s
"""
_AFTER = "AND (received_at, id) < (%(at)s, %(id)s)"
_COUNT = "SELECT count(*) FROM escalations_incident WHERE received_at >= %s AND received_at < %s AND NOT test AND source_id = %s"

# What the same person had signed before, looked for among the 2,000 signatures before it: all that can lie within the pause.
_PACE = """
SELECT signed.proposal_id, extract(epoch FROM signed.at - before.at)
FROM escalations_signature AS signed
LEFT JOIN LATERAL (
    SELECT at FROM escalations_signature AS earlier
    WHERE earlier.person_id = signed.person_id AND earlier.id < signed.id AND earlier.id > signed.id - 2000
    ORDER BY earlier.id DESC LIMIT 1
) AS before ON true
WHERE signed.proposal_id = ANY(%s)
"""

_INCIDENT = (
    "source_id", "test", "kind", "title", "body", "claimed_severity", "fingerprint", "external_id", "environment", "on_behalf_of",
    "customer", "payload", "context", "session",
)
_PROPOSAL = (
    "incident_id", "kind", "revision", "author", "action", "args", "draft", "description", "claims", "routed_at", "severity", "floor",
    "triggers", "rules", "policy", "asked", "state",
)


class Word(NamedTuple):
    """What an engine said, as much of it as a judgement reads."""

    engine: str
    severity: str
    category: str
    confidence: float | None
    sure: bool
    triggers: list[dict[str, Any]]
    error: str


@dataclass(frozen=True, slots=True)
class Page:
    """Incidents of one source, newest first, with their judged proposals; `last` is where the next page begins."""

    incidents: int
    past: list[Past]
    last: tuple[datetime, UUID] | None  # None: there was nothing


def total(sources: Iterable[int], since: datetime, until: datetime) -> int:
    """Return how many incidents there are. One query a source."""
    found = 0
    with connection.cursor() as cursor:
        for source in sources:
            cursor.execute(_COUNT, [since, until, source])
            found += cursor.fetchone()[0]
    return found


def page(source: Source, since: datetime, until: datetime, after: tuple[datetime, UUID] | None, *, added: bool) -> Page:
    """Return the next page of a source's incidents. Four queries, one more with the context that was `added` later.

    What a test key posted is left out, and so is what a reviewer's own edit became: a person stood before it whatever the rules say.
    """
    rows = _next(source.pk, since, until, after)
    if not rows:
        return Page(0, [], None)
    ids = [row[0] for row in rows]
    incidents = {row.pk: row for row in Incident.objects.filter(pk__in=ids).only(*_INCIDENT)}
    words = _words(ids)
    texts = _added(ids) if added else {}
    judged = Proposal.objects.filter(incident__in=ids, routed_at__isnull=False).exclude(author="person").only(*_PROPOSAL)
    past = []
    for proposal in judged.order_by("incident_id", "revision"):
        incident = incidents[proposal.incident_id]
        incident.source = source
        said = words.get((incident.pk, proposal.pk)) or (words.get((incident.pk, None)) if proposal.is_acknowledgement else None)
        past.append(Past(incident, proposal, said or [], texts.get(incident.pk, ())))
    return Page(len(rows), past, (rows[-1][1], rows[-1][0]))


def said_of(proposals: Sequence[Proposal]) -> dict[UUID, str]:
    """Return what became of each: a person's verdict, "clock", "policy", "open" or "undecided". Two queries at most.

    Who edited it into something that somebody else has to sign has not approved it as it was proposed: that is an edit.
    """
    if not proposals:
        return {}
    found = {
        proposal: str(verdict) if by_kind == "person" else by_kind
        for proposal, by_kind, verdict in Decision.objects.filter(proposal__in=[one.pk for one in proposals])
        .values_list("proposal_id", "by_kind", "type")
    }
    left = {(one.incident_id, one.revision + 1): one.pk for one in proposals if one.state == State.SUPERSEDED}
    if left:
        edited = Proposal.objects.filter(incident__in={incident for incident, _ in left}, author="person")
        for incident, revision in edited.values_list("incident_id", "revision"):
            if (before := left.get((incident, revision))) is not None:
                found[before] = str(Verdict.EDIT)
    return {one.pk: found.get(one.pk) or ("open" if one.state == State.PENDING else "undecided") for one in proposals}


def pace(proposals: Iterable[UUID]) -> tuple[float, int, int]:
    """Return the seconds people took over these, over how many of them that is known, and over how many not. One query.

    From a person's last signature to this one, as long as there was no pause of ten minutes: what is signed in a row, a group by one
    click among them, took no longer. It is an estimate: the first after a pause is not known, and what else was done is in it.
    """
    ids = list(proposals)
    if not ids:
        return 0.0, 0, 0
    took: dict[UUID, float | None] = {}
    with connection.cursor() as cursor:
        cursor.execute(_PACE, [ids])
        for proposal, seconds in cursor.fetchall():
            if seconds is not None and 0 <= seconds <= PAUSE.total_seconds():
                took[proposal] = (took.get(proposal) or 0.0) + float(seconds)
            else:
                took.setdefault(proposal, None)
    known = [seconds for seconds in took.values() if seconds is not None]
    return sum(known), len(known), len(set(ids)) - len(known)


def _next(source: int, since: datetime, until: datetime, after: tuple[datetime, UUID] | None) -> list[tuple[UUID, datetime]]:
    values: dict[str, Any] = {"source": source, "since": since, "until": until, "limit": PAGE}
    if after:
        values |= {"at": after[0], "id": after[1]}
    with connection.cursor() as cursor:
        cursor.execute(_NEXT.format(after=_AFTER if after else ""), values)
        rows = cursor.fetchall()
    return list(_as_much_as_fits(rows))


def _as_much_as_fits(rows: Iterable[tuple[UUID, datetime, int | None]]) -> Iterator[tuple[UUID, datetime]]:
    size = 0
    for identifier, at, stored in rows:
        size += stored or 0
        yield identifier, at
        if size >= PAGE_BYTES:
            return


def _words(ids: list[UUID]) -> dict[tuple[UUID, UUID | None], list[Word]]:
    found = defaultdict(list)
    rows = Classification.objects.filter(incident__in=ids).values_list("incident_id", "work__proposal_id", *Word._fields)
    for incident, proposal, *said in rows:
        found[incident, proposal].append(Word(*said))
    return found


def _added(ids: list[UUID]) -> dict[UUID, list[tuple[str, str]]]:
    found: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
    for incident, context in ContextItem.objects.filter(incident__in=ids).values_list("incident_id", "context"):
        found[incident] += context_texts(context)
    return found
