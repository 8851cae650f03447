"""The chain: one sealer numbers committed entries without a gap and binds each to everything before it.

    hash = SHA-256(DOMAIN || previous hash, 32 bytes || seq, 8 bytes big-endian || body, the exact bytes stored)

An entry gets its number when it is sealed, not when it is written: a transaction that commits late gets a later number, and is
never skipped. To find what is unsealed without reading the whole table, the sealer keeps a mark below which everything is sealed;
the mark is only a shortcut, and a search of everything (`sweep`) comes by every hour.
"""

import hashlib
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from escalations import clock
from escalations.models import AuditSeal, Heartbeat

DOMAIN = b"countersign/audit/1\x00"
GENESIS = "0" * 64
LOCK = 4_801_113  # the one sealer's advisory lock
SEALER = "sealer"  # the heartbeat that carries the mark
SWEEP_SECONDS = 3600
MARK_SECONDS = 5  # how long a mark waits at least for the transactions that were open when it was set
MARK_GIVEN_UP = 600

# OFFSET 0 keeps the planner from hashing the whole chain for a few new entries: one look into the index for each.
_UNSEALED = """
SELECT entry.id, entry.body FROM escalations_auditentry AS entry
WHERE entry.id > %s AND NOT EXISTS (SELECT FROM escalations_auditseal AS seal WHERE seal.entry_id = entry.id OFFSET 0)
ORDER BY entry.id LIMIT %s
"""
_ALL_UNSEALED = _UNSEALED.replace("OFFSET 0", "")  # for the sweep, hashing is the right thing
_OLDEST = """
SELECT count(*), min(entry.at) FROM (
    SELECT entry.at FROM escalations_auditentry AS entry
    WHERE entry.id > %s AND NOT EXISTS (SELECT FROM escalations_auditseal AS seal WHERE seal.entry_id = entry.id OFFSET 0)
    ORDER BY entry.id LIMIT %s
) AS entry
"""


@dataclass(frozen=True)
class Head:
    """The last link: `seq` 0 and GENESIS while there is none."""

    seq: int
    hash: str


def link(previous: str, seq: int, body: bytes) -> str:
    """Return the hash of one link, 64 hex digits."""
    return hashlib.sha256(DOMAIN + bytes.fromhex(previous) + seq.to_bytes(8, "big") + body).hexdigest()


def head() -> Head:
    """Return the chain's head. One query."""
    last = AuditSeal.objects.order_by("-seq").values_list("seq", "hash").first()
    return Head(*last) if last else Head(0, GENESIS)


def seal(limit: int = 1000) -> int:
    """Seal up to `limit` committed entries; returns how many. 0 also when another sealer is at it: then that one does the work.

    Call it until it returns less than `limit`.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        mark = _Mark.read()
        # Statements of their own after the lock: under READ COMMITTED they see all that was sealed before the lock was ours.
        floor = mark.search_from(cursor)
        cursor.execute(_UNSEALED if floor else _ALL_UNSEALED, [floor, limit])
        entries = cursor.fetchall()
        last = head()
        seqs, ids, previous, hashes = [], [], [], []
        for entry_id, body in entries:
            digest = link(last.hash, last.seq + 1, body.encode())
            seqs.append(last.seq + 1)
            ids.append(entry_id)
            previous.append(last.hash)
            hashes.append(digest)
            last = Head(last.seq + 1, digest)
        if entries:
            cursor.execute(
                "INSERT INTO escalations_auditseal (seq, entry_id, previous, hash, sealed_at) "
                "SELECT seq, entry_id, previous, hash, %s FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) "
                "AS link (seq, entry_id, previous, hash)",
                [clock.now(), seqs, ids, previous, hashes],
            )
        mark.write(last, everything=len(entries) < limit)
    return len(entries)


def unsealed(limit: int = 10_000) -> tuple[int, float]:
    """Return how many entries wait for the sealer (counted up to `limit`) and the age of the oldest, in seconds. Bounded."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, [_Mark.read().low, limit])
        count, oldest = cursor.fetchone()
    return count, max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0


def sweep() -> None:
    """Forget the mark: the next pass looks through everything. For a sealer that starts, and by itself every hour."""
    Heartbeat.objects.filter(name=SEALER).update(detail={})


class _Mark:
    """What is known to be sealed, as kept in the sealer's heartbeat.

    `low`: every entry up to this id is sealed or will never exist. `next`: the highest id when transaction `xid` was the next to
    begin; once everything older than `xid` has ended, no entry up to `next` can still appear.
    """

    def __init__(self, detail: dict) -> None:
        self.low: int = detail.get("low", 0)
        self.next: int | None = detail.get("next")
        self.xid: int = detail.get("xid", 0)
        self.set_at: float = detail.get("set_at", 0.0)
        self.swept_at: float = detail.get("swept_at", 0.0)
        self.now = clock.now().timestamp()
        self.known = self.low

    @classmethod
    def read(cls) -> "_Mark":
        row = Heartbeat.objects.filter(name=SEALER).first()
        return cls(row.detail if row else {})

    def search_from(self, cursor: CursorWrapper) -> int:
        """Return the id after which to search now, and prepare what `write` will keep."""
        self.known = self.low
        if not 0 <= self.now - self.swept_at <= SWEEP_SECONDS:
            self.low, self.swept_at = 0, self.now
        # One statement, one snapshot: an entry it does not see has an id above the maximum or a transaction that `xmax` bounds.
        cursor.execute(
            "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint, "
            "(SELECT coalesce(max(id), 0) FROM escalations_auditentry) FROM pg_current_snapshot() AS s"
        )
        oldest, upcoming, highest = cursor.fetchone()
        waited = self.now - self.set_at
        if self.next is not None and oldest >= self.xid and waited >= MARK_SECONDS:
            self.known = max(self.known, self.next)
            self.next = None
        if self.next is None or not 0 <= waited <= MARK_GIVEN_UP:
            self.next, self.xid, self.set_at = highest, upcoming, self.now
        return self.low

    def write(self, last: Head, *, everything: bool) -> None:
        """Keep the mark, and that the sealer lives. `everything`: the search came to its end, so nothing below is unsealed."""
        if everything:
            self.low = self.known
        detail = {"low": self.low, "next": self.next, "xid": self.xid, "set_at": self.set_at, "swept_at": self.swept_at}
        Heartbeat.objects.update_or_create(
            name=SEALER, defaults={"at": clock.now(), "detail": detail | {"seq": last.seq}}
        )
