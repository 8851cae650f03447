"""What reports in other languages are made of: words cut to what the contract takes, severities, links. No queries."""

import hashlib
from typing import Any

from escalations.classify.tables import LEVELS
from escalations.states import Severity

LONGEST_KEY = 255
LONGEST_LINK = 2_000
WORDS = {"page": Severity.CRITICAL, "ticket": Severity.WARNING, "medium": Severity.WARNING, "moderate": Severity.WARNING, "none": Severity.INFO}


def severity_of(*said: Any) -> str | None:
    """Return the severity that the first understood word claims, None when there is none: then nothing is claimed."""
    for one in said:
        word = one.strip().lower() if isinstance(one, str) else ""
        if known := WORDS.get(word) or LEVELS.get(word):
            return str(known)
    return None


def text_of(value: Any) -> str:
    """Return what is text, stripped; "" for everything else."""
    return value.strip() if isinstance(value, str) else ""


def cut(text: str, most: int) -> str:
    """Return the text, with an ellipsis where it is longer than `most`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def line(text: str, most: int) -> str:
    """Return the same in one line."""
    return cut(" ".join(text.split()), most)


def link(label: str, url: Any) -> list[dict[str, str]]:
    """Return one link as `context.links` takes it, none for what is no web address."""
    address = text_of(url)
    fits = address.lower().startswith(("https://", "http://")) and len(address) <= LONGEST_LINK
    return [{"label": line(label, 200), "url": address}] if fits and not any(ord(char) <= 32 for char in address) else []


def key_of(prefix: str, *parts: str, test: bool) -> str:
    """Return the idempotency key of what a client names with these parts; what a test key posts has keys of its own."""
    whose = f"{prefix}-test" if test else prefix
    name = ":".join([whose, *parts])
    if len(name) <= LONGEST_KEY and name.isprintable():
        return name
    return f"{whose}:sha256:{hashlib.sha256(name.encode(errors='replace')).hexdigest()}"


def without_nothing(data: dict[str, Any]) -> dict[str, Any]:
    """Return the members that say something."""
    return {name: value for name, value in data.items() if value not in (None, "", [], {})}
