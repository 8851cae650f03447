"""A web process of ours under load, for the benches that speak HTTP. Imported once Django is set up."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
from django.core.management import call_command

from bench.place import ROOT
from escalations import vault
from escalations.models import ApiKey, Source


def prepared() -> tuple[Source, str]:
    """Set the database up, register one source; return it and its key."""
    call_command("setup", verbosity=0)
    source = Source.objects.create(name="bench", requests_per_minute=100_000_000)
    minted = vault.mint("cs_live")
    ApiKey.objects.create(source=source, key_id=minted.key_id, secret_hash=minted.secret_hash)
    return source, minted.text


@contextmanager
def web() -> Iterator[tuple[int, psutil.Process]]:
    """Run one web process; yield its port and the process."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "COUNTERSIGN_PROCESS": "web"}
    process = subprocess.Popen([sys.executable, "-m", "hitl_site.web"], cwd=ROOT, env=environment)
    try:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz", headers={"x-forwarded-proto": "https"}).status_code == 200:
                    break
            except httpx.HTTPError:
                if process.poll() is not None:
                    raise SystemExit("the web process ended") from None
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)
