"""How the pages of lanes write shares, scores and the numbers of an end."""

from typing import Any

from django import template

from .. import autonomy
from ..autonomy_plot import percent
from ..autonomy_plot import score as as_score
from ..friction import typable as can_be_typed

register = template.Library()

NAMES = {  # of what an end or a piece of evidence tells, as people say it; what is not here stays in the record
    "decided": "decided", "selected": "of these over the threshold", "wrong": "of these wrong", "bound": "errors are at most",
    "share": "would go alone", "alpha": "allowed to be wrong", "since": "from", "until": "to", "alone": "went alone", "audits": "audits",
    "audits_wrong": "audits that failed", "answered": "audits that were answered", "errors": "errors, estimated", "rate": "wrong",
    "expires_at": "its time was over", "harmed": "did harm", "harms": "went alone and did harm",
    "high_risk": "high risk", "what": "what changed", "wealth": "the bet against it",
}  # fmt: skip
SHARES = frozenset({"alpha", "bound", "share", "rate"})
LONGEST = 200  # characters of one fact


@register.filter
def of_hundred(value: float | None) -> str:
    """Return 0.0213 as "2.1 %"; a dash for nothing."""
    return percent(value)


@register.filter
def score(value: float | None) -> str:
    """Return a score as "0.931"."""
    return as_score(value)


@register.filter
def in_full(value: float) -> str:
    """Return a number so that reading it gives the same number again, whatever the locale."""
    return repr(float(value))


@register.filter
def hundredfold(value: float) -> str:
    """Return 0.02 as "2", for a field that asks how many of a hundred."""
    return f"{100 * value:.4f}".rstrip("0").rstrip(".")


@register.filter
def typable(text: str) -> bool:
    """Say whether anybody could type this from what they see."""
    return can_be_typed(text)


@register.filter
def by_lane(decision: Any) -> bool:
    """Say whether a lane let this go that had earned it; else a policy is a rule, which is called by its own name."""
    return bool(decision) and decision.by_kind == "policy" and decision.by_name != decision.by_id


@register.filter
def decided_by(decision: Any) -> str:
    """Return who decided as it stands inside a sentence: “the lane …” where a lane did, else the name. To be shown like any name."""
    name: str = decision.by_name
    return name[:1].lower() + name[1:] if by_lane(decision) else name


@register.filter
def told_facts(evidence: Any) -> list[tuple[str, str]]:
    """Return what an end or a grant was based on as (name, text): numbers and short words; lists and the like stay in the record."""
    if not isinstance(evidence, dict):
        return []
    return [
        (said, fact(name, evidence[name])) for name, said in NAMES.items()
        if isinstance(evidence.get(name), int | float | str) and evidence[name] != ""
    ]


def fact(name: str, value: float | int | str | bool) -> str:
    """Return one of them as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return percent(value) if name in SHARES else f"{value:.3f}".rstrip("0").rstrip(".")
    moment = autonomy.since(value) if isinstance(value, str) and name in ("since", "until", "expires_at") else None
    return f"{moment:%-d %b %Y, %H:%M} UTC" if moment else str(value)[:LONGEST]
