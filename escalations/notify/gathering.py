"""What is said now, to whom, and together with what: due notices become messages, wait, or have nothing to say any more.

Rows that wait for one recipient by one way leave as one message. The first leaves at once; what comes within a minute after
it is gathered, so that a storm is a message a minute and not a thousand. What is critical waits for nothing but a mute window.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction
from django.db.models import F, Q, QuerySet

from escalations import authority, clock, outbox, queue
from escalations.models import Incident, MuteWindow, Notice, NoticeWishes, Proposal, acknowledges
from escalations.outbox import ABOUT_OPEN, UNHURRIED
from escalations.states import Digest, Sending, Severity, State

ABOUT_ONE_PERSON = frozenset({"mentioned", "hold_fell", "decided"})
NEVER_MUTED = frozenset({"token_minted", "channel_test", "lane_granted", "lane_withdrawn"})
BATCH = 50
MOST_AT_ONCE = 20_000  # rows of a handful of recipients that one round takes along, by their ids alone
PACE = timedelta(seconds=60)
COUNTED = 10_000
RELATED = ("person", "role", "channel", "proposal__source", "proposal__role")

Target = tuple[int | None, int | None, str]  # channel, person, address


@dataclass
class Message:
    """What goes to one recipient by one way, as one message: a notice, others beside it, and those only counted."""

    lead: Notice
    also: list[Notice] = field(default_factory=list)
    more: list[UUID] = field(default_factory=list)

    @property
    def rows(self) -> list[Notice]:
        return [self.lead, *self.also]

    @property
    def number(self) -> int:
        return len(self.rows) + len(self.more)


def target_of(notice: Notice) -> Target:
    """Return whom a notice goes to, and by which way."""
    return notice.channel_id, notice.person_id, notice.address.lower()


def is_urgent(notice: Notice) -> bool:
    """Say whether quiet hours, digests and gathering are not for this one."""
    proposal = notice.proposal
    critical = proposal is not None and proposal.severity == Severity.CRITICAL and notice.kind in ABOUT_OPEN
    return notice.kind in ("critical", "channel_test") or critical


def take(ways: Q) -> tuple[list[Message], int]:
    """Claim what is due by these ways and return the messages to send, and how many rows needed nothing to be sent.

    Not inside a transaction. About eight queries for fifty rows, a few more for each recipient when there are more.
    """
    rows = queue.claim_sending(Notice, BATCH, also=ways, related=RELATED)
    if not rows:
        return [], 0
    now, still, done = clock.now(), Still(), 0
    judged = Waiting.of(rows, now)
    messages: dict[tuple[Target, bool], Message] = {}
    for row in rows:
        if not still.true(row):
            done += finish([row], Sending.NOTHING_TO_SEND)
        elif row.channel is not None and row.channel.disabled_at is not None:
            done += instead_by_mail(row, finish([row], Sending.NOTHING_TO_SEND, error="the channel is switched off"))
        elif until := judged.until(row):
            done += put_back(row, until)
        else:
            messages.setdefault((target_of(row), is_urgent(row)), Message(row)).also.append(row)
    for (_, urgent), message in messages.items():
        message.also.remove(message.lead)
        if len(rows) == BATCH and not urgent:
            message.more = _more_for(message.lead, now, judged.mutes)
    return list(messages.values()), done


def finish(rows: Sequence[Notice], state: str, *, also: Sequence[UUID] = (), error: str = "") -> int:
    """End rows that are still held; the others of a message say which one they were told with. Return how many."""
    lead = rows[0]
    ended: dict[str, Any] = {
        "state": state, "next_try_at": None, "lease_until": None, "finished_at": clock.now(), "error": error[:300],
    }  # fmt: skip
    if not also and len(rows) == 1:
        return held(lead).update(**ended)
    with transaction.atomic():  # a lead that was dropped meanwhile was said all the same: the others point to it
        number = held(lead).update(**ended)
        others = [row.pk for row in rows[1:]] + list(also)
        mine = Notice.objects.filter(pk__in=others, state=Sending.WAITING, lease_until=lead.lease_until)
        with_lead = {"sent_with": lead} if state == Sending.SENT else {}
        return number + mine.update(**ended, **with_lead)


def instead_by_mail(row: Notice, ended: int) -> int:
    """Tell by mail who was to be told by a channel alone, once that has `ended` without; returns what it was handed."""
    person = row.person
    if not ended or row.kind == "channel_test" or person is None or not person.email or not person.is_active:
        return ended
    mailed = Notice.objects.filter(
        person=person, kind=row.kind, proposal=row.proposal_id, step=row.step, channel=None, created_at__gte=row.created_at
    )
    if not mailed.exists():
        outbox.open_notice_by_mail(row)
    return ended


def put_back(row: Notice, until: datetime) -> int:
    """Leave a row for later; that it was claimed counts for no try. Return how many, so that a round that did so is not the last."""
    return held(row).update(lease_until=None, attempts=F("attempts") - 1, next_try_at=until)


def held(notice: Notice) -> QuerySet[Notice]:
    """Return the row if it is still this caller's, and still to be sent."""
    return Notice.objects.filter(pk=notice.pk, token=notice.token, state=Sending.WAITING)


def _more_for(lead: Notice, now: datetime, mutes: Sequence[MuteWindow]) -> list[UUID]:
    """Claim more of the same kind that is due for the same recipient, whatever its number, by ids alone; return the ids. Two queries.

    Left out is what is urgent, muted or settled: that is judged row by row.
    """
    if lead.kind not in ("new_work", *ABOUT_OPEN):
        return []
    mine = Notice.objects.filter(
        channel=lead.channel_id, person=lead.person_id, address=lead.address, state=Sending.WAITING, next_try_at__lte=now,
        kind=lead.kind, role=lead.role_id, proposal__state=State.PENDING,
    ).exclude(Q(proposal__severity=Severity.CRITICAL) | Q(proposal__source__in=[one.source_id for one in mutes if one.source_id]))
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    with transaction.atomic():
        ids = list(mine.filter(free).select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:MOST_AT_ONCE])
        Notice.objects.filter(pk__in=ids).update(token=F("token") + 1, attempts=F("attempts") + 1, lease_until=lead.lease_until)
    return ids


class Still:
    """Says whether messages would still be right; asks once for each person and role."""

    def __init__(self) -> None:
        self._members: dict[tuple[int, int], bool] = {}

    def true(self, notice: Notice) -> bool:
        """Say whether it would: the item open, the person here and still of the role that is asked.

        Who is told for their own sake may still read it. New work that was settled stands for what is alike and still waits.
        """
        if not self._about_something_open(notice):
            return False
        person = notice.person
        if person is None:
            return True
        if not person.is_active:
            return False
        if notice.kind in ABOUT_ONE_PERSON and notice.proposal is not None:
            return authority.may_read(person, notice.proposal)
        if notice.role_id is None:
            return True
        key = (person.pk, notice.role_id)
        if key not in self._members:
            self._members[key] = person.groups.filter(pk=notice.role_id).exists()
        return self._members[key]

    @staticmethod
    def _about_something_open(notice: Notice) -> bool:
        if notice.proposal is None:
            return True
        if notice.kind == "new_work":
            return _stands_for_something(notice)
        return notice.kind not in ABOUT_OPEN or notice.proposal.state == State.PENDING


def _stands_for_something(notice: Notice) -> bool:
    """Let a notice of new work be about one that still waits for the role, and say how many more are alike. Two or three queries."""
    if notice.proposal is None:
        return False
    waiting = alike(notice.proposal).filter(role=notice.role_id) if notice.role_id else alike(notice.proposal)
    if notice.proposal.state != State.PENDING or (notice.role_id and notice.proposal.role_id != notice.role_id):
        other = waiting.select_related("source", "role").order_by("routed_at").first()
        if other is None:
            return False
        notice.proposal = other
    more = len(waiting.exclude(pk=notice.proposal.pk).order_by().values_list("pk", flat=True)[:COUNTED])
    notice.facts = {**notice.facts, "alike": more}
    return True


def alike(proposal: Proposal) -> QuerySet[Proposal]:
    """Return the open proposals of its group: one source's with the same fingerprint, or that ask for exactly the same."""
    mine = Proposal.objects.open().filter(source=proposal.source_id, test=False)
    fingerprint = Incident.objects.filter(pk=proposal.incident_id).values_list("fingerprint", flat=True).get()
    if fingerprint:
        twins = Incident.objects.filter(source=proposal.source_id, fingerprint=fingerprint).exclude(fingerprint="")
        return mine.filter(incident__in=twins.order_by("-pk").values("pk")[:COUNTED])
    if proposal.is_acknowledgement:  # the same content for unlike incidents
        return mine.filter(acknowledges(), title=proposal.title)
    return mine.filter(args_digest=proposal.args_digest)


def group_key(role: int, source: int, said: str) -> str:
    """Return what alike new work of one role has in common."""
    return f"{role}:{source}:{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:48]}"


# -- when not


@dataclass
class Waiting:
    """Why notices wait: maintenance, quiet hours, a digest, a message that went a moment ago. Read once for a round."""

    now: datetime
    wishes: dict[int, NoticeWishes]
    mutes: list[MuteWindow]
    sent: dict[Target, datetime]

    @classmethod
    def of(cls, rows: Sequence[Notice], now: datetime) -> "Waiting":
        """Read what these rows are judged by. Three queries."""
        sent: dict[Target, datetime] = {}
        lately = Notice.objects.filter(state=Sending.SENT, finished_at__gt=now - PACE, sent_with=None)
        for channel, person, address, at in lately.exclude(kind__in=("critical", "channel_test")).values_list(
            "channel", "person", "address", "finished_at"
        )[:COUNTED]:
            target = (channel, person, address.lower())
            sent[target] = max(at, sent.get(target, at))
        wishes = NoticeWishes.objects.in_bulk({row.person_id for row in rows if row.person_id})
        mutes = list(MuteWindow.objects.filter(since__lte=now, until__gt=now))
        return cls(now, wishes, mutes, sent)

    def until(self, notice: Notice) -> datetime | None:
        """Return until when this one waits; None: it is said now."""
        if muted := max((mute.until for mute in self.mutes if mutes(mute, notice)), default=None):
            return muted
        if is_urgent(notice):
            return self._channel(notice)
        wishes = self.wishes.get(notice.person_id) if notice.person_id else None
        if wishes is not None and notice.person is not None:
            zone = zone_of(notice.person.time_zone)
            if quiet := quiet_until(wishes, self.now, zone):
                return quiet
            if notice.kind in UNHURRIED and (at := digest_at(wishes, notice.created_at, zone)) > self.now:
                return at
        spoken = self.sent.get(target_of(notice))
        return spoken + PACE if spoken and notice.attempts <= 1 else self._channel(notice)

    def _channel(self, notice: Notice) -> datetime | None:
        """Return until when a channel that fails is left alone."""
        retry = notice.channel.retry_at if notice.channel is not None else None
        return retry if retry and retry > self.now and notice.attempts <= 1 else None


def mutes(window: MuteWindow, notice: Notice) -> bool:
    """Say whether a maintenance window is about this notice: of its source, to its role, or all where it names neither."""
    if notice.kind in NEVER_MUTED:
        return False
    source = notice.proposal.source_id if notice.proposal is not None else None
    return (window.source_id in (None, source)) and (window.role_id in (None, notice.role_id))


def quiet_until(wishes: NoticeWishes, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when a person's quiet hours end, if they are now. Local times; hours over midnight are one night."""
    begin, end = wishes.quiet_from, wishes.quiet_until
    if begin is None or end is None or begin == end:
        return None
    local = now.astimezone(zone)
    for day in (local.date() - timedelta(days=1), local.date()):
        since = datetime.combine(day, begin, zone)
        until = datetime.combine(day if end > begin else day + timedelta(days=1), end, zone)
        if since <= now < until:
            return until
    return None


def digest_at(wishes: NoticeWishes, created_at: datetime, zone: ZoneInfo) -> datetime:
    """Return when what was opened at `created_at` is told: with the next digest, or then where none is wanted."""
    if wishes.digest == Digest.HOURLY:
        return created_at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if wishes.digest != Digest.DAILY:
        return created_at
    day = created_at.astimezone(zone).date()
    today = datetime.combine(day, wishes.digest_at, zone)
    return today if today > created_at else datetime.combine(day + timedelta(days=1), wishes.digest_at, zone)


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name; UTC for one nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
