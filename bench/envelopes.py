"""How many Sentry envelopes are accepted a second, each an incident that is durable with its wake-up before the answer.

    python bench/envelopes.py [--seconds 10] [--connections 16] [--rounds 3]

One web process; events of some 6 kB as sentry-sdk sends them, squeezed with gzip, each with an id of its own. Beside it, in the
same run and turn by turn: plain PostgreSQL committing a row of the same bytes and a wake-up row on as many connections, without
Python between; and POST /incidents with the incident such an event becomes, which is what the same door costs without reading an
envelope. CPU is what the web process used for each. At the end: where the time of reading one event goes.
"""

import argparse
import asyncio
import cProfile
import gzip
import io
import json
import os
import pstats
import subprocess
import sys
import time
import uuid

import psutil

from bench import client, ingest, place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--seconds", type=float, default=10)
OPTIONS.add_argument("--connections", type=int, default=16)
OPTIONS.add_argument("--rounds", type=int, default=3)
NO_ID = "0" * 32


def event(number: int, event_id: str) -> dict:  # type: ignore[type-arg]
    """Return an event as sentry-sdk reports a chained exception from inside a web framework."""
    def frame(depth: int, *, in_app: bool) -> dict:  # type: ignore[type-arg]
        place = f"billing/service_{depth}.py" if in_app else f"django/core/handlers/part_{depth}.py"
        return {
            "filename": place, "abs_path": f"/srv/app/{place}", "function": f"step_{depth}", "module": f"billing.service_{depth}",
            "lineno": 40 + depth, "pre_context": [f"    order = orders.get({depth})", "    if order is None:"],
            "context_line": "        raise ValueError('card declined for %s' % order)", "post_context": ["    return order", ""],
            "vars": {"order": f"'A-{number}'", "amount": "250", "self": "<billing.Service object at 0x7f00>"}, "in_app": in_app,
        }

    def raised(kind: str, said: str, frames: int) -> dict:  # type: ignore[type-arg]
        return {
            "type": kind, "value": said, "module": None, "mechanism": {"type": "generic", "handled": True},
            "stacktrace": {"frames": [frame(one, in_app=one % 2 == 1) for one in range(frames)]},
        }

    return {
        "level": "error", "event_id": event_id, "timestamp": "2026-11-20T21:13:07.423803Z", "platform": "python",
        "exception": {"values": [raised("KeyError", f"'A-{number}'", 4), raised("ValueError", f"card declined for A-{number}", 8)]},
        "breadcrumbs": {"values": [
            {"timestamp": "2026-11-20T21:13:05.1Z", "type": "http", "category": "httplib", "level": "info",
             "data": {"url": "https://gateway.example/v1/charges", "method": "POST", "status_code": 402}} for _ in range(8)
        ]},
        "tags": {"team": "billing"}, "contexts": {"runtime": {"name": "CPython", "version": "3.11.9"}, "trace": {"trace_id": "4" * 32}},
        "release": "billing@1.2.3", "environment": "prod", "server_name": "host-1", "sdk": {"name": "sentry.python", "version": "2.75.0"},
    }


def envelope(number: int) -> tuple[bytes, str]:
    """Return an envelope with one event, as it is sent but for gzip, and the event's id."""
    event_id = uuid.uuid4().hex
    said = json.dumps(event(number, event_id), separators=(",", ":")).encode()
    head = json.dumps({"event_id": event_id, "sent_at": "2026-11-20T21:13:07.436208Z"}).encode()
    return head + b'\n{"type":"event","content_type":"application/json","length":%d}\n' % len(said) + said + b"\n", event_id


def measure() -> None:
    """Print the figures."""
    from bench.server import prepared, web  # noqa: PLC0415 - needs Django
    from escalations.adapters.sentry.event import incident_of  # noqa: PLC0415

    options = OPTIONS.parse_args()
    source, key = prepared()
    raw, _ = envelope(1)
    same = json.dumps(incident_of(event(1, NO_ID), NO_ID))
    print(f"an envelope: {len(raw):,} bytes, {len(gzip.compress(raw, 1)):,} with gzip; the incident it becomes: {len(same):,} bytes")
    print(f"{'':<44}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'load':>7}")
    with web() as (port, process):
        for _ in range(options.rounds):
            for path in (f"/api/{source.pk}/envelope/", "/api/v1/incidents"):
                before, load = _busy(process), os.getloadavg()[0]
                told = _posted(port, key, path, same, options)
                each = 1000 * (_busy(process) - before) / max(1, told["accepted"])
                what = "POST /api/<project>/envelope/" if "envelope" in path else "POST /incidents, what it becomes"
                print(
                    f"{what:<44}{told['per_second']:>10,.0f}{told['p50_ms']:>9.1f}{told['p99_ms']:>9.1f}{each:>9.2f}{load:>7.1f}",
                    flush=True,
                )
                if len(told["statuses"]) > 1:
                    print("  not all accepted:", told["statuses"])
            plain = ingest.plain(options.connections, options.seconds / 2, raw)
            print(f"{'plain PostgreSQL, same bytes and a wake-up':<44}{plain:>10,.0f}", flush=True)
    _reading()


def _busy(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _posted(port: int, key: str, path: str, same: str, options: argparse.Namespace) -> dict:  # type: ignore[type-arg]
    command = [sys.executable, "bench/envelopes.py", "load", str(port), key, path, str(options.connections), str(options.seconds)]
    return dict(json.loads(subprocess.run(command, input=same, stdout=subprocess.PIPE, check=True, text=True).stdout))


def _reading(times: int = 1000) -> None:
    """Print what it takes to read one envelope, without a database, and where that time goes."""
    from escalations.adapters.sentry import envelope as envelopes  # noqa: PLC0415 - needs Django
    from escalations.adapters.sentry import wire  # noqa: PLC0415
    from escalations.adapters.sentry.event import incident_of  # noqa: PLC0415

    bodies = [gzip.compress(envelope(number)[0], 1) for number in range(times)]

    def read() -> None:
        for body in bodies:
            [found] = envelopes.opened(wire.pieces(body, "gzip")).events
            incident_of(found, found["event_id"])

    read()
    began = time.perf_counter()
    read()
    each = 1e6 * (time.perf_counter() - began) / times
    print(f"\nReading one envelope, redacting it and making an incident of it: {each:.0f} µs. By own time:")
    profile = cProfile.Profile()
    profile.runcall(read)
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(14)
    print("\n".join(line for line in text.getvalue().splitlines()[4:] if line.strip()))


async def load(port: int, key: str, path: str, same: bytes, connections: int, seconds: float) -> dict:  # type: ignore[type-arg]
    """Post for so many seconds; return what came of it. Bodies are made before, so that the cores are the server's."""
    posts = [_post(port, key, path, same, number) for number in range(int(connections * seconds * 60))]
    end = time.monotonic() + seconds
    times: list[float] = []
    statuses: dict[int, int] = {}

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end and posts:
            began = time.monotonic()
            writer.write(posts.pop())
            status, _ = await client.answer(reader)
            times.append(time.monotonic() - began)
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(connections)))
    took = time.monotonic() - began
    times.sort()
    accepted = statuses.get(200, 0) + statuses.get(201, 0)
    return {
        "accepted": accepted, "per_second": accepted / took, "statuses": statuses, "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }


def _post(port: int, key: str, path: str, same: bytes, number: int) -> bytes:
    raw, event_id = envelope(number)
    if "envelope" in path:
        body = gzip.compress(raw, 1)
        more = (
            f"X-Sentry-Auth: Sentry sentry_key={key}, sentry_version=7\r\nContent-Encoding: gzip\r\n"
            "Content-Type: application/x-sentry-envelope"
        )
    else:
        body = same.replace(NO_ID.encode(), event_id.encode())
        more = f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nIdempotency-Key: {event_id}"
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n{more}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        port, key, path, connections, seconds = sys.argv[2:]
        print(json.dumps(asyncio.run(load(int(port), key, path, sys.stdin.buffer.read(), int(connections), float(seconds)))))
    else:
        place.run("envelopes", measure)
