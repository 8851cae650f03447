"""What the errors of people do to what we believe of the machine's.

A lane's certificate is about people's decisions: "a person would have approved this as proposed". Where people wave through what is
wrong, the machine that agrees with them is wrong too and nobody counts it. How often people err shows where two looked at the same
thing without knowing of each other. From that the machine's error is raised, never lowered: that some of what people refused was
right all along is no reason to trust a machine more.
"""

from dataclasses import dataclass
from math import sqrt

from escalations.interval import clopper_pearson

from .betting import upper


@dataclass(frozen=True)
class Corrected:
    """The machine's error with people's own taken into account. Each is at least what it is without."""

    estimate: float
    bound: float  # if people miss wrong items independently of the machine
    worst: float  # whatever they miss, and whichever


def people_error(disagreed: int, of: int, level: float = 0.95) -> tuple[float, float, float, int] | None:
    """Return (rate, low, high, n): how often one person errs, by how often two who looked independently differ; None of nothing.

    Two who each err with chance e, independently, differ in 2e(1-e) of cases; solved for e, at both ends of Clopper and Pearson's
    interval. (The idea is A. P. Dawid and A. M. Skene's, Applied Statistics 28 (1979), 20–28, for the least that can be known: two
    people, one error rate.) Beyond half of all it says 0.5: they might as well toss a coin. Errors both make alike are not seen.
    """
    if not of:
        return None
    low, high = clopper_pearson(disagreed, of, level)
    return _one_of_two(disagreed / of), _one_of_two(low), _one_of_two(high), of


def corrected(wrong: int, of: int, delta: float, people: tuple[float, float, float, int]) -> Corrected:
    """Return the machine's error, `wrong` of `of` by people's verdicts, raised for what people are likely to have missed.

    If a person misses a wrong item with chance e, only 1 - e of the machine's errors are counted, so what is counted is divided by
    1 - e (W. J. Rogan and B. Gladen, American Journal of Epidemiology 107 (1978), 71–76, with no correction for right items
    refused). Bounds hold at 1 - delta: half of delta is for the machine's, half for people's, whose `high` is the end of a 95 % interval
    and so wrong in 2.5 %.
    """
    rate, _, high, _ = people
    if not 0 <= rate <= high < 1:
        raise ValueError(f"people err in {rate} to {high}")
    most = upper(wrong, of, delta / 2)
    return Corrected(
        estimate=min(1.0, wrong / of / (1 - rate)) if of else 0.0, bound=min(1.0, most / (1 - high)), worst=min(1.0, most + high)
    )


def _one_of_two(differ: float) -> float:
    return (1 - sqrt(1 - 2 * differ)) / 2 if differ < 0.5 else 0.5
