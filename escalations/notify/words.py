"""What a message says: a subject and a body of plain text from the templates, with a stranger's words made harmless.

A message leaves our house and is read in previews, so it says what is asked and why, and the only address in it is ours;
where a proposal holds sensitive data it says that and nothing of it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.template.loader import render_to_string

from escalations import clock
from escalations.floors import text as texts
from escalations.floors.sensitive import spans
from escalations.models import Notice, Proposal

LONGEST_LINE = 160
LONGEST_TEXT = 1_200
MOST_ARGS = 20
MOST_LINES = 20
WITHHELD = "•••"

_GAPS = re.compile(r"\n{3,}")
_LINE_BREAKS = re.compile(r"\s+")
_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)
_CALLS = re.compile(r"@(?=everyone|here|channel|all\b|room\b)", re.IGNORECASE)
_NAME = re.compile(r"[^\w .,:()@/+-]+")


def message(notice: Notice, also: Sequence[Notice] = (), more: int = 0) -> tuple[str, str]:
    """Return the subject (one line) and the body of a message about one notice, or about several at once.

    `more` are told of by their number alone. No queries when the relations of the notices are loaded.
    """
    if also or more:
        return _together([notice, *also], more)
    context = _context(notice)
    body = render_to_string(f"emails/{notice.kind}.txt", context).strip()
    return _subject(notice, context), _GAPS.sub("\n\n", body) + "\n"


def plain(text: str) -> str:
    """Return text in which no chat finds a tag, a mention or a call to everybody."""
    return _CALLS.sub("@ ", text.replace("<", "‹").replace(">", "›"))


def _subject(notice: Notice, context: dict[str, Any]) -> str:
    return one_line(render_to_string(f"emails/{notice.kind}.subject.txt", context), LONGEST_LINE + 60)


def _together(notices: Sequence[Notice], more: int) -> tuple[str, str]:
    """Return one message for many: what is said alike is said once, with its number."""
    lines: dict[str, dict[str, Any]] = {}
    for notice in notices:
        context = _context(notice)
        line = lines.setdefault(_subject(notice, context), {"times": 0, **context})
        line["times"] += 1
    listed = [{"subject": subject, **line} for subject, line in list(lines.items())[:MOST_LINES]]
    number = len(notices) + more
    rest = number - sum(line["times"] for line in listed)
    kinds = Counter(notice.kind for notice in notices)
    context = {
        "number": number, "rest": rest, "lines": listed, "public": settings.PUBLIC_URL.rstrip("/"),
        "person": _context(notices[0])["person"], "first": listed[0]["subject"],
        "only_kind": next(iter(kinds)) if len(kinds) == 1 and not more else "",
    }  # fmt: skip
    subject = one_line(render_to_string("emails/together.subject.txt", context), LONGEST_LINE + 60)
    return subject, _GAPS.sub("\n\n", render_to_string("emails/together.txt", context).strip()) + "\n"


def one_line(said: Any, longest: int = LONGEST_LINE) -> str:
    """Return text of a stranger as one line: nothing hidden, no link that can be clicked, not too long."""
    line = _LINE_BREAKS.sub(" ", visible(said)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def visible(said: Any) -> str:
    """Return text with hidden characters spelled out and links broken; line breaks stay."""
    shown = "".join(piece for _, piece in texts.tokens(str(said)))
    return _LINK.sub(lambda found: "[:]//" if found[0] == "://" else "www[.]", shown)


# -- what a template sees


def _context(notice: Notice) -> dict[str, Any]:
    public = settings.PUBLIC_URL.rstrip("/")
    context: dict[str, Any] = {
        "facts": {name: _fact(name, value) for name, value in notice.facts.items()},
        "role": notice.role.name if notice.role else "",
        "person": _NAME.sub("", notice.person.name) if notice.person else "",
        "public": public,
        "link": public + "/",
    }
    if notice.proposal is not None:
        context |= _asked(notice.proposal, _zone(notice))
        context["link"] = public + notice.proposal.get_absolute_url()
    elif notice.facts.get("incident"):
        context["link"] = f"{public}/incidents/{one_line(notice.facts['incident'], 40)}/"
    return context


def told(said: Any, longest: int = LONGEST_LINE) -> str:
    """Return a stranger's text as one harmless line, without the values a page would mask (cards, accounts, ids, keys)."""
    text = str(said)[:8_000]
    for span in reversed(spans(text)):
        text = text[: span.start] + WITHHELD + text[span.end :]
    return one_line(text, longest)


def _fact(name: str, value: Any) -> Any:
    """Return a fact as a message may tell it: on one line, with nothing of what is masked on a page."""
    return told(value, LONGEST_TEXT if name == "text" else LONGEST_LINE) if isinstance(value, str) else value


def _asked(proposal: Proposal, zone: ZoneInfo) -> dict[str, Any]:
    """Return what a person needs to judge whether to come now: what, why, how much, until when."""
    sensitive = "sensitive_data" in proposal.trigger_names
    what = f"{proposal.kind} “{one_line(proposal.action, 80)}”" if proposal.action else f"{proposal.kind}"
    args = proposal.args if isinstance(proposal.args, dict) else {}
    draft = proposal.draft if isinstance(proposal.draft, dict) else {}
    return {
        "state": proposal.state,
        "fallback": proposal.policy.get("fallback", "reject"),
        "sensitive": sensitive,
        "title": f"{what} from {proposal.source.name}" if sensitive else told(proposal.title or what),
        "what": what,
        "source": proposal.source.name,
        "asked_role": proposal.role.name if proposal.role else "",
        "args": [
            (one_line(name, 60), WITHHELD if sensitive else told(value))
            for name, value in list(args.items())[:MOST_ARGS]
        ],
        "more_args": max(0, len(args) - MOST_ARGS),
        "draft": {
            name: WITHHELD if sensitive else told(draft.get(name) or "", LONGEST_TEXT)
            for name in ("to", "subject", "body")
        }
        if draft
        else None,
        "triggers": [
            (one_line(trigger["name"]), "" if sensitive else told(trigger.get("why", "")))
            for trigger in proposal.triggers
        ],
        "at_stake": []
        if sensitive
        else [
            told(trigger.get("why", ""))
            for trigger in proposal.triggers
            if trigger["name"] in ("high_stakes", "irreversible")
        ],
        "impact": "" if sensitive else told(proposal.claims.get("impact") or ""),
        "due": _moment(proposal.due_at, zone),
        "expires": _moment(proposal.expires_at, zone),
    }


def _moment(moment: datetime | None, zone: ZoneInfo) -> str:
    """Return "Sat 21 Nov 03:10 UTC, in 3 h 20 min"."""
    if moment is None:
        return ""
    minutes = max(0, int((moment - clock.now()).total_seconds() // 60))
    hours, minutes = divmod(minutes, 60)
    left = f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return f"{moment.astimezone(zone):%a %d %b %H:%M %Z}, in {left}"


def _zone(notice: Notice) -> ZoneInfo:
    try:
        return ZoneInfo(notice.person.time_zone if notice.person else "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
