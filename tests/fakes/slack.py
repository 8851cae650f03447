"""A Slack of our own on this machine: keeps what was posted and written anew, checks it as Slack would, and signs presses as Slack does."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.signature import Clock, SignatureVerifier

TOKEN = "xoxb-1234567890-abcdefghij"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5".replace("y", "0").replace("z", "1")
TEAM = "T024BE7LD"

LIMITS = {"header": 150, "section": 3000}


class Refused(Exception):
    """What Slack answers as {"ok": false, "error": …}."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        fake: FakeSlack = self.server.fake
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method = self.path.rpartition("/")[2]
        with fake.lock:
            fake.calls.append((method, body))
            trouble = fake.trouble.pop(0) if fake.trouble else None
        if trouble == "hang":
            fake.release.wait(60)
            return
        if isinstance(trouble, tuple):
            status, headers = trouble
            self._answer(status, b"<html>no</html>", headers)
            return
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused("invalid_auth")
            if isinstance(trouble, str):
                raise Refused(trouble)
            with fake.lock:
                said = {"ok": True, **getattr(fake, method.replace(".", "_"))(body)}
        except Refused as refused:
            said = {"ok": False, "error": str(refused)}
        self._answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class FakeSlack:
    """`messages` is what stands in the channels, by (channel, ts); `trouble` is used up first, one a call."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.release = threading.Event()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.whispers: list[dict[str, Any]] = []
        self.trouble: list[Any] = []
        self.number = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.fake = self  # type: ignore[attr-defined]
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/api"

    # -- methods

    def chat_postMessage(self, body: dict[str, Any]) -> dict[str, Any]:
        check(body)
        self.number += 1
        channel = "D" + body["channel"][1:] if body["channel"][0] in "UW" else body["channel"]
        ts = f"1700000000.{self.number:06}"
        self.messages[channel, ts] = body
        return {"channel": channel, "ts": ts}

    def chat_update(self, body: dict[str, Any]) -> dict[str, Any]:
        check(body)
        if (body["channel"], body["ts"]) not in self.messages:
            raise Refused("message_not_found")
        self.messages[body["channel"], body["ts"]] = body
        return {"channel": body["channel"], "ts": body["ts"]}

    def chat_postEphemeral(self, body: dict[str, Any]) -> dict[str, Any]:
        check(body)
        self.whispers.append(body)
        return {"message_ts": "1700000000.999999"}

    def auth_test(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"team_id": TEAM, "team": "Acme", "user": "countersign"}

    # -- what a person does

    def last(self) -> dict[str, Any]:
        return list(self.messages.values())[-1]

    def buttons(self, message: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        found = [one for block in (message or self.last())["blocks"] if block["type"] == "actions" for one in block["elements"]]
        return {one["action_id"]: one for one in found}

    def pressing(self, action: str, user: str, *, reason: str | None = None, at: int = -1, **other: Any) -> dict[str, Any]:
        """Return the payload of somebody pressing a button of a message, as Slack documents block_actions."""
        (channel, ts), message = list(self.messages.items())[at]
        button = self.buttons(message)[action]
        state = {"reason": {"reason": {"type": "plain_text_input", "value": reason}}}
        return {
            "type": "block_actions", "api_app_id": "A02", "token": "Shh_its_a_seekrit", "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
            "user": {"id": user, "username": "somebody", "name": "somebody", "team_id": TEAM},
            "team": {"id": TEAM, "domain": "acme"}, "enterprise": None, "is_enterprise_install": False,
            "channel": {"id": channel, "name": "finance"},
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
            "message": {"type": "message", "ts": ts, "text": message["text"], "blocks": message["blocks"]},
            "state": {"values": state},
            "response_url": "https://hooks.slack.com/actions/T024BE7LD/1/x",
            "actions": [{"type": "button", "block_id": "b", "action_id": action, "text": button["text"], "value": button.get("value", ""), "action_ts": "1548426417.840180"}],
        } | other  # fmt: skip


def check(body: dict[str, Any]) -> None:
    """Refuse what Slack would refuse: https://docs.slack.dev/reference/block-kit."""
    blocks = body.get("blocks", [])
    if not body.get("text"):
        raise Refused("no_text")
    if len(blocks) > 50:
        raise Refused("invalid_blocks")
    for block in blocks:
        try:
            Block.parse(block).to_dict()  # Slack's own SDK knows its limits, too
        except (SlackObjectFormationError, AttributeError) as error:
            raise Refused("invalid_blocks") from error
        text = block.get("text", {}).get("text", "x")
        if not 0 < len(text) <= LIMITS.get(block["type"], 3000):
            raise Refused("invalid_blocks")
        for one in block.get("elements", []) if block["type"] == "actions" else []:
            confirm = one.get("confirm", {})
            long = len(one["text"]["text"]) > 75 or len(one.get("value", "")) > 2000 or len(one.get("url", "")) > 3000
            if long or confirm and (len(confirm["title"]["text"]) > 100 or not 0 < len(confirm["text"]["text"]) <= 300):
                raise Refused("invalid_blocks")


def signed(payload: dict[str, Any] | str, *, secret: str = SECRET, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request as Slack sends it, signed by Slack's own SDK."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    body = urlencode({"payload": text}).encode()
    return body, headers(body, secret=secret, at=at)


def headers(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature or ""}


class Frozen(Clock):
    """A clock of slack_sdk's that stands."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


@contextmanager
def slack_running() -> Iterator[FakeSlack]:
    fake = FakeSlack()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.release.set()
        fake.server.shutdown()
        fake.server.server_close()
        thread.join()
