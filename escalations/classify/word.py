"""What one engine says of one incident. Engines return it, `classify` stores it as a Classification row."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Word:
    """One engine's word. `confidence` is 0 to 1 or None (it did not say); `sure`: the category is this engine's to decide.

    `triggers` is [{"name", "why", "where"}]. An engine that failed says why in `error` and nothing else.
    """

    engine: str
    version: str = ""
    severity: str = ""
    category: str = ""
    confidence: float | None = None
    sure: bool = False
    triggers: list[dict[str, str]] = field(default_factory=list)
    rationale: str = ""
    error: str = ""
    latency_ms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
