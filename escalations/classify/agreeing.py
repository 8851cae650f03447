"""What a comparison of two prompts counts: how each agrees with people, how both with each other, and what it cost. No query."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from escalations.interval import clopper_pearson
from escalations.states import Verdict

from .word import Word

SIDES = ("first", "second")
SHARES = ("category", "severity", "caught", "disturbed")
ITEMS_KEPT = 200  # disagreements that can be read one by one


@dataclass(frozen=True, slots=True)
class Case:
    """One past decision: what the person did (and signed, where that was asked), and what each version said."""

    proposal: str
    verdict: str
    category: str
    severity: str
    first: Word
    second: Word


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with Clopper and Pearson's exact interval at 95 %; None where there were none."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def between(self) -> tuple[float, float] | None:
        return clopper_pearson(self.hits, self.of) if self.of else None


@dataclass(frozen=True, slots=True)
class Side:
    """How one version did. `caught`: of what people did not approve as proposed, where it named a trigger; `disturbed`: of what they did."""

    answered: int
    errors: int
    category: Share
    severity: Share
    caught: Share
    disturbed: Share
    tokens_in: int
    tokens_out: int
    seconds: float | None  # of one answer, on average


@dataclass(frozen=True, slots=True)
class Duel:
    """Where only one of both agreed with people: so often the first, so often the second.

    `clear` says whether that is more than chance: the exact sign test (McNemar 1947, conditional on the discordant pairs) at 95 %.
    """

    first: int
    second: int

    @property
    def clear(self) -> bool:
        of = self.first + self.second
        if not of:
            return False
        low, high = clopper_pearson(self.first, of)
        return low > 0.5 or high < 0.5


def nothing() -> dict[str, Any]:
    """Return the counts before the first case; JSON, as everything here."""
    side = {"answered": 0, "errors": 0, "tokens_in": 0, "tokens_out": 0, "latency_ms": 0}
    return {
        "cases": 0, "skipped": 0, "both": 0, "same": {"category": 0, "severity": 0, "triggers": 0}, "differ": 0, "items": [],
        "only": {name: dict.fromkeys(SIDES, 0) for name in ("category", "severity")},
        **{one: side | {name: [0, 0] for name in SHARES} for one in SIDES},
    }


def count(result: dict[str, Any], cases: Iterable[Case]) -> None:
    """Add cases to the counts, in place."""
    for case in cases:
        result["cases"] += 1
        for name in SIDES:
            _count_side(result[name], case, getattr(case, name))
        if case.first.error or case.second.error:
            continue
        result["both"] += 1
        same = {
            "category": case.first.category == case.second.category, "severity": case.first.severity == case.second.severity,
            "triggers": _names(case.first) == _names(case.second),
        }
        for name, agrees in same.items():
            result["same"][name] += agrees
        for name in ("category", "severity"):
            if (signed := getattr(case, name)) and not same[name]:
                for one in SIDES:
                    result["only"][name][one] += getattr(getattr(case, one), name) == signed
        if not all(same.values()):
            result["differ"] += 1
            if len(result["items"]) < ITEMS_KEPT:
                result["items"].append(_item(case))


def side(result: dict[str, Any], name: str) -> Side:
    """Return the figures of the "first" or the "second" version."""
    one = nothing()[name] | result.get(name, {})
    shares = {share: Share(*one[share]) for share in SHARES}
    seconds = one["latency_ms"] / one["answered"] / 1000 if one["answered"] else None
    return Side(
        answered=one["answered"], errors=one["errors"], tokens_in=one["tokens_in"], tokens_out=one["tokens_out"], seconds=seconds, **shares
    )


def duel(result: dict[str, Any], name: str) -> Duel:
    """Return who of both was right alone about "category" or "severity"."""
    return Duel(**(nothing()["only"][name] | result.get("only", {}).get(name, {})))


def same(result: dict[str, Any], name: str) -> Share:
    """Return how often both said the same: "category", "severity" or "triggers"."""
    return Share(result.get("same", {}).get(name, 0), result.get("both", 0))


def _count_side(one: dict[str, Any], case: Case, word: Word) -> None:
    one["tokens_in"] += word.tokens_in
    one["tokens_out"] += word.tokens_out
    if word.error:
        one["errors"] += 1
        return
    one["answered"] += 1
    one["latency_ms"] += word.latency_ms
    for name in ("category", "severity"):
        if signed := getattr(case, name):
            one[name][0] += getattr(word, name) == signed
            one[name][1] += 1
    # A correction and an answer are none of what was proposed, either.
    met = "disturbed" if case.verdict == Verdict.APPROVE else "caught"
    one[met][0] += bool(word.triggers)
    one[met][1] += 1


def _names(word: Word) -> list[str]:
    return sorted(trigger["name"] for trigger in word.triggers)


def _item(case: Case) -> dict[str, Any]:
    said = {
        one: {
            "category": word.category, "severity": word.severity, "confidence": word.confidence, "triggers": _names(word),
        }
        for one in SIDES for word in (getattr(case, one),)
    }
    return {"proposal": case.proposal, "verdict": case.verdict, "category": case.category, "severity": case.severity, **said}
