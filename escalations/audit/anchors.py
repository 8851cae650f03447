"""Anchors: the chain's head, written where the database's owner does not reach. A file by default, a URL besides if set.

Hashes alone show a change by somebody who cannot recompute them. The database's owner can rewrite everything, or cut off the
end; the anchors still say what the head was.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from django.conf import settings

from escalations import clock
from escalations.models import AuditSeal, Heartbeat

from .chain import GENESIS, head
from .record import FORM

logger = logging.getLogger(__name__)

ANCHOR = "anchor"  # the heartbeat that says when the head was last anchored, and what went wrong
POST_SECONDS = 10.0


@dataclass(frozen=True)
class Anchor:
    """What the chain's head was at a moment. `line` is its place in the file."""

    seq: int
    hash: str
    at: str
    line: int = 0


class Unreadable(ValueError):
    """A line of the anchors' file is no anchor."""


def anchor() -> Anchor | None:
    """Write the chain's head to the anchors if it has grown since; returns what was written, None when there was nothing new.

    The line is on disk (fsync) before this returns. Before it writes, it compares the last anchor with the chain: a chain that
    lost or changed that link is logged as an error and told in the heartbeat, and the head is anchored all the same, since the
    anchors before it are what proves the change. Raises OSError when the file cannot be written. A URL that fails costs up to
    POST_SECONDS, is logged, and is tried again with the next head.
    """
    last, now = last_anchor(), head()
    wrong = disagreement(last) if last else ""
    if wrong:
        logger.error("the audit chain and its anchor disagree: %s", wrong)
    written = None
    if now.seq and (last is None or last.hash != now.hash):
        written = Anchor(now.seq, now.hash, clock.now().strftime(FORM))
        _append(written)
    unsent = _post(written) if written and settings.ANCHOR_URL else ""
    Heartbeat.objects.update_or_create(
        name=ANCHOR, defaults={"at": clock.now(), "detail": {"seq": now.seq, "wrong": wrong, "unsent": unsent}}
    )
    return written


def disagreement(last: Anchor) -> str:
    """Return how the chain contradicts this anchor; empty when it does not. One query."""
    found = AuditSeal.objects.filter(pk=last.seq).values_list("hash", flat=True).first()
    if found is None:
        return f"seq {last.seq}, anchored at {last.at}, is missing from the chain"
    if found != last.hash:
        return f"seq {last.seq} has another hash than was anchored at {last.at}"
    return ""


def read(path: Path | None = None) -> Iterator[Anchor]:
    """Yield the file's anchors in order; nothing when there is no file. Raises Unreadable for a line that is none.

    An unfinished last line is passed over: that is what a machine leaves that stopped while writing. What is appended while
    this reads is not yielded: it may be newer than what the reader knows of the chain.
    """
    path = path or Path(settings.ANCHOR_FILE)
    if not path.exists():
        return
    with path.open("rb") as lines:
        left = os.fstat(lines.fileno()).st_size
        for number, line in enumerate(lines, start=1):
            left -= len(line)
            if left < 0 or not line.endswith(b"\n"):
                return
            if line.strip():
                yield _parse(line, number)


def last_anchor(path: Path | None = None) -> Anchor | None:
    """Return the last whole anchor of the file without reading the rest; None when there is none."""
    path = path or Path(settings.ANCHOR_FILE)
    if not path.exists():
        return None
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4096))
        whole = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n") and line.strip()]
    try:
        return _parse(whole[-1], 0) if whole else None
    except Unreadable:
        return None  # verify names it; here it only means that the head is written again


def _append(one: Anchor) -> None:
    path = Path(settings.ANCHOR_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # two timers on one machine share the file
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" * bool(torn) + json.dumps({"seq": one.seq, "hash": one.hash, "at": one.at}).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _post(one: Anchor) -> str:
    """Send the anchor to the URL; returns what went wrong, without the answer's text."""
    try:
        answer = httpx.post(
            settings.ANCHOR_URL, json={"seq": one.seq, "hash": one.hash, "at": one.at}, timeout=POST_SECONDS, follow_redirects=False
        )
        wrong = "" if answer.is_success else f"HTTP {answer.status_code}"
    except httpx.HTTPError as error:
        wrong = type(error).__name__
    if wrong:
        logger.error("ANCHOR_URL did not take the anchor of seq %s: %s", one.seq, wrong)
    return wrong


def _parse(line: bytes, number: int) -> Anchor:
    try:
        said = json.loads(line)
        seq, digest, at = int(said["seq"]), str(said["hash"]), str(said["at"])
        if seq < 1 or len(bytes.fromhex(digest)) * 2 != len(GENESIS):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"line {number} of the anchors is not an anchor") from error
    return Anchor(seq, digest, at, number)
