"""OpenAI Agents SDK: answers the interruptions of tools with `needs_approval` with what people sign in Countersign.

    bridge = HumanApproval(AsyncClient(), context="Refund desk")
    result = await bridge.run(agent, "refund order A-1", thread="conversation-7")

The SDK knows approve and reject, no edit. So a call that a person changed is rejected with a message that names the args they want;
the model's next call, if it is exactly that, runs on that signature, once, and nobody is asked twice. Any other call is asked about.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from agents import Runner

from .. import errors
from ..calls import OnQuestion
from ..canonical import digest
from ..client import AsyncClient
from ..flow import Flow
from ..shown import error_text
from .asking import ANSWERED, APPROVED, EDITED, Asked, Manner, Verdict, acknowledge, arun, key_of, verdicts

UNREADABLE = "The arguments are not one JSON object, so nobody can sign them. Call the tool again with proper arguments."


class HumanApproval:
    """Runs an agent and has people answer its interruptions. Options as in `bridges.langchain.HumanInTheLoop`."""

    def __init__(
        self, client: AsyncClient, *, context: Mapping[str, Any] | str | None = None, timeout: float | None = None,
        on_timeout: str = "raise", on_question: OnQuestion | None = None, **more: Any,
    ) -> None:
        self.client = client
        self._manner = Manner(context, timeout, on_timeout, on_question, more)

    async def run(
        self, agent: Any, input: Any, *, thread: str | None = None, keep: Callable[[Any], Any] | None = None, **options: Any
    ) -> Any:
        """Run the agent until it is through, asking people on the way; return its last result.

        `thread` names the conversation: with the same name the questions are the same after a restart. `keep` is called (and awaited
        where it can be) with the RunState each time before people are asked, to be stored; `input` may be one that was, read back from
        your own storage and from nobody else's. `options` go to `Runner.run`.
        """
        thread = thread or uuid4().hex
        permits: dict[str, Verdict] = {}
        result = await Runner.run(agent, input, **options)
        while result.interruptions:
            state = result.to_state()
            if keep is not None and inspect.isawaitable(kept := keep(state)):
                await kept
            said = await self.answer(state, thread, permits)
            try:
                result = await Runner.run(agent, state, **options)
            except Exception as error:
                await arun(self.client, _carried_out(said, _outputs(getattr(error, "run_data", None)), error))
                raise
            await arun(self.client, _carried_out(said, _outputs(result)))
        return result

    async def answer(self, state: Any, thread: str, permits: dict[str, Verdict] | None = None) -> list[Verdict]:
        """Approve or reject every interruption of a RunState as people say, all asked at once; return the verdicts.

        `permits` are the changed calls that were signed and not made yet, by digest; keep it for as long as the run goes on.
        """
        permits = {} if permits is None else permits
        found, open_ones = [], []
        for item in state.get_interruptions():
            asked = _asked(item, thread)
            if asked is None:
                state.reject(item, rejection_message=UNREADABLE)
            elif (permit := _permit(asked, permits)) is not None:
                found.append((item, replace(permit, type=APPROVED, asked=asked)))
            else:
                open_ones.append((item, asked))
        said = await arun(self.client, verdicts([asked for _, asked in open_ones], self._manner, self.client.time))
        found += [(item, verdict) for (item, _), verdict in zip(open_ones, said, strict=True)]
        for item, verdict in found:
            if verdict.type == APPROVED:
                state.approve(item)
                continue
            state.reject(item, rejection_message=told(verdict))
            if verdict.type == EDITED and verdict.yes is not None:
                permits[verdict.yes.args_digest] = verdict
        return [verdict for _, verdict in found]


def told(verdict: Verdict) -> str:
    """Return what the model is told of a call that does not run as it was written."""
    name = verdict.asked.name
    if verdict.type == EDITED:
        wanted = json.dumps(verdict.args, ensure_ascii=False, sort_keys=True)
        reason = f" They say: {verdict.message}" if verdict.message else ""
        return f"Not as it is. A person allows {name} only with these arguments: {wanted}. Call {name} again with exactly these.{reason}"
    if verdict.type == ANSWERED:
        return f"It was not done. A person answered instead: {verdict.message}"
    return f"Rejected: {verdict.message}"


def _permit(asked: Asked, permits: dict[str, Verdict]) -> Verdict | None:
    """Return the signature that is about exactly this call, used up with it; None when there is none or it has run out."""
    permit = permits.pop(digest(asked.name, asked.args), None)
    if permit is None or permit.yes is None:
        return None
    try:
        permit.yes.check(asked.name, asked.args)
    except errors.NotApproved:
        return None
    return permit


def _asked(item: Any, thread: str) -> Asked | None:
    """Return a call as it is put to a person; None when its arguments can be read in two ways, or in none."""
    name = str(getattr(item, "tool_name", None) or getattr(item, "name", None) or "tool")
    args = _args(item)
    if args is None:
        return None
    call_id = str(getattr(item, "call_id", None) or _raw(item).get("id") or "")
    try:
        key = key_of("openai-agents", thread, call_id, name, args)
    except errors.NotSignable:
        return None
    return Asked(name, args, key, call_id)


def _args(item: Any) -> dict[str, Any] | None:
    written = getattr(item, "arguments", None)
    if written is None:  # not a function: a shell command, a patch, a tool of a hosted server. All of it is what would run.
        raw = _raw(item)
        return {name: value for name, value in raw.items() if name not in ("id", "call_id", "status") and value is not None} or None
    try:
        args = json.loads(written or "{}", object_pairs_hook=_once)
    except (ValueError, TypeError):
        return None
    return args if isinstance(args, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object: who signs one of them may get the other")
    return found


def _raw(item: Any) -> dict[str, Any]:
    raw = getattr(item, "raw_item", None)
    if isinstance(raw, Mapping):
        return dict(raw)
    dump = getattr(raw, "model_dump", None)
    return dict(dump(mode="json", exclude_none=True)) if dump is not None else {}


def _outputs(result: Any) -> dict[str, Any]:
    """Return what tools gave, by the id of their call."""
    found = {}
    for item in getattr(result, "new_items", None) or []:
        if getattr(item, "type", "") == "tool_call_output_item":
            found[str(_raw(item).get("call_id") or "")] = getattr(item, "output", None)
    return found


def _carried_out(said: list[Verdict], outputs: Mapping[str, Any], broke_off: Exception | None = None) -> Flow[None]:
    """Say of each call that ran that it did, and where the run broke off, that a person has to look."""
    for verdict in said:
        if verdict.type != APPROVED:
            continue
        if verdict.asked.call_id in outputs:
            yield from acknowledge(verdict, "done", str(outputs[verdict.asked.call_id])[:2_000])
        elif broke_off is not None:
            yield from acknowledge(verdict, "failed", f"The run broke off before its result was known: {error_text(broke_off)}")
