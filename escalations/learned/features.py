"""One incident as numbers: which features it has, hashed, with how often each. Only what was posted; nothing that came later.

A feature is a place below 2^22: three bits for its block (what sort of thing it is), nineteen for the hash of its name. Blocks are kept
apart so that a long tool result does not drown the one argument that matters: `model.weighted` evens them out.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escalations.floors.findings import contradictions, in_texts
from escalations.floors.provenance import PERSON, Origin, leaves, origins, parts_of

from .reading import Posted, Proposed
from .text import BITS, LONGEST, MASK, place, words

SPEC = 1  # rises when the same incident would give other features: a model speaks only of vectors of its own spec

Vector = NDArray[np.uint32]  # one a feature: its place below 2^22 in the low bits, how often it occurs in nine, whether it is a number

PLACES = 22  # bits of a place
BLOCKS = ("structure", "text", "request", "agent", "tools", "origins", "frames", "arguments")
STRUCTURE, TEXT, REQUEST, AGENT, TOOLS, ORIGINS, FRAMES, ARGUMENTS = range(len(BLOCKS))

_MOST_OFTEN = 511
_DIGIT = re.compile("[0-9]")
_NUMBER = 1 << 31  # of a feature that is a size, a date, a number of an order: it grows and changes, and says nothing of what is familiar
_MOST_LEAVES = 120  # values of a payload, or of args, that are read
_MOST_TEXTS = 40  # texts of one block that are read
_MOST_CHARACTERS = 16_000  # of one block
_MOST_FRAMES = 30
_SHORT = 40  # characters of a value that stands for itself
_READ_ALIKE = 2_000  # characters of one text in which origins and findings are looked for


def of(incident: Posted, proposal: Proposed | None = None) -> bytes:
    """Return the features of an incident as posted: sorted little-endian uint32 (`Vector`). Reads no row: rows will do, and
    `reading.read` for what has none.

    Never raises for what a stranger may post; below a millisecond for an ordinary incident.
    """
    found = _Found(names=None)
    found.all_of(incident, proposal)
    return found.packed()


def named(incident: Posted, proposal: Proposed | None = None) -> dict[int, str]:
    """Return the features of an incident as {place: its name in words}: for saying what a coefficient is about. Slower."""
    names: dict[int, str] = {}
    _Found(names=names).all_of(incident, proposal)
    return names


def unpacked(vector: bytes) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return (places, counts) of a vector. Raises ValueError for bytes that are none."""
    both = np.frombuffer(vector, dtype="<u4")
    return (both & ((1 << PLACES) - 1)).astype(np.int64), (both >> PLACES & _MOST_OFTEN).astype(np.float32)


def are_numbers(vector: bytes) -> NDArray[np.bool_]:
    """Say of each feature of a vector whether it is a number's: such features say nothing of what is familiar."""
    told: NDArray[np.bool_] = np.frombuffer(vector, dtype="<u4") >= _NUMBER
    return told


def place_of_kind(kind: str) -> int:
    """Return the place that says of a vector what kind of incident it is of."""
    return (STRUCTURE << BITS) + place(f"kind: {kind}")


def place_of_work(kind: str, action: str, source: str) -> int:
    """Return the place that, beside the kind's, says of a vector what work it is: the action's, or the source's where nothing is named."""
    name = f"action: {action[:200]}" if action else f"source and kind: {source} {kind}" if source else f"kind: {kind}"
    return (STRUCTURE << BITS) + place(name)


class _Found:
    """The features of one incident while they are gathered."""

    def __init__(self, names: dict[int, str] | None) -> None:
        self._places: list[int] = []
        self._numbers: list[int] = []  # those of the places that are a number's
        self._words: list[list[int]] = []  # hashed words of one text, pairs still to be made
        self._digits: list[list[bool]] = []  # which of them are numbers
        self._blocks: list[int] = []  # of each of these
        self._read = [0] * len(BLOCKS)
        self._names = names

    def all_of(self, incident: Posted, proposal: Proposed | None) -> None:
        context = incident.context if isinstance(incident.context, dict) else {}
        self._of_itself(incident, proposal)
        self._of_payload(incident.payload)
        self._of_context(context)
        content = None
        if proposal is not None:
            content = proposal.args if proposal.args not in (None, {}, []) else proposal.draft
            self._of_proposal(proposal)
        self._of_origins(content, context)
        self._of_findings(incident, proposal, context)

    def packed(self) -> bytes:
        parts, numbers = [np.asarray(self._places, dtype=np.int64)], [np.asarray(self._numbers, dtype=np.int64)]
        for block, hashed, digits in zip(self._blocks, self._words, self._digits, strict=True):
            one = np.asarray(hashed, dtype=np.int64)
            base = block << BITS
            parts.append(one + base)
            if len(one) > 1:
                parts.append(_pairs(one) + base)
            if any(digits):
                told = np.asarray(digits)
                numbers += [parts[-2][told], parts[-1][told[1:] | told[:-1]]] if len(one) > 1 else [parts[-1][told]]
        every, counts = np.unique(np.concatenate(parts), return_counts=True)
        vector = (every | (np.minimum(counts, _MOST_OFTEN) << PLACES)).astype("<u4")
        vector[np.searchsorted(every, np.concatenate(numbers))] |= np.uint32(_NUMBER)
        packed: bytes = vector.tobytes()
        return packed

    # -- what there is

    def _of_itself(self, incident: Posted, proposal: Proposed | None) -> None:
        kind, source = incident.kind, incident.source_id
        action = proposal.action[:200] if proposal is not None else ""
        self._is("kind", kind)
        self._is("source", source)
        self._is("source and kind", f"{source} {kind}")
        if action:
            self._is("action", action)
            self._is("source and action", f"{source} {action}")
            self._text(STRUCTURE, action)
        self._is("environment", incident.environment)
        self._is("claimed severity", incident.claimed_severity)
        self._is("on behalf of somebody", bool(incident.on_behalf_of))
        customer = incident.customer if isinstance(incident.customer, dict) else {}
        for name, value in _first(leaves(customer), 20):
            if name != "id":
                self._value(STRUCTURE, f"customer.{name}", value)
        self._text(TEXT, incident.title)
        self._text(TEXT, incident.body)

    def _of_payload(self, payload: Any) -> None:
        """A payload's short values stand for themselves by their name; its texts are read; frames of exceptions are apart."""
        if not isinstance(payload, dict):
            payload = {"value": payload}
        frames = 0
        for path, value in _first(leaves(payload), _MOST_LEAVES):
            name = _plain(path)
            if "frame" in name or "stack" in name or "trace" in name:
                frames += 1
                if frames <= _MOST_FRAMES and isinstance(value, str):
                    self._add(FRAMES, f"frame {value[:120]}", number=_DIGIT.search(value) is not None)
                    self._text(FRAMES, value)
                continue
            self._value(STRUCTURE, f"payload.{name}", value)
            if isinstance(value, str):
                self._text(TEXT, value)

    def _of_context(self, context: Mapping[str, Any]) -> None:
        attempts = context.get("attempts")
        calls = [one for one in attempts if isinstance(one, dict)] if isinstance(attempts, list) else []
        self._is("calls before", _bin(len(calls)))
        for number, part in enumerate(parts_of(context)):
            if number >= _MOST_TEXTS:
                break
            block = REQUEST if part.kind == PERSON else TOOLS
            self._text(block, part.text)
        for call in calls[:_MOST_TEXTS]:
            self._is("tool called", str(call.get("tool"))[:80])
        if calls:
            self._is("last tool called", str(calls[-1].get("tool"))[:80])
            self._is("last call failed", bool(calls[-1].get("error")))
        why = context.get("why")
        if isinstance(why, str):
            self._text(AGENT, why)

    def _of_proposal(self, proposal: Proposed) -> None:
        claims = proposal.claims if isinstance(proposal.claims, dict) else {}
        confidence = claims.get("confidence")
        if isinstance(confidence, int | float) and not isinstance(confidence, bool):
            self._is("its own confidence", round(min(max(confidence, 0.0), 1.0), 1) if confidence == confidence else "none")
        self._is("claims it is reversible", claims.get("reversible"))
        self._is("claims its impact", str(claims.get("impact") or "")[:_SHORT])
        self._text(AGENT, proposal.description)
        for name, args in (("arg", proposal.args), ("draft", proposal.draft)):
            for path, value in _first(leaves(args), _MOST_LEAVES) if args not in (None, {}, []) else ():
                plain = _plain(path)
                self._add(STRUCTURE, f"has {name} {plain}")
                self._value(ARGUMENTS, f"{name} {plain}", value)
                if proposal.action:
                    self._value(ARGUMENTS, f"{proposal.action[:80]} {name} {plain}", value)
                if isinstance(value, str):
                    self._text(ARGUMENTS, value)

    def _of_origins(self, content: Any, context: Mapping[str, Any]) -> None:
        """Say of each value where it came from: the customer, a tool, nowhere; what is marked, and what spoke beside it."""
        if content in (None, {}, []):
            return
        parts = [one if len(one.text) <= _READ_ALIKE else one._replace(text=one.text[:_READ_ALIKE]) for one in parts_of(context)]
        for one in origins(content, parts[:_MOST_TEXTS]):
            self._origin(one, _plain(one.path))

    def _origin(self, one: Origin, name: str) -> None:
        self._add(ORIGINS, f"{name} comes from {one.kind}")
        self._add(ORIGINS, f"a {one.target or 'value'} comes from {one.kind}")
        if one.mark:
            self._add(ORIGINS, f"{name} is marked {one.mark}")
            self._add(ORIGINS, f"a {one.target or 'value'} is marked {one.mark}")
            self._add(ORIGINS, f"something is marked {one.mark}")
        if one.beside:
            self._add(ORIGINS, "what brought a marked value speaks to the machine")
        if one.echoed:
            self._add(ORIGINS, "the agent had said it before a tool did")
        for piece in one.pieces[:10]:
            self._add(ORIGINS, f"a {piece.target or 'value'} inside comes from {piece.kind} {piece.mark}")

    def _of_findings(self, incident: Posted, proposal: Proposed | None, context: Mapping[str, Any]) -> None:
        read = [("title", incident.title), ("body", incident.body)]
        read += [(one.kind, one.text) for one in parts_of(context)[:_MOST_TEXTS]]
        args: dict[str, Any] = {}
        if proposal is not None:
            args = proposal.args if isinstance(proposal.args, dict) else {}
            read += [("proposal", text) for _, text in _first(leaves([proposal.args, proposal.draft]), _MOST_LEAVES) if isinstance(text, str)]
        for finding in in_texts((where, text[:_READ_ALIKE]) for where, text in read):
            self._add(ORIGINS, f"finding {finding.trigger} in {finding.where}")
            self._add(ORIGINS, f"finding {finding.trigger}: {finding.why.partition('“')[0][:80]}")
        why = context.get("why")
        if args and isinstance(why, str) and contradictions(why[:_READ_ALIKE], args):
            self._add(ORIGINS, "its words contradict its arguments")

    # -- how it is written down

    def _add(self, block: int, name: str, number: bool = False) -> None:
        at = (block << BITS) + place(name)
        self._places.append(at)
        if number:
            self._numbers.append(at)
        if self._names is not None:
            self._names[at] = name

    def _is(self, name: str, value: Any) -> None:
        if value not in (None, ""):
            self._add(STRUCTURE, f"{name}: {value}")

    def _value(self, block: int, name: str, value: Any) -> None:
        """A number by its size, a short text by itself, a long one by its length."""
        if isinstance(value, bool) or value is None:
            self._add(block, f"{name} is {value}")
        elif isinstance(value, int | float):
            self._add(block, f"{name} is about {_bin(value)}", number=True)
        elif isinstance(value, str):
            if len(value) <= _SHORT:
                self._add(block, f"{name} is {value.lower()}", number=_DIGIT.search(value) is not None)
            self._add(block, f"{name} has {_bin(len(value))} characters", number=True)
        else:
            self._add(block, f"{name} is empty")

    def _text(self, block: int, text: str) -> None:
        if not text or self._read[block] >= _MOST_CHARACTERS:
            return
        self._read[block] += min(len(text), LONGEST)
        said = words(text)
        if not said:
            return
        hashed = [place(word) for word in said]
        self._words.append(hashed)
        self._blocks.append(block)
        self._digits.append([word[0] in "0123456789#" for word in said])
        if self._names is not None:
            base, where = block << BITS, BLOCKS[block]
            self._names.update((base + at, f"{where}: {word}") for at, word in zip(hashed, said, strict=True))
            for at, one, two in zip(_pairs(np.asarray(hashed, dtype=np.int64)), said, said[1:], strict=False):
                self._names[base + int(at)] = f"{where}: {one} {two}"


def _pairs(hashed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each two words that stand side by side, from theirs."""
    joined: NDArray[np.int64] = ((hashed[:-1] * 0x2C1B3C6D + hashed[1:] * 0x297A2D39 + 0x5BD1E995) >> 7) & MASK
    return joined


def _bin(number: float) -> str:
    """Return the size of a number in steps of about a half: 0, 1, 1.5, 2, 3 … with its sign."""
    if number != number or number in (math.inf, -math.inf):
        return "no number"
    if number == 0:
        return "0"
    try:
        step = round(2 * math.log2(abs(number)))
    except OverflowError:
        step = 2_000
    return f"{'-' if number < 0 else ''}2^{min(max(step, -40), 140) / 2:g}"


def _plain(path: str) -> str:
    """Return a path without the numbers of list places: the third of a list is no other feature than the second."""
    if "[" not in path:
        return path[:120]
    return "".join(piece.partition("]")[2] if at else piece for at, piece in enumerate(path.split("[")))[:120]


def _first(pairs: Iterator[tuple[str, Any]], most: int) -> Iterator[tuple[str, Any]]:
    for _, pair in zip(range(most), pairs, strict=False):
        yield pair
