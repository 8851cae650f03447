"""Slack's Web API: the four calls we make, each bounded as a whole, each failing with words.

Nothing is retried here and no redirect is followed. The address comes from the settings and never from what somebody sent.
"""

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
from asgiref.sync import async_to_sync
from django.conf import settings

from escalations.senders import SendFailed

TOTAL_SECONDS = 8.0
CONNECT_SECONDS = 3.0
MOST_READ = 256 * 1024
LONGEST_WAIT = 3600.0  # what a Retry-After may ask for at most
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

# The message is gone, or may not be changed any more: there is nothing left to write to.
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "cant_edit"})
# What we sent is wrong, and will be the next time. A channel or token that is wrong is not among these: it can be set right.
OUR_FAULT = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "invalid_arguments"})
SLOW_DOWN = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})

_CODE = re.compile(r"[a-z0-9_]{1,60}")


class SlackFailed(SendFailed):
    """Slack took it not. `code` is its own word for why, empty when it said none."""

    def __init__(
        self, reason: str, *, code: str = "", permanent: bool = False, retry_after: float | None = None, unreachable: bool = False
    ) -> None:
        super().__init__(reason, permanent=permanent, retry_after=retry_after, unreachable=unreachable)
        self.code = code


def post_message(token: str, channel: str, text: str, blocks: list[dict[str, Any]]) -> tuple[str, str]:
    """Post a message; return (channel, ts) as Slack names it from now on (a person's own channel has another name)."""
    said = call("chat.postMessage", token, {
        "channel": channel, "text": text, "blocks": blocks, "unfurl_links": False, "unfurl_media": False, "mrkdwn": False,
    })
    return _text(said, "channel", 40), _text(said, "ts", 40)


def update(token: str, channel: str, ts: str, text: str, blocks: list[dict[str, Any]]) -> None:
    """Write a message anew. Raises SlackFailed with a `code` in GONE when there is none any more."""
    call("chat.update", token, {"channel": channel, "ts": ts, "text": text, "blocks": blocks, "parse": "none"})


def tell(token: str, channel: str, user: str, text: str, blocks: list[dict[str, Any]]) -> None:
    """Say something that only one person in the channel sees."""
    call("chat.postEphemeral", token, {"channel": channel, "user": user, "text": text, "blocks": blocks, "parse": "none"})


def who_am_i(token: str) -> dict[str, str]:
    """Return {"team_id", "team", "user"}: which workspace the token belongs to, and whom it posts as."""
    said = call("auth.test", token, {})
    return {name: _text(said, name, 120) for name in ("team_id", "team", "user")}


def plain(text: str) -> dict[str, Any]:
    """Return a section of text in which nothing is markup: no mention, no link, no emoji."""
    return {"type": "section", "text": {"type": "plain_text", "text": text[:3000] or " ", "emoji": False}}


def call(method: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call one method and return its answer. Connecting, sending and reading share TOTAL_SECONDS. Raises SlackFailed.

    Not inside a transaction: it would be held open for as long as Slack takes.
    """
    status, headers, raw = async_to_sync(_exchange)(method, token, body)
    if status == 429:
        raise SlackFailed("Slack asks us to slow down", code="ratelimited", retry_after=_seconds(headers.get("retry-after")))
    if status >= 500:
        raise SlackFailed(f"Slack answered {status}", retry_after=_seconds(headers.get("retry-after")))
    if status != 200:
        raise SlackFailed(f"Slack answered {status}")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SlackFailed("Slack's answer was no JSON") from error
    if not isinstance(said, dict):
        raise SlackFailed("Slack's answer was no JSON object")
    if said.get("ok") is True:
        return said
    code = said.get("error")
    code = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    if code in SLOW_DOWN:
        raise SlackFailed("Slack asks us to slow down", code=code, retry_after=_seconds(headers.get("retry-after")))
    raise SlackFailed(f"Slack refused it: {code or 'it did not say why'}", code=code, permanent=code in OUR_FAULT or code in GONE)


async def _exchange(method: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    base = urlsplit(settings.SLACK_API_URL)
    if base.scheme != "https" and base.hostname not in LOOPBACK:
        raise SlackFailed("SLACK_API_URL must be https")
    far = base.hostname not in LOOPBACK  # the environment's proxy is for what lies outside
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            limits = httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS)
            async with httpx.AsyncClient(timeout=limits, follow_redirects=False, trust_env=far) as client:
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
                content = json.dumps(body).encode()
                address = f"{settings.SLACK_API_URL.rstrip('/')}/{method}"
                async with client.stream("POST", address, headers=headers, content=content) as response:
                    raw = b""
                    async for chunk in response.aiter_bytes(16_384):
                        raw += chunk
                        if len(raw) > MOST_READ:
                            raise SlackFailed("Slack's answer was too long")
                    return response.status_code, {name.lower(): value for name, value in response.headers.items()}, raw
    except TimeoutError as error:
        raise SlackFailed(f"Slack did not answer within {TOTAL_SECONDS:g} s", unreachable=True) from error
    except (httpx.HTTPError, OSError, UnicodeError, ValueError) as error:  # a token that is no header's value, too
        raise SlackFailed(f"Slack cannot be reached ({type(error).__name__})", unreachable=True) from error


def _seconds(header: str | None) -> float | None:
    text = (header or "").strip()
    return min(float(text[:9]), LONGEST_WAIT) if text.isascii() and text.isdigit() else None


def _text(said: dict[str, Any], name: str, longest: int) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise SlackFailed(f"Slack's answer has no {name}")
    return value
