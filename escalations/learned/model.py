"""A model as data: numbers in a layout of our own, read without running anything, and what they say of vectors."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of one vector. "" and None: it does not know.

    `approve` is P(a person would approve as proposed), calibrated. `novelty` is the share of known traffic that is less unlike the past
    than this: 0.99 means that one in a hundred known ones is as strange.
    """

    category: str
    category_p: float | None
    severity: str
    severity_p: float | None
    approve: float | None
    novelty: float | None


class Model:
    """One trained state. Immutable; safe to share between threads."""

    @classmethod
    def load(cls, weights: bytes) -> "Model":
        """Read a model from its bytes. Raises `BadWeights` (a ValueError) when they are not in the layout of docs/learned.md."""
        raise NotImplementedError

    def dump(self) -> bytes:
        """Return the model as bytes; the same model gives the same bytes."""
        raise NotImplementedError

    def speak(self, vectors: Sequence[bytes]) -> list[Said]:
        """Say what the model thinks of each vector (`features.of`), in order. About 0.1 ms each in batches of 250."""
        raise NotImplementedError
