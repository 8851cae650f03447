"""The processes a supervisor runs: each in a process group of its own, started again when it ends, with a growing pause."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from hitl_site import env

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds before a new try
STEADY_AFTER = 60.0  # seconds alive after which a process counts as healthy again


class Child:
    """One process that has to run. `said` gets a line for the operator."""

    def __init__(self, name: str, command: list[str], *, said: Callable[[str], None], noted: Callable[[], None]) -> None:
        self.name = name
        self.command = [sys.executable, *command]
        self.said = said
        self.noted = noted
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.pause = FIRST_PAUSE
        self.next_try = 0.0

    @property
    def pid(self) -> int | None:
        """Return the process id, which is the group's too, or nothing while it is down."""
        return self.process.pid if self.process else None

    @property
    def age(self) -> float:
        """Return for how many seconds it has run; 0 while it is down."""
        return time.monotonic() - self.began if self.process else 0.0

    def keep_running(self) -> None:
        """Start it when it is not there and its pause is over."""
        if self.process is not None and self.process.poll() is not None:
            status = self.process.returncode
            self.sweep()
            if self.age > STEADY_AFTER:
                self.pause = FIRST_PAUSE
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            self.said(f"{self.name} {how}; starting it again in {self.pause:.0f} s.")
            self.next_try = time.monotonic() + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.process = None
        if self.process is None and time.monotonic() >= self.next_try:
            environment = {**os.environ, "COUNTERSIGN_PROCESS": self.name, "PYTHONUNBUFFERED": "1"}
            try:
                self.process = subprocess.Popen(
                    self.command, cwd=env.BASE_DIR, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:  # no memory or no process to be had just now
                self.said(f"{self.name} could not be started: {error.strerror}; trying again in {self.pause:.0f} s.")
                self.next_try = time.monotonic() + self.pause
                return
            self.began = time.monotonic()
            self.noted()

    def ask_to_stop(self) -> None:
        """Tell the leader alone: the queue's guard would take the signal for its own end and leave its workers."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def sweep(self) -> None:
        """End what is left of the group, orphans included."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the whole group at once and wait for its leader."""
        self.sweep()
        if self.process is not None:
            self.process.wait()


def end_leftovers(left: list[tuple[int, float]]) -> int:
    """End groups that a killed supervisor left behind; return how many were there. A pid used anew is left alone."""
    ended = []
    for pid, created in left:
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1:
                os.killpg(pid, signal.SIGKILL)
                ended.append(process)
    psutil.wait_procs(ended, timeout=5)  # until then they hold the port
    return len(ended)
