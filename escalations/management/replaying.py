"""From records of the evaluation files to incidents as a service posts them, and over HTTP to a running server."""

import asyncio
import gzip
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

KINDS = {"message": "question", "log": "alert"}  # the rest by name
HIDDEN_FROM_PAYLOAD = ("model",)
AT_ONCE = 8
TRIES = 8
LONGEST_TITLE = 500
LONGEST_KEY = 255
GZIP = b"\x1f\x8b"

Progress = Callable[[int, int], None]


class Unreadable(Exception):
    """The file is not what it should be; the text says where."""


def read_records(file: Path, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the records of a JSON-lines file, gzipped or plain. Raises Unreadable."""
    try:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if raw.startswith(GZIP) else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(f"{file} cannot be read: {error}") from error
    records: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if limit is not None and len(records) >= limit:
            break
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise Unreadable(f"{file}, line {number} is not JSON: {error}") from error
        if not isinstance(record, dict) or "id" not in record:
            raise Unreadable(f"{file}, line {number} is no record with an id.")
        records.append(record)
    return records


def key_of(record: dict[str, Any]) -> str:
    """Return the Idempotency-Key of a record: its id, or a digest of one that no header can carry."""
    name = str(record["id"])
    fits = 0 < len(name) <= LONGEST_KEY and name.isascii() and name.isprintable() and name == name.strip()
    return name if fits else hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def incident_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a service would post. What would give the answer away (id, source, group, label, the model) is left out."""
    kind = KINDS.get(record["kind"], record["kind"])
    title = str(record.get("title") or record["kind"])
    incident: dict[str, Any] = {"kind": kind, "title": title[:LONGEST_TITLE]}
    if len(title) > LONGEST_TITLE:
        incident["body"] = title
    payload = record.get("payload")
    if isinstance(payload, dict):
        payload = {name: value for name, value in payload.items() if name not in HIDDEN_FROM_PAYLOAD}
        if kind == "exception":
            payload = _with_exception(payload, title)
    if payload not in (None, {}):
        incident["payload"] = payload
    if context := _context(record.get("context") or {}):
        incident["context"] = context
    proposal = record.get("proposal")
    if proposal:
        incident["proposal"] = {"action": str(proposal.get("action") or "unknown"), "args": proposal.get("arguments") or {}}
    elif kind in ("action", "draft"):
        incident["kind"] = "question"  # it says what happened and not what is wanted: somebody has to answer
    return incident


def _with_exception(payload: dict[str, Any], title: str) -> dict[str, Any]:
    """Say type, message and frames under the name the contract has for them, beside what the record calls them."""
    if isinstance(payload.get("exception"), dict):
        return payload
    kind = payload.get("exception_type")
    frames = payload.get("frames")
    said = {
        "type": str(kind) if kind else "",
        "message": title,
        "stacktrace": "\n".join(str(frame) for frame in frames) if isinstance(frames, list) else str(payload.get("log") or ""),
    }
    return payload | {"exception": {name: text for name, text in said.items() if text}}


def _context(context: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if context.get("request"):
        kept["request"] = context["request"]
    attempts = [
        {name: attempt[name] for name in ("tool", "arguments", "result", "error") if attempt.get(name) is not None}
        for attempt in context.get("attempts") or []
        if isinstance(attempt, dict)
    ]
    for attempt in attempts:
        if "tool" in attempt:
            attempt["tool"] = str(attempt["tool"])[:500]
    if attempts:
        kept["attempts"] = attempts[:1000]
    if context.get("why"):
        kept["why"] = str(context["why"])
    return kept


def post_all(
    posts: Sequence[tuple[str, dict[str, Any]]], *, url: str, key: str, rate: float | None = None, progress: Progress | None = None
) -> tuple[dict[str, int], list[str]]:
    """Post (idempotency key, incident) pairs and return the totals and what went wrong, in words.

    Raises ConnectionError when the server cannot be reached at all. 429 and 503 are waited out as the server asks.
    """
    return asyncio.run(_post_all(posts, url.rstrip("/") + "/api/v1/incidents", key, rate, progress))


async def _post_all(
    posts: Sequence[tuple[str, dict[str, Any]]], address: str, key: str, rate: float | None, progress: Progress | None
) -> tuple[dict[str, int], list[str]]:
    totals = {"posted": 0, "created": 0, "replayed": 0, "failed": 0}
    troubles: list[str] = []
    waiting = iter(enumerate(posts))
    began = time.monotonic()
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30, limits=limits) as client:

        async def worker() -> None:
            for number, (name, incident) in waiting:
                if rate:
                    await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                outcome, trouble = await _post(client, address, name, incident)
                totals["posted"] += 1
                totals[outcome] += 1
                if trouble:
                    troubles.append(f"{name}: {trouble}")
                if progress:
                    progress(totals["posted"], len(posts))

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return totals, troubles


async def _post(client: httpx.AsyncClient, address: str, name: str, incident: dict[str, Any]) -> tuple[str, str]:
    """Return ("created" | "replayed" | "failed", why). The key makes every repetition safe."""
    body = json.dumps(incident, ensure_ascii=True).encode()
    headers = {"Idempotency-Key": name, "Content-Type": "application/json"}
    why = ""
    for attempt in range(TRIES):
        try:
            answer = await client.post(address, content=body, headers=headers)
        except httpx.ConnectError as error:
            if attempt == TRIES - 1:
                raise ConnectionError(str(error) or type(error).__name__) from error
            await asyncio.sleep(min(2.0, 0.1 * 2**attempt))
            continue
        except httpx.TransportError as error:
            why = f"{type(error).__name__} {error}".strip()
            await asyncio.sleep(min(5.0, 0.2 * 2**attempt))
            continue
        if answer.status_code == 201:
            return ("replayed" if answer.headers.get("Idempotent-Replayed") == "true" else "created"), ""
        why = f"{answer.status_code} {answer.text[:300]}"
        if answer.status_code not in (429, 503):
            return "failed", why
        await asyncio.sleep(_pause(answer.headers.get("Retry-After"), attempt))
    return "failed", why


def _pause(asked: str | None, attempt: int) -> float:
    try:
        return min(30.0, max(0.1, float(asked or "")))
    except ValueError:
        return min(10.0, 0.2 * 2**attempt)
