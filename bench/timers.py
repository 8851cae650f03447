"""How fast overdue steps fire, and how late a step fires while thousands of clocks run.

    python bench/timers.py [--steps 10000 50000] [--clocks 10000] [--window 30]

Makes a database of its own beside DATABASE_URL's (or an embedded one) and removes it at the end. The plain figure is PostgreSQL
doing the same UPDATE and INSERTs for the same rows, in batches of the same size, as single SQL statements without Python.
"""

import argparse
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from threading import Event

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import place  # noqa: E402 - found from the folder above

PLAIN = """
WITH due AS MATERIALIZED (
    SELECT id, incident_id, due_at, step, expires_at FROM escalations_proposal
    WHERE state = 'pending' AND routed_at IS NOT NULL AND due_at <= clock_timestamp()
    ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED
), stepped AS (
    UPDATE escalations_proposal AS p SET step = p.step + 1, due_at = due.due_at + interval '4 hours', version = p.version + 1
    FROM due WHERE p.id = due.id RETURNING p.id
), run AS (
    INSERT INTO escalations_steprun (proposal_id, step, role_id, due_at, fired_at, why)
    SELECT id, step + 1, %(role)s, due_at, clock_timestamp(), 'clock' FROM due
), said AS (
    INSERT INTO escalations_auditentry (at, action, actor_kind, actor, incident_id, proposal_id, subject, body)
    SELECT clock_timestamp(), 'proposal.stepped', 'clock', 'clock', incident_id, id, '', %(body)s FROM due
), told AS (
    INSERT INTO escalations_notice (id, kind, person_id, proposal_id, step, address, facts, group_key, state, next_try_at, attempts, token,
                                    error, created_at)
    SELECT gen_random_uuid(), 'escalated', %(person)s, id, step + 1, '', '{}', '', 'waiting', clock_timestamp(), 0, 0, '',
           clock_timestamp() FROM due
)
SELECT count(*) FROM due
"""


def parsed() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, nargs="+", default=[10_000, 50_000])
    arguments.add_argument("--clocks", type=int, default=10_000)
    arguments.add_argument("--window", type=int, default=30, help="seconds over which the open clocks run out")
    return arguments.parse_args()


def measure() -> None:
    from bench.timers_world import World  # noqa: PLC0415 - needs Django, which `place` sets up

    options, world = parsed(), World()
    print(f"{'overdue steps':>14} {'Countersign/s':>14} {'plain SQL/s':>12} {'share':>6}")
    for count in options.steps:
        ours = world.fired_per_second(count)
        plain = world.plain_per_second(count, PLAIN)
        print(f"{count:>14,} {ours:>14,.0f} {plain:>12,.0f} {ours / plain:>6.0%}", flush=True)
    world.overdue(options.clocks, begin=timedelta(hours=1))
    processes = [subprocess.Popen([sys.executable, "manage.py", "timers"], cwd=ROOT) for _ in range(2)]
    pause, began = Event(), time.monotonic()
    while world.beating() < len(processes) and time.monotonic() - began < 60:
        pause.wait(0.5)
    world.wind(spread=timedelta(seconds=options.window), begin=timedelta(seconds=3))
    began = time.monotonic()
    while world.fired() < options.clocks and time.monotonic() - began < options.window + 60:
        pause.wait(1)
    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.wait(5)
    told = world.lateness()
    print(f"\n{options.clocks:,} open clocks running out over {options.window} s, two timers processes:")
    print(f"  fired {told['fired']:,}, distinct {told['distinct']:,}, early {told['early']}")
    print(f"  late p50 {told['p50']:.2f} s, p99 {told['p99']:.2f} s, max {told['max']:.2f} s")


if __name__ == "__main__":
    parsed()
    place.run("timers", measure)
