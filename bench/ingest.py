"""How many incidents of 2 KB are accepted a second, durable with their wake-up before the answer, on 16 connections.

    python bench/ingest.py [--seconds 10] [--connections 16] [--rounds 3]

One web process. Beside it, in the same run and turn by turn: plain PostgreSQL committing a row of the same bytes and a wake-up
row on as many connections, without Python between; and the batch call. CPU is what the web process used for each incident, load
is the machine's before the round. The profile says where one request's time goes.
"""

import argparse
import asyncio
import cProfile
import io
import json
import os
import pstats
import subprocess
import sys
import threading
import time
import uuid

import httpx
import psutil
import psycopg

from bench import client, place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--seconds", type=float, default=10)
OPTIONS.add_argument("--connections", type=int, default=16)
OPTIONS.add_argument("--rounds", type=int, default=3)
OPTIONS.add_argument("--profile", type=int, default=1000, help="requests to profile inside one process; 0: none")


def measure() -> None:
    """Print the figures."""
    from bench.server import prepared, web  # noqa: PLC0415 - needs Django

    options = OPTIONS.parse_args()
    _, key = prepared()
    print(f"{'':<34}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'load':>7}")
    with web() as (port, process):
        for _ in range(options.rounds):
            before, load = _busy(process), os.getloadavg()[0]
            ours = _posted(port, key, options)
            each = 1000 * (_busy(process) - before) / max(1, ours["accepted"])
            print(
                f"{'POST /incidents':<34}{ours['per_second']:>10,.0f}{ours['p50_ms']:>9.1f}{ours['p99_ms']:>9.1f}{each:>9.2f}{load:>7.1f}",
                flush=True,
            )
            if set(ours["statuses"]) != {"201"}:
                print("  not all accepted:", ours["statuses"])
            before = _busy(process)
            accepted, took = _batches(port, key, options.seconds / 2)
            each = 1000 * (_busy(process) - before) / max(1, accepted)
            print(f"{'POST /incidents/batch of 500':<34}{accepted / took:>10,.0f}{'':>18}{each:>9.2f}", flush=True)
            beside = plain(options.connections, options.seconds / 2, client.incident(1))
            print(f"{'plain PostgreSQL, same bytes':<34}{beside:>10,.0f}", flush=True)
    if options.profile:
        _profile(key, options.profile)


def _posted(port: int, key: str, options: argparse.Namespace) -> dict:  # type: ignore[type-arg]
    command = [sys.executable, "bench/client.py", "post", "127.0.0.1", str(port), key, str(options.connections), str(options.seconds)]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def _busy(process: psutil.Process) -> float:
    """Return the seconds of CPU the web process has used: the figure a neighbour on the machine does not change much."""
    used = process.cpu_times()
    return float(used.user + used.system)


def _batches(port: int, key: str, seconds: float) -> tuple[int, float]:
    """Post batches of 500 on two connections; return how many items were accepted, and in how many seconds."""
    accepted = [0, 0]
    end = time.monotonic() + seconds

    def one(worker: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            while time.monotonic() < end:
                items = [{**json.loads(client.incident(n)), "key": str(uuid.uuid4())} for n in range(500)]
                answer = http.post(
                    "/api/v1/incidents/batch", json={"items": items},
                    headers={"authorization": f"Bearer {key}", "x-forwarded-proto": "https"},
                )
                accepted[worker] += sum(item["status"] == 201 for item in answer.json()["items"])

    began = time.monotonic()
    threads = [threading.Thread(target=one, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(accepted), time.monotonic() - began


def plain(connections: int, seconds: float, body: bytes) -> float:
    """Commit a row of these bytes and a wake-up row on so many connections; return transactions a second."""
    from django.db import connections as databases  # noqa: PLC0415 - needs Django

    parameters = {
        name: value for name, value in databases["owner"].get_connection_params().items()
        if name in ("dbname", "user", "password", "host", "port")
    }
    with psycopg.connect(**parameters, autocommit=True) as one:
        one.execute("CREATE TABLE IF NOT EXISTS plain_row (id uuid PRIMARY KEY, key text UNIQUE, body bytea, at timestamptz)")
        one.execute("CREATE TABLE IF NOT EXISTS plain_wake (id bigserial PRIMARY KEY, at timestamptz)")

    async def load() -> int:
        end = time.monotonic() + seconds
        done = 0

        async def one() -> None:
            nonlocal done
            async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
                while time.monotonic() < end:
                    identifier = uuid.uuid4()
                    await connection.execute(
                        "WITH r AS (INSERT INTO plain_row VALUES (%s, %s, %s, now())) INSERT INTO plain_wake (at) VALUES (now())",
                        [identifier, str(identifier), body],
                    )
                    done += 1

        await asyncio.gather(*(one() for _ in range(connections)))
        return done

    began = time.monotonic()
    return asyncio.run(load()) / (time.monotonic() - began)


def _profile(key: str, count: int) -> None:
    """Profile requests through Django in this process, without a socket: where the Python time of one goes."""
    from django.test import Client  # noqa: PLC0415 - needs Django

    caller = Client(headers={"authorization": f"Bearer {key}", "x-forwarded-proto": "https"})

    def post(number: int) -> None:
        answer = caller.post(
            "/api/v1/incidents", client.incident(number), content_type="application/json", headers={"idempotency-key": str(uuid.uuid4())}
        )
        if answer.status_code != 201:
            raise SystemExit(answer.content)

    for number in range(50):
        post(number)
    began = time.perf_counter()
    for number in range(count):
        post(number)
    each = (time.perf_counter() - began) / count
    profile = cProfile.Profile()
    profile.enable()
    for number in range(count):
        post(number)
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(18)
    print(f"\nOne request after another in one process, no socket: {1000 * each:.2f} ms each. By own time:")
    print("\n".join(line for line in text.getvalue().splitlines()[4:] if line.strip()))


if __name__ == "__main__":
    place.run("ingest", measure)
