"""Ends what the supervisor started, should the supervisor itself be killed without a chance to do it.

It reads its standard input, line by line: `group 123` and `database 124` to watch, `gone 123` to forget, `done` to leave. When
the input ends without `done`, the supervisor is dead.
"""

import contextlib
import os
import signal
import sys

import psutil

from hitl_site import embedded

GRACE = 10  # seconds


def alive(pid: int) -> psutil.Process | None:
    """Return the process when it still runs."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def end_groups(leaders: list[int], grace: float) -> None:
    """Ask each leader to stop, wait together, then end whole groups: a queue's orphans outlive their leader."""
    running = [process for process in map(alive, leaders) if process]
    for process in running:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(running, timeout=grace)
    for leader in leaders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def main() -> None:
    """Listen until told to leave or until there is nobody left to tell."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, psutil.Process | None] = {}
    servers: list[psutil.Process | None] = []
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "done":
            return
        if word == "group":
            groups[int(rest)] = alive(int(rest))
        elif word == "database":
            servers.append(alive(int(rest)))
        elif word == "gone":
            groups.pop(int(rest), None)
    # A number that somebody else has by now is left alone.
    end_groups([leader for leader, known in groups.items() if alive(leader) in (None, known)], GRACE)
    for server in servers:
        if server is not None and server.is_running():
            embedded.end(server.pid)


if __name__ == "__main__":
    main()
