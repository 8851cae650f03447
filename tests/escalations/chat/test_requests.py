"""The address Slack posts to: what it did not sign, or signed too long ago, does nothing; and nothing makes it fail."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.test import AsyncClient, Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from escalations import audit, clock
from escalations.chat import payload, signature
from escalations.errors import MalformedJson
from escalations.models import AuditEntry, Decision, SlackPress, SlackWorkspace
from escalations.policies import chat
from tests.escalations.chat.conftest import ADDRESS, linked, send
from tests.fakes import slack as fakes

pytestmark = pytest.mark.django_db

# The worked example of https://docs.slack.dev/authentication/verifying-requests-from-slack
DOCUMENTED = {
    "secret": "8f742231b10e8888abcd99yyyzzz85a5", "timestamp": "1531420618",
    "body": (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
        b"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    ),
    "signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}  # fmt: skip


def test_our_signature_is_the_documented_one():
    assert signature.made(DOCUMENTED["secret"], DOCUMENTED["timestamp"], DOCUMENTED["body"]) == DOCUMENTED["signature"]


@given(st.text(alphabet="0123456789abcdef", min_size=32, max_size=32), st.integers(0, 10**11), st.text(max_size=300))
@settings(max_examples=100, deadline=None)
def test_slacks_own_verifier_takes_what_we_sign_and_we_take_what_it_signs(secret, at, text):
    body, timestamp = text.encode("utf-8", "replace"), str(at)
    theirs = SignatureVerifier(secret, fakes.Frozen(at))

    assert theirs.is_valid(body=body, timestamp=timestamp, signature=signature.made(secret, timestamp, body))
    assert signature.made(secret, timestamp, body) == theirs.generate_signature(timestamp=timestamp, body=body)
    assert not theirs.is_valid(body=body + b"x", timestamp=timestamp, signature=signature.made(secret, timestamp, body))


@pytest.mark.parametrize("late, fine", [(0, True), (299, True), (301, False), (-299, True), (-301, False)])
def test_only_a_request_of_now_is_taken_as_slacks_own_verifier_would(workspace, rosa, posted, slack, client, late, fine):
    posted()
    now = clock.now()
    body, headers = fakes.signed(slack.pressing("approve", "U0ROSA"), at=now.timestamp() - late)
    with clock.frozen_at(now):
        status = client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=headers).status_code

    assert (status == 200, Decision.objects.exists()) == (fine, fine)
    assert SignatureVerifier(fakes.SECRET, fakes.Frozen(now.timestamp())).is_valid_request(body, headers) is fine


@pytest.mark.parametrize("spoil", ["no headers", "no signature", "no timestamp", "other secret", "other body", "v1", "letters", "signed header twice", "plus"])
def test_what_slack_did_not_sign_is_refused_and_decides_nothing(workspace, rosa, posted, slack, client, spoil):
    posted()
    body, headers = fakes.signed(slack.pressing("approve", "U0ROSA"), at=clock.now().timestamp(), secret="0" * 32 if spoil == "other secret" else fakes.SECRET)
    given = headers["X-Slack-Signature"]
    headers = {
        "no headers": {}, "no signature": {**headers, "X-Slack-Signature": ""}, "no timestamp": {**headers, "X-Slack-Request-Timestamp": ""},
        "v1": {**headers, "X-Slack-Signature": given.replace("v0", "v1")}, "letters": {**headers, "X-Slack-Request-Timestamp": "now"},
        "signed header twice": {**headers, "X-Slack-Signature": f"{given},{given}"},
        "plus": {**headers, "X-Slack-Request-Timestamp": "+" + headers["X-Slack-Request-Timestamp"]},
    }.get(spoil, headers)  # fmt: skip
    if spoil == "other body":
        body += b"&x=1"

    answer = client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=headers)

    assert (answer.status_code, answer.content) == (401, b"")
    assert not Decision.objects.exists() and not SlackPress.objects.exists() and not AuditEntry.objects.filter(action="chat.refused").exists()


def test_an_unsigned_request_costs_no_query(workspace, client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.post(ADDRESS, b"payload=%7B%7D", content_type="application/x-www-form-urlencoded").status_code == 401


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options", "patch"])
def test_nothing_but_a_post_is_answered(workspace, client, method):
    assert getattr(client, method)(ADDRESS).status_code == 405


def test_no_cookie_and_no_sign_in_is_needed_and_none_helps(workspace, rosa, posted, slack):
    posted()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rosa, backend="django.contrib.auth.backends.ModelBackend")
    payload_ = slack.pressing("approve", "U0ROSA")

    assert strict.post(ADDRESS, {"payload": json.dumps(payload_)}).status_code == 401
    assert not Decision.objects.exists()
    assert send(strict, payload_).status_code == 200
    assert Decision.objects.exists()


def test_another_workspaces_request_decides_nothing_here(posted, rosa, slack, client):
    other = chat.save_workspace(
        SlackWorkspace(name="Other", team_id="T0OTHER"), actor=audit.SYSTEM, signing_secret="1" * 32, bot_token=fakes.TOKEN
    )
    posted()
    as_ours = slack.pressing("approve", "U0ROSA")
    as_theirs = slack.pressing("approve", "U0ROSA", team={"id": "T0OTHER", "domain": "other"})

    assert send(client, as_ours, secret="1" * 32).status_code == 403  # signed by them, says it is ours
    assert send(client, as_theirs).status_code == 403  # signed by us, says it is theirs
    assert not Decision.objects.exists()

    linked(other, "U0EVE", roles=["finance"])
    stolen = slack.pressing("approve", "U0EVE", team={"id": "T0OTHER", "domain": "other"})
    assert send(client, stolen, secret="1" * 32).status_code == 200  # theirs throughout, with a button of ours in it
    assert not Decision.objects.exists()
    assert SlackPress.objects.get().outcome == "not_ours"


def test_a_disabled_workspace_is_nobody(posted, rosa, slack, client, workspace):
    posted()
    chat.disable_workspace(workspace, actor=audit.SYSTEM)
    assert send(client, slack.pressing("approve", "U0ROSA")).status_code == 401
    assert not Decision.objects.exists()


def test_a_secret_that_cannot_be_unsealed_is_nobodys(posted, rosa, slack, client, workspace):
    posted()
    SlackWorkspace.objects.update(sealed_signing_secret=b"rubbish")
    assert send(client, slack.pressing("approve", "U0ROSA")).status_code == 401


def test_a_link_that_was_opened_and_other_kinds_are_acknowledged_and_nothing_more(posted, rosa, slack, client):
    posted()
    for other in (
        slack.pressing("open", "U0ROSA"), {"type": "view_submission", "team": {"id": fakes.TEAM}}, {"type": "message_action"}, {"type": None}, {},
        slack.pressing("approve", "U0ROSA", actions=[]), slack.pressing("approve", "U0ROSA", actions=None),
        slack.pressing("approve", "U0ROSA", actions=slack.pressing("approve", "U0ROSA")["actions"] * 2),
    ):
        assert send(client, other).status_code == 200
    assert not Decision.objects.exists() and not SlackPress.objects.exists()


BODIES = [
    b"", b"payload", b"payload=", b"payload=%7B", b"payload=[]", b"payload=null", b"payload=1", b"payload=%FF%FE", b"\xff\xfe", b"payload={}&payload={}",
    b"payload=%22text%22", b"payload=" + b"[" * 50_000, b"payload=%7B%22type%22%3A%22block_actions%22%7D&a=1&b=2&c=3&d=4&e=5", b"{}",
    urlencode({"payload": '{"type": "block_actions", "type": "block_actions", "n": ' + "9" * 5000 + "}"}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_signed_body_that_is_no_payload_is_no_500(workspace, client, number):
    body = BODIES[number]
    headers = fakes.headers(body, at=clock.now().timestamp()) if body != b"\xff\xfe" else by_hand(body)
    status = client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=headers).status_code
    assert status in (200, 400)


def by_hand(body):
    timestamp = str(int(clock.now().timestamp()))
    digest = hmac.new(fakes.SECRET.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def test_a_body_beyond_what_slack_sends_is_refused(workspace, client):
    body = b"payload=" + b"x" * (256 * 1024)
    assert client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=by_hand(body)).status_code == 413


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "value", "type", "reason", "values", "action_id", "team_id", "message_ts", "channel_id"]) | st.text(max_size=8), inner, max_size=4,
    ), max_leaves=12,
)  # fmt: skip
PARTS = ["team", "user", "channel", "container", "state", "actions", "message", "api_app_id"]


@given(st.dictionaries(st.sampled_from(PARTS), JSON, max_size=5), st.sampled_from(["approve", "reject"]), JSON)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_signed_payload_nothing_fails_and_nothing_is_decided(workspace, client, parts, action, value):
    base = {"type": "block_actions", "team": {"id": fakes.TEAM}, "user": {"id": "U0ROSA"}, "actions": [{"type": "button", "action_id": action, "value": value}]}
    body, headers = fakes.signed(base | parts, at=clock.now().timestamp())

    status = client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=headers).status_code

    assert status in (200, 400, 403)
    assert not Decision.objects.exists()


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_reading_a_body_returns_a_press_or_nothing_or_says_that_it_is_none(body):
    try:
        read = payload.read(body)
    except MalformedJson:
        return
    assert read is None


def test_a_reason_with_a_nul_or_half_a_character_is_stored(posted, rosa, slack, client):
    proposal = posted()
    for spoil in ("no\x00", "half \ud83d of one"):
        assert send(client, slack.pressing("reject", "U0ROSA", reason=spoil)).status_code == 200
    assert Decision.objects.get(proposal=proposal).reason == "no\ufffd"


def test_the_database_being_away_is_a_503_and_not_a_decision(posted, rosa, slack, client, monkeypatch):
    def away(*_, **__):
        raise OperationalError("gone")

    posted()
    monkeypatch.setattr("escalations.chat.views.press", away)
    assert send(client, slack.pressing("approve", "U0ROSA")).status_code == 503



def test_a_press_arrives_through_the_web_processs_own_door(posted, rosa, slack):
    posted()
    body, headers = fakes.signed(slack.pressing("approve", "U0ROSA"), at=clock.now().timestamp())

    async def post():
        return await AsyncClient().post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers=headers)

    answer = async_to_sync(post)()

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Cache-Control"] == "no-store"
    assert Decision.objects.get().person == rosa
