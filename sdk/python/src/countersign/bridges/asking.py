"""What bridges share: ask about one tool call, and say in plain terms what may be done with it. Flows, for both clients.

A bridge never acts on a yes that is not about exactly what would run: the digest is computed from the call itself, right before.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import calls, errors
from ..approval import Signed, signed
from ..asking import Wish, action_wish
from ..canonical import digest
from ..client import AsyncClient, Client
from ..flow import Deadline, Flow, ServerTime

log = logging.getLogger("countersign")
TIDYING = 10.0  # seconds to say something nobody waits for
APPROVED, EDITED, REJECTED, ANSWERED = "approve", "edit", "reject", "respond"
ALL = (APPROVED, EDITED, REJECTED, ANSWERED)
LATE = "Nobody decided in time, so it was not done."


@dataclass(frozen=True)
class Asked:
    """One tool call, as it is put to a person."""

    name: str
    args: dict[str, Any]
    key: str
    call_id: str = ""
    description: str = ""
    allowed: tuple[str, ...] = ALL
    args_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Verdict:
    """What a person said of one tool call. `args` are those that may run, on `approve` and `edit`; `message` is for the model."""

    type: str
    asked: Asked
    message: str = ""
    args: dict[str, Any] | None = None
    yes: Signed | None = None

    @property
    def may_run(self) -> bool:
        return self.type in (APPROVED, EDITED)


@dataclass(frozen=True)
class Manner:
    """How a bridge asks: what goes along, how long it waits, and what happens when nobody answered by then.

    `on_timeout`: "raise" leaves the agent interrupted, to be asked again with the same keys; "reject" tells the model that nobody
    decided. There is no way to a yes in here.
    """

    context: Mapping[str, Any] | str | None = None
    timeout: float | None = None
    on_timeout: str = "raise"
    on_question: calls.OnQuestion | None = None
    more: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.on_timeout not in ("raise", "reject"):
            raise ValueError('on_timeout is "raise" or "reject"; without a decision nothing runs, whichever it is')


def key_of(bridge: str, thread: str, call: str, name: str, args: Mapping[str, Any]) -> str:
    """Return the key of one call in one conversation: the same after a restart, another for another call or other args."""
    said = json.dumps([thread, call, digest(name, dict(args))])
    return f"{bridge}:{hashlib.sha256(said.encode()).hexdigest()[:40]}"


def put(asked: list[Asked], manner: Manner) -> Flow[None]:
    """Post all of them, so that people can look at them side by side. Posted before is not posted again."""
    yield from _posted(asked, manner, Deadline(manner.timeout))


def verdicts(asked: list[Asked], manner: Manner, time: ServerTime) -> Flow[list[Verdict]]:
    """Ask about all of them at once, wait for all, and return what was said, in order.

    Raises TimedOut (unless `on_timeout` is "reject"), DigestMismatch, NotSignable, ApiError: then nothing is to run.
    """
    until = Deadline(manner.timeout)
    told = yield from _posted(asked, manner, until)
    found = []
    for one, incident in zip(asked, told, strict=True):
        found.append((yield from _verdict(one, incident, manner, until, time)))
    # The first may have been signed long before the last.
    return [_still(one) for one in found]


def acknowledge(verdict: Verdict, result: str, detail: str = "") -> Flow[None]:
    """Say what became of a call that was allowed. What cannot be said is logged: the thing itself is done, or is not."""
    if verdict.yes is None:
        return
    digest_run = verdict.yes.args_digest
    try:
        yield from calls.ack(verdict.yes.id, result, digest_run, detail, Deadline(TIDYING))
    except errors.CountersignError as error:
        log.warning("Countersign could not be told that %s is %s: %s", verdict.asked.name, result, error)


def run(client: Client | AsyncClient, flow: Flow[Any]) -> Any:
    """Do a flow with a client for threads."""
    if not isinstance(client, Client):
        raise TypeError("this call needs a countersign.Client; with an AsyncClient use the awaited one")
    return client.run(flow)


async def arun(client: Client | AsyncClient, flow: Flow[Any]) -> Any:
    """Do a flow with a client for event loops."""
    if not isinstance(client, AsyncClient):
        raise TypeError("this call needs a countersign.AsyncClient; a Client would stop the event loop")
    return await client.run(flow)


def _wish(asked: Asked, manner: Manner) -> Wish:
    more = dict(manner.more or {})
    if asked.args_schema is not None:
        more["args_schema"] = dict(asked.args_schema)
    if asked.description:
        more["description"] = asked.description
    return action_wish(asked.name, asked.args, None, manner.context, {**more, "allowed_decisions": list(asked.allowed)})


def _posted(asked: list[Asked], manner: Manner, until: Deadline) -> Flow[list[dict[str, Any] | None]]:
    """Post; None where Countersign could not be reached in time."""
    found: list[dict[str, Any] | None] = []
    for one in asked:
        try:
            found.append((yield from calls.post_incident(_wish(one, manner).data, one.key, 0, until)))
        except (errors.Unreachable, errors.RateLimited) as error:
            if manner.on_timeout == "raise":
                raise errors.TimedOut(f"Nobody could be asked: {error}", None) from error
            found.append(None)
    return found


def _verdict(
    asked: Asked, incident: dict[str, Any] | None, manner: Manner, until: Deadline, time: ServerTime
) -> Flow[Verdict]:
    if incident is None:
        return Verdict(REJECTED, asked, LATE)
    try:
        told = yield from calls.wait(incident["id"], until, manner.on_question, incident)
        yes = signed(told, asked.name, asked.args, None, time)
    except errors.TimedOut:
        if manner.on_timeout == "raise":
            raise
        yield from _withdrawn(incident["id"])  # the model is told no: a yes that comes later is for nobody
        return Verdict(REJECTED, asked, LATE)
    except errors.Rejected as error:
        if error.retry:  # what is proposed next is another call, asked about by itself
            yield from _withdrawn(incident["id"])
        return Verdict(REJECTED, asked, error.reason or "A person rejected it.")
    except errors.Answered as error:
        return Verdict(ANSWERED, asked, error.message)
    except errors.Expired:
        return Verdict(REJECTED, asked, LATE)
    except errors.Withdrawn:
        return Verdict(REJECTED, asked, "It was withdrawn before anybody decided.")
    except errors.AlreadyActed:
        return Verdict(REJECTED, asked, "This call was approved and carried out before; it is not done a second time.")
    return Verdict(EDITED if yes.edited else APPROVED, asked, yes.reason, yes.args, yes)


def _withdrawn(incident: str) -> Flow[None]:
    try:
        yield from calls.withdraw(incident, Deadline(TIDYING))
    except errors.CountersignError as error:
        log.info("An incident could not be withdrawn, and runs out by itself: %s", error)


def _still(verdict: Verdict) -> Verdict:
    try:
        if verdict.yes is not None:
            verdict.yes.check(verdict.asked.name, verdict.args)
    except errors.Expired:
        return Verdict(REJECTED, verdict.asked, "The approval is no longer valid; ask again.")
    return verdict
