"""A proposal as a Slack message. Every word that is not ours goes into plain text, in which nothing is a mention, a link or an emoji.

With buttons it shows what a yes signs exactly as it is, whole; without, it says where to read it. Where there are details that are
masked on a page, it names what is asked and by whom, and nothing else of it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from escalations.floors import chatting
from escalations.floors.clearance import needed_for
from escalations.floors.sensitive import spans
from escalations.models import Decision, Proposal
from escalations.states import State, Verdict

from .words import WITHHELD, one_line

Block = dict[str, Any]
Message = tuple[str, list[Block]]

REASON = "reason"  # block and action of the field in which a reason is typed
LONGEST_REASON = 1_000
LONGEST_HEADER = 150
MOST_REASONS = 6  # triggers that are told; the page has them all

DECIDED = {Verdict.APPROVE: "approved", Verdict.EDIT: "edited and approved", Verdict.REJECT: "rejected", Verdict.RESPOND: "answered"}


@dataclass(frozen=True)
class Standing:
    """What has come of a proposal besides its row: who signed already, of how many, and the decision."""

    signed: tuple[str, ...] = ()
    needed: int = 1
    held: str = ""  # who signed and can still take it back
    decision: Decision | None = None


def asking(proposal: Proposal, *, workspace: int, lead: str = "", why_no_buttons: str = "", standing: Standing | None = None) -> Message:
    """Return (notification text, blocks) of a proposal that waits; with buttons when `why_no_buttons` is empty."""
    title, standing = _title(proposal), standing or Standing()
    signed = "" if why_no_buttons else chatting.signed_text(proposal)
    blocks = [_header(lead or title)]
    if lead and lead != title and title not in lead:
        blocks.append(_plain(title))
    blocks.append(_plain("\n".join(_about(proposal))))
    if signed:
        blocks += [_plain("What a yes signs, whole:"), _as_it_is(signed)]
    blocks.append(_context(_times(proposal)))
    if standing.signed:
        more = standing.needed - len(standing.signed)
        blocks.append(_plain(f"Signed by {one_line(', '.join(standing.signed))}; {more} more of {standing.needed} must say yes."))
    if signed:
        blocks += [_reason(proposal), _buttons(proposal, workspace)]
    else:
        blocks += [_plain(standing.held or why_no_buttons), _link(proposal)]
    return _escaped(f"{lead or title} ({proposal.source.name})"), blocks


def changed(proposal: Proposal) -> Message:
    """Return what a message says once what it showed is no longer what stands there."""
    title = _title(proposal)
    asked = f" The role {one_line(proposal.role.name, 80)} is asked now." if proposal.role else ""
    line = f"This changed since it was posted: open it.{asked}"
    return _escaped(f"Changed: {title}"), [_header(title), _plain(line), _context(_times(proposal)), _link(proposal)]


def settled(proposal: Proposal, standing: Standing) -> Message:
    """Return what a message says at last: how it ended, and by whom."""
    title = _title(proposal)
    how = _ending(proposal, standing.decision)
    return _escaped(f"{how}: {title}"), [_header(title), _plain(how), _link(proposal, "Read the whole story")]


def plain_message(subject: str, body: str, link: str = "") -> Message:
    """Return a message of text alone, with one way to a page of ours."""
    parts = [body[at : at + 2_900] for at in range(0, min(len(body), 11_600), 2_900)]
    blocks = [_header(subject), *(_plain(part) for part in parts)]
    if link:
        blocks.append({"type": "actions", "elements": [_open(link, "Open")]})
    return _escaped(subject), blocks


def reply(text: str, link: str) -> Message:
    """Return what only the one who pressed is told."""
    return _escaped(text), [_plain(text), {"type": "actions", "elements": [_open(link, "Open")]}]


def _ending(proposal: Proposal, decision: Decision | None) -> str:
    if proposal.state == State.WITHDRAWN:
        return "The source withdrew this; nobody has to decide it any more."
    if proposal.state == State.SUPERSEDED:
        return "A newer revision took its place. Open it to read what is asked now."
    if decision is None:
        return f"This is {proposal.state}."
    who = "The clock" if decision.by_kind == "clock" else one_line(decision.by_name, 80)
    said = DECIDED.get(Verdict(decision.type), decision.type)
    why = f" {_masked(decision.reason)}" if decision.reason else ""
    ran_out = "Its time ran out. " if proposal.state == State.EXPIRED else ""
    return f"{ran_out}{who} {said} this at {decision.decided_at:%Y-%m-%d %H:%M} UTC.{why}"


def _title(proposal: Proposal) -> str:
    what = f"{proposal.kind} “{one_line(proposal.action, 60)}”" if proposal.action else str(proposal.kind)
    if _sensitive(proposal) or needed_for(proposal.title):
        return f"{what} from {proposal.source.name}"
    return one_line(proposal.title or what, 140)


def _about(proposal: Proposal) -> list[str]:
    what = f"{proposal.kind} “{one_line(proposal.action, 80)}”" if proposal.action else str(proposal.kind)
    lines = [f"{proposal.source.name} asks: {what}. Risk: {proposal.risk}."]
    if _sensitive(proposal):
        return [*lines, "It holds details that are masked. Open it to read them."]
    for trigger in proposal.triggers[:MOST_REASONS]:
        stake = "At stake" if trigger["name"] in ("high_stakes", "irreversible") else "Why a person"
        lines.append(f"{stake}: {one_line(trigger['name'], 40)}: {_masked(trigger.get('why', ''))}")
    if impact := proposal.claims.get("impact"):
        lines.append(f"The source says of its impact: {_masked(impact)}")
    if request := proposal.incident.context.get("request") or proposal.description:
        lines.append(f"What was asked for: {_masked(request, 300)}")
    return lines


def _sensitive(proposal: Proposal) -> bool:
    return "sensitive_data" in proposal.trigger_names or bool(needed_for(proposal.content))


def _masked(said: Any, longest: int = 200) -> str:
    """Return a stranger's words on one line, with every detail in them withheld."""
    text = str(said)
    for span in reversed(spans(text)):
        text = text[: span.start] + WITHHELD + text[span.end :]
    return one_line(text, longest)


def _times(proposal: Proposal) -> str:
    """Return our own words and moments, which Slack shows in the reader's time zone."""
    told = []
    if proposal.due_at is not None:
        told.append(f"Next step {_moment(proposal.due_at)}.")
    if proposal.expires_at is not None and proposal.parked_at is None:
        told.append(f"Time runs out {_moment(proposal.expires_at)}.")
    return " ".join(told) or "No clock runs."


def _moment(moment: datetime) -> str:
    plain = f"{moment:%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} at {{time}}|{plain}>"


# -- the pieces


def _plain(text: str) -> Block:
    return {"type": "section", "text": _text(text, 3_000)}


def _text(text: str, longest: int) -> Block:
    return {"type": "plain_text", "text": text[:longest] or " ", "emoji": False}


def _header(text: str) -> Block:
    short = text if len(text) <= LONGEST_HEADER else text[: LONGEST_HEADER - 1] + "…"
    return {"type": "header", "text": _text(short, LONGEST_HEADER)}


def _as_it_is(text: str) -> Block:
    return {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}]}


def _context(markup: str) -> Block:
    """Return a line of ours: nothing a stranger wrote may come here."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": markup, "verbatim": True}]}


def _reason(proposal: Proposal) -> Block:
    needed = "Reason (needed for both)" if chatting.asks_for_a_reason(proposal) else "Reason (needed for a no)"
    field = {"type": "plain_text_input", "action_id": REASON, "multiline": False, "max_length": LONGEST_REASON}
    return {"type": "input", "block_id": REASON, "optional": True, "label": _text(needed, 150), "element": field}


def _buttons(proposal: Proposal, workspace: int) -> Block:
    def button(verdict: Verdict, label: str, style: str, question: str) -> Block:
        carried = chatting.Button(verdict, workspace, proposal.pk, proposal.version, proposal.args_digest)
        confirm = {
            "title": _text(question, 100), "text": _text(f"You sign this with your name: {_title(proposal)}", 300),
            "confirm": _text(label, 30), "deny": _text("Not yet", 30), "style": style,
        }
        return {
            "type": "button", "action_id": str(verdict), "text": _text(label, 75), "style": style, "value": carried.value(),
            "confirm": confirm,
        }

    return {"type": "actions", "elements": [
        button(Verdict.APPROVE, "Approve", "primary", "Approve this?"),
        button(Verdict.REJECT, "Reject", "danger", "Reject this?"),
        _open(address(proposal), "Open"),
    ]}


def _link(proposal: Proposal, label: str = "Open to decide") -> Block:
    return {"type": "actions", "elements": [_open(address(proposal), label)]}


def _open(link: str, label: str) -> Block:
    return {"type": "button", "action_id": "open", "text": _text(label, 75), "url": link}


def address(proposal: Proposal) -> str:
    """Return where the proposal is read. Following it decides nothing."""
    return settings.PUBLIC_URL.rstrip("/") + proposal.get_absolute_url()


def _escaped(text: str) -> str:
    """Return text for the one place that knows markup whatever we ask: what a notification shows."""
    return re.sub(r"[*_~`]", "", one_line(text, 300)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
