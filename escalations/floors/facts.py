"""What rules, triggers and engines may read of an incident: plain dicts with fixed names, always present."""

from collections.abc import Iterable, Iterator
from typing import Any

from escalations import clock
from escalations.models import Incident, Proposal

LONGEST_TEXT = 50_000  # characters of one text that findings look at; the page shows the rest


def facts_of(incident: Incident, proposal: Proposal | None = None, words: Iterable[Any] = ()) -> dict[str, Any]:
    """Return the facts of one incident as rules see them. Reads `incident.source` and its owner; no other query.

    Absent texts are "", absent maps {}, an unknown number None. `words` are classifications (or engine words) that spoke.
    """
    context = incident.context or {}
    payload = incident.payload if isinstance(incident.payload, dict) else {"value": incident.payload}
    claims = proposal.claims if proposal else {}
    draft = (proposal.draft if proposal else None) or {}
    spoken = [word for word in words if not word.error]
    return {
        "incident": {
            "kind": incident.kind,
            "title": incident.title,
            "body": incident.body,
            "severity": incident.claimed_severity,
            "fingerprint": incident.fingerprint,
            "external_id": incident.external_id,
            "environment": incident.environment,
            "on_behalf_of": incident.on_behalf_of,
            "session": incident.session,
            "test": incident.test,
            "payload": payload,
            "request": text_of(context.get("request")),
            "why": text_of(context.get("why")),
            "exception": payload.get("exception") if isinstance(payload.get("exception"), dict) else {},
            "messages": _dicts(context.get("messages")),
            "attempts": _dicts(context.get("attempts")),
        },
        "proposal": {
            "action": proposal.action if proposal else "",
            "args": (proposal.args if proposal else None) or {},
            "draft": {name: text_of(draft.get(name)) for name in ("to", "subject", "body")},
            "description": proposal.description if proposal else "",
            "confidence": claims.get("confidence"),
            "reversible": claims.get("reversible"),
            "impact": claims.get("impact") or "",
        },
        "classification": {
            "severity": next((word.severity for word in spoken if word.severity), ""),
            "category": next((word.category for word in spoken if word.category), ""),
            "confidence": min((word.confidence for word in spoken if word.confidence is not None), default=None),
            "triggers": [trigger["name"] for word in spoken for trigger in word.triggers],
        },
        "source": {
            "name": incident.source.name,
            "owner": incident.source.owner.username if incident.source.owner else "",
            "demo": incident.source.is_demo,
            "irreversible": list(incident.source.known_irreversible),
            "authoritative_paths": list(incident.source.authoritative_paths),
        },
        "customer": {
            **(incident.customer or {}),
            "id": text_of((incident.customer or {}).get("id")),
            "tier": text_of((incident.customer or {}).get("tier")),
            "flags": list((incident.customer or {}).get("flags") or []),
        },
        "now": clock.now(),
    }


def texts_of(incident: Incident, proposal: Proposal | None = None) -> list[tuple[str, str]]:
    """Return every untrusted text of an incident and its proposal as (where, text), each cut at 50,000 characters."""
    pairs = [
        ("title", incident.title),
        ("body", incident.body),
        ("external_id", incident.external_id),
        ("on_behalf_of", incident.on_behalf_of),
        ("session", incident.session),
        *_strings("customer", incident.customer),
        *_strings("context", incident.context),
        *_strings("payload", incident.payload),
    ]
    if proposal is not None:
        pairs += proposal_texts(proposal.action, proposal.args, proposal.draft, proposal.description, proposal.claims)
    return [(where, text[:LONGEST_TEXT]) for where, text in pairs if text]


def proposal_texts(
    action: str, args: Any, draft: Any, description: str = "", claims: dict[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Return the texts of what is to be signed, and of what its author says of it, as (where, text)."""
    pairs = [
        ("proposal.action", action),
        ("proposal.description", description),
        *_strings("proposal.args", args),
        *_strings("proposal.draft", draft),
        *_strings("proposal.claims", claims),
    ]
    return [(where, text[:LONGEST_TEXT]) for where, text in pairs if text]


def context_texts(context: Any) -> list[tuple[str, str]]:
    """Return the texts of context that was added after ingest."""
    return [(where, text[:LONGEST_TEXT]) for where, text in _strings("context", context) if text]


def text_of(value: Any) -> str:
    """Return a text as it is and anything else as ""; what a rule compares must not change its type under it."""
    return value if isinstance(value, str) else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _strings(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield every string in a JSON value, keys included: a hostile agent hides words in keys too."""
    waiting = [(where, value)]
    while waiting:
        at, one = waiting.pop()
        if isinstance(one, str):
            yield at, one
        elif isinstance(one, dict):
            for key, inner in one.items():
                yield f"{at}.{key}"[:120], str(key)
                waiting.append((f"{at}.{key}"[:120], inner))
        elif isinstance(one, list):
            waiting.extend((f"{at}[{index}]", inner) for index, inner in enumerate(one))
