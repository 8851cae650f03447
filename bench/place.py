"""Where a bench runs: a database of its own, made beside DATABASE_URL's or in an embedded server, and gone at the end."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
INSIDE = "BENCH_INSIDE"


def run(name: str, measure: Callable[[], None]) -> None:
    """Make the database `countersign_bench_<name>_<pid>`, then run this very command again inside, where `measure` finds Django set up.

    A process of its own, because settings read the environment once.
    """
    if os.environ.get(INSIDE):
        import django  # noqa: PLC0415 - needs the environment made below

        django.setup()
        measure()
        return
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        os.chmod(folder, 0o711)  # the embedded database may run as another user
        environment = {
            **os.environ, INSIDE: "1", "COUNTERSIGN_DATA": folder, "DJANGO_SETTINGS_MODULE": "hitl_site.settings",
            "LOG_LEVEL": "ERROR", "DEBUG": "0", "SECRET_KEY": "bench" * 12, "ALLOWED_HOSTS": "127.0.0.1,testserver",
            "ENCRYPTION_KEYS": "YmVuY2hiZW5jaGJlbmNoYmVuY2hiZW5jaGJlbmNoYmU=", "PYTHONPATH": str(ROOT),
            "PUBLIC_URL": "https://127.0.0.1", "BEHIND_TLS_PROXY": "1",
        }
        with _database(Path(folder), f"countersign_bench_{name}_{os.getpid()}") as url:  # two runs at once do not drop each other's
            environment |= {"DATABASE_URL": url}
            raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=environment, cwd=ROOT, check=False).returncode)


@contextmanager
def _database(folder: Path, name: str) -> Iterator[str]:
    server, url = None, os.environ.get("DATABASE_URL", "")
    if not url:
        from hitl_site.embedded import Embedded  # noqa: PLC0415 - reads the environment when imported

        server = Embedded(folder)
        server.start()
        url = server.url("postgres")
    base, _, query = url.partition("?")
    with psycopg.connect(url, autocommit=True) as outside:
        outside.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        outside.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{base.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
        finally:
            outside.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    if server:
        server.stop()


def quantile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
