"""Recomputing the chain from the exact bytes, and comparing it with the anchors. Reads only; needs nothing but the two tables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from .anchors import Anchor, Unreadable, disagreement, read
from .chain import GENESIS, Head, link

BATCH = 5000
_COLUMNS = ("action", "actor_kind", "actor", "incident_id", "proposal_id", "subject", "at")  # in the order of _ENTRIES

# Two queries a batch, each a range or a list of keys of one index: no plan can go wrong with the size of the record.
_SEALS = "SELECT seq, entry_id, previous, hash FROM escalations_auditseal WHERE seq > %s ORDER BY seq LIMIT %s"
# `at` as text, in the form in which the body holds it.
_ENTRIES = """
SELECT id, body, action, actor_kind, actor, coalesce(incident_id::text, ''), coalesce(proposal_id::text, ''), subject,
       to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM escalations_auditentry WHERE id = ANY (%s)
"""
_UNSEALED = """
SELECT count(*) FROM escalations_auditentry AS entry
WHERE NOT EXISTS (SELECT FROM escalations_auditseal AS seal WHERE seal.entry_id = entry.id)
"""


@dataclass(frozen=True)
class Report:
    """What verification found. `entries` counts those recomputed; `why` names the part of the link that is wrong."""

    ok: bool
    entries: int
    unsealed: int
    first_broken_seq: int | None
    why: str
    anchors_checked: int


class _Broken(Exception):
    def __init__(self, seq: int | None, why: str) -> None:
        super().__init__(why)
        self.seq, self.why = seq, why


def verify(anchors: bool = True) -> Report:
    """Recompute every link in order and compare it with the anchors; stops at the first that does not hold.

    Bounded memory, at least 50,000 entries a second on one core; entries sealed meanwhile are included or not. An edit of a body
    or of a column beside it, a missing, added or swapped link are found from the chain itself; what an owner rewrote or cut off
    at the end only with `anchors`. Entries not yet sealed are counted, not judged.
    """
    checked = entries = 0
    last = Head(0, GENESIS)
    try:
        expected = _expected() if anchors else iter(())
        awaited = next(expected, None)
        for row in _rows():
            last = _checked(row, last)
            entries += 1
            while awaited is not None and awaited.seq <= last.seq:
                if awaited.hash != last.hash:
                    raise _Broken(last.seq, f"hash: another was anchored at {awaited.at}")
                checked += 1
                awaited = next(expected, None)
        if awaited is not None:
            raise _Broken(last.seq + 1, f"missing: the chain ends here, but {awaited.seq} was anchored at {awaited.at}")
    except _Broken as broken:
        return Report(False, entries, _unsealed(), broken.seq, broken.why, checked)
    return Report(True, entries, _unsealed(), None, "", checked)


def _checked(row: tuple, last: Head) -> Head:
    """Return the link of this row as the new head; raise _Broken when any part of it does not hold."""
    seq, previous, digest, entry = row
    if seq != last.seq + 1:
        raise _Broken(last.seq + 1, "missing: the link is not there")
    if entry is None:
        raise _Broken(seq, "missing: the entry is not there")
    body, *columns = entry
    if previous != last.hash:
        raise _Broken(seq, "previous: it does not name the link before it")
    if link(last.hash, seq, body.encode()) != digest:
        raise _Broken(seq, "hash: the entry's body is not what was sealed")
    try:
        said = json.loads(body)
        actor = said["actor"]
        stated = [
            said["action"], actor["kind"], actor["id"], said["incident"] or "", said["proposal"] or "", said["subject"], said["at"],
        ]
    except (ValueError, KeyError, TypeError):
        raise _Broken(seq, "body: it is no audit entry") from None
    if stated != columns:
        wrong = next(name for name, one, other in zip(_COLUMNS, stated, columns, strict=True) if one != other)
        raise _Broken(seq, f"column {wrong}: it differs from the sealed body")
    return Head(seq, digest)


def _rows() -> Iterator[tuple]:
    """Yield (seq, previous, hash, entry columns or None) in order, BATCH a time; nothing is held open between batches."""
    after = -(2**63)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SEALS, [after, BATCH])
            seals = cursor.fetchall()
            cursor.execute(_ENTRIES, [[entry_id for _, entry_id, _, _ in seals]])
            entries = {entry_id: columns for entry_id, *columns in cursor}
        for seq, entry_id, previous, digest in seals:
            yield seq, previous, digest, entries.get(entry_id)
        if len(seals) < BATCH:
            return
        after = seals[-1][0]


def _expected() -> Iterator[Anchor]:
    """Yield anchors with rising seq. One that does not rise is compared with the chain by itself, and yielded to nobody."""
    highest = 0
    try:
        for one in read():
            if one.seq > highest:
                highest = one.seq
                yield one
            elif wrong := disagreement(one):
                raise _Broken(one.seq, f"hash: {wrong}")
    except Unreadable as error:
        raise _Broken(None, f"anchors: {error}") from error


def _unsealed() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_UNSEALED)
        count: int = cursor.fetchone()[0]
    return count
