"""Which settled proposals are looked at a second time, and that a look nobody took lapses.

Drawn by a keyed hash of the proposal's id, so that a duty that runs twice, or in two places, draws the same: nobody can tell beforehand
which it will be, and nobody chooses. `share` is kept on the row, for whoever weighs what came of it.
"""

import hmac
from collections import Counter, defaultdict
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q

from escalations import audit, clock
from escalations.models import Decision, KnownAnswer, Person, Role, SecondLook, Trial
from escalations.proof import sampling
from escalations.states import Kind, LookState, TrialMode, Verdict

PURPOSE = b"countersign second look v1"
WITHIN = timedelta(hours=6)  # of being settled; drawing it later would ask of days that are over
AT_ONCE = 5_000  # decisions looked through, the newest first
LASTS = timedelta(days=7)  # then the look lapses: nobody is chased for it
WAITING_MOST = 5  # for each member of a role; no more are drawn while so many wait
ASKED_KINDS = (Kind.ACTION, Kind.DRAFT, Kind.EXCEPTION, Kind.ALERT)  # of questions and hand-offs no two answers are comparable
LANE_TIMES = 2  # what a lane's machine had a word on is drawn so many times as often
AUDIT_TIMES = 4  # and what was an audit sample so many times: it is what a lane's right stands on


def chance(proposal_id: UUID, purpose: bytes = PURPOSE) -> float:
    """Return the draw of this proposal, from 0 to below 1: the same whenever it is asked, and known to nobody without the secret."""
    return sampling.draw(hmac.new(settings.SECRET_KEY.encode(), purpose, sha256).digest(), str(proposal_id))


def share_of(trial: Trial | None) -> float:
    """Return the chance with which a proposal is drawn: the setting's, and more for what a lane stands on."""
    times = 1
    if trial is not None and trial.mode == TrialMode.AUDIT:
        times = AUDIT_TIMES
    elif trial is not None and trial.eligible and trial.score is not None:
        times = LANE_TIMES
    return min(1.0, times * settings.SECOND_LOOK_PERCENT / 100)


def draw() -> int:
    """Draw what is to be looked at again out of what people settled lately; returns how many. Five queries, and two where any is drawn.

    Never what a test key posted, what a token decided with nobody behind it, or what nobody else of the role could look at. With each
    one drawn a known answer may be mixed in (`KNOWN_ANSWER_EVERY`).
    """
    if not settings.SECOND_LOOK_PERCENT:
        return 0
    now = clock.now()
    decided = list(
        Decision.objects.filter(
            by_kind="person", decided_at__gt=now - WITHIN, proposal__test=False, proposal__kind__in=ASKED_KINDS,
            proposal__role__isnull=False, proposal__looks=None, proposal__known_answer=None,
            proposal__allowed_decisions__contains=[Verdict.APPROVE],
        )
        .filter(proposal__signatures__interactive=True, proposal__signatures__person=F("person"))
        .order_by("-decided_at").values_list("proposal_id", "proposal__role_id", "person_id").distinct()[:AT_ONCE]
    )
    drawn = {pk: (role, person, chance(pk)) for pk, role, person in decided}
    # Most are above any share there is: of those alone the lane is not read.
    most = min(1.0, AUDIT_TIMES * settings.SECOND_LOOK_PERCENT / 100)
    near = {pk: one for pk, one in drawn.items() if one[2] < most}
    if not near:
        return 0
    trials = Trial.objects.in_bulk(list(near))
    members = members_of({role for role, _, _ in near.values()})
    waiting = Counter(
        dict(SecondLook.objects.filter(state=LookState.OPEN).order_by().values_list("role").annotate(Count("pk")))
    )
    looks = []
    for pk, (role, person, number) in sorted(near.items(), key=lambda one: one[1][2]):
        share = share_of(trials.get(pk))
        others = members[role] - {person}
        if number >= share or not others or waiting[role] >= WAITING_MOST * len(members[role]):
            continue
        waiting[role] += 1
        looks.append(SecondLook(proposal_id=pk, role_id=role, share=share, drawn_at=now, lapses_at=now + LASTS))
    looks += _known_among(looks)
    return put(looks)


def members_of(roles: set[int]) -> dict[int, set[int]]:
    """Return the ids of the active members of each of these roles. One query."""
    found: dict[int, set[int]] = defaultdict(set)
    for person, role in Person.objects.filter(groups__in=roles, is_active=True).values_list("pk", "groups"):
        found[role].add(person)
    return found


def _known_among(looks: list[SecondLook]) -> list[SecondLook]:
    """Return the known answers to be mixed into these, one of KNOWN_ANSWER_EVERY on average: the one of the role least lately seen.

    Two queries; none while the setting is 0.
    """
    every = settings.KNOWN_ANSWER_EVERY
    asked = [one for one in looks if every and chance(one.proposal_id, b"countersign known answer v1") < 1 / every]
    if not asked:
        return []
    roles = {one.role_id for one in asked}
    known = (
        KnownAnswer.objects.filter(retired_at=None, proposal__role__in=roles)
        .exclude(proposal__looks__state=LookState.OPEN)
        .annotate(times=Count("proposal__looks", filter=Q(proposal__looks__expected__gt="")))
        .order_by("times", "marked_at").values_list("proposal_id", "proposal__role_id", "verdict")[:1_000]
    )
    by_role: dict[int, list[tuple[UUID, str]]] = defaultdict(list)
    for pk, role, verdict in known:
        by_role[role].append((pk, verdict))
    out = []
    for one in asked:
        if by_role[one.role_id]:
            pk, verdict = by_role[one.role_id].pop(0)
            out.append(
                SecondLook(
                    proposal_id=pk, role_id=one.role_id, expected=verdict, share=1 / every, drawn_at=one.drawn_at, lapses_at=one.lapses_at
                )
            )
    return out


@transaction.atomic
def put(looks: list[SecondLook]) -> int:
    """Keep these looks and say so in the record, but of what was drawn meanwhile by another. Four queries."""
    roles = Role.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in={one.role_id for one in looks}).order_by("pk")
    if not list(roles.values_list("pk")):  # two that draw for one role stand in line here
        return 0
    waiting = SecondLook.objects.filter(proposal__in=[one.proposal_id for one in looks], state=LookState.OPEN)
    taken = set(waiting.values_list("proposal_id", flat=True))
    looks = SecondLook.objects.bulk_create(one for one in looks if one.proposal_id not in taken)
    # Without the incident: its story is read by those who may be asked, and what was drawn with which chance is told to nobody.
    audit.record_many(
        audit.entry("second.drawn", actor=audit.SYSTEM, proposal_id=one.proposal_id, subject=f"SecondLook {one.pk}") for one in looks
    )
    return len(looks)


def lapse(limit: int = 200) -> int:
    """Close looks that nobody took in time; returns how many. One query where there are none."""
    with transaction.atomic():
        late = list(
            SecondLook.objects.select_for_update(skip_locked=True).filter(state=LookState.OPEN, lapses_at__lte=clock.now())
            .order_by("lapses_at")[:limit]
        )
        SecondLook.objects.filter(pk__in=[one.pk for one in late]).update(state=LookState.LAPSED)
        audit.record_many(
            audit.entry("second.lapsed", actor=audit.CLOCK, proposal_id=one.proposal_id, subject=f"SecondLook {one.pk}") for one in late
        )
    return len(late)
