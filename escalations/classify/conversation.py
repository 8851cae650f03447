"""One question to the language model and its answer, whatever the server does: in time, of bounded size, in the form asked for.

Nothing here raises because of what a server sends or fails to send: every failure is a `Reply` with `error`.
"""

import asyncio
import json
import random
import secrets
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx2
import openai
from django.conf import settings
from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError

from .breaker import Breaker

LONGEST_WAIT = 60.0  # seconds for one item, repair and waiting included, whatever the settings say
CONNECT = 5.0  # seconds
MOST_CALLS = 4  # to the server for one item: the first, two more when it fails, one repair
LARGEST = 256 * 1024  # bytes of one response
FIRST_BACKOFF = 0.5  # seconds, doubled each time, where the server does not say how long to wait
ECHOED = 2_000  # characters of a wrong answer that are shown to the model again
SERVER_IS_FINE = frozenset({400, 413, 422})  # it answered, and what it dislikes is this one question
WORTH_ANOTHER_CALL = frozenset({408, 409, 429})  # and everything from 500 on

Answer = TypeVar("Answer", bound=BaseModel)

breaker = Breaker()  # of this process
_CALM: dict[str, float] = {"temperature": 0}


class Unanswered(Exception):
    """No usable answer, and asking again now will not help. The text is shown to people."""


class Unfit(Exception):
    """The server answered, but not in the form asked for. The text goes back to the model, once."""


class TooLarge(Exception):
    """The response has more bytes than we read."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[Answer]):
    """What came of one question: an answer or an error, never both. `calls` had a price (an answer came back)."""

    answer: Answer | None = None
    error: str = ""
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    latency_ms: int = 0


@dataclass(slots=True)
class Question(Generic[Answer]):
    """What is asked: messages, the form of the answer as a pydantic model and as a JSON schema, and what it may cost."""

    messages: list[dict[str, str]]
    form: type[Answer]
    schema: dict[str, Any]
    longest: int  # tokens of an answer
    known: dict[str, Any]  # handed to the form's validators

    @property
    def estimate(self) -> int:
        """Tokens this may cost at most: asked and repaired. A token is taken to be three bytes, less than it mostly is."""
        asked = sum(len(message["content"].encode("utf-8", "replace")) for message in self.messages) // 3 + 200
        return 2 * (asked + self.longest) + ECHOED // 3


def is_on() -> bool:
    """Whether there is a model to ask. Without one everything works, on rules alone."""
    return bool(settings.COUNTERSIGN_MODEL and (settings.OPENAI_API_KEY or settings.OPENAI_BASE_URL))


def limit() -> float:
    """Seconds one item may take in all."""
    return max(1.0, min(float(settings.LLM_TIMEOUT_SECONDS), LONGEST_WAIT))


def new_boundary() -> str:
    """A fence for untrusted text that its author cannot have known."""
    return f"DATA-{secrets.token_hex(12)}"


def open_client() -> AsyncOpenAI:
    """Return a client for one event loop; use it as `async with`. Retries are ours, redirects are not followed."""
    return AsyncOpenAI(
        api_key=settings.OPENAI_API_KEY or "none",
        base_url=settings.OPENAI_BASE_URL or None,
        max_retries=0,
        http_client=httpx2.AsyncClient(
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=settings.LLM_CONCURRENCY + 8, max_keepalive_connections=settings.LLM_CONCURRENCY),
            event_hooks={"response": [_bound]},
        ),
    )


async def ask(client: AsyncOpenAI, question: Question[Answer], seconds: float) -> Reply[Answer]:
    """Ask one question; an answer or an error is there after `seconds` at the latest, repair and every wait included."""
    tally = _Tally(deadline=time.monotonic() + seconds)
    answer, error = None, ""
    try:
        async with asyncio.timeout(seconds):
            answer = await _until_fit(client, question, tally)
    except TimeoutError:
        breaker.failed()
        error = f"The model did not answer within {seconds:.0f} s."
    except Unanswered as why:
        error = str(why)
    return Reply(
        answer=answer, error=error[:300], calls=tally.calls, tokens_in=tally.tokens_in, tokens_out=tally.tokens_out,
        latency_ms=round((time.monotonic() - tally.started) * 1000),
    )


class _Tally:
    """What one question has cost so far, and how much time it has left."""

    def __init__(self, deadline: float) -> None:
        self.started, self.deadline = time.monotonic(), deadline
        self.requests = self.calls = self.tokens_in = self.tokens_out = 0
        self.trouble = "The model's server gave no usable answer."

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()


async def _until_fit(client: AsyncOpenAI, question: Question[Answer], tally: _Tally) -> Answer:
    """Ask, and once more with what was wrong when the answer does not fit."""
    messages = question.messages
    for is_last in (False, True):
        text = ""
        try:
            text = await _said(client, question, messages, tally)
            return _read(text, question)
        except Unfit as why:
            if is_last:
                raise Unanswered(f"The model's answer did not fit, even after a repair: {why}") from why
            wrong = {"role": "assistant", "content": text[:ECHOED] or "(nothing)"}
            again = f"That answer was not used: {why} Answer again, with one JSON object of the given schema and nothing else."
            messages = [*question.messages, wrong, {"role": "user", "content": again}]
    raise Unanswered("The model gave no answer that fits.")


async def _said(client: AsyncOpenAI, question: Question[Any], messages: list[dict[str, str]], tally: _Tally) -> str:
    """Return the text of one answer. Waits and asks again when the server fails, as long as that makes sense."""
    while True:
        if not breaker.allow():
            raise Unanswered("The model's server failed several times in a row; it is not asked for a while.")
        if tally.requests >= MOST_CALLS:
            raise Unanswered(f"{tally.trouble} It was asked {tally.requests} times.")
        tally.requests += 1
        try:
            body = await _response(client, question, messages, max(tally.left, 0.1))
        except openai.APIStatusError as error:
            if error.status_code == 400 and _CALM and getattr(error, "param", None) == "temperature":
                _CALM.clear()  # some models have but one temperature and refuse to hear of it; from now on it is not said
                continue
            wait = _after_status(error, tally)
        except TooLarge as error:
            raise Unanswered(f"The model's answer was {error}.") from error
        except openai.APIConnectionError as error:
            breaker.failed()
            wait = _backoff(tally)
            tally.trouble = f"The model's server could not be reached ({type(error.__cause__ or error).__name__})."
            _check_time(wait, tally)
        else:
            return _content(body, question, messages, tally)
        await asyncio.sleep(wait)


async def _response(client: AsyncOpenAI, question: Question[Any], messages: list[dict[str, str]], seconds: float) -> bytes:
    """One HTTP exchange; the raw bytes, since the client's own reading of hostile answers raises whatever it likes."""
    response = await client.chat.completions.with_raw_response.create(  # type: ignore[call-overload]
        model=settings.COUNTERSIGN_MODEL,
        messages=messages,
        **_CALM,
        max_completion_tokens=question.longest,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": question.form.__name__.lower(), "strict": True, "schema": question.schema},
        },
        timeout=httpx2.Timeout(seconds, connect=min(CONNECT, seconds)),
        extra_headers={"Accept-Encoding": "identity"},
    )
    content: bytes = response.content
    return content


def _after_status(error: openai.APIStatusError, tally: _Tally) -> float:
    """Seconds to wait before asking again, or Unanswered."""
    status = error.status_code
    if status not in SERVER_IS_FINE:
        breaker.failed()
    tally.trouble = f"The model's server answered {status}."
    headers = error.response.headers
    if (status < 500 and status not in WORTH_ANOTHER_CALL) or headers.get("x-should-retry") == "false":
        raise Unanswered(tally.trouble) from error
    wait = _asked_to_wait(headers)
    wait = _backoff(tally) if wait is None else wait + random.uniform(0, 0.1 * wait + 0.1)
    _check_time(wait, tally)
    return wait


def _asked_to_wait(headers: httpx2.Headers) -> float | None:
    """Seconds the server asks us to wait; None when it does not say, or says what cannot be read."""
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        if 0 <= seconds < 1e9:
            return seconds
    try:  # a date is read against the server's own, so that neither clock matters
        return max((parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])).total_seconds(), 0.0)
    except (KeyError, ValueError, TypeError):
        return None


def _backoff(tally: _Tally) -> float:
    return FIRST_BACKOFF * 2 ** (tally.requests - 1) * random.uniform(0.75, 1.25)


def _check_time(wait: float, tally: _Tally) -> None:
    if wait > tally.left - 0.5:
        raise Unanswered(f"{tally.trouble} There is no time to ask again after {wait:.0f} s.")


def _content(body: bytes, question: Question[Any], messages: list[dict[str, str]], tally: _Tally) -> str:
    """Take the text out of a chat completion; Unfit when it is none, Unanswered when the model refused."""
    try:
        completion = json.loads(body)
        choice = completion["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        breaker.failed()
        raise Unfit("it is no chat completion.") from error
    breaker.succeeded()
    tally.calls += 1
    _count(completion.get("usage"), str(text or ""), messages, tally)
    if refusal or ended == "content_filter":
        raise Unanswered("The model refused to answer.")
    if ended == "length":
        raise Unfit("it was cut off; be shorter.")
    if not isinstance(text, str) or not text.strip():
        raise Unfit("it is empty.")
    return text


def _count(usage: Any, text: str, messages: list[dict[str, str]], tally: _Tally) -> None:
    """Add what the server says this cost; where it says nothing credible, what it must have cost about."""

    def credible(name: str, otherwise: int) -> int:
        said = usage.get(name) if isinstance(usage, dict) else None
        return said if isinstance(said, int) and not isinstance(said, bool) and 0 < said < 10_000_000 else otherwise

    tally.tokens_in += credible("prompt_tokens", sum(len(message["content"]) for message in messages) // 3)
    tally.tokens_out += credible("completion_tokens", len(text) // 3)


def _read(text: str, question: Question[Answer]) -> Answer:
    """Read an answer strictly: one JSON object, no key twice, nothing more and nothing less than the schema says."""
    try:
        value = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
        return question.form.model_validate(value, strict=True, context=question.known)
    except ValidationError as error:
        # Where and what kind, never the value: an error travels further than an answer.
        first = error.errors(include_url=False, include_context=False, include_input=False)[:3]
        told = "; ".join(f"{'.'.join(str(part)[:40] for part in one['loc']) or 'the answer'}: {one['type']}" for one in first)
        raise Unfit(f"{told}.") from error
    except (ValueError, RecursionError) as error:
        raise Unfit("it is not one JSON object.") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


async def _bound(response: httpx2.Response) -> None:
    """Let at most LARGEST bytes of this response be read; what is packed would grow past that, so it is refused."""
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise TooLarge("packed, which was not asked for")
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> Any:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > LARGEST:
                raise TooLarge(f"longer than {LARGEST // 1024} kB")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


