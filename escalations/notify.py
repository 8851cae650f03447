"""Messages to people, from the outbox by mail: at least once, one row and one Message-ID each, never in the way.

A mail leaves our house and is read in previews, so it says what is asked and why, and the only address in it is ours;
where a proposal holds sensitive data it says that and nothing of it. What was settled meanwhile is not told any more.
"""

import logging
import re
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db.models import F
from django.template.loader import render_to_string

from escalations import authority, clock, mailing, queue
from escalations.floors import text as texts
from escalations.floors.sensitive import spans
from escalations.models import Notice, Proposal
from escalations.outbox import ABOUT_OPEN
from escalations.states import Sending, State

logger = logging.getLogger(__name__)

ABOUT_ONE_PERSON = frozenset({"mentioned", "hold_fell"})
BATCH = 50
ROUND_SECONDS = 20.0  # with one mail's slow conversation on top it stays below the queue's timeout
# Seconds between one try and the next: about a day and a half in all, then the notice is given up and the page still
# shows the item.
WAITS = (30, 120, 600, 1_800, 7_200, 14_400, 28_800, 72_000)
LONGEST_LINE = 160
LONGEST_TEXT = 1_200
MOST_ARGS = 20
WITHHELD = "•••"

_GAPS = re.compile(r"\n{3,}")
_LINE_BREAKS = re.compile(r"\s+")
_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)
_NAME = re.compile(r"[^\w .,:()@/+-]+")


def run_batch() -> int:
    """Send up to BATCH due notices over one connection; return how many were finished or put off.

    Not inside a transaction. After ROUND_SECONDS what is left goes back: a slow mail server costs time, not tries.
    """
    rows = queue.claim_sending(
        Notice, BATCH, related=("person", "role", "proposal__source", "proposal__role", "proposal__incident")
    )
    if not rows:
        return 0
    stop_at = time.monotonic() + ROUND_SECONDS
    connection = mailing.connect()
    unreachable: mailing.MailFailed | None = None
    handled = 0
    try:
        for row in rows:
            if time.monotonic() >= stop_at:
                _held(row).update(lease_until=None, attempts=F("attempts") - 1)
            elif not still_true(row):
                handled += _finish(row, Sending.NOTHING_TO_SEND)
            elif unreachable is not None:  # it was not there a moment ago: wait no more for each
                handled += _put_off(row, unreachable)
            else:
                try:
                    _send(row, connection)
                except mailing.MailFailed as error:
                    unreachable = error if error.unreachable else None
                    handled += _put_off(row, error)
                else:
                    handled += _finish(row, Sending.SENT)
    finally:
        connection.close()
    return handled


def still_true(notice: Notice) -> bool:
    """Say whether the message would still be right.

    The item open, the person here and still of the role that is asked; who is told for their own sake may still read it.
    """
    if notice.kind in ABOUT_OPEN and notice.proposal is not None and notice.proposal.state != State.PENDING:
        return False
    person = notice.person
    if person is None:
        return True
    if not person.is_active:
        return False
    if notice.kind in ABOUT_ONE_PERSON and notice.proposal is not None:
        return authority.may_read(person, notice.proposal)
    return notice.role is None or person.groups.filter(pk=notice.role_id).exists()


def message(notice: Notice) -> tuple[str, str]:
    """Return the subject (one line) and the body of a notice. No queries when its relations are loaded."""
    context = _context(notice)
    subject = one_line(render_to_string(f"emails/{notice.kind}.subject.txt", context), LONGEST_LINE + 60)
    body = render_to_string(f"emails/{notice.kind}.txt", context).strip()
    return subject, _GAPS.sub("\n\n", body) + "\n"


def one_line(said: Any, longest: int = LONGEST_LINE) -> str:
    """Return text of a stranger as one line: nothing hidden, no link that can be clicked, not too long."""
    line = _LINE_BREAKS.sub(" ", visible(said)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def visible(said: Any) -> str:
    """Return text with hidden characters spelled out and links broken; line breaks stay."""
    shown = "".join(piece for _, piece in texts.tokens(str(said)))
    return _LINK.sub(lambda found: "[:]//" if found[0] == "://" else "www[.]", shown)


def _send(notice: Notice, connection: Any) -> None:
    address = notice.person.email if notice.person else notice.address
    try:
        subject, body = message(notice)
    except Exception as error:  # one notice that cannot be written must not hold up the others
        raise mailing.MailFailed(f"it could not be written ({type(error).__name__})") from error
    mailing.send(
        to=mailing.one_address(address),
        subject=subject,
        body=body,
        message_id=notice.pk,
        connection=connection,
        automatic=True,
    )


def _finish(notice: Notice, state: str) -> int:
    return _held(notice).update(state=state, next_try_at=None, lease_until=None, finished_at=clock.now(), error="")


def _put_off(notice: Notice, failure: mailing.MailFailed) -> int:
    """Try again later, or give up. `attempts` counts claims, this one among them."""
    now = clock.now()
    if failure.permanent or notice.attempts > len(WAITS):
        logger.warning("notice given up", extra={"notice": str(notice.pk), "kind": notice.kind, "why": failure.reason})
        return _held(notice).update(
            state=Sending.GIVEN_UP, next_try_at=None, lease_until=None, finished_at=now, error=failure.reason[:300]
        )
    due = now + timedelta(seconds=WAITS[notice.attempts - 1])
    return _held(notice).update(next_try_at=due, lease_until=None, error=failure.reason[:300])


def _held(notice: Notice) -> Any:
    return Notice.objects.filter(pk=notice.pk, token=notice.token, state=Sending.WAITING)


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


def _fact(name: str, value: Any) -> Any:
    """Return a fact as a mail may tell it: on one line, and of what colleagues wrote to each other nothing that is masked on a page."""
    if not isinstance(value, str):
        return value
    if name != "text":
        return one_line(value)
    for span in reversed(spans(value)):
        value = value[: span.start] + WITHHELD + value[span.end :]
    return one_line(value, LONGEST_TEXT)


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
        "title": f"{what} from {proposal.source.name}" if sensitive else one_line(proposal.title or what),
        "what": what,
        "source": proposal.source.name,
        "asked_role": proposal.role.name if proposal.role else "",
        "args": [
            (one_line(name, 60), WITHHELD if sensitive else one_line(value))
            for name, value in list(args.items())[:MOST_ARGS]
        ],
        "more_args": max(0, len(args) - MOST_ARGS),
        "draft": {
            name: WITHHELD if sensitive else one_line(draft.get(name) or "", LONGEST_TEXT)
            for name in ("to", "subject", "body")
        }
        if draft
        else None,
        "triggers": [
            (one_line(trigger["name"]), "" if sensitive else one_line(trigger.get("why", "")))
            for trigger in proposal.triggers
        ],
        "at_stake": []
        if sensitive
        else [
            one_line(trigger.get("why", ""))
            for trigger in proposal.triggers
            if trigger["name"] in ("high_stakes", "irreversible")
        ],
        "impact": "" if sensitive else one_line(proposal.claims.get("impact") or ""),
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
