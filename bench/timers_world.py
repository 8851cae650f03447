"""The rows `bench/timers.py` fires. Imported once Django is set up on the bench's own database."""

import time
from collections.abc import Iterator
from datetime import timedelta
from threading import Event

from django.core.management import call_command
from django.db import connection, connections, transaction

from escalations import canonical, clock
from escalations.models import AuditEntry, Heartbeat, Incident, Person, Proposal, Role, Source, StepRun
from escalations.states import Kind, Status
from escalations.timers.lateness import Steps

TABLES = "escalations_steprun, escalations_notice, escalations_auditseal, escalations_auditentry, escalations_proposal, " \
    "escalations_incident, django_q_ormq"


class World:
    """A database with defaults, one source, one manager to be told."""

    def __init__(self) -> None:
        call_command("setup", verbosity=0)
        self.source = Source.objects.create(name="bench")
        self.manager = Role.objects.get(name="manager")
        self.person = Person.objects.create(username="manager", email="manager@countersign.example")
        self.person.groups.add(self.manager)

    def overdue(self, count: int, *, begin: timedelta = timedelta(hours=-1)) -> None:
        """Empty the tables and open `count` proposals whose next step is due at `begin` from now."""
        with connections["owner"].cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # the record refuses to be emptied
            cursor.execute(f"TRUNCATE {TABLES} CASCADE; SET session_replication_role = origin")
        content = canonical.content_text("refund", {"order": 1182, "amount": 250}, None)
        policy = {
            "name": "bench", "version": 1, "expires_after": 43_200, "fallback": "reject", "valid_for": 86_400,
            "steps": [{"role": self.manager.pk, "name": "manager", "after": 14_400}] * 2,
        }
        now = clock.read() + begin
        for lowest in range(0, count, 2000):
            numbers = range(lowest, min(count, lowest + 2000))
            with transaction.atomic():
                incidents = Incident.objects.bulk_create([
                    Incident(
                        source=self.source, key=f"{n}", body_digest="0" * 64, kind=Kind.ACTION, title="Refund",
                        status=Status.WAITING,
                    )
                    for n in numbers
                ])
                Proposal.objects.bulk_create([
                    Proposal(
                        incident=incident, source=self.source, kind=Kind.ACTION, action="refund",
                        args={"order": 1182, "amount": 250}, content=content, args_digest=canonical.digest_of(content),
                        allowed_decisions=["approve", "reject"],
                        policy=policy, role=self.manager, asked=[self.manager.pk], routed_at=now, title="Refund",
                        due_at=now, expires_at=now + timedelta(hours=24),
                    )
                    for incident in incidents
                ])
        with connections["owner"].cursor() as cursor:
            cursor.execute("VACUUM ANALYZE escalations_proposal")

    def fired_per_second(self, count: int) -> float:
        """Fire `count` overdue steps through the timers' own code; returns steps a second, commits included."""
        self.overdue(count)
        began = time.perf_counter()
        fired = Steps().fire(Event(), 600)
        took = time.perf_counter() - began
        if not fired == self.fired() == count == AuditEntry.objects.filter(action="proposal.stepped").count():
            raise SystemExit(f"{fired} of {count} fired")
        return count / took

    def plain_per_second(self, count: int, sql: str) -> float:
        """Do the same writes as one SQL statement a batch."""
        self.overdue(count)
        body = "x" * 420
        with connection.cursor() as cursor:
            began = time.perf_counter()
            for _ in self._batches(cursor, sql, {"role": self.manager.pk, "person": self.person.pk, "body": body}):
                pass
            took = time.perf_counter() - began
        if self.fired() != count:
            raise SystemExit(f"{self.fired()} of {count} fired by SQL")
        return count / took

    def _batches(self, cursor, sql: str, values: dict) -> Iterator[int]:  # type: ignore[no-untyped-def, type-arg]
        while True:
            cursor.execute(sql, values)
            (done,) = cursor.fetchone()
            if not done:
                return
            yield done

    def wind(self, *, spread: timedelta, begin: timedelta) -> None:
        """Let what is open come due from `begin` on, evenly over `spread`."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE escalations_proposal SET due_at = clock_timestamp() + %s + %s * random()", [begin, spread],
            )

    def beating(self) -> int:
        return Heartbeat.objects.filter(name__startswith="timers:").count()

    def fired(self) -> int:
        return StepRun.objects.count()

    def lateness(self) -> dict[str, float]:
        """Return how late the steps fired, by the database's clock."""
        late = sorted((run.fired_at - run.due_at).total_seconds() for run in StepRun.objects.only("fired_at", "due_at"))
        return {
            "fired": len(late), "distinct": StepRun.objects.values("proposal_id", "step").distinct().count(),
            "early": sum(one < 0 for one in late), "p50": late[len(late) // 2], "p99": late[int(len(late) * 0.99)], "max": late[-1],
        }
