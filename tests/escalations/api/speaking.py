"""How somebody with a key speaks to the door, and what a refusal looks like."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.test import Client

from escalations import clock, vault
from escalations.models import ApiKey, PersonToken, Source

ACTION = {
    "kind": "action",
    "title": "Refund $250 for order 1182",
    "proposal": {"action": "refund", "args": {"order": 1182, "amount": 250}},
}


@dataclass
class Speaker:
    """Somebody with a key. `post` and `get` speak to /api/v1."""

    key: str
    source: Source | None = None
    person: Any = None

    def headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **(more or {})}

    def post(self, path: str, body: Any = None, *, key: str | None = None, content_type: str = "application/json", **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"Idempotency-Key": key} if key is not None else {}
        return Client().post(
            f"/api/v1{path}", raw, content_type=content_type, headers=self.headers({**more, **headers})
        )

    def get(self, path: str, **query):
        return Client().get(f"/api/v1{path}", query, headers=self.headers())


def key_for(source: Source, *, env: str = "live", **fields: Any) -> str:
    minted = vault.mint(f"cs_{env}")
    ApiKey.objects.create(source=source, env=env, key_id=minted.key_id, secret_hash=minted.secret_hash, **fields)
    return minted.text


def token_for(person: Any, **fields: Any) -> str:
    minted = vault.mint("cs_person")
    fields.setdefault("expires_at", clock.now() + timedelta(days=1))
    PersonToken.objects.create(
        person=person, key_id=minted.key_id, secret_hash=minted.secret_hash, minted_by="test", **fields
    )
    return minted.text


def assert_problem(response: Any, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """The answer is an RFC 9457 problem with this status and code, and an error at this pointer."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["title"] and problem["detail"] and problem["type"].endswith(f"#{code}")
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem.get("errors", [])], problem
    return problem
