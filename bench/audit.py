"""How fast audit entries are sealed and verified, next to PostgreSQL reading the same rows and hashing their bodies by itself.

    python bench/audit.py [--entries 200000]
"""

import argparse
import sys
import time
import tracemalloc
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import place  # noqa: E402 - found from the folder above

PLAIN = """
SELECT count(sha256(convert_to(entry.body, 'UTF8')))
FROM escalations_auditseal AS seal JOIN escalations_auditentry AS entry ON entry.id = seal.entry_id
"""


def parsed() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--entries", type=int, default=200_000)
    return arguments.parse_args()


def measure() -> None:
    from django.core.management import call_command  # noqa: PLC0415 - needs Django, which `place` sets up
    from django.db import connection, transaction  # noqa: PLC0415

    from escalations import audit  # noqa: PLC0415

    count = parsed().entries
    call_command("setup", verbosity=0)
    began = time.perf_counter()
    for lowest in range(0, count, 5000):
        with transaction.atomic():
            audit.record_many([
                audit.entry(
                    "proposal.decided", actor=audit.Actor("person", "ada", "Ada Lovelace"), subject=f"refund {number}",
                    type="approve", digest="sha256:" + "a" * 64, version=3, reason="Within the limit, and the order is real.",
                )
                for number in range(lowest, min(count, lowest + 5000))
            ])
    print(f"written   {count / (time.perf_counter() - began):>10,.0f} entries/s")
    began = time.perf_counter()
    while audit.seal(5000):
        pass
    print(f"sealed    {count / (time.perf_counter() - began):>10,.0f} entries/s")
    began, processor = time.perf_counter(), time.process_time()
    report = audit.verify()
    took, processor = time.perf_counter() - began, time.process_time() - processor
    if not report.ok or report.entries < count:
        raise SystemExit(f"not verified: {report}")
    print(f"verified  {report.entries / took:>10,.0f} entries/s ({report.entries / processor:,.0f} per second of its own processor time)")
    tracemalloc.start()
    audit.verify()
    print(f"          {tracemalloc.get_traced_memory()[1] / 2**20:>10,.1f} MiB at most")
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(PLAIN)
        cursor.fetchone()
    print(f"plain SQL {report.entries / (time.perf_counter() - began):>10,.0f} entries/s read and hashed, unchained")


if __name__ == "__main__":
    parsed()
    place.run("audit", measure)
