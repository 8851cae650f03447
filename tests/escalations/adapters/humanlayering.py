"""What HumanLayer's SDK puts on the wire (0.7.9, Python), and how a test speaks it."""

import json
from typing import Any

import pytest
from django.test import Client

from escalations import lifecycle
from escalations.adapters.humanlayer import views
from escalations.models import Incident, Proposal
from tests.escalations.api.speaking import key_for
from tests.factories import SourceFactory

SLACK = {"channel_or_user_id": "C123", "context_about_channel_or_user": "ops", "bot_token": "xoxb-very-secret", "allowed_responder_ids": None}
CHANNEL = {"slack": SLACK, "sms": None, "whatsapp": None, "email": None}
WRONG_AMOUNT = {"name": "wrong_amount", "title": "Wrong amount", "description": "amount is off", "prompt_fill": "use ", "interactive": False}


def call(call_id: str = "call-1", *, run_id: str = "run-42", fn: str = "refund", **kwargs: Any) -> dict[str, Any]:
    """Return what `require_approval` posts for a call with these named arguments."""
    spec = {"fn": fn, "kwargs": kwargs, "channel": CHANNEL, "reject_options": [WRONG_AMOUNT], "state": {"thread": "t1"}}
    return {"run_id": run_id, "call_id": call_id, "spec": spec, "status": None}


def question(call_id: str = "call-q", msg: str = "Which region?", **more: Any) -> dict[str, Any]:
    spec = {"msg": msg, "subject": None, "channel": None, "response_options": [{"name": "eu", "title": "eu-west"}], "state": None, **more}
    return {"run_id": "run-42", "call_id": call_id, "spec": spec, "status": None}


class Speaking:
    """A program with a key, and the SDK's way to use it."""

    def __init__(self, key: str, **more: Any) -> None:
        self.headers = {"Authorization": f"Bearer {key}"}
        self.__dict__.update(more)

    def post(self, path: str, body: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Client().post(f"/humanlayer/v1/{path}", raw, content_type="application/json", headers=self.headers)

    def get(self, path: str) -> Any:
        return Client().get(f"/humanlayer/v1/{path}", headers=self.headers)

    def asks(self, body: dict[str, Any]) -> dict[str, Any]:
        """Post a call or a question; it has to be taken. Return what was said."""
        answer = self.post("function_calls" if "fn" in body["spec"] else "contact_requests", body)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def status(self, call_id: str, kind: str = "function_calls") -> dict[str, Any]:
        answer = self.get(f"{kind}/{call_id}")
        assert answer.status_code == 200, answer.content
        return dict(answer.json()["status"])


@pytest.fixture
def program(db, monkeypatch):
    """A source's program; nothing it asks for is held open."""
    monkeypatch.setattr(views, "HOLD", 0.0)
    source = SourceFactory(name="billing-bot")
    return Speaking(key_for(source), source=source)


def asked(call_id: str) -> Proposal:
    """Return what a person is asked about a call: the newest revision."""
    return Proposal.objects.filter(incident__external_id=call_id).order_by("-revision").select_related("incident").first()


def incident_of(call_id: str) -> Incident:
    return Incident.objects.get(external_id=call_id)


def decided(person, call_id, verdict, **fields):
    proposal = asked(call_id)
    return lifecycle.decide(
        proposal.pk, person=person, type=verdict, digest=proposal.args_digest, version=proposal.version, **fields
    )


@pytest.fixture
def waiting(program, run_jobs, mona):
    """A refund that waits, and the manager who may decide it."""
    program.asks(call(order="A-1", cents=1250))
    run_jobs()
    return program
