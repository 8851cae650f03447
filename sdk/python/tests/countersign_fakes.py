"""A Countersign in memory, for both clients: what it is told to decide it decides, and it can go away in the middle."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from typing import Any

import httpx

from countersign import AsyncClient, Client, digest
from countersign.flow import Effect, Sleep

KEY = "cs_live_test"
Trouble = Callable[[httpx.Request], httpx.Response]


def in_utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Fake:
    """Speaks the API as far as the package uses it. `troubles` come first, one for each request; None lets it through."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=timezone.utc)
        self.incidents: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.requests: list[httpx.Request] = []
        self.troubles: list[Trouble | None] = []
        self.decide: Callable[[dict[str, Any]], None] | None = None  # called at each GET of an undecided incident
        self.lose: set[str] = set()  # path endings whose answer is lost, once, after it was done
        self.acks: list[dict[str, Any]] = []
        self.contexts: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            return trouble(request)
        answer = self.answer(request)
        for ending in list(self.lose):
            if request.url.path.endswith(ending) and request.method == "POST":
                self.lose.discard(ending)
                raise httpx.ReadError("cut", request=request)
        answer.headers["date"] = formatdate(self.now.timestamp(), usegmt=True)
        return answer

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        parts = request.url.path.removeprefix("/api/v1/").split("/")
        body = json.loads(request.content) if request.content else {}
        if parts == ["incidents"]:
            return self.post(body, request.headers["idempotency-key"])
        incident = self.incidents.get(parts[1])
        if incident is None:
            return problem(404, "not_found")
        if request.method == "GET":
            if incident["status"] == "waiting" and self.decide is not None:
                self.decide(incident)
            return httpx.Response(200, json=incident)
        calls = {"ack": self.ack, "context": self.context, "withdraw": self.withdraw, "proposals": self.revise, "feedback": self.feedback}
        return calls[parts[2]](incident, body)

    def post(self, body: dict[str, Any], key: str) -> httpx.Response:
        if key in self.keys:
            return httpx.Response(201, json=self.incidents[self.keys[key]], headers={"Idempotent-Replayed": "true"})
        name = f"incident-{len(self.incidents) + 1}"
        self.keys[key] = name
        proposal = body.get("proposal") or {"action": "acknowledge", "args": {"severity": "info", "category": None}}
        self.incidents[name] = {
            "id": name, "status": "waiting", "posted": body, "questions": [], "decision": None, "acknowledged": None,
            "proposal": proposed(proposal, 1),
        }
        return httpx.Response(201, json=self.incidents[name])

    def ack(self, incident: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        if incident["acknowledged"]:
            return problem(409, "already_acknowledged")
        self.acks.append({"id": incident["id"], **body})
        incident["acknowledged"] = {**body, "at": in_utc(self.now)}
        return httpx.Response(200, json=incident)

    def feedback(self, incident: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        if incident["decision"] is None:
            return problem(409, "nothing_decided")
        same = [one for one in self.reports if (one["incident"], one["outcome"]) == (incident["id"], body["outcome"])]
        if not same:
            self.reports.append({"id": len(self.reports) + 1, "incident": incident["id"], "at": in_utc(self.now), **body})
        return httpx.Response(200 if same else 201, json=same[0] if same else self.reports[-1])

    def context(self, incident: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        self.contexts.append(body["context"])
        for question in incident["questions"]:
            question["answered_at"] = question["answered_at"] or in_utc(self.now)
        return httpx.Response(200, json=incident)

    def withdraw(self, incident: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        if incident["status"] == "settled":
            return problem(409, "already_settled")
        incident["status"], incident["proposal"]["state"] = "settled", "withdrawn"
        return httpx.Response(200, json=incident)

    def revise(self, incident: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        incident["status"] = "waiting"
        incident["proposal"] = proposed(body["proposal"], incident["proposal"]["revision"] + 1)
        return httpx.Response(201, json=incident)

    def settle(self, incident: dict[str, Any], kind: str, valid_for: float = 3600, by: str = "person", **said: Any) -> None:
        """Decide as the server does: what may run is told whole, with its digest and how long it holds."""
        proposal = incident["proposal"]
        runs = kind in ("approve", "edit")
        args = said.pop("args", proposal["args"])
        draft = said.pop("draft", proposal["draft"])
        retry = said.get("retry", False)
        incident["status"] = "waiting" if retry else "settled"
        proposal["state"] = {"approve": "approved", "edit": "edited", "reject": "rejected", "respond": "answered"}[kind]
        incident["acknowledged"] = None
        incident["decision"] = {
            "type": kind, "by": {"kind": by, "id": "1", "name": "Rosa" if by == "person" else None}, "reason": "", "message": None,
            "retry": retry, "action": proposal["action"], "args": args, "draft": draft, "signed_digest": proposal["args_digest"],
            "args_digest": digest(proposal["action"], args, draft) if runs else None, "decided_at": in_utc(self.now),
            "valid_until": in_utc(self.now + timedelta(seconds=valid_for)) if runs else None, **said,
        }

    def decides(self, kind: str, **said: Any) -> "Fake":
        """Decide everything alike from now on."""
        self.decide = lambda incident: self.settle(incident, kind, **dict(said))
        return self


def proposed(content: dict[str, Any], revision: int) -> dict[str, Any]:
    action, draft = content.get("action"), content.get("draft")
    args = content.get("args") if content.get("args") is not None or not action else {}
    return {
        "id": f"proposal-{revision}", "revision": revision, "version": 1, "state": "pending", "action": action, "args": args,
        "draft": draft, "args_digest": digest(action, args, draft),
    }


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": f"it is {code}", "status": status}, headers=headers)


def gone(request: httpx.Request) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("refused", request=request)


def cut(request: httpx.Request) -> httpx.Response:
    """The connection breaks before anything came back."""
    raise httpx.ReadError("cut", request=request)


def busy(status: int = 503, **headers: str) -> Trouble:
    return lambda request: problem(status, "overloaded", **headers)


def page(request: httpx.Request) -> httpx.Response:
    """Something in between answers with a page of its own."""
    return httpx.Response(200, text="<html>hello</html>")


class Hurried(Client):
    """A client for which no time passes while it sleeps; `slept` tells how long it would have."""

    def __init__(self, fake: Any, **options: Any) -> None:
        super().__init__("http://countersign.test", KEY, transport=httpx.MockTransport(fake), **options)
        self.slept: list[float] = []

    def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            self.slept.append(effect.seconds)
            return None
        return super()._do(effect)


class HurriedAsync(AsyncClient):
    """The same, awaited."""

    def __init__(self, fake: Any, **options: Any) -> None:
        super().__init__("http://countersign.test", KEY, transport=httpx.MockTransport(fake), **options)
        self.slept: list[float] = []

    async def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            self.slept.append(effect.seconds)
            return None
        return await super()._do(effect)


def kept(requests: Iterable[httpx.Request], method: str, ending: str) -> list[httpx.Request]:
    return [one for one in requests if one.method == method and one.url.path.endswith(ending)]
