"""What a yes costs the hand: nothing where little depends on it, a reason where much does, and what cannot be undone is typed out."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from escalations.floors import text as eye
from escalations.floors.risk import NEEDS_A_REASON
from escalations.models import Proposal

from . import values

LONGEST = 60  # characters anybody is asked to type

# Names of the arg that says how much, and of the one that says whom or what, the most telling first.
AMOUNTS = ("amount", "total", "sum", "price", "value", "count", "quantity", "limit")
TARGETS = (
    "recipient", "payee", "iban", "to", "account", "customer", "user", "username", "email", "database", "table", "bucket", "host",
    "server", "service", "repository", "branch", "path", "file", "order", "booking", "invoice", "name", "id",
)  # fmt: skip
INSIDE = "proposal.args."


@dataclass(frozen=True)
class Target:
    """The value that is typed to sign what cannot be undone: where it stands, and its exact text."""

    path: str
    text: str


@dataclass(frozen=True)
class Friction:
    """What a yes to one proposal asks for besides the choice and the signature. A no asks for none of it."""

    reason: bool = False  # much depends on it: say why
    final: bool = False  # it cannot be undone
    target: Target | None = None  # to be typed exactly; None for what is final: nothing in it can be typed, so it is ticked

    @property
    def tick(self) -> bool:
        return self.final and self.target is None

    def problems(self, *, reason: str, confirm: str, read: bool) -> dict[str, str]:
        """Return what is missing for a yes, by the form's field; empty when nothing is."""
        found = {}
        if self.reason and not reason.strip():
            found["reason"] = "Say why: much depends on this, and whoever reads it later will ask."
        if self.tick and not read:
            found["read"] = "Tick that you have read what is signed: it cannot be undone."
        if self.target and unicodedata.normalize("NFC", confirm.strip()) != unicodedata.normalize("NFC", self.target.text):
            found["confirm"] = f"This cannot be undone: type {self.target.path} exactly as it stands, {self.target.text}, to sign it."
        return found


def friction_of(proposal: Proposal, *, args: Any = None, draft: Any = None) -> Friction:
    """Return what a yes to this proposal costs; to what it was edited into, when that is given. No query."""
    final = "irreversible" in proposal.trigger_names
    edited = args is not None or draft is not None
    target = target_of(proposal, *((args, draft) if edited else (proposal.args, proposal.draft))) if final else None
    return Friction(reason=proposal.risk in NEEDS_A_REASON, final=final, target=target)


def riskiest(proposals: Sequence[Proposal], *, args: Any = None, draft: Any = None) -> Friction:
    """Return what one yes to all of them costs: as much as the one that costs most. They ask for the same, so there is one target."""
    all_of_them = [friction_of(one, args=args, draft=draft) for one in proposals]
    final = [one for one in all_of_them if one.final]
    return Friction(any(one.reason for one in all_of_them), bool(final), final[0].target if final else None)


def target_of(proposal: Proposal, args: Any, draft: Any) -> Target | None:
    """Return what to type: the amount where there is one, else whom or what it hits, else the action's name."""
    if isinstance(draft, dict):
        to = draft.get("to")
        return Target("to", to) if isinstance(to, str) and typable(to) else None
    rows = [row for row in values.leaves(args) if row.type in ("number", "text") and typable(row.value)] if args else []
    stakes = [str(one.get("where", "")) for one in proposal.triggers if one["name"] == "high_stakes"]
    fired = {where.removeprefix(INSIDE) for where in stakes if where.startswith(INSIDE)}

    def rank(row: values.Row) -> tuple[int, int]:
        name = row.path.rpartition(".")[2].partition("[")[0].lower()
        if row.path in fired:
            return 0, 0
        if name in AMOUNTS and row.type == "number":
            return 1, AMOUNTS.index(name)
        whole = [at for at, word in enumerate(TARGETS) if name == word]
        ends = [at for at, word in enumerate(TARGETS) if name.endswith(f"_{word}")]
        return (2, whole[0]) if whole else (3, ends[0]) if ends else (4, 0)

    if rows:
        best = min(rows, key=rank)
        return Target(best.path, best.value)
    return Target("action", proposal.action) if typable(proposal.action) else None


def typable(text: str) -> bool:
    """Say whether anybody could type this from what they see: short, one line, letters of a Latin keyboard."""
    if not 0 < len(text) <= LONGEST or text != text.strip() or eye.has_hidden(text):
        return False
    return all(one.isascii() and one.isprintable() or one.isalpha() and unicodedata.name(one, "").startswith("LATIN") for one in text)
