"""How the page of one proposal writes things down: texts in which the values that are signed stand out, readings in the reader's time."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from escalations.floors.pattern import OF_LANES
from escalations.floors.provenance import STRONG

from .. import veil
from ..context import Mark, Said
from ..reading import Value
from .room import moment, shown

register = template.Library()


class Veiled(template.Node):
    """What is drawn under another veil than its page's: it tells of another incident."""

    def __init__(self, over: template.base.FilterExpression, nodelist: template.NodeList) -> None:
        self.over, self.nodelist = over, nodelist

    def render(self, context: template.Context) -> SafeString:
        with veil.drawn(self.over.resolve(context)):
            return self.nodelist.render(context)


@register.filter
def asking(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules that say why a person is asked: not the one that lets go what a lane has earned, and left this one."""
    return [rule for rule in rules if rule.get("unmet") not in OF_LANES]


@register.tag
def veiled(parser: template.base.Parser, token: template.base.Token) -> Veiled:
    """Draw what stands up to `endveiled` under this veil."""
    _, over = token.split_contents()
    nodelist = parser.parse(("endveiled",))
    parser.delete_first_token()
    return Veiled(parser.compile_filter(over), nodelist)


FOLDED = 1_200  # characters from which on a text is folded
AROUND = 120  # characters shown before and after a value in a folded text
EXCERPTS = 3


@register.filter
def highlighted(said: Said) -> SafeString:
    """Return a text with the values of the proposal marked in it, each a link back to its row."""
    if veil.current().hides(said.text):
        return shown(said.text)  # a mark that cuts a sensitive value in two would show it
    return _marked(said.text, said.marks, 0, len(said.text), anchored=True)


@register.filter
def excerpt(said: Said) -> SafeString:
    """Return what a folded text says of the values that came from it, else how it begins."""
    if not said.marks or veil.current().hides(said.text):
        return format_html("{}…", shown(said.text[:280]))
    out = SafeString()
    for mark in sorted(said.marks, key=lambda one: not one.strong)[:EXCERPTS]:
        start, end = max(0, mark.start - AROUND), min(len(said.text), mark.end + AROUND)
        out += format_html("{}{} … ", "… " if start and not out else "", _marked(said.text, [mark], start, end, anchored=False))
    return out


def _marked(text: str, marks: Sequence[Mark], start: int, end: int, *, anchored: bool) -> SafeString:
    pieces: list[SafeString] = []
    at = start
    for mark in marks:
        if mark.start < at or mark.end > end:
            continue
        pieces.append(shown(text[at : mark.start]))
        kind = "came strong" if mark.strong else "came"
        value = shown(text[mark.start : mark.end])
        if anchored:
            named = format_html(' id="{}"', mark.anchor) if mark.anchor else ""
            pieces.append(format_html('<a class="{}"{} href="#{}">{}</a>', kind, named, mark.row, value))
        else:
            pieces.append(format_html('<b class="{}">{}</b>', kind, value))
        at = mark.end
    return reduce(add, [*pieces, shown(text[at:end])], SafeString())


@register.filter
def pieced(value: Value) -> SafeString:
    """Return a long value with the addresses, accounts and sums in it marked, each a link to where it came from."""
    if veil.current().hides(value.raw):
        return shown(value.raw)
    marks, at = [], 0
    for piece in value.pieces:
        start = value.raw.find(piece.raw, at)
        if start >= 0:
            at = start + len(piece.raw)
            marks.append(Mark(start, at, piece.anchor, "", piece.mark == STRONG))
    return _marked(value.raw, marks, 0, len(value.raw), anchored=True)


@register.filter
def folds(text: str) -> bool:
    """Say whether a text is long enough to be folded."""
    return len(text) > FOLDED


@register.filter
def masked(text: str) -> bool:
    """Say whether anything of a text is not for this reader's eyes: how it reads is then nobody's business either."""
    return veil.current().hides(text)


@register.simple_tag(takes_context=True)
def reads(context: template.Context, reading: Any) -> SafeString:
    """Return one reading of a value; a moment is said in the reader's own time zone."""
    said = shown(reading.said)
    if reading.when is None:
        return said
    return format_html("{}{}{}", moment(context, reading.when), ", " if reading.said else " in your time", said)
