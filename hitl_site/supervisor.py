"""Runs Countersign on one machine: the database, the web process, a worker and the timers, and ends them all together.

`python -m hitl_site.supervisor`; `make run` gets here by way of bootstrap.py. On a server of one's own, systemd does this
(docs/runbook.md); there is nothing in here that the processes themselves need.
"""

import contextlib
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO

import psutil
import psycopg

from hitl_site import bootstrap, databases, env
from hitl_site.children import Child, end_leftovers
from hitl_site.embedded import Embedded, Failed
from hitl_site.welcome import welcome

DEAD_AFTER = float(env.HEARTBEAT_DEAD_AFTER)
STOP_SECONDS = 30.0
LOOK_EVERY = 5.0
READY_SECONDS = 60.0
DATABASE_PAUSE = 2.0  # seconds before a database that could not be started is tried again

HEARTBEATS = "SELECT name, EXTRACT(EPOCH FROM clock_timestamp() - at)::float8 FROM escalations_heartbeat"


def say(line: str) -> None:
    """Tell the operator."""
    print(f"countersign: {line}", flush=True)


class Supervisor:
    """One run, from the first line to the last."""

    def __init__(self) -> None:
        self.state = env.DATA_DIR / "run.json"
        self.stopping = threading.Event()
        self.hurry = False
        self.database: Embedded | None = None
        self.reaper: subprocess.Popen[str] | None = None
        self.lock: IO[str] | None = None
        self.children: list[Child] = []
        self.web_seen = 0.0
        self.database_next_try = 0.0

    def run(self) -> int:
        """Run until told to stop; return the status to leave with."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        try:
            self.take_lock()
            self.end_what_is_left()
            bootstrap.check_port()
            bootstrap.check_room(str(env.DATA_DIR))
            self.start_reaper()
            self.start_database()
            self.set_up()
            self.start_children()
            self.watch()
        except (Failed, env.BadSetting, OSError) as error:
            print(str(error) if isinstance(error, env.BadSetting) else f"countersign: {error}", file=sys.stderr)
            return 1
        finally:
            self.stop()
        return 0

    def on_signal(self, number: int, frame: object) -> None:
        """Stop; told a second time, stop at once."""
        self.hurry = self.stopping.is_set()
        self.stopping.set()

    def take_lock(self) -> None:
        """One supervisor a data folder. The lock goes with the process, however it ends."""
        env.make_data_dir()
        lock = open(env.DATA_DIR / "supervisor.lock", "a+", encoding="utf-8")  # noqa: SIM115 - held until the end
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failed(f"Countersign already runs on {env.DATA_DIR}; stop it first.") from error
        self.lock = lock
        if env.flag("DEBUG", False) and not env.SECRET_KEY:
            (env.DATA_DIR / "development").write_text(f"{env.PORT}\n", encoding="ascii")  # for commands beside us

    def end_what_is_left(self) -> None:
        """Forget a run that was killed, and end what it left."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            left = end_leftovers([(pid, created) for pid, created in json.loads(self.state.read_text())])
            if left:
                say(f"Ended {left} process group(s) that an earlier run had left behind.")
        self.state.unlink(missing_ok=True)

    def start_reaper(self) -> None:
        """Start what ends the others should this process be killed outright."""
        self.reaper = subprocess.Popen(
            [sys.executable, "-m", "hitl_site.reaper"],
            cwd=env.BASE_DIR, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True,
        )  # fmt: skip

    def tell_reaper(self, line: str) -> None:
        """Say what to watch or to forget."""
        if self.reaper is not None and self.reaper.stdin is not None:
            with contextlib.suppress(OSError):
                self.reaper.stdin.write(line + "\n")
                self.reaper.stdin.flush()

    def note(self) -> None:
        """Write down who runs, for the reaper and for a next start after a power cut."""
        running = []
        for child in self.children:
            if child.pid is not None:
                self.tell_reaper(f"group {child.pid}")
                with contextlib.suppress(psutil.Error):
                    running.append((child.pid, psutil.Process(child.pid).create_time()))
        with contextlib.suppress(OSError):  # on a full disk the reaper alone knows, and that is no reason to stop
            draft = self.state.with_suffix(".new")
            draft.write_text(json.dumps(running))
            draft.replace(self.state)

    def start_database(self) -> None:
        """Start the embedded database, unless one is given."""
        if env.DATABASE_URL:
            return
        if not env.DEBUG:
            raise Failed("DATABASE_URL is not set, and the embedded database is for development only.")
        self.database = Embedded(env.DATA_DIR)
        if not (self.database.data / "PG_VERSION").exists():
            say(f"Making a database in {self.database.data} ...")
        self.database.start()
        if self.database.opened:
            say("The database's user may now read " + ", ".join(self.database.opened) + ".")
        if self.database.process is not None:
            self.tell_reaper(f"database {self.database.process.pid}")

    def set_up(self) -> None:
        """Migrate, grant, install. Ends the run when that fails; the command has said why."""
        command = [sys.executable, "manage.py", "setup", *(["--demo"] if env.DEBUG else [])]
        environment = {**os.environ, "COUNTERSIGN_PROCESS": "command"}
        process = subprocess.Popen(command, cwd=env.BASE_DIR, env=environment, start_new_session=True)
        while process.poll() is None and not self.stopping.wait(0.02):
            pass
        if process.poll() is None:
            process.terminate()
        if process.wait() and not self.stopping.is_set():
            raise Failed("The database could not be set up; the lines above say why.")

    def start_children(self) -> None:
        """Start the three processes and say so once the pages answer."""
        if self.stopping.is_set():
            return
        commands = {"web": ["-m", "hitl_site.web"], "worker": ["manage.py", "qcluster"], "timers": ["manage.py", "timers"]}
        self.children = [Child(name, command, said=say, noted=self.note) for name, command in commands.items()]
        for child in self.children:
            child.keep_running()
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and not self.stopping.wait(0.1):
            for child in self.children:
                child.keep_running()
            if self.web_answers():
                print(welcome(), flush=True)
                return
        if not self.stopping.is_set():
            say(f"The web process does not answer on port {env.PORT}; trying on. Its log lines above say why.")

    def watch(self) -> None:
        """Keep the processes running, and end those that only look alive, until told to stop."""
        looked = time.monotonic()
        self.web_seen = time.monotonic()
        while not self.stopping.wait(0.5):
            for child in self.children:
                child.keep_running()
            self.keep_database_running()
            if time.monotonic() - looked >= LOOK_EVERY:
                looked = time.monotonic()
                self.end_the_frozen()

    def keep_database_running(self) -> None:
        """Start the embedded database when it ended. What stands in its way now (a full disk, say) may be gone in a moment."""
        if self.database is None or self.database.is_running() or time.monotonic() < self.database_next_try:
            return
        say("The database ended; starting it again.")
        try:
            self.database.start()
        except Failed as error:
            say(f"{error} Trying again in {DATABASE_PAUSE:.0f} s.")
            self.database_next_try = time.monotonic() + DATABASE_PAUSE
        if self.database.process is not None:
            self.tell_reaper(f"database {self.database.process.pid}")

    def end_the_frozen(self) -> None:
        """Kill what has had no heartbeat for too long; the next look starts it again."""
        web, worker, timers = self.children
        if self.web_answers():
            self.web_seen = time.monotonic()
        if web.age > DEAD_AFTER and time.monotonic() - self.web_seen > DEAD_AFTER:
            self.end_frozen(web)
            self.web_seen = time.monotonic()
        ages = self.heartbeats()
        if ages is None:
            return  # no word from the database says nothing about the others
        beating = min((age for name, age in ages.items() if name.endswith(f":{timers.pid}")), default=float("inf"))
        if timers.age > DEAD_AFTER and beating > DEAD_AFTER:
            self.end_frozen(timers)
        # The timers send the queue's heartbeat, so only while they beat does its absence mean the worker.
        elif worker.age > DEAD_AFTER and beating < DEAD_AFTER / 3 < timers.age and ages.get("queue", 1e9) > DEAD_AFTER:
            self.end_frozen(worker)

    def end_frozen(self, child: Child) -> None:
        """End one whole group."""
        say(f"{child.name} has had no heartbeat for {DEAD_AFTER:.0f} s; ending it.")
        child.kill()

    def heartbeats(self) -> dict[str, float] | None:
        """Return the age of every heartbeat in seconds by the database's clock, or nothing when it cannot be asked."""
        url = env.DATABASE_URL or databases.embedded_url(databases.APP_ROLE, env.DATA_DIR)
        try:
            with psycopg.connect(url, connect_timeout=3, options="-c statement_timeout=3s") as connection:
                return dict(connection.execute(HEARTBEATS).fetchall())
        except psycopg.Error:
            return None

    def web_answers(self) -> bool:
        """Return whether the web process answers at all."""
        connection = http.client.HTTPConnection("127.0.0.1", env.PORT, timeout=3)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End everything: ask, wait up to 30 s, then end whole groups, and the database last."""
        self.stopping.set()
        for child in self.children:
            child.ask_to_stop()
        pause = threading.Event()
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end and not self.hurry:
            if all(child.process is None or child.process.poll() is not None for child in self.children):
                break
            pause.wait(0.05)
        for child in self.children:
            child.kill()
        if self.database is not None:
            self.database.stop()
        self.tell_reaper("done")
        if self.reaper is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.reaper.wait(5)
        if self.lock is not None:
            self.state.unlink(missing_ok=True)
            if self.children:
                say("Stopped.")


if __name__ == "__main__":
    raise SystemExit(Supervisor().run())
