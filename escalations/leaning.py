"""What the machine would have said had nobody been asked, and whether a person decided otherwise. Pure: one truth for every figure."""

from collections.abc import Iterable, Mapping
from typing import Any

from escalations.states import Floor, Kind, Verdict

UNSURE = 0.5  # confidence below which the machine leans to no

_AGREES = {Verdict.APPROVE: (Verdict.APPROVE,), Verdict.REJECT: (Verdict.REJECT, Verdict.RESPOND)}


def word(kind: str, *, suspected: bool, let_go: bool, confidence: float | None, fallback: str) -> Verdict | None:
    """Return what the machine would have said: approve, reject, or None where it has no word.

    In this order: what reads like an injected instruction, no. What a live rule would have let go alone, yes. Else the confidence
    of triage: yes from 0.5, below it no. Without one, what its policy does when nobody answers. An exception or an alert it
    classified: yes, as classified. Questions and hand-offs ask for words of a person's own: there the machine has none.
    """
    if kind in (Kind.QUESTION, Kind.HANDOFF):
        return None
    if kind in (Kind.EXCEPTION, Kind.ALERT):
        return Verdict.APPROVE
    if suspected:
        return Verdict.REJECT
    if let_go:
        return Verdict.APPROVE
    if confidence is not None:
        return Verdict.APPROVE if confidence >= UNSURE else Verdict.REJECT
    return {"approve": Verdict.APPROVE, "reject": Verdict.REJECT}.get(fallback)


def let_go(rules: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a live rule would have let it go, of rules as a proposal keeps them: one that matched and lacked nothing besides.

    Where something is `unmet` (confidence, or that no lane has earned it) the rule had no word.
    """
    return any(one.get("floor") == Floor.AUTO and "unmet" not in one for one in rules)


def overridden(said: Verdict | None, verdict: str) -> bool | None:
    """Say whether a person's verdict is another than the machine's; None where it had no word.

    An edit always is one. An answer lets nothing run, so it agrees with a no.
    """
    return None if said is None else verdict not in _AGREES[said]
