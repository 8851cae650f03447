"""What the customer said, apart from what the agent did."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_LONGEST = 50_000

_SPEAKER = re.compile(
    r"^[ \t]{0,20}(customer|user|client|caller|guest|human|agent|assistant|bot|ai|system|tool|support)[ \t]{0,5}:", re.I | re.M
)
_CUSTOMERS = frozenset(
    (
        "customer", "user", "client", "caller", "guest", "human",
    )
)  # fmt: skip


def customer_texts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (where, text) of what the customer said: the request, messages of users, and what a question or hand-off is about."""
    incident = _dict(facts.get("incident"))
    pairs = [("context.request", _spoken_by_customer(_text(incident.get("request"))))]
    messages = incident.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list | tuple) else ()):
        if isinstance(message, Mapping) and _text(message.get("role")).strip().lower() in _CUSTOMERS:
            pairs += [(f"context.messages[{index}]", text) for text in _texts(message.get("content"))]
    if incident.get("kind") in ("question", "handoff"):
        pairs.append(("body", _spoken_by_customer(_text(incident.get("body")))))
        pairs.append(("title", _text(incident.get("title"))))
        payload = _dict(incident.get("payload"))
        pairs += [(f"payload.{name}", _text(payload.get(name))) for name in ("text", "message", "question", "query", "utterance")]
    return [(where, text[:_LONGEST]) for where, text in pairs if text]


def customer_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of (where, text), named as `facts.context_texts` names them, that a customer said."""
    listed = [(where, text) for where, text in pairs if where.startswith("context.")]
    speaking = {
        where.removesuffix(".role") for where, text in listed if where.endswith(".role") and text.strip().lower() in _CUSTOMERS
    }
    said = []
    for where, text in listed:
        message = where.partition(".content")[0]
        if where == "context.request":
            said.append((where, _spoken_by_customer(text)))
        elif message in speaking and message != where:
            said.append((where, text))
    return [(where, text[:_LONGEST]) for where, text in said if text]


def _spoken_by_customer(text: str) -> str:
    spoken = spans_of_customer(text)
    return text if spoken == [(0, len(text))] else "\n".join(text[start:end] for start, end in spoken)


def spans_of_customer(text: str) -> list[tuple[int, int]]:
    """Return from where to where the customer speaks: in a transcript ("customer: … agent: …") their own lines, else everywhere."""
    speakers = list(_SPEAKER.finditer(text))
    if not {found[1].lower() for found in speakers} & _CUSTOMERS:
        return [(0, len(text))]
    out = [(0, speakers[0].start())]
    for index, found in enumerate(speakers):
        if found[1].lower() in _CUSTOMERS:
            out.append((found.end(), speakers[index + 1].start() if index + 1 < len(speakers) else len(text)))
    return out


def _texts(value: Any) -> Iterator[str]:
    """Content of a message is a text, or a list of parts with texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield _text(part.get("text")) if isinstance(part, Mapping) else _text(part)


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else ""
