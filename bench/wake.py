"""How soon a waiting agent hears of a decision, with 2,000 agents waiting on one web process.

    python bench/wake.py [--waiting 2000] [--settled 300]

Time runs from the moment the settling transaction has committed to the moment the last byte of the answer was read by the agent,
on one clock. Beside it, in the same run and turn by turn: a bare LISTEN connection of plain PostgreSQL hearing a bare NOTIFY.
"""

import argparse
import json
import subprocess
import sys
import threading
import time

import psycopg

from bench import place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--waiting", type=int, default=2000)
OPTIONS.add_argument("--settled", type=int, default=300)


def measure() -> None:
    """Print the figures."""
    from django.db import connections  # noqa: PLC0415 - needs Django

    from bench.server import prepared, web  # noqa: PLC0415 - needs Django

    options = OPTIONS.parse_args()
    source, key = prepared()
    person, proposals = _world(source, options.waiting)
    parameters = {
        name: value for name, value in connections["owner"].get_connection_params().items()
        if name in ("dbname", "user", "password", "host", "port")
    }
    with web() as (port, process):
        agents = subprocess.Popen(
            [sys.executable, "bench/client.py", "wait", "127.0.0.1", str(port), key, "60"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        assert agents.stdin and agents.stdout
        agents.stdin.write("\n".join(str(one.incident_id) for one in proposals))
        agents.stdin.close()
        if agents.stdout.readline().strip() != "ready":
            raise SystemExit("the agents did not come up")
        heard: dict[str, float] = {}
        reading = threading.Thread(target=_read, args=(agents.stdout, heard), daemon=True)
        reading.start()
        process.cpu_percent()
        while (threading.Event().wait(1) or True) and process.cpu_percent() > 10:
            pass  # they are still arriving; nothing of that is measured
        with psycopg.connect(**parameters, autocommit=True) as one:
            count = one.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
        committed, plain = {}, []
        for proposal in proposals[: options.settled]:
            committed[str(proposal.incident_id)] = _settle(proposal, person)
            plain.append(_plain(parameters))
        end = time.monotonic() + 20
        while len(heard) < len(committed) and time.monotonic() < end:
            threading.Event().wait(0.05)
        agents.kill()
        late = [1000 * (heard[one] - at) for one, at in committed.items() if one in heard]
    print(f"{options.waiting:,} agents waiting, database connections while they wait: {count[0] if count else '?'}")
    print(f"{len(late)} of {len(committed)} settled ones heard of it")
    for name, values in (("settle to answer", late), ("plain NOTIFY to LISTEN", plain)):
        print(f"{name:<24} p50 {place.quantile(values, 0.5):6.1f} ms   p99 {place.quantile(values, 0.99):6.1f} ms   max {max(values):6.1f} ms")


def _world(source, count):  # type: ignore[no-untyped-def]
    """Open `count` proposals and somebody who may decide them."""
    from datetime import timedelta  # noqa: PLC0415

    from escalations import canonical, clock  # noqa: PLC0415 - needs Django
    from escalations.models import Incident, Person, Proposal, Role  # noqa: PLC0415 - needs Django

    role = Role.objects.get(name="finance")
    person = Person.objects.create(username="ada")
    person.groups.add(role)
    now = clock.now()
    content = canonical.content_text("refund", {"amount": 250}, None)
    incidents = Incident.objects.bulk_create([
        Incident(source=source, key=str(n), body_digest="0" * 64, kind="action", title="Refund", status="waiting") for n in range(count)
    ])
    proposals = Proposal.objects.bulk_create([
        Proposal(
            incident=incident, source=source, kind="action", action="refund", args={"amount": 250}, content=content, role=role,
            args_digest=canonical.digest_of(content), allowed_decisions=["approve", "reject"], asked=[role.pk], routed_at=now,
            policy={"name": "bench", "steps": [], "fallback": "reject", "valid_for": 3600},
            due_at=now + timedelta(hours=4), expires_at=now + timedelta(hours=4),
        )
        for incident in incidents
    ])
    return person, proposals


def _settle(proposal, person) -> float:  # type: ignore[no-untyped-def]
    from escalations import lifecycle  # noqa: PLC0415 - needs Django

    lifecycle.decide(proposal.pk, person=person, type="approve", digest=proposal.args_digest, version=1)
    return time.monotonic()


def _read(lines, heard: dict[str, float]) -> None:  # type: ignore[no-untyped-def, type-arg]
    for line in lines:
        said = json.loads(line)
        if said["said"] == "settled":
            heard[said["id"]] = said["at"]


def _plain(parameters: dict[str, object]) -> float:
    """Return the milliseconds a bare NOTIFY takes to a bare LISTEN."""
    with psycopg.connect(**parameters, autocommit=True) as listening, psycopg.connect(**parameters, autocommit=True) as saying:  # type: ignore[arg-type]
        listening.execute("LISTEN bench_plain")
        saying.execute("NOTIFY bench_plain")
        at = time.monotonic()
        for _ in listening.notifies(timeout=5, stop_after=1):
            return 1000 * (time.monotonic() - at)
    return 5000.0


if __name__ == "__main__":
    place.run("wake", measure)
