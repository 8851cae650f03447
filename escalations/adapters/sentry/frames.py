"""Stack traces: read however an SDK writes them, told as a person reads them, and what of them makes two failures the same."""

import re
from dataclasses import dataclass, field
from typing import Any

from . import redact

RAISED = 8  # exceptions of a chain that are told
FRAMES = 60  # of one trace
SHOWN_VARS = 20
LONGEST_LINE = 300
LONGEST_MESSAGE = 4_000
LONGEST_TRACE = 40_000

_BUILD = re.compile(r"[.-][0-9a-f]{8,}(?=\.)")  # bundles carry a digest in their name: main.3f9a1c22.js


@dataclass
class Frame:
    """One call. What it says is redacted."""

    file: str
    function: str
    line: int | None
    code: str
    in_app: bool
    vars: dict[str, str]
    around: list[str] = field(default_factory=list)

    @property
    def identity(self) -> str:
        """Return what is the same for the same place in another build: no line, no digest."""
        return f"{_BUILD.sub('', self.file)}:{self.function}"


@dataclass
class Raised:
    """One exception of a chain."""

    type: str
    message: str
    module: str
    handled: bool | None
    frames: list[Frame]

    @property
    def title(self) -> str:
        first = self.message.strip().split("\n", 1)[0]
        return f"{self.type}: {first}" if first else self.type

    @property
    def own(self) -> list[Frame]:
        """Return the frames of the application itself, or all where nobody says which they are."""
        return [one for one in self.frames if one.in_app] or self.frames


def chain(event: dict[str, Any]) -> list[Raised]:
    """Return the exceptions of an event, the first cause first, the one that was raised last; none for a mere message."""
    given = event.get("exception", event.get("sentry.interfaces.Exception"))
    listed = given.get("values") if isinstance(given, dict) and "values" in given else given
    listed = listed if isinstance(listed, list) else [listed]
    found = [_raised(one) for one in listed[-RAISED:] if isinstance(one, dict) and one]
    if found and not any(one.frames for one in found):
        found[-1].frames = frames_of(_trace_beside(event))
    return found


def frames_of(stacktrace: Any) -> list[Frame]:
    """Return the frames of a stack trace, the innermost last; of more than 60 the first and the last."""
    listed = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    given = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if len(given) > FRAMES:
        given = [*given[: FRAMES // 3], *given[-FRAMES * 2 // 3 :]]
    return [_frame(one, last=number == len(given) - 1) for number, one in enumerate(given)]


def _trace_beside(event: dict[str, Any]) -> Any:
    """Return the trace that stands beside the exception: the event's own, or of the thread that crashed."""
    if isinstance(event.get("stacktrace"), dict):
        return event["stacktrace"]
    threads = event.get("threads")
    listed = threads.get("values") if isinstance(threads, dict) else threads
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for one in sorted(known, key=lambda one: (one.get("crashed") is not True, one.get("current") is not True)):
        return one.get("stacktrace")
    return None


def message_trace(event: dict[str, Any]) -> list[Frame]:
    """Return the frames that came with a message."""
    return frames_of(_trace_beside(event))


def _raised(one: dict[str, Any]) -> Raised:
    mechanism = one.get("mechanism")
    handled = mechanism.get("handled") if isinstance(mechanism, dict) else None
    said = one.get("value")
    message = redact.text(said, LONGEST_MESSAGE) if not isinstance(said, dict | list) else str(redact.value(said))
    kind = redact.text(one.get("type"), 200).strip()
    return Raised(
        type=kind or "Error", message=message, module=redact.text(one.get("module"), 200),
        handled=handled if isinstance(handled, bool) else None, frames=frames_of(one.get("stacktrace")),
    )


def _frame(one: dict[str, Any], *, last: bool) -> Frame:
    in_app = one.get("in_app")
    file = next((redact.text(one.get(name), LONGEST_LINE) for name in ("filename", "module", "package", "abs_path") if one.get(name)), "")
    number = one.get("lineno")
    held = one.get("vars")
    pairs = list(held.items())[:SHOWN_VARS] if isinstance(held, dict) and in_app is not False else []
    around: list[str] = []
    if last:
        around = [
            redact.text(line, LONGEST_LINE)
            for name, cut in (("pre_context", slice(-3, None)), ("context_line", slice(None)), ("post_context", slice(3)))
            for line in _lines(one.get(name))[cut]
        ]
    return Frame(
        file=file or "?", function=redact.text(one.get("function"), 200) or "?",
        line=number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31 else None,
        code=redact.text(one.get("context_line"), LONGEST_LINE).strip(), in_app=in_app is True,
        vars={redact.text(str(name), 80): redact.shape(str(name), value) for name, value in pairs}, around=around,
    )


def _lines(given: Any) -> list[str]:
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else [given] if isinstance(given, str) else []


def written(raised: list[Raised], loose: list[Frame]) -> str:
    """Return the whole as a trace is read: each cause, what it led to, the innermost call last. Libraries' frames are counted."""
    parts = []
    for number, one in enumerate(raised):
        if number:
            parts.append("\nThis led to:\n")
        parts += [*_calls(one.frames), one.title if "\n" not in one.message else f"{one.type}: {one.message}"]
    if not raised and loose:
        parts = _calls(loose)
    return "\n".join(parts)[:LONGEST_TRACE]


def _calls(frames: list[Frame]) -> list[str]:
    if not frames:
        return []
    said = any(one.in_app for one in frames)
    lines, passed = ["Traceback, the innermost call last:"], 0
    for one in frames:
        if said and not one.in_app and one is not frames[-1]:
            passed += 1
            continue
        if passed:
            lines.append(f"  … {passed} {'call' if passed == 1 else 'calls'} inside libraries")
            passed = 0
        line = "" if one.line is None else f" line {one.line},"
        lines.append(f'  File "{one.file}",{line} in {one.function}')
        if one.code:
            lines.append(f"    {one.code}")
    return lines
