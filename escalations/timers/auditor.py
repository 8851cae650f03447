"""The auditor: looks for what should have been done by now and was not, names it, and repairs where that is safe.

Escalation that breaks silently is worse than none, so its own silence is a signal too: the dead-man URL is pinged only while
the auditor finds nothing, the queue beats and the sealer keeps up. Whoever watches that URL is told by its absence.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from escalations import audit, clock, queue
from escalations.models import Heartbeat, Hold, Proposal, Work
from escalations.states import Stage, State

logger = logging.getLogger(__name__)

AUDITOR = "auditor"
EVERY = 15.0
OLD_WORK = timedelta(minutes=10)
UNROUTED = timedelta(minutes=5)
LATE = timedelta(seconds=60)
NAMED = 20  # of each sort; more would tell nobody more


@dataclass
class Findings:
    """What is wrong now, by sort, and what was set right."""

    found: dict[str, list[str]] = field(default_factory=dict)
    repaired: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return not self.found


def look(poisoned: Sequence[str] = ()) -> Findings:
    """Look once; returns and keeps (heartbeat `auditor`) what was found. Six indexed queries, each bounded."""
    now, findings = clock.now(), Findings()
    for sort, search in SEARCHES.items():
        search(now, sort, findings)
    if poisoned:
        findings.found["proposals that cannot be fired"] = list(poisoned[:NAMED])
    for sort, names in findings.found.items():
        logger.error("auditor: %s: %s", sort, ", ".join(names))
    for sort, names in findings.repaired.items():
        logger.error("auditor: %s, repaired: %s", sort, ", ".join(names))
    Heartbeat.objects.update_or_create(
        name=AUDITOR,
        defaults={"at": now, "detail": {"clean": findings.clean, "found": findings.found, "repaired": findings.repaired}},
    )
    return findings


def all_is_well() -> bool:
    """Return whether the dead-man's signal may go out: auditor clean and recent, the queue beats, the sealer keeps up."""
    now = clock.now()
    beats = {row.name: row for row in Heartbeat.objects.filter(name__in=[AUDITOR, "queue"])}
    recent = {name for name, row in beats.items() if now - row.at < timedelta(seconds=90)}
    return recent == {AUDITOR, "queue"} and beats[AUDITOR].detail.get("clean") is True and audit.unsealed(limit=1)[1] < 60


def _without_due_step(now: datetime, sort: str, findings: Findings) -> None:
    """In a queue, on no clock, and not parked: nobody would ever be asked again. Set to its expiry where it has one."""
    stuck = Proposal.objects.open().filter(due_at=None, parked_at=None).order_by("pk")[:NAMED]
    _set_to_expiry(list(stuck), now, sort, findings)


def _due_after_expiry(now: datetime, sort: str, findings: Findings) -> None:
    stuck = Proposal.objects.open().filter(due_at__gt=F("expires_at"), expires_at__isnull=False).order_by("-due_at")[:NAMED]
    _set_to_expiry(list(stuck), now, sort, findings)


def _set_to_expiry(stuck: list[Proposal], now: datetime, sort: str, findings: Findings) -> None:
    for proposal in stuck:
        if proposal.expires_at is None:
            findings.found.setdefault(sort, []).append(str(proposal.pk))
            continue
        with transaction.atomic():
            held = Proposal.objects.open().filter(pk=proposal.pk, due_at=proposal.due_at, parked_at=None)
            if held.update(due_at=F("expires_at")):
                audit.record(
                    "proposal.repaired", actor=audit.CLOCK, incident_id=proposal.incident_id, proposal_id=proposal.pk,
                    why=sort, was=proposal.due_at, due_at=proposal.expires_at,
                )
                findings.repaired.setdefault(sort, []).append(str(proposal.pk))


def _fires_late(now: datetime, sort: str, findings: Findings) -> None:
    late = Proposal.objects.overdue(now - LATE).free().order_by("due_at")[:NAMED]
    _name(late.values_list("pk", flat=True), sort, findings)


def _held_too_long(now: datetime, sort: str, findings: Findings) -> None:
    late = Hold.objects.filter(settles_at__lt=now - LATE).order_by("settles_at")[:NAMED]
    _name(late.values_list("pk", flat=True), sort, findings)


def _old_work(now: datetime, sort: str, findings: Findings) -> None:
    old = Work.objects.filter(~Q(stage=Stage.DONE), created_at__lt=now - OLD_WORK)
    _name(old.order_by("created_at").values_list("pk", flat=True)[:NAMED], sort, findings)


def _unrouted(now: datetime, sort: str, findings: Findings) -> None:
    """Pending, in nobody's queue, and nothing is being done about it: it goes through classification again."""
    forgotten = (
        Proposal.objects.filter(state=State.PENDING, due_at=None, routed_at=None, created_at__lt=now - UNROUTED)
        .exclude(Exists(Work.objects.filter(~Q(stage=Stage.DONE), incident=OuterRef("incident"))))
        .order_by("pk")[:NAMED]
    )
    for proposal in forgotten:
        with transaction.atomic():
            held = Proposal.objects.select_for_update(skip_locked=True).filter(pk=proposal.pk, state=State.PENDING, routed_at=None)
            if not held or Work.objects.filter(~Q(stage=Stage.DONE), incident=proposal.incident_id).exists():
                continue
            Work.objects.create(incident_id=proposal.incident_id, proposal=proposal)
            audit.record(
                "proposal.repaired", actor=audit.CLOCK, incident_id=proposal.incident_id, proposal_id=proposal.pk, why=sort
            )
            queue.wake("classify")
        findings.repaired.setdefault(sort, []).append(str(proposal.pk))


def _name(ids: Iterable[object], sort: str, findings: Findings) -> None:
    names = [str(pk) for pk in ids]
    if names:
        findings.found[sort] = names


SEARCHES: dict[str, Callable[[datetime, str, Findings], None]] = {
    "proposals without a due step": _without_due_step,
    "proposals due after they expire": _due_after_expiry,
    "steps more than 60 s late": _fires_late,
    "signatures held 60 s too long": _held_too_long,
    "work older than 10 minutes": _old_work,
    "proposals nobody routed": _unrouted,
}
