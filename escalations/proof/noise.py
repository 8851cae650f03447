"""What the errors of people do to what we believe of the machine's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Corrected:
    """The machine's error with people's own taken into account. Each is at least what it is without."""

    estimate: float
    bound: float  # if people miss wrong items independently of the machine
    worst: float  # whatever they miss


def people_error(disagreed: int, of: int, level: float = 0.95) -> tuple[float, float, float, int] | None:
    """Return (rate, low, high, n): how often one person errs, by how often two who looked independently differ; None of nothing."""
    raise NotImplementedError


def corrected(wrong: int, of: int, delta: float, people: tuple[float, float, float, int]) -> Corrected:
    """Return the machine's error, `wrong` of `of` by people's verdicts, raised for what people are likely to have missed."""
    raise NotImplementedError
