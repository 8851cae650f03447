"""Take an envelope apart: a line that says what it is, then for each item a line that says what it is, and the item.

Lenient, because whoever sends it throws away what is refused: an item that is broken, cut off or wrongly measured costs at most
itself. Items that are no events are passed by without being held.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import salvage

HEAD = 16 * 1024  # bytes of a line that says what follows
ITEMS = 1_000  # that are looked at
EVENTS = 20  # that are kept of one envelope; SDKs send one
LOST = 20  # lines without a line before them that says what they are, which are read all the same


@dataclass
class Envelope:
    """What was found: its own head, its events, and how many items of other kinds were passed by."""

    head: dict[str, Any] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)  # whatever stood where an event should be
    dropped: int = 0


def head_of(pieces: Iterable[bytes]) -> dict[str, Any]:
    """Return the envelope's own head, {} for none. Reads its first line and nothing else."""
    return _object(Reader(pieces).line(HEAD)[0]) or {}


def opened(pieces: Iterable[bytes]) -> Envelope:
    """Return the envelope in these bytes. Never raises; holds no more than 4 MB of one event at a time."""
    reader = Reader(pieces)
    found = Envelope()
    lost = 0
    first, _ = reader.line(HEAD)
    head = _object(first)
    found.head = head if head is not None else {}
    if head is not None and _is_event(head):  # the event itself, without an envelope around it
        found.events.append(head)
    for _ in range(ITEMS):
        if not reader.skip_blank() or len(found.events) >= EVENTS:
            break
        line, whole = reader.line(salvage.MOST)
        said = _object(line) if len(line) <= HEAD else None
        if said is None or "type" not in said:
            lost += 1
            event = salvage.read(line) if lost <= LOST else None  # the line that says what follows is lost; this may be the event
            if isinstance(event, dict) and _is_event(event):
                found.events.append(event)
            elif whole:
                found.dropped += 1
            continue
        if said["type"] == "event":
            found.events.append(_event(reader, said.get("length")))
            continue
        found.dropped += 1
        length = _length(said)
        if length is None:
            reader.line(0)
        else:
            reader.take(length, 0)
    return found


def _event(reader: "Reader", length: Any) -> Any:
    """Return the event that follows. A length that does not lead to the end of a line is not believed."""
    measured = _length({"length": length})
    if measured is None:
        return salvage.read(reader.line(salvage.MOST)[0])
    raw = reader.take(measured, salvage.MOST)
    if b"\n" in raw and len(raw) <= salvage.WHOLE and not _is_json(raw):
        line, _, rest = raw.partition(b"\n")
        if _is_json(line):  # it is shorter than it says
            reader.give_back(rest)
            return salvage.read(line)
    if measured <= len(raw) and not reader.at_end_of_line():
        raw += reader.line(salvage.MOST)[0]  # it is longer than it says
    return salvage.read(raw)


def _length(said: dict[str, Any]) -> int | None:
    length = said.get("length")
    return length if isinstance(length, int) and not isinstance(length, bool) and length >= 0 else None


def _object(line: bytes) -> dict[str, Any] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _is_event(value: dict[str, Any]) -> bool:
    return any(name in value for name in ("exception", "logentry", "message")) and value.get("type") in (None, "", "error", "default", "event")


class Reader:
    """Lines and measured pieces of a stream that is never held whole."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._held = bytearray()

    def line(self, most: int) -> tuple[bytes, bool]:
        """Return the bytes up to the next line's end, which is passed, the first `most` of them; and whether there was anything."""
        kept = bytearray()
        seen = False
        while self._held or self._fill():
            seen = True
            end = self._held.find(b"\n")
            stop = len(self._held) if end < 0 else end
            kept += self._held[: min(stop, most - len(kept))]
            del self._held[: stop + (end >= 0)]
            if end >= 0:
                break
        return bytes(kept), seen

    def take(self, length: int, most: int) -> bytes:
        """Pass `length` bytes; return the first `most` of them, fewer where fewer came."""
        kept = bytearray()
        while length > 0 and (self._held or self._fill()):
            step = min(length, len(self._held))
            kept += self._held[: min(step, most - len(kept))]
            del self._held[:step]
            length -= step
        return bytes(kept)

    def skip_blank(self) -> bool:
        """Pass line ends; say whether anything is left."""
        while self._held or self._fill():
            bare = self._held.lstrip(b"\r\n")
            if bare:
                del self._held[: len(self._held) - len(bare)]
                return True
            self._held.clear()
        return False

    def at_end_of_line(self) -> bool:
        """Say whether a line, or everything, ends here."""
        return not (self._held or self._fill()) or self._held[:1] in (b"\n", b"\r")

    def give_back(self, raw: bytes) -> None:
        """Put bytes back that were taken too many."""
        self._held[:0] = raw

    def _fill(self) -> bool:
        for piece in self._pieces:
            if piece:
                self._held += piece
                return True
        return False
