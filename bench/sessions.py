"""How many steps of watched runs one web process takes in, and how soon a run hears that a person stopped it.

    python bench/sessions.py [--seconds 8] [--runs 500] [--pace 250]

Steps are durable before they are answered. First 16 runs step as fast as they are answered, one step a call and 20 a call, beside a
plain INSERT of the same steps. Then so many live runs step at a pace, all of them together, and listen for orders; a person stops
200 of them, one every 50 ms. Time runs from the moment the order has committed to the moment the agent has read it.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg

from bench import place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--seconds", type=float, default=8)
OPTIONS.add_argument("--runs", type=int, default=500)
OPTIONS.add_argument("--pace", type=float, default=250, help="steps a second, of all live runs together")

CONNECTIONS = 16
STOPPED = 200
EVERY = 0.05  # seconds between two orders


def measure() -> None:
    """Print the figures."""
    from django.db import connections  # noqa: PLC0415 - needs Django

    from bench.server import prepared, web  # noqa: PLC0415 - needs Django

    options = OPTIONS.parse_args()
    source, key = prepared()
    parameters = {
        name: value for name, value in connections["owner"].get_connection_params().items()
        if name in ("dbname", "user", "password", "host", "port")
    }
    with web() as (port, _):
        for batch in (1, 20):
            said = _agents("steps", port, key, str(options.seconds), str(batch), runs=_runs(source, CONNECTIONS)).communicate()[0]
            told = json.loads(said)
            if told["wrong"]:
                raise SystemExit(f"not every step was taken: {told['wrong']}")
            print(
                f"{batch:>3} step{'s' if batch > 1 else ' '} a call  {told['per_second']:8,.0f} steps a second   "
                f"a call: p50 {told['p50_ms']:6.1f} ms   p99 {told['p99_ms']:6.1f} ms"
            )
        print(f"    a plain INSERT of one step, {CONNECTIONS} connections: {_plain(parameters, options.seconds):,.0f} a second")
        _live(options, source, key, port)


def _live(options: Any, source: Any, key: str, port: int) -> None:
    from escalations import oversight  # noqa: PLC0415 - needs Django
    from escalations.models import Person, Role  # noqa: PLC0415 - needs Django
    from escalations.states import Order  # noqa: PLC0415 - needs Django

    person = Person.objects.create(username="sue")
    person.groups.add(Role.objects.get(name="supervisor"))
    ids = _runs(source, options.runs)
    agents = _agents("live", port, key, str(options.pace), runs=ids)
    assert agents.stdout
    if agents.stdout.readline().strip() != "ready":
        raise SystemExit("the agents did not come up")
    heard: dict[str, float] = {}
    totals: dict[str, float] = {}
    reading = threading.Thread(target=_read, args=(agents.stdout, heard, totals), daemon=True)
    reading.start()
    threading.Event().wait(3)
    asked: dict[str, float] = {}
    for pk in ids[:STOPPED]:
        oversight.order(pk, Order.STOP, person=person, text="Enough.")
        asked[str(pk)] = time.monotonic()
        threading.Event().wait(EVERY)
    end = time.monotonic() + 20
    while len(heard) < len(asked) and time.monotonic() < end:
        threading.Event().wait(0.05)
    late = [1000 * (heard[pk] - at) for pk, at in asked.items() if pk in heard]
    oversight.stop_many(ids[STOPPED:], person=person)
    reading.join(60)
    agents.kill()
    print(f"{options.runs} live runs, {totals.get('per_second', 0):,.0f} steps a second on average; {len(late)} of {len(asked)} heard of it")
    print(
        f"stop asked to delivered   p50 {place.quantile(late, 0.5):6.1f} ms   p99 {place.quantile(late, 0.99):6.1f} ms   "
        f"max {max(late):6.1f} ms"
    )


def _runs(source: Any, count: int) -> list[Any]:
    from escalations import oversight  # noqa: PLC0415 - needs Django

    data = {"agent": "bench", "goal": "Find flights"}
    return [
        oversight.start(source=source, key_env="live", data=data, key=None, body_digest="0" * 64)[0].pk for _ in range(count)
    ]


def _agents(verb: str, port: int, key: str, *more: str, runs: list[Any]) -> "subprocess.Popen[str]":
    agents = subprocess.Popen(
        [sys.executable, "bench/agents.py", verb, str(port), key, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agents.stdin
    agents.stdin.write("\n".join(map(str, runs)))
    agents.stdin.close()
    agents.stdin = None
    return agents


def _read(lines: Any, heard: dict[str, float], totals: dict[str, float]) -> None:
    for line in lines:
        said = json.loads(line)
        if "id" in said:
            heard[said["id"]] = said["at"]
        else:
            totals.update(said)


def _plain(parameters: dict[str, object], seconds: float) -> float:
    """Return how many INSERTs of one step a second so many connections manage, each durable, and nothing else."""
    step = json.dumps({"found": [f"offer {one} at 129.00 EUR" for one in range(8)]})
    with psycopg.connect(**parameters, autocommit=True) as one:  # type: ignore[arg-type]
        one.execute("CREATE TABLE bench_plain_step (id bigserial PRIMARY KEY, tool text, args jsonb, result jsonb, at timestamptz)")
    counts: list[int] = []

    def insert() -> None:
        with psycopg.connect(**parameters, autocommit=True) as connection:  # type: ignore[arg-type]
            end, count = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                connection.execute(
                    "INSERT INTO bench_plain_step (tool, args, result, at) VALUES ('search', %s, %s, clock_timestamp())", [step, step],
                    prepare=True,
                )
                count += 1
            counts.append(count)

    threads = [threading.Thread(target=insert) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


if __name__ == "__main__":
    place.run("sessions", measure)
