"""The minutes of a weekly review, as Markdown or as plain text. What strangers wrote stands in them as text, never as marks."""

import re
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from escalations.floors.sensitive import spans
from escalations.floors.text import tokens
from escalations.models import EscalationReview, Finding, FollowUp, Proposal, Suggestion
from escalations.states import ReviewState

from .follow_ups import shown_on

FORMS = {"md": "text/markdown; charset=utf-8", "txt": "text/plain; charset=utf-8"}
LONGEST = 300  # characters of one text
MARKED = {
    "harmed": "it did harm", "expired": "ran out of time", "climbed": "climbed: nobody answered", "raised": "sent up by a person",
    "overridden": "decided against the machine", "waiting": "still waiting when the week was over", "asked": "came to a person",
}
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")
_BOLD = re.compile(r"(?<!\\)\*\*")

Say = Callable[[str], str]


def masked(text: str) -> str:
    """Return a text with everything sensitive left out, whoever reads it."""
    pieces, at = [], 0
    for span in spans(text):
        pieces += [text[at : span.start], f"[{span.name}]"]
        at = span.end
    return "".join([*pieces, text[at:]])


def minutes(review: EscalationReview, form: str, *, say: Say = masked, judging: Collection[UUID] = ()) -> str:
    """Return the minutes as "md" or "txt". `say` masks what strangers and colleagues wrote for who takes them away. Four queries.

    `judging` are the proposals that they judge again themselves: what was found of these is left out, and that it was. Raises KeyError
    for another form.
    """
    if form not in FORMS:
        raise KeyError(form)
    write: Say = (lambda text: _escaped(_line(say(text)))) if form == "md" else (lambda text: _line(say(text)))
    lines = _lines(review, write, judging)
    text = "\n".join(lines).rstrip() + "\n"
    return text if form == "md" else _plain(text)


def _lines(review: EscalationReview, write: Say, judging: Collection[UUID]) -> list[str]:
    agenda = review.agenda
    last = review.week + timedelta(days=6)
    closed = review.state == ReviewState.CLOSED and review.closed_at is not None
    by = f" by {write(review.closed_by.name)}" if closed and review.closed_by else ""
    state = f"Closed {review.closed_at:%-d %B %Y}{by}." if closed else "Not closed yet."
    lines = [
        f"# Escalation review: {write(review.role.name)}", "",
        f"Week of {review.week:%-d %B %Y} to {last:%-d %B %Y} (UTC). {state}", "", "## The week", "",
        f"- {agenda.get('came', 0)} came to this team, {agenda.get('decided', 0)} were decided by people.",
        f"- {agenda.get('expired', 0)} ran out of time, {agenda.get('climbed', 0)} climbed because nobody answered, "
        f"{agenda.get('raised', 0)} were sent up by a person.",
    ]
    overrides = agenda.get("overrides", {})
    judged, otherwise = overrides.get("judged", 0), overrides.get("overridden", 0)
    lines.append(f"- In {otherwise} of {judged} people decided otherwise than the machine would have.")
    lines += _why(agenda, write) + _kinds(agenda, write) + _lanes(agenda, write) + _rules(agenda, write)
    lines += _findings(review, write, judging) + _follow_ups(review, write) + _suggestions(review, write)
    if review.notes.strip():
        lines += ["", "## Notes", "", *[f"> {write(line)}" for line in review.notes.splitlines() if line.strip()]]
    return lines


def _why(agenda: dict[str, Any], write: Say) -> list[str]:
    rows = [
        f"- {one['what']} {write(one['name'].replace('_', ' '))}: {one['came']} came; of {one['decided']} decided, {one['plain']} were "
        "approved as proposed"
        for one in agenda.get("why", [])
    ]
    return _section("Why it came to people", rows)


def _kinds(agenda: dict[str, Any], write: Say) -> list[str]:
    rows = [
        f"- {one['count']} × {write(' '.join(one['words']) or 'without words')} ({one['kind']} of {write(one['source'])})"
        for one in agenda.get("new_kinds", [])
    ]
    return _section("New kinds of incident", rows)


def _lanes(agenda: dict[str, Any], write: Say) -> list[str]:
    rows = [
        f"- {one['what']}: {write(one['source'])}, {write(one['subject'])}" + (f" ({write(one['why'])})" if one["why"] else "")
        for one in agenda.get("lanes", [])
    ]
    return _section("Lanes gained and lost", rows)


def _rules(agenda: dict[str, Any], write: Say) -> list[str]:
    rows = []
    for one in agenda.get("wrong_rules", []):
        if one["what"] == "asked":
            rows.append(f"- {write(one['rule'])} asked, and people approved {one['plain']} of {one['fired']} as proposed")
        else:
            rows.append(f"- {write(one['rule'])} let {one['harmed']} go that did harm")
    return _section("Rules that fired wrongly", rows)


def _findings(review: EscalationReview, write: Say, judging: Collection[UUID]) -> list[str]:
    findings = {one.proposal_id: one for one in Finding.objects.filter(review=review).select_related("person")}
    marks = {one["proposal"]: one["marks"] for one in review.agenda.get("items", [])}
    titles = dict(Proposal.objects.filter(pk__in=findings).values_list("pk", "title"))
    words, rows = dict(Finding.FOUND), []
    told = [(pk, one) for pk, one in findings.items() if pk not in judging]
    for pk, one in sorted(told, key=lambda pair: (pair[1].found, str(pair[0]))):
        said = ", ".join(MARKED.get(mark, mark) for mark in marks.get(str(pk), []))
        note = f" Note: {write(one.note)}" if one.note.strip() else ""
        rows.append(f"- **{words[one.found]}**: {write(titles.get(pk, ''))} ({said}). {write(one.person.name)}.{note}")
    if unsaid := len(findings) - len(told):
        rows.append(f"- {unsaid} that you judge again yourself: told here when you have answered")
    left = len(marks) - len(findings)
    return _section("Findings", [*rows, *([f"- {left} of {len(marks)} escalations have no finding"] if left > 0 else [])])


def _follow_ups(review: EscalationReview, write: Say) -> list[str]:
    return _section("Follow-ups", [_follow_up(one, review, write) for one in shown_on(review)])


def _follow_up(one: FollowUp, review: EscalationReview, write: Say) -> str:
    due = f", due {one.due:%-d %b %Y}" if one.due else ""
    since = f", from the week of {one.review.week:%-d %b %Y}" if one.review_id != review.pk else ""
    state = "open" if one.ended_at is None else "dropped" if one.dropped else "done"
    outcome = f" {write(one.outcome)}" if one.outcome else ""
    return f"- [{'x' if one.ended_at else ' '}] {write(one.text)} ({write(one.owner.name)}{due}{since}): {state}.{outcome}"


def _suggestions(review: EscalationReview, write: Say) -> list[str]:
    rows = []
    for one in Suggestion.objects.filter(review=review).select_related("rule"):
        what = f"drafted as {write(one.rule.name)}" if one.rule else f"dismissed: {write(one.dismissed_why)}" if one.dismissed_at else "open"
        rows.append(f"- {one.get_floor_display().lower()} where {write(one.condition)}. {write(one.why)} {what[0].upper()}{what[1:]}.")
    return _section("Suggested rules", rows)


def _section(title: str, rows: Iterable[str]) -> list[str]:
    rows = list(rows)
    return ["", f"## {title}", "", *rows] if rows else []


def _line(text: str) -> str:
    """Return a text on one line, what cannot be seen written out, cut at LONGEST."""
    seen = " ".join("".join(piece for _, piece in tokens(text)).split())
    return seen if len(seen) <= LONGEST else f"{seen[: LONGEST - 1]}…"


def _escaped(text: str) -> str:
    """Return a text of which nothing is a mark of Markdown or HTML."""
    return _MARKS.sub(r"\\\1", text)


def _plain(text: str) -> str:
    """Return our own marks taken out: titles underlined, bold plain."""
    lines = []
    for line in text.split("\n"):
        if line.startswith("# "):
            lines += [line[2:].upper(), "=" * len(line[2:])]
        elif line.startswith("## "):
            lines += [line[3:], "-" * len(line[3:])]
        else:
            lines.append(_BOLD.sub("", line))
    return "\n".join(lines)
