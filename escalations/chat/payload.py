"""What Slack posts when a button is pressed, read strictly: whatever has another shape is nothing that was pressed.

https://docs.slack.dev/reference/interaction-payloads/block_actions-payload: a form with one field, `payload`, of JSON.
"""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from escalations.errors import MalformedJson
from escalations.states import Verdict

PRESSED = frozenset({str(Verdict.APPROVE), str(Verdict.REJECT)})
REASON = "reason"
LONGEST_REASON = 1_000
_ID = re.compile(r"[A-Z0-9]{2,40}")
_TS = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Pressed:
    """One button, who pressed it, where, and what was typed as a reason."""

    team: str
    user: str
    channel: str
    ts: str
    action: str
    value: str
    reason: str


def read(body: bytes) -> Pressed | None:
    """Return the press; None for what Slack also sends here and nobody has to do anything about (a link that was opened, say).

    Raises MalformedJson for what Slack never sends.
    """
    said = _payload(body)
    if said.get("type") != "block_actions":
        return None
    actions = said.get("actions")
    if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
        return None
    action = actions[0]
    if action.get("action_id") not in PRESSED or action.get("type") != "button":
        return None
    container = _dict(said, "container")
    return Pressed(
        team=_id(_dict(said, "team").get("id") or _dict(said, "user").get("team_id")),
        user=_id(_dict(said, "user").get("id")),
        channel=_id(_dict(said, "channel").get("id") or container.get("channel_id")),
        ts=_ts(container.get("message_ts")),
        action=str(action["action_id"]),
        value=_text(action.get("value"), 2_000),
        reason=_reason(said),
    )


def _payload(body: bytes) -> dict[str, Any]:
    try:
        fields = parse_qsl(body.decode("utf-8"), strict_parsing=True, max_num_fields=5, encoding="utf-8", errors="strict")
        texts = [value for name, value in fields if name == "payload"]
        said = json.loads(texts[0]) if len(texts) == 1 else None
    except (ValueError, RecursionError) as error:
        raise MalformedJson(detail="This is no form with a payload of JSON.") from error
    if not isinstance(said, dict):
        raise MalformedJson(detail="The payload is no JSON object.")
    return said


def _reason(said: dict[str, Any]) -> str:
    """Return what was typed into our one field: state.values[block][action].value."""
    field = _dict(_dict(_dict(_dict(said, "state"), "values"), REASON), REASON)
    value = field.get("value")
    if not isinstance(value, str):
        return ""
    clean = value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return clean[:LONGEST_REASON].strip()


def _dict(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def _id(value: Any) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _ts(value: Any) -> str:
    return value if isinstance(value, str) and _TS.fullmatch(value) else ""


def _text(value: Any, longest: int) -> str:
    return value if isinstance(value, str) and len(value) <= longest else ""
