"""How many incidents a second one process classifies: the engines alone, a batch with everything written, and with a model asked.

    python bench/classify.py [--incidents 2000] [--asked 640] [--latency 1.0]

The plain figure is PostgreSQL writing the same rows (next stage, one word, one audit entry) for batches of the same size in one
statement each. The model is a fake in a process of its own that answers after `--latency` seconds; ideal is calls in flight by
latency.
"""

import argparse
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import place  # noqa: E402

PORT = 9147
BATCH = 250
PLAIN = """
WITH due AS MATERIALIZED (
    SELECT id, incident_id FROM escalations_work WHERE stage = 'classify' ORDER BY run_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE escalations_work AS w SET stage = 'route', run_at = clock_timestamp(), token = token + 1 FROM due WHERE w.id = due.id
), said AS (
    INSERT INTO escalations_classification (incident_id, work_id, engine, version, severity, category, confidence, sure, triggers,
                                            rationale, error, latency_ms, tokens_in, tokens_out, created_at)
    SELECT incident_id, id, 'rules', '1', 'warning', 'timeout', 0.9, true, '[]', %(text)s, '', 1, 0, 0, clock_timestamp() FROM due
), told AS (
    INSERT INTO escalations_auditentry (at, action, actor_kind, actor, incident_id, proposal_id, subject, body)
    SELECT clock_timestamp(), 'incident.classified', 'system', 'system', incident_id, NULL, '', %(text)s FROM due
)
SELECT count(*) FROM due
"""
TRACE = "\n".join(f'  File "/srv/app/module_{line}.py", line {line}, in handle\n    return self.call(order)' for line in range(12))


def incidents(number: int) -> None:
    """Put `number` incidents of about 2 kB there, with their work due."""
    from escalations.models import Incident, Source, Work  # noqa: PLC0415 - Django is set up only inside

    source, _ = Source.objects.get_or_create(name="bench")
    rows = [
        Incident(
            source=source, kind="exception", body_digest="0" * 64, title=f"TimeoutError in billing-{index % 50}",
            body=f"Traceback (most recent call last):\n{TRACE}\nTimeoutError: no answer from payments within 30 s (order {index})",
            payload={"exception": {"type": "TimeoutError", "message": "no answer", "attempts": 3}, "order": index},
            context={"request": "Charge the order again", "why": "retries exhausted"},
        )
        for index in range(number)
    ]
    Incident.objects.bulk_create(rows, batch_size=1000)
    Work.objects.bulk_create([Work(incident=row) for row in rows], batch_size=1000)


def engines(number: int) -> None:
    from escalations.classify import rules  # noqa: PLC0415
    from escalations.floors.facts import facts_of  # noqa: PLC0415
    from escalations.models import Incident  # noqa: PLC0415

    rows = list(Incident.objects.select_related("source__owner")[:number])
    facts_of(rows[0])
    started = time.process_time()
    for row in rows:
        rules.speak(facts_of(row))
    spent = time.process_time() - started
    print(f"rules engine, facts included, no database     {len(rows) / spent:9,.0f} a second of one core   (to reach: 1,000)")


def batches(title: str, run: Any, number: int) -> float:
    started, done = time.perf_counter(), 0
    while count := run():
        done += count
    rate = done / (time.perf_counter() - started)
    print(f"{title:45} {rate:9,.0f} a second   ({done:,} of {number:,})")
    return rate


def measure() -> None:
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from escalations import classify  # noqa: PLC0415

    given = arguments()
    call_command("setup", verbosity=0)

    def plain() -> int:
        with connection.cursor() as cursor:
            cursor.execute(PLAIN, {"batch": BATCH, "text": "x" * 300})
            return int(cursor.fetchone()[0])

    incidents(given.incidents)
    engines(given.incidents)
    settings.COUNTERSIGN_MODEL = settings.OPENAI_API_KEY = settings.OPENAI_BASE_URL = ""
    ours = batches("a batch, written (claim, words, audit, stage)", classify.run_batch, given.incidents)
    incidents(given.incidents)
    theirs = batches("plain PostgreSQL, the same rows", plain, given.incidents)
    print(f"{'':45} {ours / theirs:9.0%} of plain")

    fake = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.llm", "--port", str(PORT), "--latency", str(given.latency)], cwd=place.ROOT
    )
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/models", timeout=1).close()
                break
            except OSError:
                fake.poll()
        settings.COUNTERSIGN_MODEL, settings.OPENAI_BASE_URL = "fake", f"http://127.0.0.1:{PORT}/v1"
        settings.LLM_DAILY_TOKENS, settings.LLM_CONCURRENCY = 10**12, 64
        incidents(given.asked)
        rate = batches(f"with a model, 64 in flight, {given.latency:g} s each", classify.run_batch, given.asked)
        print(f"{'':45} {rate / (64 / given.latency):9.0%} of ideal   (to reach: 90 %)")
    finally:
        fake.kill()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=2000)
    parser.add_argument("--asked", type=int, default=640)
    parser.add_argument("--latency", type=float, default=1.0)
    return parser.parse_args()


if __name__ == "__main__":
    arguments()
    place.run("classify", measure)
