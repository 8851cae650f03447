"""What is asked and what will happen, in words made by us from the action and its args. No prose of a source gets in here
but as a quoted value, so that a sentence cannot be talked into saying something else."""

import re
from typing import Any, NamedTuple

from escalations.floors.provenancewords import AMOUNT, LINK, TO
from escalations.models import Proposal
from escalations.states import Kind, Verdict

from .values import plain

IN_A_ROW = 4  # args named in an inbox row
IN_A_SENTENCE = 8
LONGEST = 80  # characters of one value in a sentence; the table below has it whole


class Bit(NamedTuple):
    """A piece of a sentence: our own words ("say"), the name of an arg ("name"), or a value from the source ("value")."""

    kind: str
    text: str


def say(text: str) -> Bit:
    return Bit("say", text)


def value(text: str) -> Bit:
    return Bit("value", text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)")


def readable(action: str) -> str:
    """Return `refund_order` as "Refund order"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./:\s]+", " ", action).strip()
    return words[:1].upper() + words[1:] if words else "Do something unnamed"


def named(one: Any) -> Bit:
    if isinstance(one, dict):
        return say("nothing" if not one else "1 value" if len(one) == 1 else f"{len(one)} values")
    if isinstance(one, list):
        return say("none" if not one else "1 entry" if len(one) == 1 else f"{len(one)} entries")
    return value(plain(one))


def _rank(name: str) -> int:
    """Say what first: how much and to whom. The record keeps the args of a JSON object in no order that means anything."""
    words = {word.lower() for word in re.split(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", name)}
    return 0 if words & AMOUNT else 1 if words & (TO | LINK) else 2


def args_said(args: Any, most: int) -> list[Bit]:
    """Return `amount 250, order 1182, and 3 more`; nothing for no args."""
    if not isinstance(args, dict):
        return [] if args is None else [named(args)]
    bits: list[Bit] = []
    for index, (key, one) in enumerate(sorted(args.items(), key=lambda pair: _rank(pair[0]))[:most]):
        bits += [say(", ")] * (index > 0) + [Bit("name", key), say(" "), named(one)]
    return bits + ([say(f", and {len(args) - most} more")] if len(args) > most else [])


def draft_said(draft: dict[str, Any]) -> list[Bit]:
    bits = [say("Send a message to "), value(str(draft.get("to") or "nobody named"))]
    return bits + ([say(", subject "), value(str(draft["subject"]))] if draft.get("subject") else [])


def is_acknowledgement(proposal: Proposal) -> bool:
    """Say whether this is the proposal we made for an incident that brought none of its own, or a reviewer's correction of one."""
    return proposal.is_acknowledgement


def asked(proposal: Proposal, most: int = IN_A_ROW) -> list[Bit]:
    """Return what is asked, in one line."""
    if is_acknowledgement(proposal):
        first = {
            Kind.EXCEPTION: "Acknowledge an exception",
            Kind.ALERT: "Acknowledge an alert",
            Kind.QUESTION: "Answer a question",
            Kind.HANDOFF: "Take over from the agent",
        }.get(Kind(proposal.kind), "Acknowledge this")
        said = proposal.args if isinstance(proposal.args, dict) else {}
        told = [str(said[key]).replace("_", " ") for key in ("severity", "category") if said.get(key)]
        joint = " as " if proposal.kind in (Kind.EXCEPTION, Kind.ALERT) else ": "
        return [say(f"{first}{joint}"), value(", ".join(told))] if told else [say(first)]
    if proposal.draft is not None:
        draft = draft_said(proposal.draft)
        return [say(f"{readable(proposal.action)} to "), *draft[1:]] if proposal.action else draft
    args = args_said(proposal.args, most)
    return [say(readable(proposal.action))] + ([say(": "), *args] if args else [])


def outcome(proposal: Proposal, verdict: str) -> list[Bit]:
    """Return what will happen if this verdict is signed, as one sentence."""
    who = Bit("name", proposal.source.name)
    if verdict == Verdict.REJECT:
        return [say("Nothing runs. "), who, say(" is told no, with your reason.")]
    if verdict == Verdict.RESPOND:
        return [say("Nothing runs. "), who, say(" gets your message as the answer.")]
    if is_acknowledgement(proposal):
        if verdict == Verdict.EDIT:
            return [say("Nothing runs. "), who, say(" is told that a person has seen this, with your corrected classification.")]
        told = args_said(proposal.args, IN_A_SENTENCE)
        return [
            say("Nothing runs. "),
            who,
            say(" is told that a person has seen this"),
            *([say(": "), *told] if told else []),
            say("."),
        ]
    if verdict == Verdict.EDIT and proposal.draft is not None:
        return [say("The draft is released as you changed it, once. It is checked against the rules again first.")]
    if verdict == Verdict.EDIT:
        return [who, say(" may run it once, as you changed it. It is checked against the rules again first.")]
    if proposal.draft is not None:
        said = draft_said(proposal.draft)
        sends = [say("The draft below is released to "), value(str(proposal.draft.get("to") or "nobody named"))]
        return [*sends, *said[2:], say(", word for word, once. "), *([say("Sent by "), who, say(".")])]
    args = args_said(proposal.args, IN_A_SENTENCE)
    return [
        who,
        say(" may run "),
        Bit("code", proposal.action),
        *([say(" with "), *args] if args else [say(" without args")]),
        say(", once."),
    ]
