"""Conditions of routing rules: CEL, checked when saved, evaluated without ever raising.

A condition sees fixed names only. What an `auto` rule may read is smaller: its environment declares nothing else, so the
compiler itself refuses a title or a model's opinion in a rule that lets the machine act alone, and names the column.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from cel_expr_python import cel

from escalations.errors import Invalid

MAX_CHARACTERS = 2048
MAX_DEPTH = 80  # deeper data than any parser lets in; what lies below is not shown to a condition

_STRING, _DYN, _BOOL = cel.Type.STRING, cel.Type.DYN, cel.Type.BOOL
_STRINGS = cel.Type.List(cel.Type.STRING)
_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)

# Every fixed name, its type, and what stands there when the caller left it out.
NAMES: dict[str, tuple[Any, Any]] = {
    "incident.kind": (_STRING, ""),
    "incident.title": (_STRING, ""),
    "incident.body": (_STRING, ""),
    "incident.severity": (_STRING, ""),
    "incident.fingerprint": (_STRING, ""),
    "incident.external_id": (_STRING, ""),
    "incident.environment": (_STRING, ""),
    "incident.on_behalf_of": (_STRING, ""),
    "incident.session": (_STRING, ""),
    "incident.test": (_BOOL, False),
    "incident.payload": (_DYN, {}),
    "incident.request": (_STRING, ""),
    "incident.why": (_STRING, ""),
    "proposal.action": (_STRING, ""),
    "proposal.args": (_MAP, {}),
    "proposal.draft.to": (_STRING, ""),
    "proposal.draft.subject": (_STRING, ""),
    "proposal.draft.body": (_STRING, ""),
    "proposal.description": (_STRING, ""),
    "proposal.confidence": (_DYN, 0.0),
    "proposal.reversible": (_DYN, None),  # true, false, or null when nobody said
    "proposal.impact": (_DYN, ""),
    "classification.severity": (_STRING, ""),
    "classification.category": (_STRING, ""),
    "classification.confidence": (_DYN, 0.0),
    "classification.triggers": (_STRINGS, []),
    "source.name": (_STRING, ""),
    "source.owner": (_STRING, ""),
    "source.demo": (_BOOL, False),
    "customer.id": (_STRING, ""),
    "customer.tier": (_STRING, ""),
    "customer.flags": (_STRINGS, []),
    "now": (cel.Type.TIMESTAMP, None),
}
AUTO_NAMES = frozenset(
    {"incident.kind", "proposal.action", "proposal.args", "source.name", "source.owner", "source.demo", "now"}
)

_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset(
    (
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "namespace", "null", "package", "return", "true", "var", "void", "while",
    )
)  # fmt: skip
_NO_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\(?([^')]*)\)?")
_MISSING_KEY = re.compile(r'Key not found in map : "?([^"]*)"?')
_OVERLOAD = re.compile(r"No matching overloads found : (\S+?)\((.*)\)")
_UNBOUND = re.compile(r'No value with name "([^"]*)"')
_BEYOND = re.compile(r"out of range for '([^'\[]*)")
_WORDS = {
    "string": "text", "int": "a whole number", "int64": "a whole number", "uint": "a whole number", "uint64": "a whole number",
    "double": "a number", "bool": "true/false",
    "null_type": "null", "list": "a list", "map": "an object", "timestamp": "a time", "duration": "a duration",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failed:
    """A condition that could not be answered. What that means depends on the rule (`auto`: no match; else: review)."""

    why: str

    def __bool__(self) -> bool:
        raise TypeError("neither true nor false: ask isinstance(result, Failed) first")


class Bound:
    """The facts of one incident, made ready once for many conditions. Not for sharing between threads."""

    __slots__ = ("_activations", "_data", "_facts")

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts
        self._data: dict[str, Any] | None = None
        self._activations: dict[Any, Any] = {}

    def activation(self, scope: "_Scope") -> Any:
        """Return what a condition of this scope may see. Converts the facts the first time it is asked."""
        found = self._activations.get(scope.key)
        if found is None:
            found = self._activations[scope.key] = scope.env.Activation(self._visible(scope))
        return found

    def _visible(self, scope: "_Scope") -> dict[str, Any]:
        if not scope.auto:
            if self._data is None:
                self._data = {name: _present(name, self._facts, strict=False) for name in NAMES}
            return self._data
        data = {name: _present(name, self._facts, strict=True) for name in AUTO_NAMES}
        granted = frozenset(value_at(self._facts, "source.authoritative_paths") or ())
        for path in scope.paths:
            name = _name_of(path)
            if not any(path == one or path.startswith(f"{one}.") for one in granted):
                continue  # not authoritative for this source: the name stays without a value, which is an error
            value = value_at(self._facts, name)
            if value is not None:
                data[name] = _plain(value, strict=True)
        return data


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a condition may read: everything, or the little that an `auto` rule may."""

    auto: bool
    paths: frozenset[str]
    env: Any

    @property
    def key(self) -> tuple[bool, frozenset[str]]:
        return (self.auto, self.paths)


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. Evaluating costs some microseconds on bound facts, some ten on plain ones."""

    text: str
    auto: bool
    _program: Any
    _scope: _Scope

    def evaluate(self, facts: Mapping[str, Any] | Bound) -> bool | Failed:
        """Return whether the condition holds, or Failed with a reason in words. Never raises, whatever the facts hold."""
        try:
            bound = facts if isinstance(facts, Bound) else Bound(facts)
            result = self._program.eval(bound.activation(self._scope))
            kind = result.type()
            if kind == cel.Type.BOOL:
                return bool(result.value())
            if kind == cel.Type.ERROR:
                return Failed(_explain(str(result.value()), self.text))
            return Failed(f"the answer is not true or false but {_WORDS.get(kind.name().lower(), kind.name().lower())}")
        except Exception as error:  # noqa: BLE001 - facts come from outside; whatever the evaluator makes of them fails closed
            return Failed(_explain(str(error), self.text))


def bind(facts: Mapping[str, Any]) -> Bound:
    """Prepare facts for many conditions: `bound = bind(facts)`, then `condition.evaluate(bound)` for each."""
    return Bound(facts)


def compile_condition(text: str, *, auto: bool, authoritative: Iterable[str] = frozenset()) -> Condition:
    """Compile a condition, 5 to 20 ms the first time, cached after. Raises Invalid, with the place in `extra["position"]`.

    `auto` narrows what may be read to AUTO_NAMES and the `authoritative` paths ("payload.order.total", "customer.tier").
    Which of those an incident's source may vouch for is asked again at evaluation (facts: `source.authoritative_paths`).
    """
    if len(text) > MAX_CHARACTERS:
        raise _invalid(f"A condition has at most {MAX_CHARACTERS} characters, this one has {len(text)}.", 1, MAX_CHARACTERS + 1)
    if not text.strip():
        raise _invalid("A condition is needed. Write true for always.", 1, 1)
    return _compiled(text, auto, frozenset(authoritative) if auto else frozenset())


@lru_cache(maxsize=4096)
def _compiled(text: str, auto: bool, paths: frozenset[str]) -> Condition:
    scope = _scope(auto, paths)
    try:
        program = scope.env.compile(text)
    except RuntimeError as error:
        raise _refusal(str(error), auto, paths) from None
    except (ValueError, TypeError, UnicodeError):
        raise _invalid("The condition holds characters that are not text.", 1, 1) from None
    kind = program.return_type()
    if kind not in (cel.Type.BOOL, cel.Type.DYN):
        is_a = _WORDS.get(kind.name().lower(), kind.name().lower())
        raise _invalid(f"A condition must be true or false; this one is {is_a}.", 1, 1)
    return Condition(text, auto, program, scope)


@lru_cache(maxsize=256)
def _scope(auto: bool, paths: frozenset[str]) -> _Scope:
    variables = {name: kind for name, (kind, _) in NAMES.items() if not auto or name in AUTO_NAMES}
    for path in paths:
        parts = path.split(".")
        if all(_IDENTIFIER.match(part) and part not in _RESERVED for part in parts) and len(parts) > 1:
            variables[_name_of(path)] = cel.Type.DYN
    return _Scope(auto, paths, cel.NewEnv(variables=variables))


def _name_of(path: str) -> str:
    """A source calls it payload.order.total; in a condition it is incident.payload.order.total."""
    return f"incident.{path}" if path.split(".", 1)[0] == "payload" else path


def value_at(facts: Any, name: str) -> Any:
    """Return what a dotted name stands for in these facts; None where nothing stands there."""
    for part in name.split("."):
        if not isinstance(facts, Mapping):
            return None
        facts = facts.get(part)
    return facts


def _present(name: str, facts: Mapping[str, Any], *, strict: bool) -> Any:
    value = value_at(facts, name)
    return NAMES[name][1] if value is None else _plain(value, strict=strict)


def _plain(value: Any, *, strict: bool, depth: int = 0) -> Any:
    """Return the value as the evaluator can take it. An integer beyond 64 bits is compared as a double; where `strict`, it

    stays what it is and the evaluator answers with an error, which is no match."""
    if depth > MAX_DEPTH:
        raise ValueError(f"the data is nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = str(value)
        return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int):
        inside = -(2**63) <= value < 2**64
        return int(value) if inside or strict else _as_double(value)
    if isinstance(value, float):
        return value
    if isinstance(value, Mapping):
        return {
            _plain(str(key), strict=strict): _plain(item, strict=strict, depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, strict=strict, depth=depth + 1) for item in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment if depth == 0 else moment.isoformat()  # inside data there are no moments, only texts
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | UUID):
        return str(value)
    raise ValueError(f"{type(value).__name__} is not something a condition can read")


def _as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _refusal(raw: str, auto: bool, paths: frozenset[str]) -> Invalid:
    """Turn the compiler's report into one sentence with a place."""
    found = _PLACE.search(raw)
    if not found:
        if "recursion" in raw.lower():
            return _invalid("The condition is nested too deeply.", 1, 1)
        return _invalid(raw.split("\n", 1)[0][:200], 1, 1)
    line, column, said = int(found[1]), int(found[2]), found[3].removesuffix("[INVALID_ARGUMENT]").strip()
    unknown = _UNDECLARED.search(said)
    if unknown:
        said = _about_unknown(unknown[1], auto, paths)
    elif "mismatched input '<EOF>'" in said:
        said = "The condition ends too early."
    elif said.startswith("Syntax error"):
        said = said.split(" expecting ", 1)[0]
    elif "found no matching overload for" in said:
        said = _about_types(said)
    return _invalid(said, line, column)


def _about_types(said: str) -> str:
    found = _NO_OVERLOAD.search(said)
    if not found:
        return said
    sign = found[1].replace("_", " ").strip()
    kinds = " and ".join(_WORDS.get(kind.strip(), kind.strip()) for kind in found[2].split(","))
    return f"'{sign}' cannot be used with {kinds}."


def _about_unknown(name: str, auto: bool, paths: frozenset[str]) -> str:
    known = any(name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.") for one in NAMES)
    if auto and known:
        more = ", ".join(sorted(_name_of(path) for path in paths))
        allowed = "source, incident.kind, proposal.action, proposal.args and now" + (f", and {more}" if more else "")
        return f"A rule that acts alone may not read {name}; it may read {allowed}."
    if known:
        return f"{name} is a group of names; name one of its members."
    return f"There is nothing called {name}."


def _invalid(message: str, line: int, column: int) -> Invalid:
    return Invalid(
        [{"pointer": "/condition", "code": "invalid_condition", "detail": f"{message} (line {line}, column {column})"}],
        detail=f"{message} (line {line}, column {column})",
        position={"line": line, "column": column, "message": message},
    )


def _explain(raw: str, text: str) -> str:
    """Return a short reason a reviewer can read for what the evaluator reported."""
    if found := _MISSING_KEY.search(raw):
        return f"{_path_to(found[1], text)} is missing"
    if found := _UNBOUND.search(raw):
        return f"{found[1]} is missing or not authoritative for this source"
    if found := _BEYOND.search(raw):
        return f"a number in {found[1]} does not fit 64 bits"
    if found := _OVERLOAD.search(raw):
        kinds = [_WORDS.get(kind.strip(), kind.strip()) for kind in found[2].split(",")]
        sign = found[1].replace("_", " ").strip()
        return f"{' and '.join(kinds)} cannot be used with {sign}" if len(kinds) > 1 else f"{kinds[0]} cannot be used with {sign}"
    if "budget exceeded" in raw:
        return "the condition takes too long on this incident"
    return (raw.split("\n", 1)[0][:160]) or "the condition could not be evaluated"


def _path_to(key: str, text: str) -> str:
    """Find how the condition spells the missing key, so that the reason says proposal.args.amount and not just amount."""
    spelled = re.search(rf"[A-Za-z_][\w.]*(?:\.{re.escape(key)}\b|\[[\"']{re.escape(key)}[\"']\])", text)
    return spelled[0] if spelled else key[:80]
