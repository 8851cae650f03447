"""A run under watch: every step is told, and every answer says whether to go on, wait or stop."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import calls, errors
from .asking import current_session
from .flow import Call, Deadline, Flow, Sleep
from .shown import bounded, error_text, shown

if TYPE_CHECKING:
    from types import TracebackType

    from .people import AsksPeople

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("countersign")

HOLD_PAUSED = 20.0  # seconds for which a paused run asks to be told of the next order
HASTY = 0.5  # as in calls.py: an answer this early is no reason to ask at once again
GOES_ON = ("continue", "note")
DECIDES = (*GOES_ON, "stop")
MOST_KEPT = 2_000  # steps kept while nobody can be told
MOST_AT_ONCE = 200  # steps in one call
LARGEST_AT_ONCE = 500_000  # bytes of them; the server takes twice that
FINISHING = 15.0  # seconds in which the end of a run is told

OnDirective = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Watching:
    """How a run is watched."""

    data: Mapping[str, Any]
    key: str | None = None
    on_note: OnDirective | None = None
    on_pause: OnDirective | None = None
    unwatched: str = "stop"

    def __post_init__(self) -> None:
        if self.unwatched not in ("stop", "continue"):
            raise ValueError('unwatched is "stop" or "continue"')


@dataclass
class StepResult:
    """What is told of one step. Set `result` before its block ends, and `tokens` and `cost` where they are known."""

    tool: str
    args: Any = None
    result: Any = None
    error: str | None = None
    tokens: int = 0
    cost: float = 0
    began: float = field(default_factory=time.monotonic)

    def told(self, number: int) -> dict[str, Any]:
        """Return the step as the API takes it."""
        tool = " ".join(str(self.tool).split())[:200] or "step"
        said: dict[str, Any] = {"number": number, "tool": tool, "took_ms": int((time.monotonic() - self.began) * 1000)}
        if self.args is not None:
            said["args"] = bounded(self.args)
        if self.error is not None:
            said["error"] = shown(str(self.error))
        elif self.result is not None:
            said["result"] = bounded(self.result)
        if self.tokens:
            said["tokens"] = int(self.tokens)
        if self.cost:
            said["cost"] = round(float(self.cost), 6)  # a sum of floats has digits nobody paid for
        return said


class Core:
    """What a run knows and does, as flows: the same for threads and event loops."""

    def __init__(self, how: Watching, retry_for: float) -> None:
        self.how = how
        self.retry_for = retry_for
        self.id = ""
        self.told: dict[str, Any] = {}
        self.notes: list[dict[str, Any]] = []
        self.stopped: errors.RunStopped | None = None
        self.seen = 0  # the last order this run has honoured
        self._noted = 0
        self._numbers = itertools.count(1)
        self._kept: list[dict[str, Any]] = []
        self._lost = False  # nobody can be told just now
        self._pending: dict[str, Any] | None = None
        self._token: Token[str | None] | None = None

    def begin(self) -> Flow[None]:
        """Start the run, or with a key it had before go on with it."""
        self.told = yield from calls.start_session(self.how.data, self.how.key, Deadline(self.retry_for))
        self.id = str(self.told["id"])
        self._numbers = itertools.count(int(self.told.get("steps") or 0) + 1)
        yield from self.heed(self.told.get("directive") or {})

    def before(self) -> Flow[None]:
        """Return when the next step may begin. Raises RunStopped."""
        if self.stopped is not None:
            raise self.stopped
        if self._pending is not None:
            yield from self.heed(self._pending)

    def after(self, step: StepResult) -> Flow[None]:
        """Tell a step that was made, and do what the answer says; after an error that waits until the next step."""
        if self.stopped is not None:
            return  # stopped inside the step: the end says so
        self._kept.append(step.told(next(self._numbers)))
        directive = yield from self._send()
        if directive is not None and step.error is not None:
            self._pending = directive
        elif directive is not None:
            yield from self.heed(directive)

    def check(self) -> Flow[None]:
        """Ask for orders without a step, in the middle of a long one. Raises RunStopped, waits while paused."""
        yield from self.before()
        try:
            directive = yield from calls.get_directive(self.id, 0, self.seen, Deadline(0 if self._lost else self.retry_for))
        except (errors.Unreachable, errors.RateLimited) as error:
            self._unwatched(error)
            return
        yield from self.heed(directive)

    def heed(self, directive: Mapping[str, Any]) -> Flow[None]:
        """Do as told: hear the notes, wait out a pause, raise RunStopped at a stop. What is no directive lets nothing go on."""
        announced = False
        while True:
            number, what = int(directive.get("number") or 0), directive.get("directive")
            # Before anybody's function is called: should it raise, the stop and the pause still hold at the next step.
            self._pending = dict(directive)
            if what == "stop":
                self.stopped = errors.RunStopped(directive)
            for note in directive.get("notes") or []:
                yield from self._hear(note)
            self.seen = max(self.seen, number)  # from here on it is honoured; the next call says so
            if self.stopped is not None:
                raise self.stopped
            if what in GOES_ON:
                self._pending = None
                return
            if what == "pause" and not announced and self.how.on_pause is not None:
                yield Call(self.how.on_pause, (directive,))
                announced = True
            began = time.monotonic()
            directive = yield from calls.get_directive(self.id, HOLD_PAUSED, self.seen, Deadline(None))
            if directive.get("directive") not in DECIDES and time.monotonic() - began < HASTY:
                yield Sleep(HASTY)

    def finish(self, error: BaseException | None) -> Flow[None]:
        """Tell the end. What cannot be told is logged; it never hides why the run ended."""
        outcome = "stopped" if self.stopped is not None else "done" if error is None else "failed"
        detail = "" if error is None else error_text(error)
        try:
            until = Deadline(FINISHING)
            while self.stopped is None and self._kept:
                batch = together(self._kept)
                yield from calls.post_steps(self.id, batch, self.seen, until)
                self._kept = self._kept[len(batch) :]
            ended = yield from calls.end_session(self.id, outcome, detail, self.seen, Deadline(FINISHING))
            self.told = {**self.told, **ended}
        except errors.CountersignError as lost:
            log.warning("countersign: the end of run %s could not be told: %s", self.id, lost)

    def _hear(self, note: Mapping[str, Any]) -> Flow[None]:
        number = int(note.get("number") or 0)
        if number <= self._noted:
            return
        self._noted = number
        self.notes.append(dict(note))
        if self.how.on_note is not None:
            yield Call(self.how.on_note, (note,))

    def _send(self) -> Flow[dict[str, Any] | None]:
        """Tell the steps that are kept; return the last directive, None when nobody could be told."""
        directive: dict[str, Any] | None = None
        while self._kept:
            batch = together(self._kept)
            try:
                answer = yield from calls.post_steps(self.id, batch, self.seen, Deadline(0 if self._lost else self.retry_for))
            except (errors.Unreachable, errors.RateLimited) as error:
                self._unwatched(error)
                return directive  # of those that could be told: a stop in it holds
            self._lost = False
            self._kept = [step for step in self._kept if step not in batch]
            directive = dict(answer.get("directive") or {})
        return directive

    def _unwatched(self, error: errors.CountersignError) -> None:
        if self.how.unwatched == "stop":
            raise error
        if not self._lost:
            log.warning("countersign: run %s goes on unwatched: %s", self.id, error)
        self._lost = True
        del self._kept[:-MOST_KEPT]


def together(kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first of these steps that go into one call, at least one."""
    size = 0
    some: list[dict[str, Any]] = []
    for step in kept[:MOST_AT_ONCE]:
        size += len(json.dumps(step).encode())
        if some and size > LARGEST_AT_ONCE:
            break
        some.append(step)
    return some


class Step:
    """One step of a run: `with run.step("search", {"q": "…"}) as step: step.result = search("…")`."""

    def __init__(self, run: Run, told: StepResult) -> None:
        self._run, self._told = run, told

    def __enter__(self) -> StepResult:
        self._run._do(self._run.core.before())
        self._told.began = time.monotonic()
        return self._told

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._told.error = error_text(error)
        try:
            self._run._do(self._run.core.after(self._told))
        except errors.Unreachable:
            if error is None:  # otherwise the step's own error is the one to hear of
                raise


class Run:
    """A run under watch. Use it in a `with` block; in it, what is asked with the same client is linked to the run.

    A stop raises RunStopped at the next step or `check()`, a pause waits there until somebody resumes, notes are in `notes` and go to
    `on_note`. The block's end ends the run: done, failed with an exception, stopped after a stop.
    """

    def __init__(self, client: AsksPeople, how: Watching) -> None:
        self._client = client
        self.core = Core(how, client.retry_for)

    @property
    def id(self) -> str:
        return self.core.id

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What people told this run, oldest first: {"number", "text", "by", "at"}."""
        return self.core.notes

    @property
    def watch_url(self) -> str:
        return str(self.core.told.get("watch_url") or "")

    def _do(self, flow: Flow[None]) -> None:
        self._client.run(flow)

    def __enter__(self) -> Run:
        try:
            self._do(self.core.begin())
        except BaseException as error:
            if self.core.id:  # it began, and was stopped before its first step
                self._do(self.core.finish(error))
            raise
        self.core._token = current_session.set(self.core.id)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.core._token is not None:
            current_session.reset(self.core._token)
        self._do(self.core.finish(error))

    def step(self, tool: str, args: Any = None) -> Step:
        """Return a step, to be made in a `with` block. What is raised in the block is told as the step's error."""
        return Step(self, StepResult(tool, args))

    def report(self, tool: str, args: Any = None, result: Any = None, *, error: str | None = None, tokens: int = 0, cost: float = 0) -> None:
        """Tell a step that was made already. Raises RunStopped when no other is to follow."""
        self._do(self.core.before())
        self._do(self.core.after(StepResult(tool, args, result, error, tokens, cost)))

    def check(self) -> None:
        """Ask for orders in the middle of a long step."""
        self._do(self.core.check())

    def tool(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return the function with every call of it a step of this run."""
        @functools.wraps(function)
        def stepped(*args: P.args, **named: P.kwargs) -> T:
            with self.step(function.__name__, arguments_of(function, args, named)) as step:
                step.result = function(*args, **named)
                return step.result  # type: ignore[no-any-return]

        return stepped


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments by name, without `self`."""
    try:
        bound = inspect.signature(function).bind(*args, **named).arguments
    except (TypeError, ValueError):
        return {**({"args": list(args)} if args else {}), **named}
    return {name: value for name, value in bound.items() if name not in ("self", "cls")}
