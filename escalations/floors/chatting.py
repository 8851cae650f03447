"""What may be decided by a button in a chat: only what its source and its policy allow, and only what a message shows whole.

A chat has no mask, no page to scroll through and no field in which to type what cannot be undone. Whatever asks for one of these is
linked to from there, and decided on the page. Asked twice: when the buttons are drawn, and when one of them was pressed.
"""

import json
import re
from dataclasses import dataclass
from uuid import UUID

from django.core.signing import BadSignature, Signer

from escalations.errors import DecisionNotAllowed, Invalid, StepUpRequired
from escalations.models import Proposal
from escalations.states import Risk, Verdict

from . import text as eye
from .clearance import needed_for
from .risk import NEEDS_A_REASON

BUTTONS = (Verdict.APPROVE, Verdict.REJECT)
MOST_SHOWN = 1_000  # characters of what is signed; a longer message is folded up by the chat
MOST_LINES = 20
ON_THE_PAGE = {
    "irreversible": "It cannot be undone, and is signed by typing it out.",
    "sensitive_data": "It holds details that a chat would show to everybody.",
    "injection_suspected": "Its text may be made to deceive whoever reads it.",
}
_UP_TO = {"": -1, Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 2, Risk.CRITICAL: 3}
_ADDRESS = re.compile(r"://|\bwww\.", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"\w[\w.-]*")
_GAP = re.compile(r"[ \t]{8,}|\n[ \t]*\n[ \t]*\n")  # room in which something could be pushed out of sight


def why_not(proposal: Proposal) -> str:
    """Return in words why this is not decided by a button in a chat; "" when it may be. No query when its source is loaded."""
    if not proposal.source.may_chat:
        return "What this source asks is decided on the page."
    if _UP_TO.get(proposal.risk, 3) > _UP_TO.get(proposal.policy.get("chat_up_to") or "", -1):
        return "Its policy has it decided on the page."
    for name in proposal.trigger_names:
        if name in ON_THE_PAGE:
            return ON_THE_PAGE[name]
    if Verdict.APPROVE not in proposal.allowed_decisions:
        return "It takes an answer in words."
    if needed_for(proposal.content):
        return ON_THE_PAGE["sensitive_data"]
    return "" if signed_text(proposal) else "It does not fit into a message as it is."


def signed_text(proposal: Proposal) -> str:
    """Return everything that a yes would sign, as plain text; "" when a message cannot show it exactly and at one look."""
    if proposal.draft is not None:
        heads = [f"{name}: {proposal.draft.get(name) or ''}" for name in ("to", "subject")]
        body = ["", str(proposal.draft.get("body") or "")]
    else:
        args = proposal.args if isinstance(proposal.args, dict) else {}
        heads = [f"action: {proposal.action or 'none'}"]
        heads += [f"{_name(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in args.items()]
        body = []
    if any("\n" in one or "\r" in one for one in heads):  # it would look like a line of ours
        return ""
    text = "\n".join([*heads, *body]).rstrip()
    whole = len(text) <= MOST_SHOWN and text.count("\n") < MOST_LINES
    plain = not (eye.has_hidden(text) or eye.mixes_alphabets(text) or _ADDRESS.search(text) or _GAP.search(text))
    return text if whole and plain else ""


def _name(name: str) -> str:
    """Return an arg's name; in quotes when it could be read as more than that."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def asks_for_a_reason(proposal: Proposal) -> bool:
    """Return whether a yes to this says why, wherever it is given."""
    return proposal.risk in NEEDS_A_REASON


def check(proposal: Proposal, verdict: Verdict, reason: str) -> None:
    """Raise why a person at a chat may not sign this: StepUpRequired, DecisionNotAllowed, or Invalid for a reason that is missing."""
    if verdict not in BUTTONS:
        raise DecisionNotAllowed("A chat says yes or no; anything else is done on the page.", allowed=[str(one) for one in BUTTONS])
    if why := why_not(proposal):
        raise StepUpRequired(f"{why} Open the page.")
    if verdict == Verdict.APPROVE and asks_for_a_reason(proposal) and not reason.strip():
        detail = "Say why: much depends on this, and whoever reads it later will ask."
        raise Invalid([{"pointer": "/reason", "code": "required", "detail": detail}])


# -- what a button carries


@dataclass(frozen=True, slots=True)
class Button:
    """What one button says when it is pressed: which verdict on which version of what, in which workspace it was offered."""

    verdict: Verdict
    workspace: int
    proposal_id: UUID
    version: int
    digest: str

    def value(self) -> str:
        """Return it as text, signed by us: a chat keeps it, and cannot change it. About 220 characters."""
        return _signer().sign(f"{self.verdict}|{self.workspace}|{self.proposal_id}|{self.version}|{self.digest}")


def read_button(value: str) -> Button | None:
    """Return what a button of ours carries; None for anything that we did not sign as it is."""
    try:
        said = _signer().unsign(value).split("|")
        verdict, workspace, proposal_id, version, digest = said
        return Button(Verdict(verdict), int(workspace), UUID(proposal_id), int(version), digest)
    except (BadSignature, ValueError):
        return None


def _signer() -> Signer:
    return Signer(salt="countersign.chat.button", sep="~")
