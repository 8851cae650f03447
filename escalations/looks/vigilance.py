"""Signs that somebody signs without looking. Whose sign it is sees it first, and may say why; managers see it later, with the answer.

Four signs, each looked for in what came since the last of its kind was raised, so that nothing is held against anybody twice. Each
says what it counted, and how likely it would be of somebody who looks as everybody else does.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from scipy.special import betainc, betaln

from escalations import audit, clock
from escalations.errors import Invalid, NotFound
from escalations.models import Person, SecondLook, VigilanceAlarm
from escalations.states import LookState, Verdict

from . import known
from .agreement import answered, pairs
from .reading import reading_seconds

SINCE = timedelta(days=30)  # what is older says nothing of today
SHARED_AFTER = timedelta(days=3)
UNSEEN_MOST = timedelta(days=14)  # who has not been here for so long: then managers see it unseen
CLEARED_AFTER = timedelta(days=28)  # with nothing new, an alarm is over
DECISIONS = 20_000  # read at most, the newest

KNOWN_ERROR = 0.05  # a known answer may be missed by somebody who looks
MISSED_LEAST = 2
PACE_LEAST = 20  # measured decisions
STREAK_LEAST = 30
STREAK_CHANCE = 0.001
DISAGREE_LEAST = 10
DISAGREE_CHANCE = 0.01

# Of a `decision` and its `proposal`: when it was signed, when its page had been opened first, and how long that was. The table of glances
# is the room's: it is read by its name, for imports only go down.
OPENED = """
LEFT JOIN LATERAL (
    SELECT at FROM escalations_signature
    WHERE proposal_id = proposal.id AND person_id = decision.person_id ORDER BY at LIMIT 1
) AS signature ON true
LEFT JOIN LATERAL (
    SELECT at, length FROM reviews_glance
    WHERE proposal_id = proposal.id AND person_id = decision.person_id AND at <= coalesce(signature.at, decision.decided_at)
    ORDER BY at LIMIT 1
) AS opened ON true
"""
_DECIDED = f"""
SELECT decision.person_id, decision.type, decision.decided_at, proposal.source_id, proposal.action, proposal.risk,
       extract(epoch FROM coalesce(signature.at, decision.decided_at) - opened.at)::float8, coalesce(opened.length, 0)
FROM (
    SELECT * FROM escalations_decision WHERE by_kind = 'person' AND decided_at > %s ORDER BY decided_at DESC LIMIT %s
) AS decision
JOIN escalations_proposal AS proposal ON proposal.id = decision.proposal_id AND NOT proposal.test
{OPENED}
WHERE proposal.kind NOT IN ('question', 'handoff')
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One decision by a person."""

    person_id: int
    type: str
    at: datetime
    source_id: int
    action: str
    risk: str
    open_seconds: float | None
    length: int


@dataclass(frozen=True, slots=True)
class Sign:
    """What was found of one person: for the alarm."""

    person_id: int
    kind: str
    why: str
    evidence: dict[str, Any]


def look() -> int:
    """Raise what is found anew, and close what is over; returns how many were raised. Five queries where nothing is found.

    For once a day: each look is one more chance to be wrong of somebody, and the signs count over a month.
    """
    now = clock.now()
    with transaction.atomic():
        VigilanceAlarm.objects.filter(cleared_at=None, raised_at__lte=now - CLEARED_AFTER).update(cleared_at=now)
    last = _last_raised(now)
    with connection.cursor() as cursor:
        cursor.execute(_DECIDED, [now - SINCE, DECISIONS])
        made = [Made(*row) for row in cursor.fetchall()]
    looks = SecondLook.objects.filter(state=LookState.ANSWERED, expected__gt="", answered_at__gt=now - SINCE)
    answers = list(looks.values_list("person_id", "expected", "verdict", "answered_at"))
    signs = [
        *known_missed((person, expected, verdict) for person, expected, verdict, at in answers if at > last(person, "known")),
        *too_fast([one for one in made if one.at > last(one.person_id, "pace")]),
        *only_yes(made, lambda person: last(person, "streak")),
        *seen_otherwise([
            (pair.first_person, pair.as_proposed[0] != pair.as_proposed[1])
            for pair, at in _with_times(now) if at > last(pair.first_person, "disagree")
        ]),
    ]
    return sum(raise_alarm(sign) for sign in signs)


def known_missed(answers: Iterable[tuple[int, str, str]]) -> list[Sign]:
    """Return who said yes as proposed to known answers that are none, more often than somebody who looks would.

    At least MISSED_LEAST, and P(so many or more of as many) below 5 % at an error of KNOWN_ERROR (the binomial tail).
    """
    of: dict[int, list[bool]] = defaultdict(list)
    for person, expected, verdict in answers:
        if expected != Verdict.APPROVE:
            of[person].append(not known.found(expected, verdict))
    out = []
    for person, missed in of.items():
        many = sum(missed)
        p = at_least(many, len(missed), KNOWN_ERROR)
        if many >= MISSED_LEAST and p < 0.05:
            why = f"{many} of {len(missed)} known answers that were a no, or needed a change, were approved as proposed."
            out.append(Sign(person, "known", why, {"missed": many, "of": len(missed), "chance": round(p, 5)}))
    return out


def too_fast(made: Iterable[Made]) -> list[Sign]:
    """Return who signed more than half of what they opened sooner than it can be read, of PACE_LEAST at least (see `reading`)."""
    of: dict[int, list[bool]] = defaultdict(list)
    for one in made:
        if one.open_seconds is not None:
            of[one.person_id].append(one.open_seconds < reading_seconds(one.length, one.risk))
    out = []
    for person, fast in of.items():
        if len(fast) >= PACE_LEAST and 2 * sum(fast) > len(fast):
            why = f"{sum(fast)} of {len(fast)} were signed sooner than what was shown can be read, at several times an ordinary pace."
            out.append(Sign(person, "pace", why, {"fast": sum(fast), "of": len(fast)}))
    return out


def only_yes(made: Iterable[Made], since: Any) -> list[Sign]:
    """Return whose last decisions were all yes, so many that colleagues would hardly have said yes to them all.

    For each action of each source in the run, the chance that so many more would all be yes after what others said to the same: a beta
    prior that knows nothing (Laplace's), and the beta-binomial prediction from it, B(yes + 1 + m, no + 1) / B(yes + 1, no + 1). The
    product over the run has to be below STREAK_CHANCE, and the run STREAK_LEAST long. Who is only asked what everybody approves, or
    what nobody else was asked, is no case.
    """
    made = sorted(made, key=lambda one: one.at, reverse=True)
    yes: dict[tuple[int, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for one in made:
        counts = yes[one.source_id, one.action][one.person_id]
        counts[0] += one.type == Verdict.APPROVE
        counts[1] += 1
    runs: dict[int, list[Made]] = defaultdict(list)
    over: set[int] = set()
    for one in made:
        if one.type != Verdict.APPROVE or one.at <= since(one.person_id):
            over.add(one.person_id)
        if one.person_id not in over:
            runs[one.person_id].append(one)
    out = []
    for person, run in runs.items():
        if len(run) < STREAK_LEAST:
            continue
        weight = 0.0
        for like, many in Counter((one.source_id, one.action) for one in run).items():
            others = [counts for who, counts in yes[like].items() if who != person]
            said_yes, said = sum(counts[0] for counts in others), sum(counts[1] for counts in others)
            if said:
                weight += float(betaln(said_yes + 1 + many, said - said_yes + 1) - betaln(said_yes + 1, said - said_yes + 1))
        if exp(weight) < STREAK_CHANCE:
            why = f"The last {len(run)} decisions were all yes as proposed; colleagues did not approve all that is like them."
            out.append(Sign(person, "streak", why, {"run": len(run), "chance": float(f"{exp(weight):.2g}")}))
    return out


def seen_otherwise(looks: Iterable[tuple[int, bool]]) -> list[Sign]:
    """Return whose decisions a blind second person saw otherwise more often than everybody else's, of DISAGREE_LEAST at least.

    `looks` are (whose decision, whether it was seen otherwise). The binomial tail at the others' rate has to be below DISAGREE_CHANCE.
    """
    of: dict[int, list[bool]] = defaultdict(list)
    for person, otherwise in looks:
        of[person].append(otherwise)
    whole, all_apart = sum(map(len, of.values())), sum(map(sum, of.values()))
    out = []
    for person, own in of.items():
        apart, others = sum(own), whole - len(own)
        if len(own) < DISAGREE_LEAST or others < DISAGREE_LEAST:
            continue
        rate = (all_apart - apart + 1) / (others + 2)
        p = at_least(apart, len(own), rate)
        if p < DISAGREE_CHANCE:
            why = f"{apart} of {len(own)} were seen otherwise by a colleague who did not know; of others' it is {rate:.0%}."
            out.append(Sign(person, "disagree", why, {"apart": apart, "of": len(own), "others": round(rate, 4), "chance": round(p, 5)}))
    return out


def at_least(hits: int, of: int, rate: float) -> float:
    """Return the chance of so many hits or more of as many at this rate: the binomial tail, by the incomplete beta function."""
    return float(betainc(hits, of - hits + 1, rate)) if hits else 1.0


def raise_alarm(sign: Sign) -> bool:
    """Keep a sign as an alarm, unless one of its kind stands; returns whether it was raised. The record names the alarm, not the person:
    who reads the record is not to know before they do.
    """
    now = clock.now()
    with transaction.atomic():
        Person.objects.select_for_update(no_key=True).get(pk=sign.person_id)
        if VigilanceAlarm.objects.filter(person=sign.person_id, kind=sign.kind, cleared_at=None).exists():
            return False
        alarm = VigilanceAlarm.objects.create(
            person_id=sign.person_id, kind=sign.kind, why=sign.why, evidence=sign.evidence, raised_at=now, shared_at=now + SHARED_AFTER
        )
        audit.record("vigilance.alarmed", actor=audit.SYSTEM, subject=f"VigilanceAlarm {alarm.pk}", kind=sign.kind)
    return True


def alarms_of(person: Person) -> QuerySet[VigilanceAlarm]:
    """Return one's own alarms that are not over."""
    return VigilanceAlarm.objects.filter(person=person, cleared_at=None)


def note_seen(person: Person) -> int:
    """Note that the person has been shown their alarms. One statement."""
    return alarms_of(person).filter(seen_at=None).update(seen_at=clock.now())


def answer_alarm(alarm_id: int, *, person: Person, text: str) -> VigilanceAlarm:
    """Keep what the person says to an alarm of theirs; saying it again replaces it. Raises NotFound for any other, Invalid for no words."""
    text = text.strip()
    if not text or len(text) > 5_000:
        raise Invalid([{"pointer": "/answer", "code": "invalid", "detail": "Write something first, in at most 5000 characters."}])
    with transaction.atomic():
        alarm = alarms_of(person).select_for_update().filter(pk=alarm_id).first()
        if alarm is None:
            raise NotFound
        alarm.answer, alarm.seen_at = text, alarm.seen_at or clock.now()
        alarm.save(update_fields=["answer", "seen_at"])
        audit.record("vigilance.answered", actor=audit.Actor.of(person), subject=f"VigilanceAlarm {alarm.pk}")
    return alarm


def shared_alarms() -> QuerySet[VigilanceAlarm]:
    """Return the alarms managers may see: SHARED_AFTER having been raised, and not before the person saw it, or had two weeks to."""
    now = clock.now()
    seen = Q(seen_at__isnull=False) | Q(raised_at__lte=now - UNSEEN_MOST)
    return VigilanceAlarm.objects.filter(seen, cleared_at=None, shared_at__lte=now).select_related("person")


def _last_raised(now: datetime) -> Any:
    """Return what tells since when a kind of sign of a person is looked for. One query."""
    raised: dict[tuple[int, str], datetime] = {}
    for person, kind, at in VigilanceAlarm.objects.filter(raised_at__gt=now - SINCE).values_list("person_id", "kind", "raised_at"):
        raised[person, kind] = max(at, raised.get((person, kind), at))
    return lambda person, kind: raised.get((person, kind), now - SINCE)


def _with_times(now: datetime) -> list[tuple[Any, datetime]]:
    found = pairs(looks := answered(now - SINCE))
    times = dict(looks.values_list("pk", "answered_at"))
    return [(pair, times[pair.look_id]) for pair in found if pair.look_id in times]
