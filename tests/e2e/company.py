"""A whole Countersign on this machine, as `make run` starts it: embedded database, web, worker, timers, one supervisor."""

import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from hitl_site import databases

ROOT = Path(__file__).resolve().parents[2]


class NotReady(Exception):
    """It did not come up; the message holds the end of its log."""


def free_port() -> int:
    """Return a port nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(wanted: Any, seconds: float, what: str) -> Any:
    """Ask `wanted` until it answers something true, at most for `seconds`; return what it answered."""
    end = time.monotonic() + seconds
    pause = 0.05
    while time.monotonic() < end:
        if found := wanted():
            return found
        _wait(pause)
        pause = min(0.5, pause * 1.5)
    raise AssertionError(f"not within {seconds} s: {what}")


def _wait(seconds: float) -> None:
    """Wait for real processes, which no clock of ours can hurry."""
    subprocess.run(["sleep", str(seconds)], check=True)


@dataclass(frozen=True)
class Cluster:
    """One queue cluster: its main process, the sentinel that guards the others, and those."""

    main: psutil.Process
    sentinel: psutil.Process
    workers: list[psutil.Process]
    monitor: psutil.Process
    pusher: psutil.Process


class Company:
    """One running system in a folder of its own. Use as a context manager; everything is ended on the way out."""

    def __init__(self, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-e2e-", dir="/tmp"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")}
        self.environment = {
            **kept, "COUNTERSIGN_DATA": str(self.folder / "var"), "PORT": str(self.port), "DEBUG": "1", **environment,
        }
        self.log = self.folder / "log.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Company":
        try:
            self.start()
        except NotReady:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start everything and return when it is ready to work."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hitl_site.supervisor"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        try:
            until(self.is_ready, 300, "ready")
        except AssertionError:
            text = self.log.read_text(errors="replace")[-3000:]
            self.stop()
            raise NotReady(text) from None

    def is_ready(self) -> bool:
        """Return whether database, queue and timers all say they are alive."""
        if self.process is not None and self.process.poll() is not None:
            raise NotReady(self.log.read_text(errors="replace")[-3000:])
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """End everything, as Ctrl-C would."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def manage(self, *command: str, check: bool = True) -> Any:
        """Run a management command in another process, as an operator's shell would; return its JSON."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command, "--json"], cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=120, check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stdout}\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the database's owner, to look at what is stored or to let time pass; return its rows."""
        url = databases.embedded_url("postgres", self.folder / "var")
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def log_says(self, words: str, after: int = 0) -> bool:
        """Return whether the log holds these words after so many bytes of it."""
        return words in self.log.read_bytes()[after:].decode(errors="replace")

    def postmaster(self) -> psutil.Process:
        """Return the database's own first process."""
        return next(one for one in self.processes("bin/postgres", "-D") if one.ppid() == self._supervisor)

    def worker(self) -> "Cluster":
        """Return the queue's processes by what they do. Right for a cluster none of whose parts was replaced yet."""
        main = next(one for one in self.processes("qcluster") if one.ppid() == self._supervisor)
        (sentinel,) = main.children()
        *workers, monitor, pusher = sorted(sentinel.children(), key=lambda one: one.pid)
        return Cluster(main, sentinel, workers, monitor, pusher)

    def whole_worker(self) -> "Cluster | None":
        """Return the queue's processes once every part is there."""
        try:
            return self.worker()
        except (psutil.Error, StopIteration, ValueError):
            return None

    @property
    def _supervisor(self) -> int:
        assert self.process is not None
        return self.process.pid

    def processes(self, *words: str) -> list[psutil.Process]:
        """Return the running processes of this system whose command line holds all the words."""
        assert self.process is not None
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                found.append(child)
        return found

    def kill(self, *words: str) -> int:
        """Kill -9 the newest process that matches (of a worker's cluster that is one of its workers); return its pid."""
        victim = max(self.processes(*words), key=lambda process: process.create_time())
        victim.kill()
        return victim.pid


class Reviewer:
    """A person in a browser without JavaScript: signs in, reads the inbox, posts the pages' own forms."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, follow_redirects=True)
        page = self.http.get("/login/")
        token = hidden(page.text, "csrfmiddlewaretoken")
        answer = self.http.post(
            "/login/", data={"csrfmiddlewaretoken": token, "username": name, "password": password, "next": "/"},
            headers={"referer": f"{url}/login/"},
        )
        assert answer.status_code == 200 and "/login/" not in str(answer.url), answer.url

    def decide(self, proposal: str, verdict: str, **fields: str) -> httpx.Response:
        """Open a proposal, choose, sign. Returns the answer to the form: 303 when it was signed."""
        return self.sign(proposal, verdict, **self.read(proposal), **fields)

    def read(self, proposal: str) -> dict[str, str]:
        """Open a proposal; return what its form holds: what was shown is what will be signed."""
        page = self.http.get(f"/proposals/{proposal}/")
        assert page.status_code == 200, (page.status_code, proposal)
        typed = re.search(r'class="to-type value">([^<]*)<', page.text)
        return {name: hidden(page.text, name) for name in ("csrfmiddlewaretoken", "digest", "version")} | (
            {"confirm": html.unescape(typed[1])} if typed else {}
        )

    def sign(self, proposal: str, verdict: str, **fields: str) -> httpx.Response:
        """Post the form of a proposal that was read before."""
        return self.http.post(
            f"/proposals/{proposal}/", data={"type": verdict, "read": "on", "reason": "read, and right", **fields}, follow_redirects=False,
            headers={"referer": f"{self.http.base_url}/proposals/{proposal}/"},
        )


def hidden(page: str, name: str) -> str:
    """Return the value of the first hidden field of that name, in the form that holds a digest where there is one."""
    form = page[page.find("data-decision") :] if "data-decision" in page else page
    start = form.index(f'name="{name}"')
    start = form.index('value="', start) + len('value="')
    return form[start : form.index('"', start)]
