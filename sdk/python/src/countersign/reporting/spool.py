"""What could not be sent, kept on disk: one small file a report, so many at most, the oldest given up first.

A file appears whole (written beside and renamed) or not at all. Several processes may share a folder: a report that two of them send
is one incident all the same, since its key goes with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENDING = ".report.json"
LARGEST = 256 * 1024  # bytes of one report
UNFINISHED = 600  # seconds after which a file that was never finished is somebody's who died


def usual_folder(url: str) -> Path:
    """Return the folder that is used when none is named: in the temporary one, this user's own, one a server."""
    owner = os.getuid() if hasattr(os, "getuid") else "me"
    return Path(tempfile.gettempdir()) / f"countersign-{owner}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


class Spool:
    """A bounded folder of reports. No method raises: a disk that is full or read-only costs the reports, never the host."""

    def __init__(self, folder: Path, *, most: int, most_bytes: int) -> None:
        self.folder, self.most, self.most_bytes = folder, most, most_bytes
        self.lost = 0  # given up to keep the bounds, unreadable, or refused by the disk

    def put(self, key: str, report: dict[str, Any]) -> bool:
        """Keep a report until `drop(key)`; return whether it is safely there. Gives up the oldest to stay within the bounds."""
        try:
            written = json.dumps({"key": key, "report": report}, separators=(",", ":")).encode()
            if len(written) > min(LARGEST, self.most_bytes) or not self.most or not self._ready():
                self.lost += 1
                return False
            self._make_room(len(written))
            # The time goes first, so that the names sort by age; to the nanosecond, so that two are not one.
            self._write(self.folder / f"{time.time_ns():020d}-{_plain(key)}{ENDING}", written)
        except (OSError, ValueError, TypeError):
            self.lost += 1
            return False
        return True

    def __len__(self) -> int:
        return len(self._names())

    def oldest(self) -> Iterator[tuple[Path, str, dict[str, Any]]]:
        """Yield (file, key, report), oldest first. What cannot be read is put away."""
        for name in self._names():
            path = self.folder / name
            try:
                if path.stat().st_size > LARGEST:
                    raise ValueError("larger than anything that was written here")
                kept = json.loads(path.read_bytes())
                key, report = kept["key"], kept["report"]
                if not isinstance(key, str) or not isinstance(report, dict):
                    raise ValueError("not a report")
            except FileNotFoundError:
                continue  # another process sent it meanwhile
            except (OSError, ValueError, KeyError, TypeError):
                self.lost += 1
                self.drop(path)
                continue
            yield path, key, report

    def drop(self, path: Path) -> None:
        """Forget a report: it was sent, or will never be taken."""
        with contextlib.suppress(OSError):
            path.unlink()

    def _names(self) -> list[str]:
        try:
            # A folder somebody else made in our place may hold anything: it is not read.
            if not self._is_ours():
                return []
            return sorted(name for name in os.listdir(self.folder) if name.endswith(ENDING))
        except OSError:
            return []

    def _ready(self) -> bool:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._is_ours()

    def _is_ours(self) -> bool:
        """Return whether the folder is a real one of this user's, which nobody else may write to: the temporary folder is everybody's."""
        found = os.lstat(self.folder)
        if not stat.S_ISDIR(found.st_mode):
            return False
        return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)

    def _make_room(self, needed: int) -> None:
        sizes: list[tuple[str, int]] = []
        for name in self._names():
            with contextlib.suppress(OSError):
                sizes.append((name, (self.folder / name).stat().st_size))
        total = sum(size for _, size in sizes)
        while sizes and (len(sizes) >= self.most or total + needed > self.most_bytes):
            name, size = sizes.pop(0)
            total -= size
            self.lost += 1
            self.drop(self.folder / name)
        self._sweep()

    def _sweep(self) -> None:
        """Put away what a process that was killed left half written."""
        for name in os.listdir(self.folder):
            with contextlib.suppress(OSError):
                if name.endswith(".tmp") and time.time() - (self.folder / name).stat().st_mtime > UNFINISHED:
                    self.drop(self.folder / name)

    def _write(self, path: Path, written: bytes) -> None:
        handle, unfinished = tempfile.mkstemp(suffix=".tmp", dir=self.folder)  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(written)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise


def _plain(key: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in key)[:80]
