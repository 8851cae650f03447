"""What a client may try at the doors that speak other clients' languages: keys of its own choosing, bombs, yesterday's yes."""

import json

import pytest
from django.test import Client

from tests.escalations.adapters.humanlayering import call, program  # noqa: F401 - a fixture
from tests.escalations.adapters.mcp_speaking import Host, said_in

pytestmark = pytest.mark.django_db


def posted(key, body):
    return Client().post("/api/v1/incidents", json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize("payload", [{}, {"humanlayer": {}}, {"humanlayer": "x"}, {"humanlayer": {"spec": []}}])
def test_an_incident_that_only_bears_the_key_of_a_call_is_no_call(program, payload):  # noqa: F811
    key = program.headers["Authorization"].split()[1]
    for what in ("function", "contact"):
        body = {"kind": "alert", "title": "Not a call", "key": f"humanlayer:{what}:c9", "payload": payload}
        assert posted(key, body).status_code == 201

    for path in ("function_calls/c9", "contact_requests/c9"):
        assert program.get(path).status_code == 404
    assert program.post("function_calls", call("c9", order="A-1")).status_code == 409
    assert program.post("agent/function_calls/c9/escalate_email", {"escalation_msg": "now"}).status_code == 404


def test_an_incident_that_only_bears_the_key_of_a_tool_call_lets_nothing_run(program):  # noqa: F811
    key = program.headers["Authorization"].split()[1]
    assert posted(key, {"kind": "alert", "title": "Not a tool call", "key": "mcp:tool:toolu_9"}).status_code == 201

    result = Host(key).result("approve_tool_use", tool_name="Bash", input={"command": "ls"}, tool_use_id="toolu_9")

    assert said_in(result)["behavior"] == "deny"


def test_an_incident_that_only_looks_like_an_event_does_not_break_the_door_for_events(program):  # noqa: F811
    key = program.headers["Authorization"].split()[1]
    assert posted(key, {"kind": "alert", "title": "x", "key": "pagerduty:own", "external_id": "disk", "payload": [1]}).status_code == 201
    event = {"event_action": "trigger", "routing_key": key, "dedup_key": "disk", "payload": {"summary": "full", "severity": "critical"}}

    assert Client().post("/v2/enqueue", json.dumps(event), content_type="application/json").status_code == 202
