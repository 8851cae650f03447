"""An event becomes an incident a person can read, in which nothing secret stands."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.adapters.sentry import redact
from escalations.adapters.sentry.event import id_of, incident_of
from escalations.floors.findings import in_texts

ID = "a" * 32


def frame(function, file="billing/pay.py", line=14, **more):
    return {"filename": file, "abs_path": f"/srv/app/{file}", "function": function, "module": "billing.pay", "lineno": line,
            "pre_context": ["def pay(order):", "    # charge it"], "context_line": "    raise ValueError('card declined for %s' % order)",
            "post_context": ["", "pay('A-1')"], "in_app": True, "vars": {"order": "'A-1'", "amount": "12", "client": "<Client object at 0x7f>"}, **more}


def event(**more):
    return {
        "event_id": ID, "level": "error", "timestamp": "2026-11-20T21:13:07.423803Z", "platform": "python",
        "exception": {"values": [
            {"type": "KeyError", "value": "'A-1'", "module": None, "mechanism": {"type": "chained", "handled": True},
             "stacktrace": {"frames": [frame("look_up", "billing/orders.py", 3)]}},
            {"type": "ValueError", "value": "card declined for A-1", "module": "builtins", "mechanism": {"type": "generic", "handled": False},
             "stacktrace": {"frames": [frame("run", "lib/site.py", 900, in_app=False), frame("checkout", "billing/web.py", 40), frame("pay")]}},
        ]},
        "breadcrumbs": {"values": [
            {"timestamp": "2026-11-20T21:13:05.1Z", "category": "http", "message": "calling gateway", "data": {"url": "https://gate.example/pay?token=abc123def", "status_code": 402}},
            {"timestamp": 1_795_209_186.0, "category": "query", "message": "SELECT 1", "level": "warning"},
        ]},
        "tags": {"team": "billing"}, "user": {"id": "u1", "email": "a@b.co", "ip_address": "10.0.0.7", "username": "anna"},
        "contexts": {"order": {"id": "A-1"}, "runtime": {"name": "CPython", "version": "3.11"}}, "extra": {"sys.argv": ["pay.py", "--password", "hunter2x"], "cart": 3},
        "request": {"url": "https://shop.example/pay?session=12ab", "method": "POST", "cookies": "sid=topsecretcookie", "headers": {"Authorization": "Bearer abcdefgh12345"}, "data": {"card": "4111 1111 1111 1111"}},
        "release": "billing@1.2.3", "environment": "prod", "server_name": "host-1", "sdk": {"name": "sentry.python", "version": "2.75.0"}, **more,
    }


def told(**more):
    return incident_of(event(**more), ID)


def test_an_event_is_an_exception_with_a_title_a_trace_and_a_summary():
    data = told()

    assert data["kind"] == "exception"
    assert data["title"] == "ValueError: card declined for A-1"
    assert (data["severity"], data["environment"], data["external_id"]) == ("warning", "prod", ID)
    raised = data["payload"]["exception"]
    assert (raised["type"], raised["message"]) == ("ValueError", "card declined for A-1")
    assert raised["stacktrace"] == "\n".join([
        "Traceback, the innermost call last:",
        '  File "billing/orders.py", line 3, in look_up',
        "    raise ValueError('card declined for %s' % order)",
        "KeyError: 'A-1'",
        "\nThis led to:\n",
        "Traceback, the innermost call last:",
        "  … 1 call inside libraries",
        '  File "billing/web.py", line 40, in checkout',
        "    raise ValueError('card declined for %s' % order)",
        '  File "billing/pay.py", line 14, in pay',
        "    raise ValueError('card declined for %s' % order)",
        "ValueError: card declined for A-1",
    ])
    assert data["context"]["summary"] == "\n".join([
        "ValueError: card declined for A-1",
        "Raised in pay (billing/pay.py, line 14), called from checkout (billing/web.py, line 40).",
        "Caused by KeyError: 'A-1', in look_up (billing/orders.py, line 3).",
        "Nothing in the program caught it.",
        "Release billing@1.2.3, environment prod, host host-1.",
        "",
        "What happened before:",
        "  21:13:05 http calling gateway url=https://gate.example/pay?token=*** status_code=402",
        "  21:13:06 warning query SELECT 1",
    ])


def test_what_was_known_around_it_is_kept():
    sentry = told()["payload"]["sentry"]

    assert sentry["release"] == "billing@1.2.3" and sentry["environment"] == "prod" and sentry["sdk"] == "sentry.python 2.75.0"
    assert sentry["caused_by"] == [{"type": "KeyError", "message": "'A-1'", "in": "look_up (billing/orders.py, line 3)"}]
    assert [one["in"] for one in sentry["frames"]] == ["pay (billing/pay.py, line 14)", "checkout (billing/web.py, line 40)"]
    assert "raise ValueError" in sentry["source"] and "# charge it" in sentry["source"]
    assert sentry["tags"] == {"team": "billing"}
    assert sentry["contexts"]["order"] == {"id": "A-1"}
    assert sentry["extra"] == {"cart": 3, "sys.argv": "a list of 3"}
    assert sentry["request"] == {"method": "POST", "url": "https://shop.example/pay"}
    assert told()["customer"] == {"id": "u1"}


def test_of_a_variable_only_its_shape_is_told():
    variables = told()["payload"]["sentry"]["frames"][0]["variables"]

    assert variables == {"order": "text of 3 characters", "amount": "12", "client": "<Client>"}


@pytest.mark.parametrize(("name", "held", "shape"), [
    ("n", "12", "12"), ("n", 12, "12"), ("n", 4111111111111111, "a number"), ("ok", "True", "True"), ("x", None, "None"),
    ("pin", "1234", "***"), ("password", "'x'", "***"), ("dbPassword", 5, "***"), ("x_api_key", "'abc'", "***"), ("user_token", "None", "***"),
    ("s", "'A-1'", "text of 3 characters"), ("s", "plain words of node", "text of 19 characters"), ("items", ["'a'", "'b'"], "a list of 2"),
    ("d", {"a": "'b'"}, "a dict of 1"), ("d", "{'a': 'b'}", "a dict or set of 8 characters"), ("o", "<app.models.Order object at 0x7f00>", "<app.models.Order>"),
    ("f", "<function pay at 0x1>", "<pay>"), ("c", "<Card 4111111111111111>", "<Card>"),
])
def test_shapes(name, held, shape):
    assert redact.shape(name, held) == shape


SECRETS = [
    "hunter2-XYZ!", "sk-proj-abcdefghijklmnop1234", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijklmnop", "AKIAABCDEFGHIJKLMNOP",
]


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*path, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, (*path, number))
    elif isinstance(value, str):
        yield path


def planted(path, text):
    whole = copy.deepcopy(event(message="m", logentry={"message": "a %s", "formatted": "a b", "params": ["b"]}, logger="billing", transaction="/pay", fingerprint=["mine", "{{ type }}"],
                                threads={"values": [{"stacktrace": {"frames": [frame("thread")]}}]}))
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = text
    return whole


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_wherever_it_stands(secret):
    """In every single text of an event, as a value by itself where its look gives it away, else behind a name."""
    said = f"password={secret}" if secret == SECRETS[0] else f"so {secret}"
    for path in leaves(planted(("level",), "error")):
        stored = json.dumps(incident_of(planted(path, said), ID), ensure_ascii=False)
        assert secret not in stored, path


@given(st.sampled_from(SECRETS), st.text(alphabet=" abc.,:\n'\"=(){}", max_size=12), st.integers(0, 700))
@settings(max_examples=150, deadline=None)
def test_no_half_of_a_secret_stays_where_a_text_was_cut(secret, before, most):
    shown = redact.text(f"{'x ' * (most // 2)}{before} password: '{secret}'", max(most, 10))

    for length in range(6, len(secret) + 1):
        assert secret[:length] not in shown


def test_what_stands_under_a_secrets_name_goes_whole():
    data = told(extra={"db_password": "plain", "nested": {"apiKey": ["a", "b"], "cookies": {"sid": "x"}, "token_count": 5}},
                tags=[["api_key", "plain"], ["team", "billing"]])

    assert data["payload"]["sentry"]["extra"] == {"db_password": "***", "nested": {"apiKey": "***", "cookies": "***", "token_count": 5}}
    assert data["payload"]["sentry"]["tags"] == {"api_key": "***", "team": "billing"}


def test_who_it_happened_to_is_known_by_a_number_only():
    stored = json.dumps(told())

    assert not [one for one in ("a@b.co", "10.0.0.7", "anna", "topsecretcookie", "abcdefgh12345", "4111", "hunter2x", "12ab") if one in stored]
    assert "customer" not in told(user={"id": "a@b.co"})


def test_nothing_is_found_where_something_was_taken_out():
    """What looks for secrets later must not take our own marks for one, nor the SDK's."""
    data = told(extra={"note": "password: [Filtered], card 4111 1111 1111 1111, api_key = 'sk-live-abcdefghijklmnop'"},
                logentry={"formatted": "login with password=hunter2-XYZ! failed"})

    assert not [one for one in in_texts([("all", json.dumps(data, ensure_ascii=False))]) if one.trigger == "sensitive_data"]


@pytest.mark.parametrize(("level", "severity"), [
    ("fatal", "critical"), ("error", "warning"), ("warning", "warning"), ("info", "info"), ("debug", "info"), (None, "warning"), (7, "warning"), ("LOUD", "warning"),
])
def test_levels(level, severity):
    assert told(level=level)["severity"] == severity


def test_a_message_is_titled_by_what_it_says_and_grouped_by_its_template():
    plain = {"event_id": ID, "level": "warning", "logger": "billing"}
    one = incident_of({**plain, "logentry": {"message": "payment %s failed", "formatted": "payment A-2 failed", "params": ["A-2"]}}, ID)
    two = incident_of({**plain, "logentry": {"message": "payment %s failed", "params": ["A-3"]}}, ID)

    assert (one["title"], two["title"]) == ("payment A-2 failed", "payment A-3 failed")
    assert one["fingerprint"] == two["fingerprint"]
    assert one["payload"]["exception"] == {"type": "billing", "message": "payment A-2 failed", "stacktrace": ""}
    assert incident_of({"message": "manual message"}, ID)["title"] == "manual message"
    assert incident_of({"message": {"formatted": "old shape"}}, ID)["title"] == "old shape"
    assert incident_of({"platform": "node"}, ID)["title"] == "An event without a message from node"


def test_a_template_that_asks_for_a_gigabyte_gets_none():
    assert incident_of({"logentry": {"message": "%1000000000s %s", "params": ["a"]}}, ID)["title"] == "%1000000000s a"


def test_what_the_program_says_of_its_retries_is_taken():
    raised = told(tags={"retryable": "false"}, extra={"attempts": 4})["payload"]["exception"]
    assert (raised["retryable"], raised["attempts"]) == (False, 4)

    raised = told()["payload"]["exception"]
    assert "retryable" not in raised and "attempts" not in raised


# -- the same failure


def test_the_same_failure_is_the_same_whatever_the_numbers():
    later = event()
    for one in later["exception"]["values"]:
        one["value"] = "card declined for B-77"
        for place in one["stacktrace"]["frames"]:
            place["lineno"] += 10

    assert incident_of(later, ID)["fingerprint"] == told()["fingerprint"]


@pytest.mark.parametrize("change", [
    lambda values: values[-1].update(type="TypeError"),
    lambda values: values[-1]["stacktrace"]["frames"][-1].update(function="refund"),
    lambda values: values.pop(0),
])
def test_another_failure_is_another(change):
    other = event()
    change(other["exception"]["values"])

    assert incident_of(other, ID)["fingerprint"] != told()["fingerprint"]


def test_libraries_do_not_make_a_failure_another():
    other = event()
    other["exception"]["values"][-1]["stacktrace"]["frames"][0].update(function="changed in 2.0")

    assert incident_of(other, ID)["fingerprint"] == told()["fingerprint"]


def test_bundles_of_two_builds_are_the_same_place():
    def built(name):
        return {"exception": {"values": [{"type": "E", "stacktrace": {"frames": [frame("f", name)]}}]}}

    assert incident_of(built("app/main.3f9a1c22.js"), ID)["fingerprint"] == incident_of(built("app/main.99aa11bb.js"), ID)["fingerprint"]


def test_the_programs_own_fingerprint_is_what_counts():
    assert told(fingerprint=["card-declined"])["fingerprint"] == "card-declined"
    assert told(fingerprint="card-declined")["fingerprint"] == "card-declined"
    assert told(fingerprint=["a|b"])["fingerprint"] != told(fingerprint=["a", "b"])["fingerprint"]
    assert told(fingerprint=["{{ default }}"])["fingerprint"] == told()["fingerprint"] == told(fingerprint=[])["fingerprint"]
    split = told(fingerprint=["{{ default }}", "eu"])["fingerprint"]
    assert told()["fingerprint"] in split and split.endswith("|eu")
    assert told(fingerprint=["{{default}}", "us"])["fingerprint"] != split
    assert told(fingerprint=["{{ error.type }}", "{{ transaction }}"], transaction="/pay")["fingerprint"] == "ValueError|/pay"
    assert len(told(fingerprint=["x" * 5000])["fingerprint"]) == 32 and len(told(fingerprint=["x" * 190, "y" * 190])["fingerprint"]) == 32


def test_ids():
    assert id_of("A" * 32) == ID == id_of(None, 5, "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")
    assert id_of("", "not one", None) == ""


# -- whatever shape


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(
        st.sampled_from(["values", "frames", "type", "value", "stacktrace", "vars", "message", "formatted", "params", "id", "data", "timestamp",
                         "filename", "function", "lineno", "context_line", "in_app", "mechanism", "handled", "url"]), below, max_size=5), max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(sorted({*event(), "logentry", "message", "logger", "threads", "stacktrace", "fingerprint", "transaction"})), SHAPES, max_size=8))
@settings(max_examples=400, deadline=None)
def test_no_shape_of_an_event_makes_it_fail(strange):
    data = incident_of(strange, ID)

    assert data["title"].strip() and len(data["title"]) <= 500 and len(data["fingerprint"]) <= 255
    json.dumps(data, allow_nan=False)


def test_a_huge_event_becomes_an_incident_of_bounded_size():
    big = "word " * 50_000
    data = incident_of(event(
        exception={"values": [{"type": big, "value": big, "stacktrace": {"frames": [frame(big, big, vars={f"{big}{n}": big for n in range(9)})] * 500}}] * 100},
        breadcrumbs=[{"message": big, "data": {str(n): big for n in range(99)}}] * 200, tags={str(n): big for n in range(500)},
        extra={str(n): {str(m): big for m in range(50)} for n in range(50)}, contexts={str(n): [big] * 50 for n in range(50)},
    ), ID)

    assert len(json.dumps(data)) < 1_500_000
