"""What a replay counts, and what the counts say."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from escalations import interval
from escalations.floors.anew import Anew
from escalations.states import Verdict

# What became of those that would have been settled without a person: a person's verdict, or why there is none.
SAID = (*(str(one) for one in Verdict), "clock", "policy", "open", "undecided")
NOT_AS_PROPOSED = (str(Verdict.EDIT), str(Verdict.REJECT), str(Verdict.RESPOND))
MOST_KINDS = 200  # of change that are told apart


def nothing() -> dict[str, Any]:
    """Return the counts before anything was looked at.

    incidents, proposals looked at, matched (fires, for a trigger), errors, changed; changes: field -> "from → to" -> count; alone: those
    that would have gone without a person and did not, by what was said of them; refused: the same for those that would have been
    refused without asking; asked: those that went without a person and would have come to one; seconds and timed: how long people
    took over the `alone` ones, and over how many of them that is known; untimed: over how many it is not.
    """
    return {
        "incidents": 0, "proposals": 0, "matched": 0, "errors": 0, "changed": 0, "changes": {}, "asked": 0,
        "alone": dict.fromkeys(SAID, 0), "refused": dict.fromkeys(SAID, 0), "seconds": 0.0, "timed": 0, "untimed": 0,
        "mistakes_kept": 0, "others_kept": {},
    }


def newly_alone(anew: Anew) -> bool:
    """Return whether it came to a person, or was refused, and would have been let go by a rule."""
    return anew.becomes.alone and not anew.was.alone


def newly_refused(anew: Anew) -> bool:
    """Return whether it would have been refused without asking, and was not."""
    return anew.becomes.refused and not anew.was.refused


def newly_asked(anew: Anew) -> bool:
    """Return whether nobody was asked, and somebody would have been."""
    return (anew.was.alone or anew.was.refused) and not (anew.becomes.alone or anew.becomes.refused)


def is_mistake(anew: Anew, said: str) -> bool:
    """Return whether a person decided otherwise: did not approve as proposed what would have gone, or said yes to what would have been
    refused."""
    if newly_alone(anew):
        return said in NOT_AS_PROPOSED
    return newly_refused(anew) and said in (Verdict.APPROVE, Verdict.EDIT)


def differences(anew: Anew) -> list[tuple[str, str]]:
    """Return what would have been otherwise, as (field, "from → to"); a trigger with + or − before its name."""
    was, becomes = anew.was, anew.becomes
    found = [
        (field, f"{getattr(was, field) or 'nobody'} → {getattr(becomes, field) or 'nobody'}")
        for field in ("floor", "role", "policy", "severity") if getattr(was, field) != getattr(becomes, field)
    ]
    found += [("triggers", f"+ {name}") for name in becomes.triggers if name not in was.triggers]
    found += [("triggers", f"− {name}") for name in was.triggers if name not in becomes.triggers]
    return found


def count(result: dict[str, Any], judged: Iterable[tuple[Anew, str]]) -> None:
    """Add proposals to the counts, each with what was said of it ("" where it does not matter)."""
    for anew, said in judged:
        result["proposals"] += 1
        result["matched"] += anew.matched
        result["errors"] += bool(anew.error)
        found = differences(anew)
        result["changed"] += bool(found)
        for field, change in found:
            kinds = result["changes"].setdefault(field, {})
            change = change if change in kinds or len(kinds) < MOST_KINDS else "other"
            kinds[change] = kinds.get(change, 0) + 1
        result["asked"] += newly_asked(anew)
        if newly_alone(anew):
            result["alone"][said] += 1
        elif newly_refused(anew):
            result["refused"][said] += 1


@dataclass(frozen=True, slots=True)
class Figures:
    """What the counts say. Shares are within 0 to 1; None where nobody decided, so that nothing can be said."""

    alone: int
    decided: int  # of those, by people
    otherwise: int  # of those, not approved as proposed
    share: float | None
    low: float | None
    high: float | None
    refused: int
    refused_wrongly: int  # people said yes
    asked: int
    minutes: float | None  # people's, that would have been saved


def figures(result: dict[str, Any]) -> Figures:
    """Return the figures of a replay's counts; of none as of nothing looked at."""
    counts = nothing() | result
    alone, refused = counts["alone"], counts["refused"]
    decided, otherwise, share, low, high = shares(alone)
    timed, untimed = counts["timed"], counts["untimed"]
    return Figures(
        alone=sum(alone.values()), decided=decided, otherwise=otherwise, share=share, low=low, high=high, refused=sum(refused.values()),
        refused_wrongly=refused[Verdict.APPROVE] + refused[Verdict.EDIT], asked=counts["asked"],
        minutes=counts["seconds"] * (timed + untimed) / timed / 60 if timed else None,
    )


def shares(said: dict[str, int]) -> tuple[int, int, float | None, float | None, float | None]:
    """Return how many people decided, how many not as proposed, that share and its exact 95 % interval."""
    decided = sum(said.get(verdict, 0) for verdict in Verdict)
    otherwise = sum(said.get(verdict, 0) for verdict in NOT_AS_PROPOSED)
    if not decided:
        return 0, 0, None, None, None
    low, high = interval.clopper_pearson(otherwise, decided)
    return decided, otherwise, otherwise / decided, low, high
