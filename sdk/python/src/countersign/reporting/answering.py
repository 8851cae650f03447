"""What integrations share: which requests are told of, and who wants JSON."""

from __future__ import annotations

from typing import Any

ERROR = "Internal Server Error"


def wants_json(accept: str) -> bool:
    """Return whether a caller is better answered with JSON than with the host's own page: everybody but browsers."""
    said = accept.lower()
    return "json" in said or "text/html" not in said


def request_of(method: str, path: str, route: str = "") -> dict[str, Any]:
    """Return what is told of a request: no query, no headers, no body, for that is where the secrets are."""
    told = {"method": method, "path": path[:2_000]}
    if route:
        told["route"] = route[:500]
    return told
