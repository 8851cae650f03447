"""The words a proposal is found by: cut, weighted, without what is sensitive, and written beside it when it is routed.

Words are cut here and not by PostgreSQL's parser, which reads "order-1182" as a number below zero: so what is written and what is
looked for (`reviews/search.py`) are cut alike. Sensitive values are left out whole, or a search would tell digit by digit what is
masked on the page.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from escalations.floors.sensitive import spans
from escalations.floors.text import folded, words_of
from escalations.models import Proposal

logger = logging.getLogger(__name__)

# What a tsvector holds is 1 MB; positions beyond 16,383 are all the same to it.
LONGEST_TEXT = 60_000  # characters of one weight that are read
MOST_WORDS = 12_000
MOST_BYTES = 300_000
MOST_PLACES = 40  # of one word
LONGEST_WORD = 64
MOST_ITEMS = 200  # of context that was added later
LONGEST_NAME = 100  # characters of a name, the last ones: it is said with each of its values again
CUT = 200  # characters before the end of a text that was cut: half of a number is in no list of numbers
SHORTEST_KNOWN = 5  # characters of a sensitive value that is left out wherever else it stands

# Chinese, Japanese and Korean stand without spaces: each sign is a word there, and a word of theirs a phrase.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")

_WRITE = """
INSERT INTO escalations_searchtext (proposal_id, words) VALUES (%s, %s::tsvector)
ON CONFLICT (proposal_id) DO UPDATE SET words = excluded.words
"""


def cut(text: str) -> list[str]:
    """Return the words of a text as they are searched: lower case, without accents and disguises, none longer than 64 characters."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(words_of(folded(text)))]


def remember(proposal: Proposal) -> None:
    """Write by which words this proposal is found, in the caller's transaction: one statement in a savepoint.

    Reads `proposal.incident` and `incident.added_context` (one query unless prefetched). Never raises: what cannot be searched for
    must still be decided.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_WRITE, [proposal.pk, vector(sections(proposal))])
    except Exception:
        logger.exception("not searchable", extra={"proposal": str(proposal.pk)})


def remember_missing(rows: QuerySet[Proposal], batch: int = 200) -> int:
    """Write the words of those of `rows` that have none, newest first; return how many. Two queries and one write for each batch."""
    done, before = 0, None
    missing = rows.filter(routed_at__isnull=False, search=None).select_related("incident").prefetch_related("incident__added_context")
    while True:
        page = missing.filter(pk__lt=before) if before else missing
        found = list(page.order_by("-pk")[:batch])
        if not found:
            return done
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(_WRITE, [(one.pk, vector(sections(one))) for one in found])
        done, before = done + len(found), found[-1].pk


def sections(proposal: Proposal) -> list[tuple[str, str]]:
    """Return (weight, text): the title above what is to be signed and ids, those above what it is about, and that above the rest."""
    incident = proposal.incident
    added = islice(incident.added_context.all(), MOST_ITEMS)
    context = incident.context if isinstance(incident.context, dict) else {"context": incident.context}
    asked = [incident.body, *lines(context), *(line for item in added for line in lines(item.context))]
    ids = [
        incident.external_id, incident.fingerprint, incident.session, incident.on_behalf_of, incident.key or "",
        proposal.args_digest.removeprefix("sha256:"),
    ]
    return [
        ("A", proposal.title or incident.title),
        ("B", "\n".join([proposal.action, *ids, *lines(incident.customer), *lines(proposal.args), *lines(proposal.draft)])),
        ("C", "\n".join(asked)),
        ("D", "\n".join([proposal.description, *lines(incident.payload)])),
    ]


def lines(value: Any) -> Iterator[str]:
    """Yield every leaf of a JSON value as "name: leaf", in its order: a name says what a value is ("password: …")."""
    waiting = [("", value)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, dict):
            waiting += [(str(key)[-LONGEST_NAME:], inner) for key, inner in reversed(one.items())]
        elif isinstance(one, list):
            waiting += [(name, inner) for inner in reversed(one)]
        elif one not in (None, "") and not isinstance(one, bool):
            text = one if isinstance(one, str) else json.dumps(one)
            yield f"{name}: {text}" if name else text


def vector(parts: Iterable[tuple[str, str]]) -> str:
    """Return the tsvector of weighted texts, written out; within PostgreSQL's limits whatever the texts are."""
    places: dict[str, list[str]] = {}
    place = size = 0
    given = list(parts)
    plain = without_sensitive([(weight, folded(text[:LONGEST_TEXT])) for weight, text in given])
    for (weight, text), (_, whole) in zip(plain, given, strict=True):
        text = text if len(whole) <= LONGEST_TEXT else text[:-CUT]
        mark = weight if weight != "D" else ""
        for word in cut(text):
            known = places.get(word)
            if known is None:
                size += len(word.encode()) + 12
                known = places[word] = []
            if len(known) < MOST_PLACES:
                size += 4
                known.append(f"{place + 1}{mark}")
            place += 1
            if place >= MOST_WORDS or size >= MOST_BYTES:
                break
        place += 1  # no phrase reaches from one weight into the next
    # A word has letters and digits only: nothing in it can end the quotes.
    return " ".join(f"'{word}':{','.join(at)}" for word, at in places.items() if at)


def without_sensitive(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the texts without card numbers, secrets and the like, nor the same values where they stand alone in another text."""
    known: set[str] = set()
    kept = []
    for weight, text in parts:
        at, pieces = 0, []
        for span in spans(text):
            pieces.append(text[at : span.start])
            known.add(text[span.start : span.end].strip("\"'`,;.\\}]"))
            at = span.end
        kept.append((weight, " ".join([*pieces, text[at:]]) if pieces else text))
    for value in sorted(known, key=len, reverse=True):
        if len(value) >= SHORTEST_KNOWN:
            kept = [(weight, text.replace(value, " ")) for weight, text in kept]
    return kept
