"""What the machine would have said had nobody been asked, and whether a person decided otherwise. Pure: one truth for every figure."""

from collections.abc import Iterable, Mapping
from typing import Any

from escalations.states import Floor, Kind, Verdict

UNSURE = 0.5  # chance of a yes below which the machine leans to no

_AGREES = {Verdict.APPROVE: (Verdict.APPROVE,), Verdict.REJECT: (Verdict.REJECT, Verdict.RESPOND)}


def word(kind: str, *, suspected: bool, let_go: bool, expected: float | None) -> Verdict | None:
    """Return what the machine would have said: approve, reject, or None where it has no word.

    In this order: what reads like an injected instruction, no. What a live rule would have let go alone, yes. Else what the classifier
    `expected` when it came in (`escalations.expectation`): yes from a chance of 0.5, below it no. Where it expected nothing there is no
    word: what an agent says of itself, and what a policy does when nobody answers, are not the machine's. An exception or an alert
    it classified: yes, as classified. Questions and hand-offs ask for words of a person's own: there the machine has none.
    """
    if kind in (Kind.QUESTION, Kind.HANDOFF):
        return None
    if kind in (Kind.EXCEPTION, Kind.ALERT):
        return Verdict.APPROVE
    if suspected:
        return Verdict.REJECT
    if let_go:
        return Verdict.APPROVE
    if expected is None:
        return None
    return Verdict.APPROVE if expected >= UNSURE else Verdict.REJECT


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
