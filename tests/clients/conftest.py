"""Clients as they are published, each in an environment of its own, against a Countersign that runs as `make run` starts it."""

import logging
import os
import shutil
import subprocess
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.company import Company, until

# Where environments are kept from one run to the next, while one works on a client; else they go with the run.
KEPT = os.environ.get("CLIENT_ENVIRONMENTS")
log = logging.getLogger(__name__)
INSTALLING = 400  # seconds for what takes ten
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
FAILED: dict[Path, str] = {}  # environments that could not be made, and why: not tried for every test
PATIENCE = 60  # seconds for what takes two


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/clients/" in str(item.path):
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="session")
def company() -> Iterator[Company]:
    with Company() as running:
        yield running


@pytest.fixture(scope="session")
def new_source(company: Company) -> Callable[..., dict[str, str]]:
    """Call with a name: registers a source and returns {"source", "key", "signing_secret"}."""

    def make(name: str, *options: str) -> dict[str, str]:
        made: dict[str, str] = company.manage("add_source", name, *options)
        return made

    return make


# -- the person at the other end


class Desk:
    """A manager with a token, who finds what waits and decides it over the API."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=30)

    def waiting(self, source: str, **wanted: Any) -> list[dict[str, Any]]:
        """Return the incidents of a source that wait for a person and say `wanted` (members of the incident or its proposal)."""
        found = self.http.get("/incidents", params={"status": "waiting", "limit": 100}).json()["items"]
        return [one for one in found if one["source"] == source and _says(one, wanted)]

    def next(self, source: str, **wanted: Any) -> dict[str, Any]:
        """Return the first of those; waits until there is one."""
        listed: list[dict[str, Any]] = until(lambda: self.waiting(source, **wanted), PATIENCE, f"{source} asks: {wanted}")
        return listed[-1]

    def decide(self, incident: dict[str, Any], verdict: str, **fields: Any) -> dict[str, Any]:
        """Sign it as it stands; return the incident. `fields`: reason, args, draft, message, retry."""
        proposal = incident["proposal"]
        answer = self.http.post(f"/proposals/{proposal['id']}/decision", json={
            "type": verdict, "args_digest": proposal["args_digest"], "version": proposal["version"], "reason": "read, and right", **fields,
        })
        assert answer.status_code == 200, answer.text
        signed: dict[str, Any] = answer.json()
        return signed

    def acknowledged(self, incident: dict[str, Any]) -> dict[str, Any]:
        """Return what the agent said it did, once it has said it."""
        path = f"/incidents/{incident['id']}"
        said: dict[str, Any] = until(lambda: self.http.get(path).json()["acknowledged"], PATIENCE, "acknowledged")
        return said

    def back(self, incident: dict[str, Any]) -> dict[str, Any]:
        """Return the incident once it came back because what was allowed failed; leave nothing waiting for the next test."""

        def found() -> dict[str, Any] | None:
            now: dict[str, Any] = self.http.get(f"/incidents/{incident['id']}").json()
            return now if "agent_failed" in now["triggers"] else None

        now: dict[str, Any] = until(found, PATIENCE, "it comes back")
        if now["proposal"]["state"] == "pending":
            self.decide(now, "reject")
        return now

    @contextmanager
    def deciding(self, source: str, how: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        """Decide whatever that source asks, meanwhile, as `how(incident)` says ({"verdict", ...fields}); yields what was asked."""
        asked: list[dict[str, Any]] = []
        over = threading.Event()
        trouble: list[BaseException] = []

        def work() -> None:
            seen: set[tuple[str, int]] = set()
            while not over.wait(0.3):
                try:
                    for one in self.waiting(source):
                        known = (one["id"], one["proposal"]["revision"]) if one["proposal"] else None
                        if known is None or known in seen or one["proposal"]["state"] != "pending":
                            continue
                        seen.add(known)
                        asked.append(one)
                        self.decide(one, **how(one))
                except (httpx.HTTPError, AssertionError) as error:  # told when it is over, with the test's own failure beside it
                    trouble.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            over.set()
            thread.join(timeout=PATIENCE)
            for error in trouble:
                log.warning("the desk had trouble: %r", error)


def _says(incident: dict[str, Any], wanted: dict[str, Any]) -> bool:
    said = {**(incident["proposal"] or {}), **incident}
    return all(said.get(name) == value for name, value in wanted.items())


@pytest.fixture(scope="session")
def desk(company: Company) -> Desk:
    made = company.manage("add_person", "clara", "--role", "manager", "--token", "--interactive")
    return Desk(company.url, made["token"])


# -- environments



@pytest.fixture(scope="session")
def environments() -> Iterator[Path]:
    if KEPT:
        Path(KEPT).mkdir(parents=True, exist_ok=True)
        yield Path(KEPT)
        return
    folder = Path(tempfile.mkdtemp(prefix="countersign-clients-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def environment(environments: Path) -> Callable[..., str]:
    """Call with pip's requirements: returns the path of a Python that has them and nothing of ours. Skips, loudly, when it cannot."""

    def make(*packages: str) -> str:
        folder = environments / "".join(char if char.isalnum() else "-" for char in "+".join(packages))[-100:]
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            skip_what_failed(folder, packages)
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            install([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], folder, packages)
            (folder / "ready").touch()
        return str(python)

    return make


@pytest.fixture(scope="session")
def node_environment(environments: Path) -> Callable[..., Path]:
    """Call with npm's packages: returns a folder with node_modules. Skips, loudly, when it cannot."""

    def make(*packages: str) -> Path:
        if not shutil.which("npm") or not shutil.which("node"):
            pytest.skip(f"NODE IS NOT INSTALLED: {', '.join(packages)} did not run")
        folder = environments / "".join(char if char.isalnum() else "-" for char in "npm-" + "+".join(packages))[-100:]
        if not (folder / "ready").exists():
            skip_what_failed(folder, packages)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            options = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=60000"]
            install(["npm", "install", *options, "--prefix", str(folder), *packages], folder, packages)
            (folder / "ready").touch()
        return folder

    return make


def install(command: list[str], folder: Path, packages: tuple[str, ...]) -> None:
    """Run an installer, once more where it failed but not where it never ended; skip the test when it cannot, and all that want the same."""
    try:
        why = tried(command) and tried(command)
    except subprocess.TimeoutExpired:
        why = f"it took more than {INSTALLING} s"
    if why:
        FAILED[folder] = why
    skip_what_failed(folder, packages)


def skip_what_failed(folder: Path, packages: tuple[str, ...]) -> None:
    if folder in FAILED:
        pytest.skip(f"{', '.join(packages).upper()} COULD NOT BE INSTALLED: {FAILED[folder]}")


def tried(command: list[str]) -> str:
    """Run an installer; return "" or, where it failed, its last line. Raises TimeoutExpired."""
    # Node knows the certificates it was built with and no others, unless told where the system's are.
    certificates = {"NODE_EXTRA_CA_CERTS": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=INSTALLING, check=False, env={**certificates, **os.environ}
    )
    said = done.stderr.strip() or done.stdout.strip() or "it said nothing"
    return said.splitlines()[-1] if done.returncode else ""


def run(python: str, script: Path | str, *arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of a client's with nothing of this process's environment but its PATH; return what came of it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
    return subprocess.run(
        [python, str(script), *arguments], env={**kept, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost", **environment},
        capture_output=True, text=True, timeout=timeout, check=False,
    )
