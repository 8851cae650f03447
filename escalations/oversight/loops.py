"""Whether an agent goes round in circles, from a few marks of each of its last steps. Pure: nothing is read, nothing is kept.

A mark is a text of fixed form, "tool call result error new": digests of the tool, of the tool with its args, of what came back, of
the error without its numbers ("-" for none), and whether call or result was seen before among the last KEPT steps.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

KEPT = 40  # steps that are remembered
REPEATS = 5  # of the same call in a row, unless the run says otherwise; never more than KEPT
LONGEST_CYCLE = 6  # steps
TURNS = 3  # of a cycle
SAME_ERRORS = 3
STALL = 20  # steps without a new call or a new result

_CHANGING = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}|\d+")


@dataclass(frozen=True, slots=True)
class Loop:
    """What was found: `name` is loop, cycle, same_error or no_progress; `why` is a sentence for people."""

    name: str
    why: str


def remember(recent: Sequence[str], step: Mapping[str, Any]) -> list[str]:
    """Return the marks with this step's added, the oldest forgotten. `step` has tool, args, result, error."""
    tool, call = _digest(step["tool"]), _digest([step["tool"], step.get("args")])
    error = _CHANGING.sub("#", str(step.get("error") or ""))[:2_000]
    result = _digest([step["tool"], step.get("result"), error])
    known = [mark.split(" ") for mark in recent]
    new = all(call != one[1] for one in known) or all(result != one[2] for one in known)
    mark = f"{tool} {call} {result} {_digest(error) if error else '-'} {int(new)}"
    return [*recent[-(KEPT - 1) :], mark]


def found(recent: Sequence[str], tool: str, repeats: int = REPEATS) -> Loop | None:
    """Return what the marks up to now say of the last step, one of `tool`; None as a rule."""
    marks = [mark.split(" ") for mark in recent]
    calls = [mark[1] for mark in marks]
    if len(calls) >= repeats and len(set(calls[-repeats:])) == 1:
        return Loop("loop", f"{tool} was called {repeats} times in a row with the same args.")
    for length in range(2, LONGEST_CYCLE + 1):
        if _turns(calls, length):
            return Loop("cycle", f"The same {length} steps were taken {TURNS} times in a row, the last of them {tool}.")
    errors = [mark[3] for mark in marks if mark[0] == marks[-1][0]][-SAME_ERRORS:]
    if len(errors) == SAME_ERRORS and errors[0] != "-" and len(set(errors)) == 1:
        return Loop("same_error", f"{tool} failed {SAME_ERRORS} times in a row with the same error.")
    if len(marks) >= STALL and all(mark[4] == "0" for mark in marks[-STALL:]):
        return Loop("no_progress", f"{STALL} steps in a row called nothing new and brought nothing new.")
    return None


def _turns(calls: Sequence[str], length: int) -> bool:
    if len(calls) < length * TURNS:
        return False
    last = calls[-length:]
    if len(set(last)) == 1:
        return False  # one call again and again has a limit of its own
    return all(calls[len(calls) - length * (turn + 1) : len(calls) - length * turn] == last for turn in range(1, TURNS))


def _digest(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
