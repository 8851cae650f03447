"""What the clients offer on top of the API's calls, for event loops. Each method is as its namesake in `people.py`."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import asking, calls, errors
from .approval import Answer, Signed
from .asking import OnTimeout, Waiting, current_session
from .decorating import Convert, Gate
from .flow import Deadline, Flow, ServerTime
from .guarding import Guarding, RetryOn, guarded
from .people import FromArgs, OnRefusal, inside, said_of
from .session import Core, StepResult, Watching, arguments_of
from .shown import error_text

if TYPE_CHECKING:
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("countersign")


@dataclass(frozen=True)
class AsyncApproval(Signed):
    """A yes: `async with await client.approve(…) as yes: await pay(**yes.args)` acknowledges by itself."""

    _client: AsksPeopleAsync | None = None

    async def done(self, detail: str = "") -> None:
        assert self._client is not None
        await self._client._acknowledge(self, "done", detail)

    async def failed(self, detail: str = "") -> None:
        assert self._client is not None
        await self._client._acknowledge(self, "failed", detail)

    async def __aenter__(self) -> AsyncApproval:
        self.begin()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            await self.done()
        else:
            await self.failed(error_text(error))


class AsyncStep:
    """As `Step`, with `async with`."""

    def __init__(self, run: AsyncRun, told: StepResult) -> None:
        self._run, self._told = run, told

    async def __aenter__(self) -> StepResult:
        await self._run._do(self._run.core.before())
        self._told.began = time.monotonic()
        return self._told

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._told.error = error_text(error)
        try:
            await self._run._do(self._run.core.after(self._told))
        except errors.Unreachable:
            if error is None:
                raise


class AsyncRun:
    """As `Run`, awaited and with `async with`."""

    def __init__(self, client: AsksPeopleAsync, how: Watching) -> None:
        self._client = client
        self.core = Core(how, client.retry_for)

    @property
    def id(self) -> str:
        return self.core.id

    @property
    def notes(self) -> list[dict[str, Any]]:
        return self.core.notes

    @property
    def watch_url(self) -> str:
        return str(self.core.told.get("watch_url") or "")

    async def _do(self, flow: Flow[None]) -> None:
        await self._client.run(flow)

    async def __aenter__(self) -> AsyncRun:
        try:
            await self._do(self.core.begin())
        except BaseException as error:
            if self.core.id:
                await self._do(self.core.finish(error))
            raise
        self.core._token = current_session.set(self.core.id)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.core._token is not None:
            current_session.reset(self.core._token)
        await self._do(self.core.finish(error))

    def step(self, tool: str, args: Any = None) -> AsyncStep:
        return AsyncStep(self, StepResult(tool, args))

    async def report(
        self, tool: str, args: Any = None, result: Any = None, *, error: str | None = None, tokens: int = 0, cost: float = 0
    ) -> None:
        await self._do(self.core.before())
        await self._do(self.core.after(StepResult(tool, args, result, error, tokens, cost)))

    async def check(self) -> None:
        await self._do(self.core.check())

    def tool(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Return the coroutine function with every call of it a step of this run."""
        @functools.wraps(function)
        async def stepped(*args: P.args, **named: P.kwargs) -> T:
            async with self.step(getattr(function, "__name__", "tool"), arguments_of(function, args, named)) as step:
                step.result = await function(*args, **named)
                return step.result  # type: ignore[no-any-return]

        return stepped


class AsksPeopleAsync:
    """What `AsyncClient` has of this; it brings `run`, `time` and `retry_for`."""

    time: ServerTime
    retry_for: float

    async def run(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    async def approve(
        self, action: str, args: Mapping[str, Any] | None = None, *, title: str | None = None,
        context: Mapping[str, Any] | str | None = None, key: str | None = None, timeout: float | None = None,
        on_timeout: OnTimeout = "leave", on_question: calls.OnQuestion | None = None, **more: Any,
    ) -> AsyncApproval:
        """As `Client.approve`; `on_timeout` and `on_question` may be coroutine functions."""
        wish = asking.action_wish(action, args, title, context, more)
        waiting = Waiting(key, timeout, on_timeout, on_question)
        return inside(AsyncApproval, await self.run(asking.ask_for_yes(wish, waiting, self.time)), self)  # type: ignore[no-any-return]

    async def review(
        self, draft: Mapping[str, Any], *, title: str | None = None, context: Mapping[str, Any] | str | None = None,
        key: str | None = None, timeout: float | None = None, on_timeout: OnTimeout = "leave",
        on_question: calls.OnQuestion | None = None, **more: Any,
    ) -> AsyncApproval:
        """As `Client.review`."""
        wish = asking.draft_wish(draft, title, context, more)
        waiting = Waiting(key, timeout, on_timeout, on_question)
        return inside(AsyncApproval, await self.run(asking.ask_for_yes(wish, waiting, self.time)), self)  # type: ignore[no-any-return]

    async def ask(
        self, question: str, *, context: Mapping[str, Any] | str | None = None, key: str | None = None, timeout: float | None = None,
        on_timeout: OnTimeout = "leave", on_question: calls.OnQuestion | None = None, **more: Any,
    ) -> Answer:
        """As `Client.ask`."""
        wish = asking.question_wish(question, context, more)
        return await self.run(asking.ask_for_words(wish, Waiting(key, timeout, on_timeout, on_question)))

    def requires_approval(
        self, action: str | None = None, *, title: str | FromArgs | None = None,
        context: Mapping[str, Any] | str | FromArgs | None = None, key: str | FromArgs | None = None, timeout: float | None = None,
        on_timeout: OnTimeout = "leave", on_question: calls.OnQuestion | None = None, hidden: Sequence[str] = (),
        encode: Convert | None = None, decode: Convert | None = None, on_refusal: OnRefusal | None = None, **more: Any,
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
        """As `Client.requires_approval`, for coroutine functions."""

        def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            if not inspect.iscoroutinefunction(function):
                raise TypeError(f"{getattr(function, '__name__', function)} is no coroutine function: use Client")
            gate = Gate.of(function, action, hidden, encode, decode)

            @functools.wraps(function)
            async def asked(*args: P.args, **named: P.kwargs) -> T:
                bound = gate.bind(args, named)
                shown_args = gate.args_of(bound)
                try:
                    yes = await self.approve(
                        gate.action, shown_args, title=said_of(title, shown_args), context=said_of(context, shown_args),
                        key=said_of(key, shown_args), timeout=timeout, on_timeout=on_timeout, on_question=on_question, **more,
                    )
                    call = await _fitting(gate, yes, bound)
                except errors.NotApproved as refusal:
                    if on_refusal is None:
                        raise
                    return on_refusal(refusal)  # type: ignore[no-any-return]
                async with yes:
                    return await function(*call.args, **call.kwargs)

            return asked

        return decorate

    async def guard(
        self, task: Callable[..., Awaitable[T] | T], args: Mapping[str, Any] | None = None, *, retries: int = 3,
        retry_on: RetryOn = Exception, base: float = 0.5, longest: float = 30.0, title: str | None = None,
        context: Mapping[str, Any] | str | None = None, key: str | None = None, **more: Any,
    ) -> T:
        """As `Client.guard`; the task may be a coroutine function."""
        how = Guarding(retries, retry_on, base, longest, title, context, key, more=more)
        return await self.run(guarded(task, args or {}, how, Deadline(self.retry_for)))

    def session(
        self, agent: str, goal: str = "", *, limits: Mapping[str, Any] | None = None, role: str | None = None, key: str | None = None,
        on_note: Callable[[Mapping[str, Any]], Any] | None = None, on_pause: Callable[[Mapping[str, Any]], Any] | None = None,
        unwatched: str = "stop",
    ) -> AsyncRun:
        """As `Client.session`, for `async with`; `on_note` and `on_pause` may be coroutine functions."""
        data = {"agent": agent, "goal": goal, **({"limits": dict(limits)} if limits else {}), **({"role": role} if role else {})}
        return AsyncRun(self, Watching(data, key, on_note, on_pause, unwatched))

    async def _acknowledge(self, yes: Signed, result: str, detail: str) -> None:
        try:
            await self.run(calls.ack(yes.id, result, yes.args_digest, detail, Deadline(self.retry_for)))
        except errors.CountersignError as error:
            log.warning("countersign: %s of %s could not be acknowledged: %s", result, yes.id, error)


async def _fitting(gate: Gate, yes: AsyncApproval, bound: inspect.BoundArguments) -> inspect.BoundArguments:
    try:
        return gate.call_of(yes, bound)
    except errors.NotApproved as error:
        await yes.failed(f"It did not run: {error}")
        raise
