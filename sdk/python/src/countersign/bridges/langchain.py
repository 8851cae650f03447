"""LangChain: answers what `HumanInTheLoopMiddleware` asks, batched or per call, with what people sign in Countersign.

    bridge = HumanInTheLoop(Client(), context="Refund desk")
    result = bridge.invoke(agent, {"messages": [...]}, config)      # or: await HumanInTheLoop(AsyncClient()).ainvoke(...)

Approve runs the call as it is, edit runs it with the args that were signed, reject and respond tell the model. After a restart, with
a checkpointer that remembers, `bridge.invoke(agent, None, config)` goes on waiting for the same answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langgraph.types import Command

from .. import errors
from ..calls import OnQuestion
from ..canonical import digest
from ..client import AsyncClient, Client
from ..flow import Flow, ServerTime
from ..shown import error_text
from .asking import (
    ALL,
    ANSWERED,
    APPROVED,
    EDITED,
    REJECTED,
    Asked,
    Manner,
    Verdict,
    acknowledge,
    arun,
    key_of,
    put,
    run,
    verdicts,
)

SCHEMA_BYTES = 60_000


class HumanInTheLoop:
    """Runs an agent and has people answer its interrupts.

    `context`, and `more` members of the incident or its proposal, go along with each question (see `Client.approve`). `timeout` is how
    long to wait for an answer, in seconds (None: as long as it takes); `on_timeout` what then: "raise" (TimedOut; the agent stays
    interrupted and can be asked again) or "reject". `schemas` are JSON Schemas of tools' args by name, which an edit has to fit; per
    call LangChain brings them itself.
    """

    def __init__(
        self, client: Client | AsyncClient, *, context: Mapping[str, Any] | str | None = None, timeout: float | None = None,
        on_timeout: str = "raise", on_question: OnQuestion | None = None, schemas: Mapping[str, Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        self.client = client
        self.schemas = dict(schemas or {})
        self._manner = Manner(context, timeout, on_timeout, on_question, more)

    def invoke(self, agent: Any, input: Any, config: Mapping[str, Any], **options: Any) -> Any:
        """Run the agent until it is through, asking people on the way; return its last state.

        `config` needs a `thread_id`. Interrupts that are not the middleware's are left to you: the state is returned with them.
        """
        state = agent.invoke(input, config, **options)
        while asking := _interrupts(state):
            answers, said = run(self.client, self.answers(asking, config))
            said = _named(said, _messages(state))
            try:
                state = agent.invoke(Command(resume=answers), config, **options)
            except Exception as error:
                run(self.client, _carried_out(said, _messages(agent.get_state(config).values), error))
                raise
            run(self.client, _carried_out(said, _messages(state)))
        return state

    async def ainvoke(self, agent: Any, input: Any, config: Mapping[str, Any], **options: Any) -> Any:
        """Return the same, with an AsyncClient; other tasks go on while people think."""
        state = await agent.ainvoke(input, config, **options)
        while asking := _interrupts(state):
            answers, said = await arun(self.client, self.answers(asking, config))
            said = _named(said, _messages(state))
            try:
                state = await agent.ainvoke(Command(resume=answers), config, **options)
            except Exception as error:
                values = (await agent.aget_state(config)).values
                await arun(self.client, _carried_out(said, _messages(values), error))
                raise
            await arun(self.client, _carried_out(said, _messages(state)))
        return state

    def answers(self, interrupts: Sequence[Any], config: Mapping[str, Any]) -> Flow[tuple[dict[str, Any], list[Verdict]]]:
        """Return what to resume with, `{interrupt id: answer}`, and the verdicts in it. For graphs you run yourself:
        `answers, _ = client.run(bridge.answers(state["__interrupt__"], config))`, then `Command(resume=answers)`.

        Of calls that are asked about one by one, all are put to people and the first is answered: resuming with several at once may
        run a tool twice.
        """
        thread = str((config.get("configurable") or {}).get("thread_id") or "")
        if not thread:
            raise ValueError('config needs {"configurable": {"thread_id": …}}: it makes the questions the same after a restart')
        time = self.client.time
        single = [one for one in interrupts if _is_single(one.value)]
        if single:
            asked = [self._single(one, thread) for one in single]
            yield from put(asked, self._manner)
            (verdict,) = yield from verdicts(asked[:1], self._manner, time)
            return {single[0].id: decision_of(verdict)}, [verdict]
        return (yield from self._batched([one for one in interrupts if _is_batch(one.value)], thread, time))

    def _batched(self, interrupts: Sequence[Any], thread: str, time: ServerTime) -> Flow[tuple[dict[str, Any], list[Verdict]]]:
        asked = [list(self._batch(one, thread)) for one in interrupts]
        said = yield from verdicts([call for calls in asked for call in calls], self._manner, time)
        answers, left = {}, list(said)
        for interrupt, calls in zip(interrupts, asked, strict=True):
            # The answers go by their place, so there is one for each, in the order they were asked.
            answers[interrupt.id] = {"decisions": [decision_of(left.pop(0)) for _ in calls]}
        return answers, said

    def _single(self, interrupt: Any, thread: str) -> Asked:
        value = interrupt.value
        allowed, schema = _of_schema(getattr(interrupt, "response_schema", None))
        name, args = value["name"], value["args"]
        return Asked(
            name, args, key_of("langchain", thread, interrupt.id, name, args), str(value.get("tool_call_id") or ""),
            str(value.get("description") or ""), allowed, self.schemas.get(name) or schema,
        )

    def _batch(self, interrupt: Any, thread: str) -> Iterator[Asked]:
        configs = {one["action_name"]: one for one in interrupt.value.get("review_configs") or []}
        for place, call in enumerate(interrupt.value["action_requests"]):
            name, args = call["name"], call["args"]
            config = configs.get(name) or {}
            allowed = tuple(one for one in config.get("allowed_decisions") or ALL if one in ALL)
            yield Asked(
                name, args, key_of("langchain", thread, f"{interrupt.id}/{place}", name, args), "", str(call.get("description") or ""),
                allowed, self.schemas.get(name) or _plain(config.get("args_schema")),
            )


def decision_of(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict in LangChain's words. Raises NotApproved where a no cannot be said: a middleware that takes none is not resumed."""
    asked = verdict.asked
    if verdict.type == APPROVED:
        return {"type": "approve"}
    if verdict.type == EDITED:
        return {"type": "edit", "edited_action": {"name": asked.name, "args": verdict.args}}
    if verdict.type == REJECTED and "reject" in asked.allowed:
        return {"type": "reject", "message": verdict.message}
    if "respond" in asked.allowed:  # the tool does not run either way
        said = verdict.message if verdict.type == ANSWERED else f"A person refused this call: {verdict.message}"
        return {"type": "respond", "message": said}
    if verdict.type == ANSWERED and "reject" in asked.allowed:
        return {"type": "reject", "message": f"It was not done. A person answered: {verdict.message}"}
    raise errors.NotApproved(f"{asked.name} was not approved ({verdict.message}), and its middleware takes neither reject nor respond.")


def _interrupts(state: Any) -> list[Any]:
    """Return the interrupts of the middleware; none when somebody else's are among them, who has to answer those."""
    found = list((state.get("__interrupt__") if isinstance(state, Mapping) else getattr(state, "interrupts", None)) or [])
    return found if all(_is_single(one.value) or _is_batch(one.value) for one in found) else []


def _is_single(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "tool_approval" and "name" in value and "args" in value


def _is_batch(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("action_requests"), list)


def _of_schema(schema: Any) -> tuple[tuple[str, ...], dict[str, Any] | None]:
    """Return the decisions that an interrupt takes, and the schema of its tool's args, from what it says an answer looks like."""
    if not isinstance(schema, Mapping):
        return ALL, None
    defs = schema.get("$defs") or {}
    mapping = (schema.get("discriminator") or {}).get("mapping") or {}
    allowed = tuple(one for one in ALL if one in mapping)
    if not allowed:  # one kind of answer alone needs no discriminator
        kind = ((schema.get("properties") or {}).get("type") or {}).get("const")
        allowed = (kind,) if kind in ALL else ALL
    args = (((defs.get("EditedAction") or {}).get("properties") or {}).get("args")) or {}
    if "$ref" in args:
        args = defs.get(str(args["$ref"]).rsplit("/", 1)[-1]) or {}
    return allowed, _plain(args)


def _plain(schema: Any) -> dict[str, Any] | None:
    """Return a schema that Countersign takes: small, and without references. None when it is not."""
    if not isinstance(schema, Mapping) or not schema:
        return None
    written = json.dumps(schema, default=str)
    return None if '"$ref"' in written or len(written) > SCHEMA_BYTES else dict(schema)


# -- what became of it


def _messages(values: Any) -> list[Any]:
    return list(values.get("messages") or []) if isinstance(values, Mapping) else list(getattr(values, "messages", None) or [])


def _named(said: list[Verdict], messages: list[Any]) -> list[Verdict]:
    """Return the verdicts with the ids of their calls, which a batched interrupt leaves out: those of the message that is hanging."""
    hanging = next((one for one in reversed(messages) if getattr(one, "tool_calls", None)), None)
    calls = list(getattr(hanging, "tool_calls", None) or [])
    found = []
    for verdict in said:
        call = None if verdict.asked.call_id else next((one for one in calls if _same(one, verdict.asked)), None)
        if call is not None:
            calls.remove(call)
            verdict = replace(verdict, asked=replace(verdict.asked, call_id=str(call["id"])))
        found.append(verdict)
    return found


def _same(call: Mapping[str, Any], asked: Asked) -> bool:
    try:
        return digest(call["name"], call["args"]) == digest(asked.name, asked.args)
    except errors.NotSignable:
        return False


def _carried_out(said: list[Verdict], messages: list[Any], broke_off: Exception | None = None) -> Flow[None]:
    """Say of each call that was allowed what its tool left behind.

    Where it left nothing because the agent broke off, a person has to look whether it ran; where it did not, it stays open.
    """
    results = {one.tool_call_id: one for one in messages if getattr(one, "type", "") == "tool"}
    for verdict in said:
        message = results.get(verdict.asked.call_id)
        if not verdict.may_run or (message is None and broke_off is None):
            continue
        if message is None:
            detail = f"The agent broke off before its result was known: {error_text(broke_off)}" if broke_off else ""
            yield from acknowledge(verdict, "failed", detail)
        else:
            result = "failed" if getattr(message, "status", "") == "error" else "done"
            yield from acknowledge(verdict, result, str(message.content)[:2_000])
