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
    groups: list[int] = []
    servers: list[int] = []
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "done":
            return
        if word == "group":
            groups.append(int(rest))
        elif word == "database":
            servers.append(int(rest))
        elif word == "gone" and int(rest) in groups:
            groups.remove(int(rest))
    end_groups(groups, GRACE)
    for server in servers:
        embedded.end(server)


if __name__ == "__main__":
    main()
