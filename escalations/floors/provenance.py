"""Where each value of a proposal came from: the customer's words, a tool's result, the agent alone, or nowhere.

An order smuggled into a web page, a file or a mail has to bring its target along: an account, an address, a link that no person
named and that first appears in what a tool read. Such values are marked. A mark accuses nobody: a bill's account number stands in the
bill, too. It says where to look before signing. What it catches and what it cries wolf about is in docs/provenance.md.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .customer import spans_of_customer
from .findings import in_texts
from .provenancewords import AMOUNT, CENTS, LINK, PLAIN, TO
from .records import fields_of
from .spotting import Hit, Texts
from .writings import ACCOUNT, EMAIL, NUMBER, TEXT, WEB, as_number, dates_in, forms_of, is_host, pieces_in, shape_of, times_in

# Kinds of parts, and of origins.
PERSON, OPERATOR, RECORD, TOOL, AGENT = "person", "operator", "record", "tool", "agent"
NOWHERE, MIXED, COMMON = "nowhere", "mixed", "common"
STRONG, WEAK = "strong", "weak"
_MARKS = ("", WEAK, STRONG)

MOST_LEAVES = 400
MOST_PIECES = 200  # addresses, accounts and numbers inside longer texts, over all leaves
_ONE_LINE = 100  # characters of JSON that are easier to read in one line
_LONG_TEXT = 4  # words from which on a text that stands nowhere as a whole is taken apart
_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_CUSTOMERS = frozenset({"customer", "user", "client", "caller", "guest", "human"})
_OPERATORS = frozenset({"system", "developer"})
_AGENTS = frozenset({"assistant", "agent", "ai", "bot", "model"})



class Part(NamedTuple):
    """One thing that was said or read, in order. `anchor` is its place on the page, `label` what a reviewer calls it."""

    kind: str
    anchor: str
    label: str
    text: str
    turn: int = 0  # calls are counted: what the agent passed to a call comes before what that call returned


class Place(NamedTuple):
    """Where a value stands: the part's anchor and label, and offsets into its text."""

    kind: str
    anchor: str
    label: str
    start: int
    end: int


@dataclass
class Origin:
    """Where one value came from. `mark` is empty, WEAK or STRONG; `target` says what makes a wrong one dangerous."""

    path: str
    value: Any
    kind: str
    places: list[Place] = field(default_factory=list)
    target: str = ""
    mark: str = ""
    within: bool = False  # it is marked only for what stands in it
    echoed: bool = False  # the agent said it before a tool repeated it
    a_field: bool = False  # of a record, where it first appears, and not running text
    shares: list[tuple[str, int]] = field(default_factory=list)  # of a longer text: (part's label or NOWHERE, words)
    pieces: list["Origin"] = field(default_factory=list)  # addresses, accounts, dates inside it
    beside: str = ""  # what else stands in the text that brought a marked value: words that speak to the machine


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, leaf) in the order of the value, with the paths that the table of args shows."""
    waiting: list[tuple[str, Any]] = [(path, value)]
    while waiting:
        where, one = waiting.pop()
        if isinstance(one, dict) and one:
            waiting += [(f"{where}.{key}" if where else str(key), below) for key, below in reversed(one.items())]
        elif isinstance(one, list) and one:
            waiting += [(f"{where}[{index}]", below) for index, below in reversed(list(enumerate(one)))]
        else:
            yield where or "value", one


def parts_of(context: Any, prefix: str = "c0") -> list[Part]:
    """Return what a context holds in the order it was said; `prefix` tells several contexts of one incident apart."""
    context = context if isinstance(context, dict) else {}
    out = _request(text_of(context.get("request")), prefix)
    for number, one in enumerate(_list(context.get("messages"))):
        message = one if isinstance(one, dict) else {"content": one}
        role = text_of(message.get("role")).strip().lower()
        kind = PERSON if role in _CUSTOMERS else OPERATOR if role in _OPERATORS else AGENT if role in _AGENTS else TOOL
        label = f"message {number + 1} ({role or 'nobody named'})"
        out.append(Part(kind, f"{prefix}-message-{number}", label, text_of(message.get("content"))))
    for number, one in enumerate(_list(context.get("attempts"))):
        call = one if isinstance(one, dict) else {"tool": one}
        name, anchor = f"{text_of(call.get('tool'))[:60] or 'a tool'} (call {number + 1})", f"{prefix}-call-{number}"
        out.append(Part(AGENT, f"{anchor}-arguments", f"the arguments of {name}", text_of(call.get("arguments")), number))
        for what in ("result", "error"):
            if said := text_of(call.get(what)):
                out.append(Part(TOOL, f"{anchor}-{what}", f"the {what} of {name}", said, number))
    return out


def _request(request: str, prefix: str) -> list[Part]:
    """A request that is a transcript is the customer's only where the customer speaks."""
    if not request:
        return []
    anchor, spans = f"{prefix}-request", spans_of_customer(request)
    if spans == [(0, len(request))]:
        return [Part(PERSON, anchor, "the request", request)]
    # The others' lines are blanked, so that places in what the customer said are places in the request as it is shown.
    own, at = [], 0
    for start, end in spans:
        own += [" " * (start - at), request[start:end]]
        at = end
    return [Part(PERSON, anchor, "the customer's lines of the request", "".join(own)), Part(AGENT, anchor, "the request", request)]


def text_of(value: Any) -> str:
    """Return a text as it is, nothing for nothing, and everything else as JSON, which is how a page shows it: places are the same."""
    if isinstance(value, str):
        return value
    if value in (None, [], {}):
        return ""
    short = json.dumps(value, ensure_ascii=False, default=str)
    return short if len(short) <= _ONE_LINE else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def origins(content: Any, parts: Sequence[Part]) -> list[Origin]:
    """Return the origin of every leaf of a proposal's args or draft, in order, at most MOST_LEAVES. Never raises.

    Linear in the parts: they are cut into words once, whatever is looked for. About 0.3 ms for an ordinary incident, 30 ms for 200 kB.
    """
    asked = [_Asked(path, value) for path, value in _first(leaves(content), MOST_LEAVES)] if content not in (None, {}, []) else []
    left = MOST_PIECES
    for one in asked:
        one.take_apart(left)
        left -= len(one.pieces)
    search = _Search(parts, {word for one in asked for word in one.words()})
    out = [search.origin(one) for one in asked]
    _look_beside(out, {part.anchor: part.text for part in parts if part.kind == TOOL})
    return out


def _look_beside(found: list[Origin], results: dict[str, str]) -> None:
    """Say of each strongly marked value whether the result that brought it also speaks to the machine. Each result is read once."""
    said: dict[str, str] = {}
    for one in found:
        for each in (one, *one.pieces):
            for place in each.places[:3] if each.mark == STRONG and each.kind == TOOL else ():
                if place.anchor not in said:
                    reasons = in_texts([(place.anchor, results.get(place.anchor, ""))])
                    said[place.anchor] = next((why.why for why in reasons if why.trigger == "injection_suspected"), "")
                one.beside = each.beside = one.beside or said[place.anchor]


_RANK = {PERSON: 0, OPERATOR: 1, RECORD: 2, TOOL: 3, AGENT: 4}


class _Asked:
    """One value to look for: what it is, how it may be written, what it is made of."""

    def __init__(self, path: str, value: Any, shape: str = "") -> None:
        self.path, self.value = path, value
        names = {word.lower() for word in _SPLIT.split(re.sub(r"\[\d+\]", "", path)) if word}
        last = {word.lower() for word in _SPLIT.split(re.sub(r"\[\d+\]", "", path).rsplit(".", 1)[-1]) if word}
        self.shape = shape or shape_of(value)
        if self.shape == TEXT and last & LINK and is_host(str(value)):
            self.shape = WEB
        self.target = self._target(names, last)
        self.forms = forms_of(value, self.shape, cents=bool(last & CENTS)) if self.shape else []
        self.long = self.shape == TEXT and len(self.forms[0]) >= _LONG_TEXT
        self.pieces: list[_Asked] = []
        self.dates = [] if self.shape != TEXT or len(str(value)) > 5_000 else dates_in(str(value))[:4]
        self.times = times_in(str(value))[:4] if self.dates or (self.shape == TEXT and len(str(value)) < 12) else []

    def _target(self, names: set[str], last: set[str]) -> str:
        if self.shape in (EMAIL, WEB, ACCOUNT):
            return self.shape
        if last & AMOUNT and self.shape == NUMBER:
            return "amount"
        if self.shape == TEXT and last & TO and len(str(self.value)) < 120:
            return "recipient"
        return ""

    def take_apart(self, most: int) -> None:
        if self.long or (self.shape == TEXT and self.target == "recipient"):
            found = pieces_in(str(self.value), max(most, 0))
            self.pieces = [_Asked(self.path, piece.text, piece.shape) for piece in found if piece.text != str(self.value).strip()]

    def distinct(self) -> list[str]:
        """Return the words of a longer text that say something about where it came from, each once."""
        seen = dict.fromkeys(self.forms[0])
        return [word for word in seen if (len(word) > 3 and word not in PLAIN) or (len(word) > 1 and word.isdigit())][:400]

    def words(self) -> Iterator[str]:
        for form in self.forms:
            yield from form
        for _, full, short in self.dates:
            for form in (*full, *short):
                yield from form
        for _, forms in self.times:
            for form in forms:
                yield from form
        for piece in self.pieces:
            yield from piece.words()

    @property
    def common(self) -> bool:
        """Too common to tell: it would be found anywhere by chance."""
        if not self.shape or not any(self.forms):
            return True
        number = as_number(self.value) if self.shape == NUMBER else None
        if number is not None:
            return abs(number) < 10 and number == number.to_integral_value()
        return len("".join(self.forms[0])) < 3 and not "".join(self.forms[0]) > "\u2e80"


class _Search:
    def __init__(self, parts: Iterable[Part], wanted: set[str]) -> None:
        self._parts = sorted(parts, key=lambda part: _RANK.get(part.kind, 9))  # stable: within a kind as they were said
        self._texts = Texts((part.text for part in self._parts), wanted)
        self._fields: dict[int, Callable[[int, int], bool]] = {}

    def _is_field(self, hit: Hit) -> bool:
        if hit.text not in self._fields:
            self._fields[hit.text] = fields_of(self._parts[hit.text].text)
        return self._fields[hit.text](hit.start, hit.end)

    def origin(self, asked: _Asked) -> Origin:
        """Return where a value came from, marked."""
        out = Origin(asked.path, asked.value, COMMON, target=asked.target)
        out.pieces = [self.origin(piece) for piece in asked.pieces]
        if not asked.common or asked.target == "amount":
            self._place(out, self._texts.find(asked.forms, number=asked.shape == NUMBER))
            if out.kind == NOWHERE and (asked.dates or asked.times):
                self._dated(out, asked)
            elif out.kind == NOWHERE and asked.shape == TEXT and len(asked.forms[0]) > 1:
                self._composed(out, asked.distinct())
        out.mark = _mark(out)
        inside = max((piece.mark for piece in out.pieces), key=_MARKS.index, default="")
        out.within = _MARKS.index(inside) > _MARKS.index(out.mark)
        out.mark = inside if out.within else out.mark
        return out

    def _place(self, out: Origin, hits: Iterable[Hit]) -> None:
        """Say who had it first: a person, wherever; else the tools, unless the agent itself had passed it in before."""
        found = [(self._parts[hit.text], hit) for hit in hits]
        out.kind = found[0][0].kind if found else NOWHERE
        if out.kind == TOOL:
            passed = min((part.turn for part, _ in found if part.kind == AGENT and part.anchor.endswith("-arguments")), default=None)
            if passed is not None and passed <= found[0][0].turn:
                out.kind, out.echoed = AGENT, True
        of_kind = [(part, hit) for part, hit in found if part.kind == out.kind]
        out.places = [Place(part.kind, part.anchor, part.label, hit.start, hit.end) for part, hit in of_kind[:6]]
        out.a_field = out.kind == TOOL and bool(out.target) and self._is_field(of_kind[0][1])

    def _dated(self, out: Origin, asked: _Asked) -> None:
        """A moment is found by its day, with or without the year, and by its time of day."""
        seen: list[Origin] = []
        for text, full, short in asked.dates:
            one = Origin(asked.path, text, NOWHERE)
            self._place(one, self._texts.find(full) or self._texts.find(short))
            seen.append(one)
        for text, forms in asked.times:
            one = Origin(asked.path, text, NOWHERE)
            self._place(one, self._texts.find(forms))
            seen.append(one)
        kinds = {one.kind for one in seen}
        out.pieces += seen if len(kinds) > 1 else []
        out.kind = kinds.pop() if len(kinds) == 1 else MIXED
        out.places = [place for one in seen for place in one.places[:1]] if out.kind != MIXED else []

    def _composed(self, out: Origin, words: list[str]) -> None:
        """Count of the telling words of a text which part had each first."""
        if not words:
            out.kind = COMMON if not out.pieces else MIXED
            return
        counted: dict[str, int] = {}
        firsts: dict[str, Place] = {}
        kinds: dict[str, int] = {}
        for word in words:
            one = Origin(out.path, word, NOWHERE)
            self._place(one, self._texts.find([(word,)], number=word.isdigit()))
            label = one.places[0].label if one.places else NOWHERE
            counted[label] = counted.get(label, 0) + 1
            kinds[one.kind] = kinds.get(one.kind, 0) + 1
            if one.places:
                firsts.setdefault(label, one.places[0])
        out.shares = sorted(counted.items(), key=lambda pair: -pair[1])
        biggest = max(kinds, key=lambda kind: kinds[kind])
        out.kind = biggest if kinds[biggest] == len(words) or (biggest == NOWHERE and kinds[NOWHERE] > 0.8 * len(words)) else MIXED
        out.places = list(firsts.values())[:4]


def _mark(one: Origin) -> str:
    """A target that no person named is marked strongly, whether a tool's result brought it or nothing did; other values weakly."""
    outside = one.kind in (TOOL, NOWHERE, AGENT) or (one.kind == MIXED and one.target == "recipient" and _foreign(one))
    if outside and one.target in (EMAIL, WEB, ACCOUNT) and not one.a_field:
        return STRONG
    if one.kind == TOOL or (outside and one.target):
        return WEAK
    return ""


def _foreign(one: Origin) -> bool:
    return not any(place.kind == PERSON for place in one.places)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "", {}) else [value]


def _first(pairs: Iterator[tuple[str, Any]], most: int) -> Iterator[tuple[str, Any]]:
    for _, pair in zip(range(most), pairs, strict=False):
        yield pair
