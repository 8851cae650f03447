"""What the clients offer on top of the API's calls, for threads: ask, run what was signed, try again, be watched."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import asking, calls, errors
from .approval import Answer, Signed
from .asking import OnTimeout, Waiting
from .decorating import Convert, Gate
from .flow import Deadline, Flow, ServerTime
from .guarding import Guarding, RetryOn, guarded
from .session import Run, Watching
from .shown import error_text

if TYPE_CHECKING:
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("countersign")

FromArgs = Callable[[Mapping[str, Any]], Any]
OnRefusal = Callable[[errors.NotApproved], Any]


@dataclass(frozen=True)
class Approval(Signed):
    """A yes, and a way to say what came of it: `with client.approve(…) as yes: pay(**yes.args)` acknowledges by itself."""

    _client: AsksPeople | None = None

    def done(self, detail: str = "") -> None:
        """Say that it was done. What cannot be said is logged: the thing itself is done either way."""
        assert self._client is not None
        self._client._acknowledge(self, "done", detail)

    def failed(self, detail: str = "") -> None:
        """Say that it was tried and failed: a person gets it back."""
        assert self._client is not None
        self._client._acknowledge(self, "failed", detail)

    def __enter__(self) -> Approval:
        self.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.done()
        else:
            self.failed(error_text(error))


def inside(kind: type[Any], signed: Signed, client: Any) -> Any:
    """Return the same yes as an Approval of that client."""
    return kind(**{one.name: getattr(signed, one.name) for one in fields(Signed)}, _client=client)


def said_of(from_args: Any, args: Mapping[str, Any]) -> Any:
    """Return a title, a context or a key that may depend on the args."""
    return from_args(args) if callable(from_args) else from_args


class AsksPeople:
    """What `Client` has of this; it brings `run`, `time` and `retry_for`."""

    time: ServerTime
    retry_for: float

    def run(self, flow: Flow[T]) -> T:
        raise NotImplementedError

    def approve(
        self, action: str, args: Mapping[str, Any] | None = None, *, title: str | None = None,
        context: Mapping[str, Any] | str | None = None, key: str | None = None, timeout: float | None = None,
        on_timeout: OnTimeout = "leave", on_question: calls.OnQuestion | None = None, **more: Any,
    ) -> Approval:
        """Ask whether `action` may run with `args`, wait for the answer, and return the yes. Run `yes.args`, not your own.

        `context` is what a person needs to decide: text, or the members the API knows (request, messages, attempts, summary, why,
        links). `more` are further members of the incident or its proposal: severity, customer, on_behalf_of, payload, reversible,
        confidence, impact, allowed_decisions, args_schema, timeout_seconds and the like.

        `key` makes it the same question after a restart of this program, and its answer the same. `timeout` is how long to wait, in
        seconds (None: as long as it takes); `on_timeout` what to do then: "leave" it to be decided later, "withdraw" it, or call a
        function with the incident. Whatever it does, TimedOut is raised and there is no yes.

        Raises NotApproved (Rejected, Answered, Expired, Withdrawn, TimedOut, AlreadyActed, DigestMismatch), NotSignable, ApiError.
        """
        wish = asking.action_wish(action, args, title, context, more)
        waiting = Waiting(key, timeout, on_timeout, on_question)
        return inside(Approval, self.run(asking.ask_for_yes(wish, waiting, self.time)), self)  # type: ignore[no-any-return]

    def review(
        self, draft: Mapping[str, Any], *, title: str | None = None, context: Mapping[str, Any] | str | None = None,
        key: str | None = None, timeout: float | None = None, on_timeout: OnTimeout = "leave",
        on_question: calls.OnQuestion | None = None, **more: Any,
    ) -> Approval:
        """Ask whether a draft ({"to", "subject", "body"}) may be sent. Send `yes.draft`, as signed. Otherwise as `approve`."""
        wish = asking.draft_wish(draft, title, context, more)
        waiting = Waiting(key, timeout, on_timeout, on_question)
        return inside(Approval, self.run(asking.ask_for_yes(wish, waiting, self.time)), self)  # type: ignore[no-any-return]

    def ask(
        self, question: str, *, context: Mapping[str, Any] | str | None = None, key: str | None = None, timeout: float | None = None,
        on_timeout: OnTimeout = "leave", on_question: calls.OnQuestion | None = None, **more: Any,
    ) -> Answer:
        """Ask a question and return the answer (`.text`, `.by`). Raises as `approve`."""
        wish = asking.question_wish(question, context, more)
        return self.run(asking.ask_for_words(wish, Waiting(key, timeout, on_timeout, on_question)))

    def requires_approval(
        self, action: str | None = None, *, title: str | FromArgs | None = None,
        context: Mapping[str, Any] | str | FromArgs | None = None, key: str | FromArgs | None = None, timeout: float | None = None,
        on_timeout: OnTimeout = "leave", on_question: calls.OnQuestion | None = None, hidden: Sequence[str] = (),
        encode: Convert | None = None, decode: Convert | None = None, on_refusal: OnRefusal | None = None, **more: Any,
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Make every call of a function wait for a yes, and run it with the args as signed; then acknowledge done or failed.

        `action` is the function's name unless given. `title`, `context` and `key` may be functions of the args. `hidden` names
        parameters that are neither shown nor signed; `self` and `cls` are. `encode` and `decode` convert arguments that are no JSON.
        `on_refusal` gives what the call returns instead of raising NotApproved (for an agent's tool: a sentence for the model).
        The function does not run unless the digest of the very call is the one that was signed.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            if inspect.iscoroutinefunction(function):
                raise TypeError(f"{function.__name__} is a coroutine function: use AsyncClient")
            gate = Gate.of(function, action, hidden, encode, decode)

            @functools.wraps(function)
            def asked(*args: P.args, **named: P.kwargs) -> T:
                bound = gate.bind(args, named)
                shown_args = gate.args_of(bound)
                try:
                    yes = self.approve(
                        gate.action, shown_args, title=said_of(title, shown_args), context=said_of(context, shown_args),
                        key=said_of(key, shown_args), timeout=timeout, on_timeout=on_timeout, on_question=on_question, **more,
                    )
                    call = _fitting(gate, yes, bound)
                except errors.NotApproved as refusal:
                    if on_refusal is None:
                        raise
                    return on_refusal(refusal)  # type: ignore[no-any-return]
                with yes:
                    return function(*call.args, **call.kwargs)

            return asked

        return decorate

    def guard(
        self, task: Callable[..., T], args: Mapping[str, Any] | None = None, *, retries: int = 3, retry_on: RetryOn = Exception,
        base: float = 0.5, longest: float = 30.0, title: str | None = None, context: Mapping[str, Any] | str | None = None,
        key: str | None = None, **more: Any,
    ) -> T:
        """Call `task(**args)`; try again with exponential backoff and jitter what `retry_on` (types, or a predicate) says is retryable.

        When it fails for good, a person gets it with every attempt and `context`, and HandedOver is raised from the last error.
        """
        how = Guarding(retries, retry_on, base, longest, title, context, key, more=more)
        return self.run(guarded(task, args or {}, how, Deadline(self.retry_for)))  # type: ignore[no-any-return]

    def session(
        self, agent: str, goal: str = "", *, limits: Mapping[str, Any] | None = None, role: str | None = None, key: str | None = None,
        on_note: Callable[[Mapping[str, Any]], Any] | None = None, on_pause: Callable[[Mapping[str, Any]], Any] | None = None,
        unwatched: str = "stop",
    ) -> Run:
        """Return a run under watch: `with client.session("researcher", goal="…") as run:`. See `Run`.

        `limits`: steps, repeats, minutes, cost. `on_note` hears what people tell the run, `on_pause` that it is paused; neither has to
        do anything. `unwatched` is what becomes of the run when Countersign cannot be reached for `retry_for` seconds: "stop"
        (Unreachable is raised) or "continue" (steps are kept and sent later).
        """
        data = {"agent": agent, "goal": goal, **({"limits": dict(limits)} if limits else {}), **({"role": role} if role else {})}
        return Run(self, Watching(data, key, on_note, on_pause, unwatched))

    def _acknowledge(self, yes: Signed, result: str, detail: str) -> None:
        try:
            self.run(calls.ack(yes.id, result, yes.args_digest, detail, Deadline(self.retry_for)))
        except errors.CountersignError as error:
            log.warning("countersign: %s of %s could not be acknowledged: %s", result, yes.id, error)


def _fitting(gate: Gate, yes: Approval, bound: inspect.BoundArguments) -> inspect.BoundArguments:
    try:
        return gate.call_of(yes, bound)
    except errors.NotApproved as error:
        yes.failed(f"It did not run: {error}")
        raise
