"""A version of the classifier is asked for: by an administrator, or because enough was decided. And started, in a process of its own.

Training takes longer than a task of the queue may, and more memory than a worker may keep: the job claims the version (lease, token)
and starts `manage.py train_classifier`, which is let go of again when it is done.
"""

import logging
import subprocess
import sys
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from escalations import audit, clock, queue
from escalations.errors import NotAllowed
from escalations.models import ClassifierVersion, Decision, History, Person, Signature
from escalations.states import Verdict, VersionState

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)  # renewed while it works; a step between two renewals takes a minute at most
MAX_ATTEMPTS = 3
ENOUGH = 200  # decisions that teach, before the first version is asked for
OF_EACH = 10  # of the rarer answer
GROWN = 0.2  # share of what the last version was trained on, decided since
EVERY = 600.0  # seconds between two looks whether it is time
REST = timedelta(hours=1)  # after the last version was asked for, whatever became of it
OPEN = (VersionState.WAITING, VersionState.TRAINING)


def taught_by() -> QuerySet[Decision]:
    """Return the decisions that teach: by a person who was there, of no test key. What a machine or a clock decided teaches nothing."""
    there = Signature.objects.filter(
        proposal=OuterRef("proposal"), person=OuterRef("person"), type=OuterRef("type"), interactive=True
    )
    return Decision.objects.filter(Exists(there), by_kind="person", proposal__test=False)


def ask(person: Person | None = None) -> ClassifierVersion:
    """Write down that a version is to be trained, and wake the job; the one that waits or trains already where there is one.

    `person` is who asks (an administrator; raises NotAllowed for others), None when it is simply time. About five queries.
    """
    if person is not None and not (person.is_active and (person.is_superuser or person.is_staff)):
        raise NotAllowed("Administrators have classifiers trained.")
    if (open_one := ClassifierVersion.objects.filter(state__in=OPEN).first()) is not None:
        return open_one
    now = clock.now()
    try:
        with transaction.atomic():
            number = (ClassifierVersion.objects.aggregate(last=Max("number"))["last"] or 0) + 1
            row = ClassifierVersion.objects.create(number=number, asked_by=person, created_at=now, next_try_at=now)
            actor = audit.Actor.of(person) if person is not None else audit.SYSTEM
            audit.record("classifier.asked", actor=actor, subject=f"ClassifierVersion {row.pk}", number=number)
            queue.wake("train")
    except IntegrityError:  # somebody else asked in the same moment
        return ClassifierVersion.objects.order_by("-number").get(state__in=OPEN)
    return row


def ask_if_time() -> bool:
    """Ask for a version when enough was decided since the last one, of both answers. For the timers; at most six queries."""
    if not queue.take_turn("the classifier's turn", EVERY - 1):
        return False
    last = ClassifierVersion.objects.order_by("-number").only("state", "created_at").first()
    if last is not None and (last.state in OPEN or last.created_at > clock.now() - REST):
        return False
    trained = ClassifierVersion.objects.exclude(window_until=None).order_by("-number").only("rows", "window_until").first()
    wanted = max(ENOUGH, round(GROWN * trained.rows)) if trained else ENOUGH
    since = trained.window_until if trained else None
    if not _many(since, wanted):
        return False
    ask()
    return True


def claim() -> ClassifierVersion | None:
    """Lease the version that is due, None when none is or somebody holds it. Two queries, three where it was tried too often."""
    now = clock.now()
    with transaction.atomic():
        row = queue.trainings_due(now).select_for_update(skip_locked=True).defer("weights").order_by("number").first()
        if row is None:
            return None
        row.token, row.attempts, row.lease_until, row.state = row.token + 1, row.attempts + 1, now + LEASE, VersionState.TRAINING
        row.save(update_fields=["token", "attempts", "lease_until", "state"])
        if row.attempts > MAX_ATTEMPTS:
            fail(row, row.error or "Its process never finished.")
            return None
    return row


def start(row: ClassifierVersion) -> int:
    """Start the process that trains a claimed version, and return its pid. It outlives this one; its lease says who holds the row."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "train_classifier", str(row.pk), "--token", str(row.token)]
    child = subprocess.Popen(
        command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    logger.info("classifier %d is being trained", row.number, extra={"pid": child.pid})
    return child.pid


def held(row: ClassifierVersion) -> QuerySet[ClassifierVersion]:
    """Return the row for updating, nothing when somebody else holds it now or it is over."""
    return ClassifierVersion.objects.filter(pk=row.pk, token=row.token, state=VersionState.TRAINING)


def fail(row: ClassifierVersion, why: str) -> None:
    """End a version that cannot be trained, and say why. Two queries."""
    with transaction.atomic():
        ended = held(row).update(state=VersionState.FAILED, lease_until=None, next_try_at=None, error=why[:300])
        if ended:
            audit.record(
                "classifier.failed", actor=audit.SYSTEM, subject=f"ClassifierVersion {row.pk}", number=row.number, why=why[:300]
            )


def _many(since: datetime | None, wanted: int) -> bool:
    """Say whether so many taught since, and both answers are among all that ever did."""
    decisions, history = taught_by(), History.objects.exclude(verdict="")
    fresh, imported = (decisions, history) if since is None else (
        decisions.filter(decided_at__gt=since), history.filter(imported_at__gt=since)
    )
    found = fresh.values("pk")[:wanted].count()
    if found < wanted and found + imported.values("pk")[:wanted].count() < wanted:
        return False
    return all(
        decisions.filter(of_type).values("pk")[:OF_EACH].count() + history.filter(of_verdict).values("pk")[:OF_EACH].count() >= OF_EACH
        for of_type, of_verdict in (
            (Q(type=Verdict.APPROVE), Q(verdict=Verdict.APPROVE)), (~Q(type=Verdict.APPROVE), ~Q(verdict=Verdict.APPROVE))
        )
    )
