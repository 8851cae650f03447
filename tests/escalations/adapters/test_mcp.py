"""The protocol: what a host of agents says before and beside calling a tool."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalations.adapters.mcp import arguments, rpc, tools, views
from escalations.api import fields
from escalations.errors import Invalid
from escalations.models import Incident
from escalations.models.sources import EVENTS
from tests.escalations.adapters.mcp_speaking import Host
from tests.escalations.api.speaking import key_for, token_for
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def host(db):
    source = SourceFactory(name="desk-agent")
    return Host(key_for(source), source=source)


def test_a_host_begins_and_is_told_what_there_is(host):
    began = host.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})
    listed = host.ask("tools/list", **{"MCP-Protocol-Version": "2025-06-18"})["result"]["tools"]

    assert began["result"]["protocolVersion"] == "2025-06-18"
    assert began["result"]["capabilities"] == {"tools": {}}
    assert began["result"]["serverInfo"]["name"] == "countersign"
    assert [one["name"] for one in listed] == [
        "request_approval", "get_approval", "ask_human", "report_step", "approve_tool_use"
    ]
    assert all(len(one["description"]) > 80 and one["inputSchema"]["type"] == "object" for one in listed)


@pytest.mark.parametrize(("wanted", "given"), [("1999-01-01", views.VERSIONS[0]), (None, views.VERSIONS[0]), ("2025-11-25", "2025-11-25")])
def test_a_version_that_is_not_spoken_is_answered_with_the_newest_that_is(host, wanted, given):
    assert host.ask("initialize", {"protocolVersion": wanted})["result"]["protocolVersion"] == given


def test_a_newer_client_is_led_back_to_initialize(host):
    said = host.ask("server/discover", **{"MCP-Protocol-Version": "2026-07-28"})

    assert said["error"]["code"] == -32601


def test_an_unknown_version_in_the_header_is_told_which_there_are(host):
    response = host.send({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}, **{"MCP-Protocol-Version": "2031-01-01"})

    assert response.status_code == 400
    assert response.json()["error"]["data"] == {"supported": list(views.VERSIONS), "requested": "2031-01-01"}


@pytest.mark.parametrize("message", [
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}},
    {"jsonrpc": "2.0", "id": 3, "result": {}},
])
def test_what_needs_no_answer_gets_none(host, message):
    response = host.send(message)

    assert (response.status_code, response.content) == (202, b"")


def test_a_ping_is_answered(host):
    assert host.ask("ping")["result"] == {}


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_are_no_streams_and_no_sessions_to_end(client, host, method):
    response = client.generic(method, "/mcp", headers=host.headers())

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert response.json()["jsonrpc"] == "2.0"


@pytest.mark.parametrize(("body", "status", "number"), [
    (b"{", 400, -32700),
    (b'{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "ping"}', 400, -32700),
    (b"[]", 400, -32600),
    (b'{"id": 1, "method": "ping"}', 400, -32600),
    (b'{"jsonrpc": "2.0", "id": 1}', 400, -32600),
    (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', 400, -32600),
    (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', 400, -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', 400, -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', 200, -32601),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "drop_tables"}}', 200, -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask_human", "arguments": 3}}', 200, -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": ["ask_human"]}}', 200, -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b'{"a":' * 100 + b"1" + b"}" * 101, 400, -32700),
])
def test_what_is_no_message_is_refused_in_json(host, body, status, number):
    response = host.send(body)

    assert (response.status_code, response.json()["error"]["code"]) == (status, number)
    assert response["Content-Type"] == "application/json"
    assert Incident.objects.count() == 0


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]) | st.text(max_size=4), inner, max_size=6),
    max_leaves=12,
)


@given(ANYTHING.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_whatever_is_sent_is_a_message_or_refused(body):
    try:
        message = rpc.read(body)
    except rpc.Refused as refused:
        assert json.loads(refused.answer().content)["error"]["code"] in (rpc.PARSE, rpc.REQUEST, rpc.PARAMS)
        return
    assert message is None or (isinstance(message.method, str) and isinstance(message.params, dict))


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer nonsense", "Basic Zm9vOmJhcg==", "Bearer cs_live_abc_def"])
def test_without_a_key_nothing_is_told(client, db, authorization):
    response = client.post("/mcp", b"{}", content_type="application/json", headers={"Authorization": authorization})

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["error"]["data"]["code"] == "not_authenticated"


def test_a_persons_token_is_no_agents_key(db):
    host = Host(token_for(PersonFactory(username="rita")))

    response = host.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert (response.status_code, response.json()["error"]["data"]["code"]) == (403, "not_allowed")


@pytest.mark.parametrize(("scopes", "tool", "given"), [
    ([EVENTS], "ask_human", {"question": "May I?"}),
    (["incidents:read"], "ask_human", {"question": "May I?"}),
    (["incidents:write"], "get_approval", {"id": "01890000-0000-7000-8000-000000000000"}),
])
def test_a_key_may_do_what_its_scopes_say(scopes, tool, given, db):
    host = Host(key_for(SourceFactory(), scopes=scopes))

    assert host.refused(tool, **given)["error"] == "not_allowed"
    assert Incident.objects.count() == 0


def test_a_page_of_another_site_may_not_speak_to_it(host):
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

    assert host.send(message, Origin="https://elsewhere.example").status_code == 403
    assert host.send(message, Origin="http://testserver").status_code == 200


def test_a_source_that_says_too_much_is_told_when_to_come_back(db):
    source = SourceFactory(requests_per_minute=6)
    host = Host(key_for(source), source=source)

    responses = [host.send({"jsonrpc": "2.0", "id": 1, "method": "ping"}) for _ in range(4)]
    limited = [one for one in responses if one.status_code == 429]

    assert limited and int(limited[0]["Retry-After"]) >= 1
    assert limited[0].json()["error"]["data"]["code"] == "rate_limited"


@pytest.mark.parametrize("wait", ["-1", "291", "soon", "1.5", "٣"])
def test_a_wait_in_the_address_that_is_none_is_said_at_the_first_look(host, wait):
    host.query = f"?wait={wait}"

    assert host.ask("tools/list")["error"]["code"] == -32602


def test_the_longest_wait_of_the_address_stands_in_the_schemas(host):
    host.query = "?wait=290"
    listed = host.ask("tools/list")["result"]["tools"]
    [schema] = [one["inputSchema"] for one in listed if one["name"] == "get_approval"]

    assert schema["properties"]["wait_seconds"]["maximum"] == 290


@pytest.mark.parametrize("tool", tools.TOOLS.values(), ids=lambda tool: tool.name)
def test_what_a_model_reads_is_what_is_taken(tool):
    schema = arguments.schema_of(tool.name, 50)
    form = tool.form()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(form.fields)
    assert set(schema["required"]) == {name for name, field in form.fields.items() if field.required}
    assert all(one.get("description") or one.get("enum") for one in schema["properties"].values())
    for name, field in form.fields.items():
        described = schema["properties"][name]
        if isinstance(field, fields.Choice):
            assert described["enum"] == field.choices, name
        elif isinstance(field, fields.Text):
            assert described["maxLength"] == field.max_length, name
        elif isinstance(field, fields.Whole) and name != "wait_seconds":
            assert (described["minimum"], described["maximum"]) == (field.low, field.high), name


@pytest.mark.parametrize(("tool", "given", "pointer"), [
    ("request_approval", {"action": "refund", "args": []}, "/args"),
    ("request_approval", {"action": "refund", "argz": {}}, "/argz"),
    ("request_approval", {"action": 3}, "/action"),
    ("request_approval", {}, "/action"),
    ("request_approval", {"action": "refund", "draft": {"to": "a@b.c", "subject": "", "body": "x"}}, "/draft"),
    ("request_approval", {"args": {"a": 1}}, "/action"),
    ("request_approval", {"action": "refund", "args": {"amount": 2**60}}, "/args/amount"),
    ("request_approval", {"action": "refund", "args": {"note": "a\x00b"}}, "/args/note"),
    ("request_approval", {"action": "refund", "wait_seconds": "50"}, "/wait_seconds"),
    ("request_approval", {"action": "refund", "key": "two\nlines"}, "/key"),
    ("ask_human", {"question": "  "}, "/question"),
    ("get_approval", {"id": "nonsense"}, "/id"),
    ("report_step", {"tool": "search"}, "/agent"),
    ("report_step", {"agent": "a", "args": {}}, "/tool"),
    ("report_step", {"session": "01890000-0000-7000-8000-000000000000", "goal": "x"}, "/session"),
])
def test_a_model_is_told_what_is_wrong_with_its_arguments(host, tool, given, pointer):
    said = host.refused(tool, **given)

    assert said["error"] == "invalid"
    assert pointer in [one["pointer"] for one in said["errors"]], said
    assert Incident.objects.count() == 0


def test_whatever_is_wrong_with_a_permission_prompt_is_a_no(host):
    for wrong in ({}, {"tool_name": "Bash"}, {"tool_name": "Bash", "input": "ls"}, {"tool_name": "Bash", "input": {"n": 2**60}}):
        result = host.result("approve_tool_use", **wrong)

        assert result["isError"] is False and len(result["content"]) == 1
        assert json.loads(result["content"][0]["text"])["behavior"] == "deny"


def test_the_permission_prompt_takes_what_hosts_say_besides(host):
    said = host.call("approve_tool_use", tool_name="Bash", input={"command": "ls"}, tool_use_id="toolu_1", permission_suggestions=[])

    assert said["behavior"] == "deny" and "not a no" in said["message"]
    with pytest.raises(Invalid):
        fields.read(arguments.ToolUseIn, {"tool_name": "Bash", "input": {}, "permission_suggestions": []})
