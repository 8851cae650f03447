"""The args of an action as a form: from their JSON Schema where they brought one, else from what the values are.

What is not touched is kept as the very value it was, so nothing changes its type, its exactness or its line ends by passing through.
What is typed is read as strictly as the raw text is. Whether the whole fits the schema is the record's to say, when it is signed.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from escalations.canonical import Literal, canonical_bytes, check_signable, escape
from escalations.floors import text as eye

from . import values, worddiff

PREFIX = "arg:"  # a field posts under this and the JSON pointer of its value
MOST = 60  # fields of a form; what is beyond stays as it is
DEEPEST = 4  # levels of objects and lists that become fields
LONG = 60  # characters from which a text gets several lines
LONGEST_LIST = 100  # entries of a list that are edited line by line
CHOICES = 100
LONGEST_KEY = 100

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
SCALARS = (str, int, float, bool)
Keys = tuple[str | int, ...]


class Missing:
    """A name that the args do not have."""

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


@dataclass
class Choice:
    posts: str  # the value's canonical JSON
    label: str
    value: Any


@dataclass
class Field:
    """One value as the form shows it. `kind`: text, lines, number, integer, choice, list, date; or kept, which is only shown."""

    keys: Keys
    kind: str
    value: Any
    schema: Mapping[str, Any]
    required: bool
    id: str = ""
    proposed: str = ""  # the text that stands for `value`
    typed: str = ""
    choices: list[Choice] = field(default_factory=list)
    problem: str = ""

    @property
    def pointer(self) -> str:
        return "".join(f"/{escape(str(key))}" for key in self.keys)

    @property
    def name(self) -> str:
        return PREFIX + self.pointer

    @property
    def path(self) -> str:
        """Return the path as the table of args says it: lines[0].amount."""
        said = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)
        return said.removeprefix(".")

    @property
    def absent(self) -> bool:
        return self.value is MISSING

    @property
    def changed(self) -> bool:
        return self.kind != "kept" and unbroken(self.typed) != unbroken(self.proposed)

    @property
    def unbroken(self) -> str:
        return unbroken(self.proposed)

    @property
    def pieces(self) -> list[worddiff.Piece]:
        return worddiff.diff(self.unbroken, unbroken(self.typed)) if self.changed else []

    @property
    def help(self) -> str:
        """Return what the source's schema says of the value: its words, not ours."""
        return said if isinstance(said := self.schema.get("description"), str) else ""

    @property
    def hint(self) -> str:
        """Return type and limits in our words."""
        words = ["needed"] if self.required and self.absent else []
        words += [KINDS[self.kind]] if self.kind in KINDS else []
        schema = self.schema.get("items", {}) if self.kind == "list" else self.schema
        for name, said in LIMITS.items():
            limit = schema.get(name) if isinstance(schema, dict) else None
            if isinstance(limit, (int, float)) and not isinstance(limit, bool):
                words.append(said.format(values.plain(limit)))
        pattern = self.schema.get("pattern")
        return ", ".join(words + ([f"matches {pattern}"] if isinstance(pattern, str) else []))

    @property
    def rows(self) -> int:
        lines = sum(1 + len(line) // 40 for line in self.typed.split("\n"))
        return max(2, min(12, lines + (self.kind == "list")))


KINDS = {"number": "a number", "integer": "a whole number", "list": "one on each line", "date": "a date"}
LIMITS = {
    "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}", "exclusiveMaximum": "less than {}",
    "multipleOf": "in steps of {}", "minLength": "at least {} characters", "maxLength": "at most {} characters",
}  # fmt: skip


class ArgsForm:
    """The form for one object of args. `fields` in the order of the args; `more` values have no field and stay as they are."""

    def __init__(self, args: Any, schema: Any, data: Mapping[str, Any] | None = None) -> None:
        self.args = args
        self.more = 0
        self.fields: list[Field] = []
        known = schema if isinstance(schema, dict) else {}
        for one in self._walk((), args if isinstance(args, dict) else {}, known, True):
            if len(self.fields) >= MOST:
                self.more += not one.absent
                continue
            one.id = f"arg-{len(self.fields)}"
            posted = data.get(one.name) if data is not None else None
            one.typed = one.proposed if posted is None else str(posted)
            self.fields.append(one)

    @property
    def usable(self) -> bool:
        """Say whether there is anything to fill in."""
        return any(one.kind != "kept" for one in self.fields)

    @property
    def present(self) -> list[Field]:
        return [one for one in self.fields if not one.absent or one.required]

    @property
    def left_out(self) -> list[Field]:
        return [one for one in self.fields if one.absent and not one.required]

    @property
    def left_out_open(self) -> bool:
        return any(one.changed or one.problem for one in self.left_out)

    @property
    def touched(self) -> list[Field]:
        return [one for one in self.fields if one.changed]

    def at(self, pointer: str) -> Field | None:
        """Return the field of a value, or of what stands above it."""
        found = [one for one in self.fields if pointer == one.pointer or pointer.startswith(f"{one.pointer}/")]
        return max(found, key=lambda one: len(one.keys), default=None)

    def read(self) -> Any:
        """Return the args as typed; what cannot be read is said in the `problem` of its field, and stays as it was."""
        if not self.touched:
            return self.args
        args = copy.deepcopy(self.args) if isinstance(self.args, dict) else {}
        for one in self.touched:
            try:
                value = _parsed(one)
            except ValueError as error:
                one.problem = str(error)
                continue
            if problems := check_signable(value, "") if value is not MISSING else []:
                one.problem = f"{problems[0]['detail'][:1].upper()}{problems[0]['detail'][1:]}."
                continue
            _put(args, one.keys, value)
        return args

    def _walk(self, keys: Keys, value: dict[str, Any], schema: Mapping[str, Any], present: bool) -> Iterator[Field]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        required = set(required) if isinstance(required, list) else set()
        names = [*value, *sorted(required & set(properties) - set(value)), *(name for name in properties if name not in value)]
        for name in dict.fromkeys(names):
            below = properties.get(name)
            # What the schema does not know of cannot be left out by emptying it: only the raw text takes names away.
            needed = (name in required and present) or (name in value and name not in properties)
            yield from self._one((*keys, name), value.get(name, MISSING), below if isinstance(below, dict) else {}, needed)

    def _one(self, keys: Keys, value: Any, schema: Mapping[str, Any], required: bool) -> Iterator[Field]:
        deep = len(keys) >= DEEPEST
        if isinstance(value, dict) and value and not deep:
            yield from self._walk(keys, value, schema, True)
        elif isinstance(value, (dict, Missing)) and not deep and "object" in types(schema) and isinstance(schema.get("properties"), dict):
            yield from self._walk(keys, {}, schema, value is not MISSING)
        elif isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value) and not deep:
            items = schema.get("items")
            for index, one in enumerate(value):
                yield from self._one((*keys, index), one, items if isinstance(items, dict) else {}, True)
        else:
            made = _field(keys, value, schema, required)
            if made.kind != "kept" or not made.absent:
                yield made


def types(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types a schema names, without null."""
    said = schema.get("type")
    return [one for one in (said if isinstance(said, list) else [said]) if isinstance(one, str) and one != "null"]


def inferred(value: Any) -> str:
    """Return the kind of field for a value nothing else is known of; kept where typing could not keep its type."""
    if isinstance(value, bool):
        return "choice"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list) and value:
        kinds = {inferred(one) for one in value}
        return "list" if kinds in ({"text"}, {"number"}) else "kept"
    return "kept"


def _kind(value: Any, schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return "kept"
    options = schema.get("enum")
    if isinstance(options, list) and 0 < len(options) <= CHOICES and all(one is None or isinstance(one, SCALARS) for one in options):
        return "choice" if value is MISSING or value is None or isinstance(value, SCALARS) else "kept"
    named = types(schema)
    if len(named) != 1 or not (value is MISSING or value is None or isinstance(value, SCALARS) or named == ["array"]):
        return inferred(value)
    if named == ["array"]:
        items = schema.get("items")
        of = types(items) if isinstance(items, dict) else []
        plain = of in (["string"], ["number"], ["integer"]) and (value is MISSING or isinstance(value, list))
        return "list" if plain else inferred(value)
    if named == ["string"]:
        return "date" if schema.get("format") == "date" and (value is MISSING or is_date(value)) else "text"
    return {"number": "number", "integer": "integer", "boolean": "choice"}.get(named[0], "kept")


def _field(keys: Keys, value: Any, schema: Mapping[str, Any], required: bool) -> Field:
    kind = _kind(value, schema)
    one = Field(keys, kind, value, schema, required)
    if kind == "list":
        listed = value if isinstance(value, list) else []
        one.proposed = "\n".join(values.plain(each) for each in listed)
        broken = [each for each in listed if isinstance(each, str) and (not each.strip() or "\n" in unbroken(each))]
        if broken or len(listed) > LONGEST_LIST or any(isinstance(each, (bool, dict, list, type(None))) for each in listed):
            one.kind = "kept"
    elif kind == "choice":
        options = schema.get("enum")
        one.choices = [_choice(each) for each in (options if isinstance(options, list) else [True, False])]
        if value is not MISSING:
            one.proposed = _choice(value).posts
            if one.proposed not in {each.posts for each in one.choices}:
                one.choices.insert(0, _choice(value))
    elif value is not MISSING and value is not None:
        one.proposed = values.plain(value)
    if kind == "text" and (len(one.proposed) > LONG or "\n" in unbroken(one.proposed)):
        one.kind = "lines"
    if one.kind != "choice" and eye.has_hidden(one.proposed):
        one.kind = "kept"  # nobody edits what they cannot see; in the raw text it is written out
    if any(isinstance(key, str) and (len(key) > LONGEST_KEY or eye.has_hidden(key)) for key in keys):
        one.kind = "kept"
    return one


def _choice(value: Any) -> Choice:
    label = "".join(piece for _, piece in eye.tokens(values.plain(value)))
    return Choice(canonical_bytes(value).decode(), label[:200], value)


def _parsed(one: Field) -> Any:
    """Return the value that was typed, MISSING for one that is left out. Raises ValueError in words for the person."""
    typed = unbroken(one.typed)
    if one.kind == "choice":
        if not typed and not one.required:
            return MISSING
        found = [each.value for each in one.choices if each.posts == typed]
        if not found:
            raise ValueError("Choose one of these.")
        return found[0]
    if one.kind == "list":
        return _lines(one, typed)
    if one.kind in ("text", "lines"):
        return MISSING if one.absent and not typed else with_line_ends_of(one.proposed, typed)
    if not typed.strip():
        if one.value is not MISSING and one.required:
            raise ValueError("This cannot be left empty.")
        return None if nullable(one.schema) and not one.absent else MISSING
    if one.kind == "date":
        if not is_date(typed.strip()):
            raise ValueError("This is no date: write it as 2026-11-20.")
        return typed.strip()
    return number(typed, whole=one.kind == "integer")


def _lines(one: Field, typed: str) -> Any:
    lines = [line for line in typed.split("\n") if line.strip()]
    if not lines and one.absent:
        return MISSING
    items = one.schema.get("items")
    of = types(items) if isinstance(items, dict) else []
    numbers = of[0] in ("number", "integer") if len(of) == 1 else inferred(one.value and one.value[0]) == "number"
    try:
        found = [number(line, whole=of == ["integer"]) if numbers else line for line in lines]
    except ValueError as error:
        raise ValueError(f"Each line is one entry. {error}") from error
    options = items.get("enum") if isinstance(items, dict) else None
    if isinstance(options, list) and (other := [each for each in found if each not in options]):
        raise ValueError(f"{values.plain(other[0])} is none of {', '.join(values.plain(each) for each in options)}.")
    return found


def number(typed: str, *, whole: bool = False) -> int | float:
    """Return the number exactly as written. Raises ValueError for what two readers could read as two numbers."""
    written = typed.strip()
    if not NUMBER.match(written):
        raise ValueError(f"{written[:40]} is no number: write digits, with a point before decimals and nothing between thousands.")
    found: int | float = json.loads(written, parse_float=Literal) if len(written) < 400 else float("inf")
    if whole and not isinstance(found, int) and not found.is_integer():
        raise ValueError(f"{written[:40]} is no whole number.")
    return found


def nullable(schema: Mapping[str, Any]) -> bool:
    said = schema.get("type")
    return isinstance(said, list) and "null" in said


def is_date(value: Any) -> bool:
    if not isinstance(value, str) or not DATE.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def unbroken(text: str) -> str:
    """Return text with its line ends as a browser's field has them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def with_line_ends_of(before: str, typed: str) -> str:
    """Return what was typed with the line ends of what was proposed: a browser's field knows only one kind."""
    bare = before.replace("\r\n", "")
    return typed.replace("\n", "\r\n") if "\r\n" in before and "\n" not in bare and "\r" not in bare else typed


def _put(args: dict[str, Any], keys: Keys, value: Any) -> None:
    """Set or leave out one value; objects above it are made when something is put into them."""
    *above, last = keys
    at: Any = args
    for key in above:
        if isinstance(key, str) and key not in at:
            if value is MISSING:
                return
            at[key] = {}
        at = at[key]
    if value is not MISSING:
        at[last] = value
    elif isinstance(last, str):
        at.pop(last, None)
