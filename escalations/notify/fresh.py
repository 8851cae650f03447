"""New work and decisions become notices: found in the record every few seconds, not written while something is routed or signed.

The rows are the truth, so nothing is missed when whoever looks is away for a while; and what is alike is told once, whatever
its number. Routing and deciding pay nothing for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from escalations import clock, outbox, queue
from escalations.models import AuditEntry, Comment, Decision, Heartbeat, Notice, Person, Proposal, Role, Signature, acknowledges_sql
from escalations.states import Sending, State

from .gathering import group_key

EVERY = 15.0  # seconds between two looks: what comes in between is told together
LOOKED_BACK = timedelta(minutes=3)  # longer than any transaction that writes what is looked for may stay open
TOLD_ONCE_IN = timedelta(hours=1)
HANDLED_AFTER = timedelta(minutes=10)  # a group told of so long ago, and settled since, is news again
MOST = 2_000  # groups, and decisions, of one look; the rest with the next
HAD_A_HAND = ("proposal.claimed", "proposal.handed_over", "proposal.escalated", "proposal.extended", "proposal.asked_back")
LOCK = 6_041_207  # one look at a time

# By the index proposal_came. What an unlike incident acknowledges is the same for all, so there the title tells them apart.
NEW = f"""
SELECT proposal.role_id, proposal.source_id,
       CASE WHEN incident.fingerprint <> '' THEN 'f ' || incident.fingerprint
            WHEN {acknowledges_sql('proposal')} THEN 't ' || proposal.title ELSE 'd ' || proposal.args_digest END AS said,
       (array_agg(proposal.id ORDER BY proposal.routed_at, proposal.id))[1], count(*), min(proposal.routed_at)
FROM escalations_proposal AS proposal JOIN escalations_incident AS incident ON incident.id = proposal.incident_id
WHERE proposal.routed_at >= %s AND NOT proposal.test AND NOT (proposal.asked = '{{}}') AND proposal.state = 'pending'
  AND proposal.role_id IS NOT NULL
GROUP BY 1, 2, 3 ORDER BY 6 LIMIT %s
"""


def tell() -> int:
    """Open notices about new work and about decisions since the last look; return how many. For the timers.

    One transaction, one at a time anywhere. Two queries when nothing is new, about a dozen otherwise.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        now = clock.now()
        last = Heartbeat.objects.filter(name="told").first()
        seen = last.detail if last else {}
        upto = {"work": now, "decided": now}
        opened = 0
        if "work" in seen:
            count, upto["work"] = _new_work(datetime.fromisoformat(seen["work"]) - LOOKED_BACK, now)
            opened += count
        if "decided" in seen:
            count, upto["decided"] = _decided(datetime.fromisoformat(seen["decided"]) - LOOKED_BACK, now)
            opened += count
        queue.beat("told", **{name: moment.isoformat() for name, moment in upto.items()})
    return opened


def _new_work(since: datetime, now: datetime) -> tuple[int, datetime]:
    """Open one notice per role and group that is news to it; return how many, and up to when was looked."""
    with connection.cursor() as cursor:
        cursor.execute(NEW, [since, MOST])
        rows = cursor.fetchall()
    if not rows:
        return 0, now
    groups = {group_key(role, source, said): (role, lead, number) for role, source, said, lead, number, _ in rows}
    recently = Q(created_at__gt=now - HANDLED_AFTER) | Q(proposal__state=State.PENDING)
    told = set(
        Notice.objects.filter(recently, group_key__in=list(groups), created_at__gt=now - TOLD_ONCE_IN, kind="new_work")
        .exclude(state=Sending.GIVEN_UP)
        .values_list("group_key", flat=True)
    )
    news = {key: group for key, group in groups.items() if key not in told}
    otherwise = set(  # what went straight to its people, was passed on or came up was told as that
        Notice.objects.filter(proposal__in=[lead for _, lead, _ in news.values()], kind__in=("critical", "escalated")).values_list(
            "proposal", "role"
        )
    )
    leads = Proposal.objects.select_related("source").in_bulk([lead for _, lead, _ in news.values()])
    roles = Role.objects.in_bulk({role for role, _, _ in news.values()})
    wanted = [
        outbox.Wanted("new_work", proposal=leads[lead], role=roles[role], facts={"alike": number - 1}, group_key=key)
        for key, (role, lead, number) in news.items()
        if (lead, role) not in otherwise
    ]
    return len(outbox.open_notices(wanted)), now if len(rows) < MOST else rows[-1][5] + LOOKED_BACK


def _decided(since: datetime, now: datetime) -> tuple[int, datetime]:
    """Tell who had a hand in what others decided: who signed, wrote, was named, held it or moved it; return as `_new_work`."""
    decisions = list(
        Decision.objects.filter(decided_at__gte=since, proposal__test=False)
        .exclude(proposal__asked=[])
        .select_related("proposal__source", "proposal__role")
        .order_by("decided_at")[:MOST]
    )
    if not decisions:
        return 0, now
    hands = _hands([one.proposal for one in decisions])
    told = set(
        Notice.objects.filter(proposal__in=[one.proposal_id for one in decisions], kind="decided").values_list("proposal", "person")
    )
    people = Person.objects.in_bulk({person for found in hands.values() for person in found})
    wanted = [
        outbox.Wanted(
            "decided", proposal=one.proposal, person=people[person],
            facts={"by": one.by_name, "type": one.type, "text": one.reason[:400]},
        )
        for one in decisions
        for person in sorted(hands[one.proposal_id])
        if person in people and people[person].is_active and person != one.person_id and (one.proposal_id, person) not in told
    ]  # fmt: skip
    return len(outbox.open_notices(wanted)), now if len(decisions) < MOST else decisions[-1].decided_at + LOOKED_BACK


def _hands(proposals: Sequence[Proposal]) -> dict[UUID, set[int]]:
    """Return the ids of the people who had a hand in each. Four queries."""
    ids = [one.pk for one in proposals]
    found: dict[UUID, set[int]] = defaultdict(set)
    for proposal, person in Signature.objects.filter(proposal__in=ids).values_list("proposal", "person"):
        found[proposal].add(person)
    for proposal, person, mentions in Comment.objects.filter(proposal__in=ids).values_list("proposal", "person", "mentions"):
        found[proposal] |= {person, *mentions}
    acts = AuditEntry.objects.filter(
        incident_id__in=[one.incident_id for one in proposals], action__in=HAD_A_HAND, actor_kind="person", proposal_id__in=ids
    )
    named = list(acts.values_list("proposal_id", "actor"))
    numbers = dict(Person.objects.filter(username__in={name for _, name in named}).values_list("username", "pk"))
    for proposal, name in named:
        if name in numbers:
            found[proposal].add(numbers[name])
    return found
