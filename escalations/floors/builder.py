"""A condition as rows of field, operator and value, and back: what whoever writes no expressions edits is the same text.

`condition_of` writes what `rows_of` reads. A condition that is freer than rows can show is None, and stays the text it is.
Nothing here decides whether a condition may be saved: the compiler does, whoever wrote it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from .cel import MAX_CHARACTERS, NAMES

MOST_ROWS = 30
ALL, ANY = "all", "any"

# operator -> (how it reads, how it is written). {f} is the field, {v} the value.
OPERATORS: dict[str, tuple[str, str]] = {
    "is": ("is", "{f} == {v}"),
    "is_not": ("is not", "{f} != {v}"),
    "over": ("is more than", "{f} > {v}"),
    "least": ("is at least", "{f} >= {v}"),
    "below": ("is less than", "{f} < {v}"),
    "most": ("is at most", "{f} <= {v}"),
    "one_of": ("is one of", "{f} in [{v}]"),
    "none_of": ("is none of", "!({f} in [{v}])"),
    "contains": ("contains", "{f}.contains({v})"),
    "lacks": ("does not contain", "!{f}.contains({v})"),
    "begins": ("begins with", "{f}.startsWith({v})"),
    "ends": ("ends with", "{f}.endsWith({v})"),
    "matches": ("matches the pattern", "{f}.matches({v})"),
    "includes": ("has among its entries", "{v} in {f}"),
    "excludes": ("has not among its entries", "!({v} in {f})"),
    "present": ("was sent", "has({f})"),
    "absent": ("was not sent", "!has({f})"),
}
WITHOUT_VALUE = frozenset({"present", "absent"})
SEVERAL = frozenset({"one_of", "none_of"})
OF_TEXT = {"contains": "contains", "startsWith": "begins", "endsWith": "ends", "matches": "matches"}
COMPARING = {"==": "is", "!=": "is_not", ">": "over", ">=": "least", "<": "below", "<=": "most"}
_ASKED_OF_TEXT = frozenset({*OF_TEXT.values(), "lacks"})
OPPOSITE = {"one_of": "none_of", "contains": "lacks", "includes": "excludes", "present": "absent"}

_FIELD = r"""[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\["(?:[^"\\\n]|\\.)*"\]|\[\d{1,6}\])*"""
_NUMBER = r"-?\d+(?:\.\d+)?"
_TOKENS = re.compile(
    rf"""\s+|(?P<text>[rR]?"(?!"")(?:[^"\\\n]|\\.)*"|[rR]?'(?!'')(?:[^'\\\n]|\\.)*')|(?P<number>{_NUMBER}(?![\w.]))|(?P<field>{_FIELD})"""
    r"""|(?P<sign>&&|\|\||==|!=|>=|<=|[<>!()\[\],])"""
)
_FIELD_ONLY = re.compile(_FIELD)
_NUMBER_ONLY = re.compile(_NUMBER)
_WORDS = frozenset({"true", "false", "null"})
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", '"': '"', "'": "'", "/": None}
_SPLIT = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a field's name, an operator's code, and the value as somebody types it."""

    field: str
    operator: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """A condition in rows. It begins with the kind and the action, so that a missing key is no error for other incidents."""

    kind: str = ""
    action: str = ""
    join: str = ALL
    rows: tuple[Row, ...] = ()

    @property
    def shortage(self) -> str:
        """Return what is missing before these rows make a sound condition, in words; "" when nothing is."""
        if not (self.kind or self.action or self.rows):
            return "Choose a kind, or add a row."
        names = [row.field for row in self.rows]
        knows_kind = bool(self.kind) or "incident.kind" in names
        knows_action = bool(self.action) or "proposal.action" in names
        if any(name.startswith("proposal.args") for name in names) and not (knows_kind and knows_action):
            return "Args differ from action to action: choose the kind and name the action first."
        if any(name.startswith("incident.payload") for name in names) and not knows_kind:
            return "What a payload holds differs from kind to kind: choose the kind first."
        return ""


class _TooFree(Exception):
    """Not to be said in rows."""


# -- writing


def condition_of(rows: Rows) -> str:
    """Return the rows as a condition; rows without a field are left out. "" when nothing is said."""
    terms = [_written(row) for row in rows.rows[:MOST_ROWS] if row.field.strip()]
    guards = [f"{name} == {_quoted(value)}" for name, value in (("incident.kind", rows.kind), ("proposal.action", rows.action)) if value]
    if rows.join == ANY and len(terms) > 1:
        terms = [f"({' || '.join(terms)})"]
    parts = guards + terms
    line = " && ".join(parts)
    return line if len(line) <= 100 else " &&\n".join(parts)


def _written(row: Row) -> str:
    """One row as an expression. What is typed as a field stands there as it is: a wrong one is the compiler's to name."""
    field, operator = row.field.strip(), row.operator if row.operator in OPERATORS else "is"
    if operator in SEVERAL:
        value = ", ".join(_literal(one, field, operator) for one in _listed(row.value))
    else:
        value = "" if operator in WITHOUT_VALUE else _literal(row.value.strip(), field, operator)
    return OPERATORS[operator][1].format(f=field, v=value)


def _literal(typed: str, field: str, operator: str) -> str:
    """Write a typed value: text for what is text; elsewhere a number, true, false and null are what they look like."""
    if len(typed) > 1 and typed.startswith('"') and typed.endswith('"'):
        try:
            return _quoted(str(json.loads(typed, strict=False)))
        except ValueError:
            pass
    return typed if _is_no_text(typed, field, operator) else _quoted(typed)


def _quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def _listed(typed: str) -> list[str]:
    """Split at commas outside quotes; empty entries are none."""
    found = (one.group(1).strip() for one in _SPLIT.finditer(typed) if one.group(0))
    return [one for one in found if one]


def _type_of(field: str) -> str:
    """Return text, bool, list or any."""
    if field not in NAMES:
        return "any"
    kind = NAMES[field][0]
    if kind == cel.Type.STRING:
        return "text"
    return "bool" if kind == cel.Type.BOOL else "list" if NAMES[field][1] == [] else "any"


def _is_no_text(typed: str, field: str, operator: str) -> bool:
    """Whether what is typed is a number, true, false or null: never for a field of text, nor for what is asked of text."""
    if operator in _ASKED_OF_TEXT:
        return False
    kind = _type_of(field)
    if kind == "any":
        return typed in _WORDS or bool(_NUMBER_ONLY.fullmatch(typed))
    return kind == "bool" and typed in ("true", "false")


# -- reading


def rows_of(condition: str) -> Rows | None:
    """Return a condition as rows, or None when it is freer than they can show. Never raises; linear in the text."""
    if len(condition) > MAX_CHARACTERS:
        return None
    if not condition.strip():
        return Rows()
    try:
        every, any_of = _terms(list(_tokens(condition)))
        rows = [_row(term) for term in every]
        choices = [_row(term) for term in any_of]
    except _TooFree:
        return None
    kind = action = ""
    if rows and rows[0].field == "incident.kind" and rows[0].operator == "is" and not _odd(rows[0].value):
        kind = rows.pop(0).value
    if rows and rows[0].field == "proposal.action" and rows[0].operator == "is" and not _odd(rows[0].value):
        action = rows.pop(0).value
    if choices and rows:
        return None  # "all of these, and any of those": rows have one join
    rows += choices
    return Rows(kind, action, ANY if choices else ALL, tuple(rows)) if len(rows) <= MOST_ROWS else None


Token = tuple[str, str]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKENS.match(text, at)
        if not found or found.end() == at:
            raise _TooFree
        at = found.end()
        if found.lastgroup:
            yield found.lastgroup, found.group()


def _terms(tokens: list[Token]) -> tuple[list[list[Token]], list[list[Token]]]:
    """Return the terms that must all hold, and those of one group of which any must; one group at most, and it stands last."""
    tokens = _bare(tokens)
    alternatives = _split(tokens, "||")
    if len(alternatives) > 1:
        return [], [one for part in alternatives for one in _alternatives(part)]
    every: list[list[Token]] = []
    any_of: list[list[Token]] = []
    for part in _split(tokens, "&&"):
        bare = _bare(part)
        if any_of:
            raise _TooFree
        if len(bare) < len(part) and (len(_split(bare, "||")) > 1 or len(_split(bare, "&&")) > 1):
            inner, any_of = _terms(bare)
            every += inner
        else:
            every.append(bare)
    return every, any_of


def _alternatives(tokens: list[Token]) -> list[list[Token]]:
    bare = _bare(tokens)
    if len(_split(bare, "&&")) > 1:
        raise _TooFree
    parts = _split(bare, "||")
    return [bare] if len(parts) == 1 else [one for part in parts for one in _alternatives(part)]


def _split(tokens: list[Token], sign: str) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token[0] == "sign":
            depth += (token[1] in ("(", "[")) - (token[1] in (")", "]"))
            if token[1] == sign and depth == 0:
                parts.append([])
                continue
        parts[-1].append(token)
    return parts


def _bare(tokens: list[Token]) -> list[Token]:
    """Take off the brackets around the whole."""
    while len(tokens) > 2 and tokens[0][1] == "(" and tokens[-1][1] == ")" and _closes_last(tokens):
        tokens = tokens[1:-1]
    return tokens


def _closes_last(tokens: list[Token]) -> bool:
    depth = 0
    for number, (kind, said) in enumerate(tokens):
        if kind == "sign":
            depth += (said in ("(", "[")) - (said in (")", "]"))
        if depth == 0:
            return number == len(tokens) - 1
    return False


def _row(tokens: list[Token]) -> Row:
    """Read one term."""
    kinds = [kind if kind != "sign" else said for kind, said in tokens]
    said = [one for _, one in tokens]
    if kinds[:1] == ["!"] and kinds[1:2] != ["!"]:
        row = _row(_bare(tokens[1:]))
        if row.operator in OPPOSITE:
            return Row(row.field, OPPOSITE[row.operator], row.value)
        return Row(row.field, "is", "false") if row.operator == "is" and row.value == "true" and len(tokens) == 2 else _refuse()
    match kinds:
        case ["field"] if _type_of(said[0]) == "bool":
            return Row(said[0], "is", "true")
        case ["field", sign, "text" | "number" | "field"] if sign in COMPARING:
            return Row(_name(said[0]), COMPARING[sign], _shown(tokens[2], said[0], COMPARING[sign]))
        case ["text" | "number" | "field", "field", "field"] if said[1] == "in":
            return Row(_name(said[2]), "includes", _shown(tokens[0], said[2], "includes"))
        case ["field", "field", "[", *_, "]"] if said[1] == "in" and said[0] not in _WORDS:
            return Row(_name(said[0]), "one_of", ", ".join(_entries(tokens[3:-1], said[0])))
        case ["field", "(", "field", ")"] if said[0] == "has":
            return Row(_name(said[2]), "present")
        case ["field", "(", "text", ")"]:
            field, _, method = said[0].rpartition(".")
            if field and method in OF_TEXT and _FIELD_ONLY.fullmatch(field):
                return Row(_name(field), OF_TEXT[method], _shown(tokens[2], field, OF_TEXT[method]))
    return _refuse()


def _name(field: str) -> str:
    return field if field not in _WORDS and field not in ("in", "has") else _refuse()


def _entries(tokens: Sequence[Token], field: str) -> list[str]:
    if not tokens:
        return []
    if len(tokens) % 2 == 0 or any(said != "," for _, said in tokens[1::2]) or any(one[0] == "sign" for one in tokens[::2]):
        _refuse()
    return [_shown(one, field, "one_of") for one in tokens[::2]]


def _shown(token: Token, field: str, operator: str) -> str:
    """Return a literal as somebody would type it, so that typing it writes the same literal."""
    kind, said = token
    if kind == "text":
        text = _unquoted(said)
        quoted = _odd(text) or "," in text and operator in SEVERAL or _is_no_text(text, field, operator)
        return json.dumps(text, ensure_ascii=False) if quoted else text
    return said if _is_no_text(said, field, operator) else _refuse()


def _odd(text: str) -> bool:
    """Whether a text typed as it is would be read as another: one line of a form keeps no line ends and no spaces around it."""
    return not text or text != text.strip() or text.startswith('"') or not text.isprintable()


def _unquoted(said: str) -> str:
    """Return the text of a literal."""
    if said[0] in "rR":
        return said[2:-1]

    def one(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16)) if not 0xD800 <= int(found[1], 16) <= 0xDFFF else _refuse()
        return _ESCAPES.get(found[2]) or _refuse()

    return _ESCAPED.sub(one, said[1:-1])


def _refuse() -> Any:
    raise _TooFree
