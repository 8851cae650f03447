"""What people decided of the nearest earlier cases of the same source, as much of it as the model may be told.

Told are a person's verdict and reason, the action's name, and of each arg whether it is the same, lower or higher than here: never a
value, never a word of the past incident itself: what a reason quotes of it is cut out. A reason is left out whole where it, or what it
was written about, holds findings (sensitive details, text that speaks to the machine), hidden characters included. What test keys
posted, what a rule or the clock decided, and what was signed by a token with nobody there teaches nothing.
"""

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from escalations import clock
from escalations.floors.findings import in_texts
from escalations.floors.likeness import flat, is_number, near, nearness, shared_words
from escalations.floors.spotting import words
from escalations.floors.text import has_hidden
from escalations.models import ACKNOWLEDGE, Incident, Proposal, Work, acknowledges_sql
from escalations.states import Severity

from .mask import Mask

log = logging.getLogger(__name__)

LOOKED_AT = 200  # settled proposals of one source and action, newest first, among which people's decisions are looked for
COMPARED = 40  # of those, decisions that are compared
SAME_FAILURE = 20  # newest incidents of one fingerprint that are looked at
LARGEST = 8_000  # bytes of args or draft, as stored, that are compared
LONGEST_REASON = 300  # characters
MOST_NAMES = 8  # args that are told of
LONGEST_CASE = 40_000  # characters of a past case in which a quotation is looked for; a longer one may be quoted unseen
COPIED = 4  # words in a row that a reason has from the case it is about
QUOTED = 6  # words in a row that a rationale has from a reason
DECIDED = {
    "approve": "approved as proposed", "edit": "changed, then approved", "reject": "rejected", "respond": "answered instead",
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,59}")
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,79}")
_UNTOLD = frozenset({"sensitive_data", "injection_suspected"})  # triggers of a past case whose reason may quote what fired them

_CASES = """
SELECT {wanted}.n, past.id, past.incident_id, past.title, past.action, decision.type, decision.decided_at,
    left(decision.reason, 2000),
    CASE WHEN coalesce(pg_column_size(past.args), 0) <= %(largest)s THEN past.args END,
    CASE WHEN coalesce(pg_column_size(past.draft), 0) <= %(largest)s THEN past.draft END,
    CASE WHEN coalesce(pg_column_size(decision.args), 0) <= %(largest)s THEN decision.args END,
    jsonb_path_query_array(past.triggers, '$[*].name'), {acknowledges}
"""
_BY_PERSON = """
JOIN escalations_decision AS decision ON decision.proposal_id = past.id AND decision.by_kind = 'person'
WHERE NOT past.test AND past.settled_at < {wanted}.before AND EXISTS (
    SELECT FROM escalations_signature AS signed
    WHERE signed.proposal_id = past.id AND signed.person_id = decision.person_id AND signed.interactive
)
"""
# By the indexes proposal_precedents and incident_by_fingerprint: rows read are bounded however long the past is.
_BY_ACTION = (
    """
SELECT found.* FROM unnest(%(n)s::int[], %(source)s::bigint[], %(action)s::text[], %(before)s::timestamptz[])
    AS wanted (n, source, action, before)
CROSS JOIN LATERAL ("""
    + _CASES.format(wanted="wanted", acknowledges=acknowledges_sql("past"))
    + """FROM (
        SELECT * FROM escalations_proposal
        WHERE source_id = wanted.source AND action = wanted.action AND settled_at IS NOT NULL AND settled_at < wanted.before
        ORDER BY settled_at DESC LIMIT %(looked_at)s
    ) AS past"""
    + _BY_PERSON.format(wanted="wanted")
    + "ORDER BY past.settled_at DESC LIMIT %(compared)s) AS found"
)
_BY_FINGERPRINT = (
    """
SELECT found.* FROM unnest(%(n)s::int[], %(source)s::bigint[], %(fingerprint)s::text[], %(before)s::timestamptz[])
    AS wanted (n, source, fingerprint, before)
CROSS JOIN LATERAL ("""
    + _CASES.format(wanted="wanted", acknowledges=acknowledges_sql("past"))
    + """FROM (
        SELECT id FROM escalations_incident
        WHERE source_id = wanted.source AND fingerprint = wanted.fingerprint AND fingerprint <> '' AND received_at < wanted.before
        ORDER BY id DESC LIMIT %(same_failure)s
    ) AS alike JOIN escalations_proposal AS past ON past.incident_id = alike.id AND past.settled_at IS NOT NULL"""
    + _BY_PERSON.format(wanted="wanted")
    + "ORDER BY past.settled_at DESC LIMIT %(compared)s) AS found"
)

_WRITTEN = """
SELECT past.id, left(concat_ws(E'\\n', past.title, past.description, past.args, past.draft, past.claims, incident.title, incident.body,
    incident.context, incident.payload, incident.customer, incident.external_id, incident.session, incident.on_behalf_of,
    (SELECT string_agg(context::text, E'\\n') FROM escalations_contextitem AS added WHERE added.incident_id = incident.id),
    (SELECT string_agg(rationale, E'\\n') FROM escalations_classification AS said WHERE said.incident_id = incident.id)
), %(longest)s)
FROM escalations_proposal AS past JOIN escalations_incident AS incident ON incident.id = past.incident_id
WHERE past.id = ANY(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One case for which earlier ones are looked for. Nothing settled at `before` or later is found."""

    incident_id: UUID
    source_id: int
    action: str
    fingerprint: str
    title: str
    args: Any
    draft: Any
    before: datetime

    @classmethod
    def of(cls, incident: Incident, proposal: Proposal | None, before: datetime) -> "Wanted":
        """`proposal` is None where the incident has none of its own: it is acknowledged, then."""
        action, args, draft = (proposal.action, proposal.args, proposal.draft) if proposal else (ACKNOWLEDGE, None, None)
        return cls(incident.pk, incident.source_id, action, incident.fingerprint, incident.title, args, draft, before)


@dataclass(frozen=True, slots=True)
class Past:
    """One earlier case that a person decided. `reason` is "" where there is none, or none that may be told."""

    proposal_id: UUID
    action: str
    verdict: str
    reason: str
    same_failure: bool
    compared: dict[str, str] = field(default_factory=dict)  # arg -> how its value was, beside the one here
    changed: dict[str, str] = field(default_factory=dict)  # arg -> what the reviewer's edit did to it
    signed: dict[str, str] = field(default_factory=dict)  # category and severity that a person signed, where that was asked


@dataclass(slots=True)
class _Found:
    proposal_id: UUID
    incident_id: UUID
    title: str
    action: str
    verdict: str
    at: datetime
    reason: str
    args: Any
    draft: Any
    decided: Any
    triggers: list[str]
    acknowledges: bool
    same_failure: bool


def of_works(works: Sequence[Work], examples: int) -> dict[int, list[Past]]:
    """Return the nearest past decisions of each work, nearest first, by the work's key. Three queries at most, however many works.

    Never raises for the database: what cannot be read costs the model its examples, not the incidents their classification.
    """
    if not works or examples < 1:
        return {}
    now = clock.now()
    try:
        found = of_many([Wanted.of(work.incident, work.proposal, now) for work in works], examples)
    except DatabaseError:
        log.exception("past decisions could not be read")
        return {}
    return dict(zip((work.pk for work in works), found, strict=True))


def of_many(wanted: Sequence[Wanted], examples: int) -> list[list[Past]]:
    """Return for each case the nearest `examples` of its source that people had decided, nearest first. Three queries at most."""
    if not wanted or examples < 1:
        return [[] for _ in wanted]
    by_action = _grouped((one.source_id, one.action, one.before) for one in wanted if one.action)
    by_failure = _grouped((one.source_id, one.fingerprint, one.before) for one in wanted if one.fingerprint)
    alike = _read(_BY_FINGERPRINT, "fingerprint", by_failure, True)
    acted = _read(_BY_ACTION, "action", by_action, False)
    chosen = []
    for one in wanted:
        cases: dict[UUID, _Found] = {}
        for row in [*alike[one.source_id, one.fingerprint, one.before], *acted[one.source_id, one.action, one.before]]:
            if row.incident_id != one.incident_id:
                cases.setdefault(row.proposal_id, row)
        chosen.append(_nearest(one, list(cases.values()), examples))
    reasons = _reasons(case for cases in chosen for case in cases)
    return [
        [_past(here, case, reasons.get(case.proposal_id, "")) for case in cases]
        for here, cases in zip((flat(one.args, one.draft) for one in wanted), chosen, strict=True)
    ]


def told(past: Iterable[Past], mask: Mask) -> list[dict[str, Any]]:
    """Return the cases as they are sent: masked, without what is empty."""
    rows = []
    for one in past:
        row = {
            "decided": DECIDED[one.verdict],
            "action": mask.text(one.action),
            "same_failure": one.same_failure,
            "args": {mask.text(name): how for name, how in one.compared.items()},
            "reviewer_changed": {mask.text(name): how for name, how in one.changed.items()},
            "reviewer_said": {name: mask.text(value) for name, value in one.signed.items()},
            "reason": mask.text(one.reason),
        }
        rows.append({name: value for name, value in row.items() if value not in ("", {}, False)})
    return rows


def quotes(text: str, past: Iterable[str]) -> bool:
    """Say whether six words in a row, or a whole shorter reason of three, stand in the text as in one of these reasons.

    Reasons are read by those who may read the case they belong to; a rationale is read by others.
    """
    here = _words(text)
    for reason in past:
        there = _words(reason)
        run = min(QUOTED, len(there))
        if run >= 3 and _runs(here, run) & _runs(there, run):
            return True
    return False


def _words(text: str) -> list[str]:
    return [word for word, _, _ in words(text)]


def _runs(said: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(said[at : at + length]) for at in range(len(said) - length + 1)}


_Group = tuple[int, str, datetime]


def _grouped(groups: Iterable[_Group]) -> list[_Group]:
    return list(dict.fromkeys(groups))


def _read(statement: str, name: str, groups: list[_Group], same_failure: bool) -> dict[_Group, list[_Found]]:
    found: dict[_Group, list[_Found]] = defaultdict(list)
    if not groups:
        return found
    values = {
        "n": list(range(len(groups))), "source": [one[0] for one in groups], name: [one[1] for one in groups],
        "before": [one[2] for one in groups], "largest": LARGEST, "looked_at": LOOKED_AT, "compared": COMPARED,
        "same_failure": SAME_FAILURE,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        for n, *row in cursor.fetchall():
            proposal, incident, title, action, verdict, at, reason, args, draft, decided, triggers, acknowledges = row
            found[groups[n]].append(_Found(
                proposal, incident, title, action, verdict, at, reason, _json(args), _json(draft), _json(decided), _json(triggers) or [],
                acknowledges, same_failure,
            ))
    return found


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


def _nearest(one: Wanted, cases: list[_Found], examples: int) -> list[_Found]:
    """The same failure first, then the nearest by args and title; of equals those with a reason, then the newest."""
    here = flat(one.args, one.draft)

    def rank(case: _Found) -> tuple[Any, ...]:
        alike = nearness(here, flat(case.args, case.draft)) if here else shared_words(one.title, case.title)
        return (not case.same_failure, -round(alike, 1), not case.reason.strip(), -case.at.timestamp())

    return [case for case in sorted(cases, key=rank)[:examples] if _NAME.fullmatch(case.action)]


def _past(here: dict[str, Any], case: _Found, reason: str) -> Past:
    there = flat(case.args, None)
    compared = {name: _beside(there[name], value) for name, value in here.items() if name in there and _sayable(name)}
    decided = flat(case.decided, None) if case.verdict == "edit" else {}
    changed = {
        name: _became(there.get(name), value) for name, value in decided.items() if there.get(name) != value and _sayable(name)
    }
    return Past(
        case.proposal_id, case.action, case.verdict, reason, case.same_failure, _some(compared), _some(changed),
        signed_words(case.decided) if case.acknowledges else {},
    )


def signed_words(decided: Any) -> dict[str, str]:
    """Return the category and severity a person signed in an acknowledgement's args; only words that can be nothing else."""
    if not isinstance(decided, dict):
        return {}
    category, severity = decided.get("category"), decided.get("severity")
    signed = {}
    if isinstance(category, str) and _SLUG.fullmatch(category) and _sayable(category):
        signed["category"] = category
    if severity in set(Severity):
        signed["severity"] = str(severity)
    return signed


def _beside(then: Any, here: Any) -> str:
    if near(then, here) == 1:
        return "the same"
    if is_number(then) and is_number(here):
        return "was lower than here" if then < here else "was higher than here"
    return "was another"


def _became(before: Any, after: Any) -> str:
    if is_number(before) and is_number(after):
        return "lowered" if after < before else "raised"
    return "changed"


def _sayable(name: str) -> bool:
    """Whether a name reads like one, and says nothing to a machine: names are the source's words."""
    return bool(_NAME.fullmatch(name)) and not in_texts([("name", re.sub(r"[_.:/-]+", " ", name))])


def _some(names: dict[str, str]) -> dict[str, str]:
    return dict(list(names.items())[:MOST_NAMES])


def _reasons(cases: Iterable[_Found]) -> dict[UUID, str]:
    """Return the reviewers' own words on these, by proposal; none where they may quote what must not travel. One query at most."""
    said = {case.proposal_id: " ".join(case.reason.split()) for case in cases if not _UNTOLD & set(case.triggers)}
    kept = {pk: text for pk, text in said.items() if text and not has_hidden(text) and not in_texts([("reason", text)])}
    if not kept:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, {"ids": list(kept), "longest": LONGEST_CASE + 1})
        written = {pk: text for pk, text in cursor.fetchall() if len(text) <= LONGEST_CASE}
    return {pk: own_words(kept[pk], text)[:LONGEST_REASON] for pk, text in written.items()}


def own_words(reason: str, written: str) -> str:
    """Return the reason without what it quotes: every run of four words that also stands in what was written becomes "[…]"."""
    placed = list(words(reason))
    if len(placed) < COPIED:
        return reason
    there = _runs(_words(written), COPIED)
    copied: set[int] = set()
    for at in range(len(placed) - COPIED + 1):
        if tuple(word for word, _, _ in placed[at : at + COPIED]) in there:
            copied.update(range(at, at + COPIED))
    pieces, end = [], 0
    for at, (_, start, stop) in enumerate(placed):
        if at in copied:
            if at - 1 not in copied:
                pieces += [reason[end:start], "[…]"]
            end = stop
    kept = "".join([*pieces, reason[end:]])
    return kept if len(copied) < len(placed) else ""
