"""Full-text search among what a person may read: what is looked for, what is found at a bounded cost, and where it stands.

    refund "order 1182" -paypal or chargeback      words, a phrase, a word that must not stand there, either of two; the last word
                                                   is looked for by its beginning

What is rare comes from the index, ranked. What stands in every other incident cannot be ranked at any price that a page may cost:
it is found by walking along the list as the page sorts it, so that what stands first is what matters first, and the page says so.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db import connection
from django.db.models import Expression, F, Q, QuerySet
from django.db.models.expressions import RawSQL

from escalations.models import Proposal
from escalations.search import CUT, cut, lines, without_sensitive

from .sentences import Bit

CANDIDATES = 2_000  # matches taken out of the index before rights and filters are looked at; more than that are not ranked
WALKED = 3_000  # rows of the list that are looked through for a word that is in more
LONGEST = 200  # characters of a search
MOST_WORDS = 24
PREFIX = 3  # letters of a last word that is still being typed; with digits in it, PREFIX_OF_ID
PREFIX_OF_ID = 6

DUE = F("due_at")
_PART = re.compile(r'(-?)"([^"]*)"?|(-?)([^\s"]+)')
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)


@dataclass(frozen=True)
class Asked:
    """A search as it was understood. `tsquery` is empty when nothing can be looked for."""

    tsquery: str = ""
    marks: tuple[tuple[str, bool], ...] = ()  # the words to mark, and whether what only begins like them counts
    ids: tuple[UUID, ...] = ()  # of proposals or incidents
    stands: str = ""  # the same without what must not stand there; empty where an alternative has nothing else


@dataclass
class Hits:
    """What was found: the ids in order, and for each the place in which the words stand, marked.

    `ranked` says that these are the best of all there are; else they come in the list's own order, and `looked` is how many rows of
    the list were looked through when that was not all of it (0: it was).
    """

    ids: list[UUID] = field(default_factory=list)
    more: bool = False
    ranked: bool = True
    looked: int = 0
    asked: Asked = field(default_factory=Asked)
    snippets: dict[UUID, list[Bit]] = field(default_factory=dict)


class Written(SearchQuery):
    """A tsquery that stands there ready made: our own words, cut by `escalations.search.cut`."""

    def as_sql(self, compiler: Any, connection: Any, function: Any = None, template: Any = None) -> tuple[str, Any]:
        sql, params = compiler.compile(self.get_source_expressions()[0])
        return f"{sql}::tsquery", params


def understood(text: str) -> Asked:
    """Return what is looked for: words and phrases that must all stand there, "-" before what must not, "or" between alternatives."""
    text = text.replace("\0", "")[:LONGEST]
    found = list(_PART.finditer(text))
    ids = [UUID(one[4]) for one in found if one[4] and not one[3] and _UUID.fullmatch(one[4])]
    groups: list[list[tuple[bool, str]]] = [[]]
    marks: list[tuple[str, bool]] = []
    open_end = bool(text) and not text[-1].isspace() and not text.endswith('"')
    for number, part in enumerate(found[:MOST_WORDS], start=1):
        quoted = part[2] is not None
        minus, said = (part[1], part[2]) if quoted else (part[3], part[4])
        if not quoted and not minus and said.lower() == "or":
            groups.append([])
            continue
        words = cut(said.removeprefix("sha256:"))
        if not words:
            continue
        typing = open_end and number == len(found) and not minus and not quoted and _may_go_on(words[-1])
        phrase = " <-> ".join(f"'{word}'" for word in words) + (":*" if typing else "")
        groups[-1].append((bool(minus), f"!({phrase})" if minus else f"({phrase})"))
        if not minus:
            marks += [(word, typing and word is words[-1]) for word in words]
    groups = [group for group in groups if group]
    stands = [" & ".join(phrase for minus, phrase in group if not minus) for group in groups]
    return Asked(
        " | ".join(" & ".join(phrase for _, phrase in group) for group in groups),
        tuple(dict.fromkeys(marks)),
        tuple(ids),
        " | ".join(stands) if all(stands) else "",
    )


def _may_go_on(word: str) -> bool:
    """Say whether a word is long enough to look for all that begins like it. Ids begin alike by the million, words do not."""
    return len(word) >= (PREFIX if word.isalpha() else PREFIX_OF_ID)


def matching(asked: Asked) -> Q:
    """Return the condition that a proposal is what was asked for."""
    wanted = Q(search__words=Written(asked.tsquery)) if asked.tsquery else Q(pk__in=[])
    return wanted | Q(pk__in=asked.ids) | Q(incident_id__in=asked.ids) if asked.ids else wanted


def hits(
    parts: Sequence[QuerySet[Proposal]], text: str, size: int, skip: int = 0, *,
    place: Expression | F = DUE, newest: bool = False, told: bool = True,
) -> Hits:
    """Return `size` proposals after the first `skip`, out of the lists a person may read, by best match; see `Hits`.

    `place` is what the lists are sorted by, soonest first or `newest` first. Who does not show where the words stand says so by
    `told`. Three queries at most and one for the snippets, each bounded whatever there is: an estimate, the candidates out of the
    index, and what of them may be read or the walk.
    """
    asked = understood(text)
    if not parts or not (asked.tsquery or asked.ids):
        return Hits(asked=asked)
    candidates = _candidates(asked)
    if candidates is None:
        found = _walked(parts, asked, size, skip, place, newest)
    else:
        found = _ranked(parts, asked, candidates, size, skip, place, newest)
    if told:
        found.snippets = snippets(found.ids, asked)
    return found


def _candidates(asked: Asked) -> list[UUID] | None:
    """Return everything that matches, whoever may read it; None when that is too much. Two queries at most.

    The planner's estimate comes first: out of the index a word that a million incidents hold costs as much as a million.
    """
    if not asked.tsquery:
        return list(Proposal.objects.filter(Q(pk__in=asked.ids) | Q(incident_id__in=asked.ids)).values_list("pk", flat=True)[:CANDIDATES])
    if not asked.stands:
        return None
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) SELECT 1 FROM escalations_searchtext WHERE words @@ %s::tsquery", [asked.stands])
        plan = cursor.fetchone()[0]
        plan = json.loads(plan) if isinstance(plan, str) else plan
        if plan[0]["Plan"]["Plan Rows"] > 2 * CANDIDATES:
            return None
        cursor.execute(
            "SELECT proposal_id FROM escalations_searchtext WHERE words @@ %s::tsquery LIMIT %s", [asked.tsquery, CANDIDATES + 1]
        )
        found = [pk for (pk,) in cursor.fetchall()]
    if len(found) > CANDIDATES:
        return None
    if asked.ids:
        found += Proposal.objects.filter(Q(pk__in=asked.ids) | Q(incident_id__in=asked.ids)).values_list("pk", flat=True)[:CANDIDATES]
    return found


def _ranked(
    parts: Sequence[QuerySet[Proposal]], asked: Asked, candidates: list[UUID], size: int, skip: int, place: Expression | F, newest: bool
) -> Hits:
    """Return the best of the candidates that stand in these lists. One query."""
    if not candidates:
        return Hits(asked=asked)
    among = RawSQL("SELECT unnest(%s::uuid[])", [candidates])
    rank = SearchRank(F("search__words"), Written(asked.tsquery or "''"))
    cut_ = [rows.filter(pk__in=among).order_by().annotate(rank=rank, place=place).values("pk", "rank", "place") for rows in parts]
    found = cut_[0].union(*cut_[1:], all=True) if len(cut_) > 1 else cut_[0]
    sorted_ = found.order_by(F("rank").desc(nulls_last=True), "-place" if newest else "place", "pk")
    ids = [row["pk"] for row in sorted_[skip : skip + size + 1]]
    return Hits(ids[:size], more=len(ids) > size, asked=asked)


def _walked(
    parts: Sequence[QuerySet[Proposal]], asked: Asked, size: int, skip: int, place: Expression | F, newest: bool
) -> Hits:
    """Return matches in the lists' own order, out of their first WALKED rows. One query."""
    down = "DESC" if newest else "ASC"
    key = ("-place", "-pk") if newest else ("place", "pk")
    lists, values = [], []
    for rows in parts:
        sql, params = rows.annotate(place=place).order_by(*key).values_list("pk", "place")[:WALKED].query.sql_with_params()
        lists.append(f"({sql})")
        values += params
    # A subquery and not a join: however common the planner holds the words to be, each row is looked up as it is come to. The last
    # row of the walk comes too, matching or not: it says that the walk ended before the list did.
    walk = (
        "SELECT walk.pk, walk.nth, (SELECT words @@ %s::tsquery FROM escalations_searchtext WHERE proposal_id = walk.pk) FROM ("
        f"SELECT pk, place, row_number() OVER (ORDER BY place {down}, pk {down}) AS nth FROM ("
        f"SELECT pk, place FROM ({' UNION ALL '.join(lists)}) AS lists(pk, place) ORDER BY place {down}, pk {down} LIMIT {WALKED}"
        ") AS first) AS walk "
        f"WHERE walk.nth = {WALKED} OR (SELECT words @@ %s::tsquery FROM escalations_searchtext WHERE proposal_id = walk.pk) "
        f"ORDER BY walk.place {down}, walk.pk {down} LIMIT %s OFFSET %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(walk, [asked.tsquery, *values, asked.tsquery, size + 1, skip])
        found = cursor.fetchall()
    ids = [pk for pk, _, matches in found if matches]
    ended = bool(found) and found[-1][1] == WALKED
    more = len(ids) > size
    return Hits(ids[:size], more=more, ranked=False, looked=WALKED if ended and not more else 0, asked=asked)


# -- where it stands

SHOWN_BEFORE, SHOWN_AFTER = 60, 110  # characters of a text round the first word that was found
READ = 6_000  # characters of one text that are looked through

_TEXTS = """
SELECT id, title, external_id, fingerprint, on_behalf_of, left(customer::text, %(n)s), action, left(args::text, %(n)s),
    left(draft::text, %(n)s), left(body, %(n)s), left(context::text, %(n)s), left(description, %(n)s), left(payload::text, %(n)s)
FROM (
    SELECT p.id, p.title, p.action, p.args, p.draft, p.description, i.external_id, i.fingerprint, i.on_behalf_of, i.customer, i.body,
        i.context, i.payload
    FROM escalations_proposal AS p JOIN escalations_incident AS i ON i.id = p.incident_id WHERE p.id = ANY(%(ids)s)
) AS found
"""
_NAMES = (
    "title", "external id", "fingerprint", "on behalf of", "customer", "action", "args", "draft", "body", "context", "description",
    "payload",
)


def snippets(ids: Sequence[UUID], asked: Asked) -> dict[UUID, list[Bit]]:
    """Return, for each of these whose title does not have all the words, where they stand: the place's name, then the marked text.

    One query. Sensitive values are left out for everybody before a text is cut, since half of a number hides from the veil.
    """
    pattern = pattern_of(asked)
    if not ids or pattern is None:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, {"n": READ, "ids": list(ids)})
        rows = cursor.fetchall()
    wanted = len(asked.marks)
    out = {}
    for pk, *texts in rows:
        best = max(range(len(texts)), key=lambda at: (_words_in(pattern, texts[at]), -at))
        if best and _words_in(pattern, texts[best]) and _words_in(pattern, texts[0]) < wanted:
            out[pk] = [Bit("name", _NAMES[best]), *_around(pattern, _readable(texts[best]))]
    return {pk: bits for pk, bits in out.items() if len(bits) > 1}


def pattern_of(asked: Asked) -> re.Pattern[str] | None:
    """Return what finds the words of a search in a text as it is written; None for a search without words."""
    if not asked.marks:
        return None
    words = sorted(asked.marks, key=lambda mark: -len(mark[0]))
    either = "|".join(re.escape(word) + (r"[^\W_]*" if begins else "") for word, begins in words)
    return re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.I)


def marked(pattern: re.Pattern[str], text: str) -> list[Bit]:
    """Return the text in pieces: "mark" for what was looked for, "say" for the rest."""
    bits, at = [], 0
    for found in pattern.finditer(text):
        bits += [Bit("say", text[at : found.start()])] * (found.start() > at) + [Bit("mark", found[0])]
        at = found.end()
    return bits + [Bit("say", text[at:])] * (at < len(text))


def _words_in(pattern: re.Pattern[str], text: str | None) -> int:
    return len({found.lower() for found in pattern.findall(text)}) if text else 0


def _readable(text: str) -> str:
    """Return JSON as "name: value" and so on, anything else as it is, without what is sensitive, whole or cut in two by READ."""
    whole = len(text) < READ
    if text[:1] in ("{", "["):
        try:
            text = "; ".join(lines(json.loads(text)))
        except ValueError:  # it was cut
            text = text.replace("\\n", " ")
    [(_, plain)] = without_sensitive([("", text)])
    return " ".join((plain if whole else plain[:-CUT]).split())


def _around(pattern: re.Pattern[str], text: str) -> list[Bit]:
    first = pattern.search(text)
    if first is None:
        return []
    start, end = max(0, first.start() - SHOWN_BEFORE), min(len(text), first.end() + SHOWN_AFTER)
    if start:
        start = text.rfind(" ", 0, start + 20) + 1 or start
    piece = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
    return marked(pattern, piece)
