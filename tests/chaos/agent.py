"""A source's program that does not give up, with a ledger of everything it asked and was answered."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.company import Company

OWN_FAULT = {400, 401, 403, 404, 409, 413, 415, 422}  # asking again would change nothing


@dataclass(frozen=True)
class Line:
    """One try: the key it was made with, when it was answered, and how. Without a status nobody knows what became of it."""

    key: str
    at: float
    status: int | None
    identifier: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Agent:
    """Posts with a key, and again with the same key whenever it did not hear that all is well."""

    def __init__(self, company: Company, key: str) -> None:
        self.http = httpx.Client(
            base_url=f"{company.url}/api/v1", headers={"authorization": f"Bearer {key}"}, timeout=20,
            limits=httpx.Limits(max_connections=100),
        )
        self.ledger: list[Line] = []
        self._pause = threading.Event()

    def post(self, key: str, body: dict[str, Any]) -> Line:
        """Post once; return the line of the ledger."""
        try:
            answer = self.http.post("/incidents", json=body, headers={"idempotency-key": key})
        except httpx.TransportError:
            line = Line(key, time.monotonic(), None)
        else:
            identifier = answer.json()["id"] if answer.is_success else ""
            line = Line(key, time.monotonic(), answer.status_code, identifier, dict(answer.headers))
        self.ledger.append(line)
        return line

    def insist(self, key: str, body: dict[str, Any], seconds: float = 90) -> str:
        """Post until it is taken; return the incident's id. Whatever else is said has to be a 503 that says when to come back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            line = self.post(key, body)
            if line.identifier:
                return line.identifier
            if line.status is not None:
                assert line.status == 503 and int(line.headers["retry-after"]) > 0, line
            self._pause.wait(0.2)
        raise AssertionError(f"{key} was not taken within {seconds} s: {self.ledger[-1]}")

    def see(self, identifier: str) -> dict[str, Any]:
        """Return an incident as it is now, or nothing when nobody can say."""
        try:
            answer = self.http.get(f"/incidents/{identifier}")
        except httpx.TransportError:
            return {}
        return dict(answer.json()) if answer.is_success else {}

    def is_past(self, identifier: str, status: str = "received") -> bool:
        """Return whether an incident has left this status."""
        return self.see(identifier).get("status", status) != status


def alert(number: int) -> dict[str, Any]:
    return {"kind": "alert", "title": f"Disk {number} is 91 % full", "payload": {"disk": number}}


def refund(number: int) -> dict[str, Any]:
    return {
        "kind": "action", "title": f"Refund for order {number}",
        "proposal": {"action": "refund", "args": {"order": number, "amount": 250}},
    }
