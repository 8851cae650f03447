"""`Client` and `AsyncClient`: the same calls, for threads and for event loops."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from . import calls
from .errors import CountersignError
from .flow import Deadline, Effect, Flow, Send, ServerTime, Sleep
from .people import AsksPeople
from .people_async import AsksPeopleAsync
from .version import __version__

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

LOCAL = "http://127.0.0.1:8000"
ON_TOP = 10.0  # seconds an answer may take beyond those for which the server was asked to hold it back


class _Common:
    """What both clients are made of. Safe to share between threads (Client) or tasks (AsyncClient)."""

    def __init__(self, base_url: str | None = None, key: str | None = None, *, timeout: float = ON_TOP, retry_for: float = 60.0) -> None:
        base_url = base_url or os.environ.get("COUNTERSIGN_URL") or LOCAL
        key = key or os.environ.get("COUNTERSIGN_KEY", "").strip()
        if not key:
            raise CountersignError("No key: pass key=, or set COUNTERSIGN_KEY.")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise CountersignError("The key holds what no key holds: a space, a line break or the like.")
        if not base_url.startswith(("http://", "https://")):
            raise CountersignError(f"The address begins with https:// or http://: {base_url!r} does not.")
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.retry_for = retry_for
        self.time = ServerTime()
        self._headers = {
            "Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": f"countersign-python/{__version__}"
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"  # never the key

    def _until(self, deadline: float | None) -> Deadline:
        return Deadline(self.retry_for if deadline is None else deadline)

    def _request(self, send: Send) -> dict[str, Any]:
        """Return the arguments of httpx's `request`."""
        return {
            "method": send.method, "url": send.path, "json": send.json, "params": dict(send.params), "headers": dict(send.headers),
            "timeout": httpx.Timeout(self.timeout, read=self.timeout + send.patience),
        }


class Client(_Common, AsksPeople):
    """Countersign, for programs with threads. Close it, or use it as a context manager.

    `base_url` and `key` default to COUNTERSIGN_URL and COUNTERSIGN_KEY. `timeout` is how long one attempt may take, in seconds;
    `retry_for` is how long a call goes on trying when Countersign cannot be reached (0: one attempt). Calls that wait for people have
    a deadline of their own instead.
    """

    def __init__(
        self, base_url: str | None = None, key: str | None = None, *, timeout: float = ON_TOP, retry_for: float = 60.0,
        transport: httpx.BaseTransport | None = None, verify: Any = True,
    ) -> None:
        super().__init__(base_url, key, timeout=timeout, retry_for=retry_for)
        self._http = httpx.Client(base_url=self.base_url, headers=self._headers, transport=transport, verify=verify)
        self._closed = threading.Event()

    def close(self) -> None:
        """Close the connections; whoever waits in another thread gets an error at its next try."""
        self._closed.set()
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def run(self, flow: Flow[T]) -> T:
        """Do what a flow asks for, in this thread, and return what it returns."""
        try:
            effect = next(flow)
            while True:
                try:
                    result = self._do(effect)
                except BaseException as error:  # noqa: BLE001 - the flow decides what becomes of it, and raises it if nothing does
                    effect = flow.throw(error)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            if self._closed.is_set():
                raise CountersignError("The client is closed.")
            response = self._http.request(**self._request(effect))
            self.time.heard(response)
            return response
        if isinstance(effect, Sleep):
            return self._closed.wait(effect.seconds)
        return effect.function(*effect.args, **effect.named)

    # -- the API's calls

    def post_incident(
        self, data: Mapping[str, Any], key: str | None = None, *, wait: float = 0, deadline: float | None = None
    ) -> dict[str, Any]:
        """Post an incident and return it as stored; with `wait`, when it is answered or after so many seconds (60 at most).

        `key` makes it one incident however often it is posted; without one it is one for this call and all its repetitions.
        `deadline` is how many seconds to go on trying. Raises ApiError, Unreachable.
        """
        return self.run(calls.post_incident(data, key, wait, self._until(deadline)))

    def get_incident(self, incident: str, *, wait: float = 0, deadline: float | None = None) -> dict[str, Any]:
        """Return an incident as it is, or with `wait` when it is answered or after so many seconds (60 at most)."""
        return self.run(calls.get_incident(incident, wait, self._until(deadline)))

    def wait(self, incident: str, *, deadline: float | None = None, on_question: calls.OnQuestion | None = None) -> dict[str, Any]:
        """Return the incident once it is answered, however often the server or the network goes away meanwhile.

        `deadline` is in seconds from now, None is for ever. Raises TimedOut. `on_question` is called with what a reviewer asks back
        and returns the answer (text, or the members of `context`), or None.
        """
        return self.run(calls.wait(incident, Deadline(deadline), on_question))

    def add_context(self, incident: str, context: Mapping[str, Any], *, deadline: float | None = None) -> dict[str, Any]:
        """Add context, which also answers what was asked back. Returns the incident."""
        return self.run(calls.add_context(incident, context, self._until(deadline)))

    def revise(self, incident: str, proposal: Mapping[str, Any], *, deadline: float | None = None) -> dict[str, Any]:
        """Post another revision of the proposal, once. Returns the incident."""
        return self.run(calls.revise(incident, proposal, self._until(deadline)))

    def withdraw(self, incident: str, *, deadline: float | None = None) -> dict[str, Any]:
        """Say that no answer is needed any more. Raises Conflict when it was decided first."""
        return self.run(calls.withdraw(incident, self._until(deadline)))

    def ack(
        self, incident: str, result: str = "done", *, args_digest: str | None = None, detail: str = "", deadline: float | None = None
    ) -> dict[str, Any]:
        """Say what was done with the outcome: "done" or "failed". Once. Returns the incident."""
        return self.run(calls.ack(incident, result, args_digest, detail, self._until(deadline)))

    def feedback(
        self, incident: str, outcome: str, *, how: str | None = None, detail: str = "", complaint: str | None = None,
        deadline: float | None = None,
    ) -> dict[str, Any]:
        """Say what was learned later of what was decided: "right", "wrong" or "resolved". Returns the report as it was first made.

        `how` is "feedback", "complaint" or "correction"; `complaint` the id of the incident that complains. Raises Conflict before
        anything was decided.
        """
        return self.run(calls.feedback(incident, outcome, how, detail, complaint, self._until(deadline)))

    # -- runs under watch, call by call; `session()` does all of it

    def start_session(self, data: Mapping[str, Any], key: str | None = None, *, deadline: float | None = None) -> dict[str, Any]:
        """Begin a run under watch and return it."""
        return self.run(calls.start_session(data, key, self._until(deadline)))

    def post_steps(
        self, session: str, steps: Sequence[Mapping[str, Any]], seen: int = 0, *, deadline: float | None = None
    ) -> dict[str, Any]:
        """Report up to 200 steps; returns {"session", "accepted", "steps", "directive"}. Number them: then nothing counts twice."""
        return self.run(calls.post_steps(session, steps, seen, self._until(deadline)))

    def get_directive(self, session: str, *, wait: float = 0, seen: int = 0, deadline: float | None = None) -> dict[str, Any]:
        """Return what the run is to do, or with `wait` when there is something new beyond `seen`."""
        return self.run(calls.get_directive(session, wait, seen, self._until(deadline)))

    def end_session(
        self, session: str, outcome: str = "done", *, detail: str = "", seen: int = 0, deadline: float | None = None
    ) -> dict[str, Any]:
        """End a run: "done", "failed" or "stopped". Returns it."""
        return self.run(calls.end_session(session, outcome, detail, seen, self._until(deadline)))

    def get_session(self, session: str, *, deadline: float | None = None) -> dict[str, Any]:
        """Return a run."""
        return self.run(calls.get_session(session, self._until(deadline)))


class AsyncClient(_Common, AsksPeopleAsync):
    """Countersign, for programs with an event loop: what `Client` has, awaited. Use `async with`, or await `aclose()`."""

    def __init__(
        self, base_url: str | None = None, key: str | None = None, *, timeout: float = ON_TOP, retry_for: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None, verify: Any = True,
    ) -> None:
        super().__init__(base_url, key, timeout=timeout, retry_for=retry_for)
        self._http = httpx.AsyncClient(base_url=self.base_url, headers=self._headers, transport=transport, verify=verify)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Do what a flow asks for, in this task, and return what it returns. Cancelled, it ends where it waits."""
        try:
            effect = next(flow)
            while True:
                try:
                    result = await self._do(effect)
                except BaseException as error:  # noqa: BLE001 - the flow decides what becomes of it, and raises it if nothing does
                    effect = flow.throw(error)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            response = await self._http.request(**self._request(effect))
            self.time.heard(response)
            return response
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        result = effect.function(*effect.args, **effect.named)
        return await result if inspect.isawaitable(result) else result

    async def post_incident(
        self, data: Mapping[str, Any], key: str | None = None, *, wait: float = 0, deadline: float | None = None
    ) -> dict[str, Any]:
        """As `Client.post_incident`."""
        return await self.run(calls.post_incident(data, key, wait, self._until(deadline)))

    async def get_incident(self, incident: str, *, wait: float = 0, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.get_incident`."""
        return await self.run(calls.get_incident(incident, wait, self._until(deadline)))

    async def wait(
        self, incident: str, *, deadline: float | None = None, on_question: calls.OnQuestion | None = None
    ) -> dict[str, Any]:
        """As `Client.wait`; `on_question` may be a coroutine function."""
        return await self.run(calls.wait(incident, Deadline(deadline), on_question))

    async def add_context(self, incident: str, context: Mapping[str, Any], *, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.add_context`."""
        return await self.run(calls.add_context(incident, context, self._until(deadline)))

    async def revise(self, incident: str, proposal: Mapping[str, Any], *, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.revise`."""
        return await self.run(calls.revise(incident, proposal, self._until(deadline)))

    async def withdraw(self, incident: str, *, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.withdraw`."""
        return await self.run(calls.withdraw(incident, self._until(deadline)))

    async def ack(
        self, incident: str, result: str = "done", *, args_digest: str | None = None, detail: str = "", deadline: float | None = None
    ) -> dict[str, Any]:
        """As `Client.ack`."""
        return await self.run(calls.ack(incident, result, args_digest, detail, self._until(deadline)))

    async def feedback(
        self, incident: str, outcome: str, *, how: str | None = None, detail: str = "", complaint: str | None = None,
        deadline: float | None = None,
    ) -> dict[str, Any]:
        """As `Client.feedback`."""
        return await self.run(calls.feedback(incident, outcome, how, detail, complaint, self._until(deadline)))

    async def start_session(self, data: Mapping[str, Any], key: str | None = None, *, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.start_session`."""
        return await self.run(calls.start_session(data, key, self._until(deadline)))

    async def post_steps(
        self, session: str, steps: Sequence[Mapping[str, Any]], seen: int = 0, *, deadline: float | None = None
    ) -> dict[str, Any]:
        """As `Client.post_steps`."""
        return await self.run(calls.post_steps(session, steps, seen, self._until(deadline)))

    async def get_directive(self, session: str, *, wait: float = 0, seen: int = 0, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.get_directive`."""
        return await self.run(calls.get_directive(session, wait, seen, self._until(deadline)))

    async def end_session(
        self, session: str, outcome: str = "done", *, detail: str = "", seen: int = 0, deadline: float | None = None
    ) -> dict[str, Any]:
        """As `Client.end_session`."""
        return await self.run(calls.end_session(session, outcome, detail, seen, self._until(deadline)))

    async def get_session(self, session: str, *, deadline: float | None = None) -> dict[str, Any]:
        """As `Client.get_session`."""
        return await self.run(calls.get_session(session, self._until(deadline)))
