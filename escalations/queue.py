"""The queue: wake-ups for workers, and leases on the rows they work on. The only caller of `async_task`.

The row is the truth and a task is only a wake-up, so every job may run zero, one or a hundred times. A worker claims due rows
in a batch (SKIP LOCKED, a lease, a fencing token), works outside any transaction, and finishes in one that also holds the
effect; whoever lost its lease meanwhile is told so by `finish` and writes nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, Q, QuerySet
from django_q.models import OrmQ
from django_q.tasks import async_task

from escalations import clock, standstill
from escalations.models import (
    ClassifierVersion,
    Delivery,
    Heartbeat,
    Notice,
    PromptTrial,
    Replay,
    SlackMessage,
    SlackPress,
    WakeUp,
    Work,
)
from escalations.states import ReplayState, Sending, Stage, VersionState

JOBS = {  # kind -> where its job lies, in pipeline order
    "classify": "escalations.jobs.classify",
    "route": "escalations.jobs.route",
    "redraft": "escalations.jobs.redraft",
    "deliver": "escalations.jobs.deliver",
    "notify": "escalations.jobs.notify",
    "replay": "escalations.jobs.replay",
    "train": "escalations.jobs.train",
    "compare": "escalations.jobs.compare",
    "heartbeat": "escalations.jobs.heartbeat",
}
STAGES = {"classify": Stage.CLASSIFY, "route": Stage.ROUTE, "redraft": Stage.REDRAFT}  # the kinds that work on Work
OUTBOXES: dict[str, Any] = {"deliver": Delivery, "notify": Notice}  # the kinds that send

LEASE = timedelta(seconds=120)  # longer than the queue's timeout: a job that still runs still holds its rows
MAX_ATTEMPTS = 3  # claims of one stage; a job that kills its worker counts too, since the claim is what counts
STALE = timedelta(seconds=10)  # a wake-up this old may have been lost: another may be queued
UNACKNOWLEDGED = timedelta(seconds=120)  # longer than the queue's timeout: a task pulled so long ago runs no more
RECENT = 2_000  # entries of the record: what two busy seconds write
CHATS_LOOKED_THROUGH = 30.0  # seconds
BACKED_UP = 30  # waiting tasks; five kinds and the heartbeat make no more than a handful while workers live

Outbound = TypeVar("Outbound", Delivery, Notice)

_TAKE = """
WITH known AS (SELECT kind FROM escalations_wakeup WHERE kind = %(kind)s),
free AS (
    SELECT kind FROM escalations_wakeup
    WHERE kind = %(kind)s AND (queued_at IS NULL OR queued_at < %(stale)s OR queued_at > %(now)s + interval '1 minute')
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE escalations_wakeup SET queued_at = %(now)s FROM free WHERE escalations_wakeup.kind = free.kind RETURNING 1
)
SELECT EXISTS (SELECT FROM known), EXISTS (SELECT FROM taken)
"""

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM escalations_work
    WHERE stage = %(stage)s AND stage <> 'done' AND run_at <= %(now)s AND (lease_until IS NULL OR lease_until < %(now)s)
    ORDER BY run_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE escalations_work AS work
SET lease_until = %(until)s, token = work.token + 1, attempts = work.attempts + 1
FROM due WHERE work.id = due.id
RETURNING work.id, work.token
"""


def wake(kind: str) -> bool:
    """Queue the kind's job unless one waits already; True when this call queued it.

    Joins the caller's transaction (the task appears when it commits) and waits for nobody: while another transaction is just
    queueing the same kind, that one's task does for both, and the timers wake again for whatever it missed.
    """
    path = JOBS[kind]
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"kind": kind, "now": now, "stale": now - STALE})
        known, taken = cursor.fetchone()
        if not known:  # a database nobody has set up yet
            cursor.execute(
                "INSERT INTO escalations_wakeup (kind, queued_at) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING 1",
                [kind, now],
            )
            taken = cursor.fetchone() is not None
    if taken:
        async_task(path, task_name=kind)
    return bool(taken)


def is_awake(kind: str) -> tuple[str, list[Any]]:
    """Return a condition in SQL, with its values, that holds while the kind's job waits in the queue: `wake` would do nothing.

    For a statement that writes what the job will find. As with `wake`, a job that begins in the moment before that commits may
    miss it, and the timers wake again for whatever was missed.
    """
    now = clock.now()
    condition = "EXISTS (SELECT FROM escalations_wakeup WHERE kind = %s AND queued_at BETWEEN %s AND %s)"
    return condition, [kind, now - STALE, now + timedelta(minutes=1)]


def woken(kind: str) -> None:
    """Say that the kind's job has begun: from here on new rows queue a new wake-up. First thing a job does, committed alone."""
    WakeUp.objects.filter(kind=kind).update(queued_at=None)


def forget_wake_ups() -> None:
    """Drop every task that waits. Nothing is lost: the row is the truth, and the timers wake again for whatever is due."""
    OrmQ.objects.all().delete()
    WakeUp.objects.update(queued_at=None)


def claim(stage: str, limit: int) -> list[Work]:
    """Lease up to `limit` due rows of a stage to the caller for LEASE, oldest first. Two queries; call it outside a transaction.

    Each comes with incident, source and proposal, a token nobody else holds, and `attempts` counting this claim.
    """
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"stage": Stage(stage).value, "now": now, "until": now + LEASE, "limit": limit})
        tokens = dict(cursor.fetchall())
    if not tokens:
        return []
    claimed = Work.objects.filter(pk__in=tokens).select_related("incident__source", "proposal__source").order_by("run_at", "pk")
    # Read again after the claim: a row whose lease was taken over in between is somebody else's.
    return [work for work in claimed if work.token == tokens[work.pk]]


def finish(work: Work, stage: str, *, error: str = "") -> bool:
    """Move a claimed row on, inside the transaction of its effect. False: the lease was lost, roll back and write nothing."""
    return bool(finish_many([work], stage, error=error))


def finish_many(works: Iterable[Work], stage: str, *, error: str = "") -> list[Work]:
    """Move claimed rows of one stage on with one query, inside the transaction of their effects; returns those still the caller's.

    The effects of the others must not be written: somebody else holds them now.
    """
    held = {work.pk: work for work in works}
    if not held:
        return []
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE escalations_work AS work SET stage = %s, run_at = %s, lease_until = NULL, attempts = 0, error = %s "
            "FROM unnest(%s::bigint[], %s::int[], %s::text[]) AS held (id, token, stage) "
            "WHERE work.id = held.id AND work.token = held.token AND work.stage = held.stage AND work.lease_until IS NOT NULL "
            "RETURNING work.id",
            [
                Stage(stage).value, now, _text(error), list(held), [work.token for work in held.values()],
                [str(work.stage) for work in held.values()],
            ],
        )
        moved = [held[pk] for (pk,) in cursor.fetchall()]
    for work in moved:
        work.stage, work.run_at, work.lease_until, work.attempts, work.error = stage, now, None, 0, _text(error)
    return moved


def retry(work: Work, seconds: float, error: str = "") -> bool:
    """Give a claimed row back, due again in `seconds`; `attempts` stands. False: the lease was lost already."""
    due = clock.now() + timedelta(seconds=seconds)
    held = Work.objects.filter(pk=work.pk, token=work.token, stage=work.stage, lease_until__isnull=False)
    return held.update(run_at=due, lease_until=None, error=_text(error)) == 1


def claim_sending(
    model: type[Outbound], limit: int, *, also: Q | None = None, related: Iterable[str] = ()
) -> list[Outbound]:
    """Lease up to `limit` outbound rows that are due, as `claim` does. `also` narrows them, `related` is for select_related.

    The sender's last write is `filter(pk=…, token=…)`: 0 rows means that somebody else holds the row now.
    """
    now = clock.now()
    due = model.objects.filter(_sending_due(now))
    if also is not None:
        due = due.filter(also)
    with transaction.atomic():
        ids = list(
            due.select_for_update(skip_locked=True, of=("self",)).order_by("next_try_at").values_list("pk", flat=True)[:limit]
        )
        model.objects.filter(pk__in=ids).update(token=F("token") + 1, attempts=F("attempts") + 1, lease_until=now + LEASE)
    return list(model.objects.filter(pk__in=ids).select_related(*related).order_by("next_try_at", "pk")) if ids else []


def wake_due() -> list[str]:
    """Wake every kind that has due rows; returns the kinds queued. For the timers, each second: what a lost wake-up costs."""
    if backed_up():
        return []
    now = clock.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    due = [kind for kind, stage in STAGES.items() if Work.objects.filter(free, stage=stage, run_at__lte=now).exists()]
    due += [kind for kind, model in OUTBOXES.items() if model.objects.filter(_sending_due(now)).exists()]
    if "notify" not in due and chats_due(now):
        due.append("notify")
    if replays_due(now).exists():
        due.append("replay")
    if trainings_due(now).exists():
        due.append("train")
    if comparisons_due(now).exists():
        due.append("compare")
    if "deliver" in due and standstill.is_stopped():
        due.remove("deliver")
    return [kind for kind in due if wake(kind)]


def chats_due(now: datetime) -> bool:
    """Return whether somebody who pressed a button in a chat waits for a word, or a message there is no longer true.

    Looks at what the record tells of lately, and every CHATS_LOOKED_THROUGH seconds at every open message: six queries, four when
    there is none. For the timers, each second.
    """
    everything = take_turn("chats looked through", CHATS_LOOKED_THROUGH)
    SlackMessage.objects.all().mark_untrue(now, recent=0 if everything else RECENT)
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    return SlackPress.objects.filter(free, next_try_at__lte=now).exists() or SlackMessage.objects.due(now).exists()


def replays_due(now: datetime) -> QuerySet[Replay]:
    """Return the replays that are to be worked on: none while one is, for they run one after the other."""
    open_ones = Replay.objects.filter(state__in=[ReplayState.WAITING, ReplayState.RUNNING])
    return open_ones.filter(~Exists(open_ones.filter(lease_until__gte=now)), next_try_at__lte=now)


def comparisons_due(now: datetime) -> QuerySet[PromptTrial]:
    """Return the comparisons of prompts that are to be worked on: none while one is, for they share one budget of tokens."""
    open_ones = PromptTrial.objects.filter(state__in=[ReplayState.WAITING, ReplayState.RUNNING])
    return open_ones.filter(~Exists(open_ones.filter(lease_until__gte=now)), next_try_at__lte=now)


def lease_one(due: QuerySet[Any], key: int, until: datetime, **more: Any) -> Any:
    """Return the oldest row that is due, leased until then and marked as running, with a token and an attempt more; None for none.

    One at a time everywhere: None too while another transaction that holds `key` is at this. Four queries.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
            if not cursor.fetchone()[0]:
                return None
        row = due.order_by("created_at", "pk").select_for_update(skip_locked=True, of=("self",)).first()
        if row is not None:
            type(row).objects.filter(pk=row.pk).update(
                state=ReplayState.RUNNING, token=F("token") + 1, attempts=F("attempts") + 1, lease_until=until, **more
            )
            row.refresh_from_db()
    return row


def trainings_due(now: datetime) -> QuerySet[ClassifierVersion]:
    """Return the version of the classifier that is to be trained: one at most, and none while somebody trains it."""
    open_ones = ClassifierVersion.objects.filter(state__in=[VersionState.WAITING, VersionState.TRAINING])
    return open_ones.filter(Q(lease_until=None) | Q(lease_until__lt=now), next_try_at__lte=now)


def announce(incident_id: UUID) -> None:
    """Tell who waits for this incident to look, when the caller's transaction commits. A hint: the row is the truth."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('countersign', %s)", [str(incident_id)])


def beat(name: str, **detail: object) -> None:
    """Write that `name` is alive now (one UPSERT)."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": clock.now(), "detail": detail})


def forget(name: str) -> None:
    """Remove a heartbeat: what it stood for has ended as it should."""
    Heartbeat.objects.filter(name=name).delete()


def take_turn(name: str, seconds: float) -> bool:
    """Return whether this caller is the one to do, now, what needs doing once in so many seconds, whoever does it.

    Counted on the heartbeat of that name, which this beats. Who dies after taking a turn leaves it to the next one.
    """
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO escalations_heartbeat AS beat (name, at, detail) VALUES (%s, %s, '{}') ON CONFLICT (name) DO UPDATE "
            "SET at = excluded.at WHERE beat.at <= %s OR beat.at > %s RETURNING 1",
            [name, now, now - timedelta(seconds=seconds), now + timedelta(minutes=1)],
        )
        return cursor.fetchone() is not None


def backed_up() -> bool:
    """Return whether so many tasks wait that another would tell the workers nothing new (they are down, or far behind)."""
    return OrmQ.objects.filter(lock__lte=clock.now())[:BACKED_UP].count() >= BACKED_UP


def unacknowledged(since: datetime | None = None) -> QuerySet[OrmQ]:
    """Return tasks that were pulled UNACKNOWLEDGED ago or more, and after `since`, and that nobody reported as run.

    One or two: their workers died. Many: the process that keeps the queue's books did, holding their lock; the workers go on,
    and every task would come again and again. The times are those of the machines that pulled.
    """
    retry = timedelta(seconds=settings.Q_CLUSTER["retry"])
    now = clock.now()
    pulled = OrmQ.objects.filter(lock__gt=now, lock__lte=now + retry - UNACKNOWLEDGED)
    return pulled.filter(lock__gte=since + retry) if since else pulled


def whence(error: BaseException) -> str:
    """Return "module:line" of the deepest frame of ours: enough to find the place, with nothing of what was being worked on."""
    where = ""
    traceback = error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "")
        if name.split(".")[0] in ("escalations", "hitl_site"):
            where = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return where


def _sending_due(now: datetime) -> Q:
    return Q(state=Sending.WAITING, next_try_at__lte=now) & (Q(lease_until=None) | Q(lease_until__lt=now))


def _text(error: str) -> str:
    return error.replace("\x00", "\ufffd")[:300]
