"""How the room writes things down: untrusted text with the invisible made visible, sentences, moments, time left."""

import zoneinfo
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any

from django import template
from django.template.defaultfilters import truncatechars_html
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from escalations import clock
from escalations.floors import text
from escalations.floors.sensitive import Span
from escalations.states import Verdict
from escalations.waits import Wait

from .. import inbox, kept, veil
from ..sentences import Bit, asked
from ..values import Change, changes, plain, signed

register = template.Library()


@register.filter
def shown(value: Any) -> SafeString:
    """Return untrusted text escaped: what cannot be seen as a visible token, what is not for this reader's eyes masked.

    Linear in its length.
    """
    written = "" if value is None else plain(value)
    pieces = list(veil.current().pieces(written))
    if any(span for _, span in pieces):
        return format_html_join("", "{}", ((_tokens(part) if span is None else _masked(span),) for part, span in pieces))
    return _tokens(written)


@register.filter
def unmarked(value: Any) -> str:
    """Return untrusted text where no mark can stand, as in an attribute: masked and written out as by `shown`. The template escapes it."""
    return "".join(piece for _, piece in text.tokens(veil.current().text("" if value is None else plain(value))))


def _tokens(written: str) -> SafeString:
    if not text.has_hidden(written):
        return escape(written)
    return format_html_join("", "{}", ((_hidden(one) if kind == "hidden" else one,) for kind, one in text.tokens(written)))


def _masked(span: Span) -> SafeString:
    return format_html('<span class="masked">{}</span>', veil.said(span))


def _hidden(token: str) -> SafeString:
    return format_html('<mark class="hidden-char">{}</mark>', token)


WRAP = {
    "name": '<span class="arg-name">{}</span>',
    "value": '<b class="value">{}</b>',
    "code": "<code>{}</code>",
    "mark": "<mark>{}</mark>",
}
APART = "\n#####\n"


@register.filter
def sentence(bits: Iterable[Bit]) -> SafeString:
    """Return a sentence of ours; what it quotes stands out and is shown like any untrusted text."""
    bits = list(bits)
    # All are looked at once, so far apart that nothing reads across: what is found nowhere stands in none of the pieces.
    whole = APART.join(one for _, one in bits)
    write = shown if veil.current().hides(whole) or text.has_hidden(whole) else escape
    # Adding what is safe to what is safe stays safe; joining would have to escape everything once more.
    return reduce(add, (write(one) if kind == "say" else format_html(WRAP[kind], write(one)) for kind, one in bits), SafeString())


@register.filter
def within(text: SafeString, most: int) -> SafeString:
    """Return what `shown` gave, cut to so many characters. Most is short, and taking marks apart to count is dear."""
    return text if len(text) <= most else truncatechars_html(text, most)


@register.filter
def asks(proposal: Any) -> SafeString:
    """Return what a proposal asks, in one line made from its action and args."""
    return sentence(asked(proposal))


@register.filter
def edited(decision: Any, proposal: Any) -> list[Change]:
    """Return what may run instead of what was proposed, leaf by leaf; nothing for a decision that changed nothing."""
    return changes(signed(proposal), signed(decision)) if decision and decision.type == Verdict.EDIT else []


def _zone(context: template.Context) -> zoneinfo.ZoneInfo | Any:
    name = getattr(context.get("user"), "time_zone", "UTC")
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, zoneinfo.ZoneInfoNotFoundError):
        return UTC


@register.simple_tag(takes_context=True)
def moment(context: template.Context, value: datetime | None) -> SafeString | str:
    """Return a moment in the person's own time zone, machine-readable beside it."""
    if not value:
        return ""
    local = value.astimezone(_zone(context))
    return format_html('<time datetime="{}">{}</time>', value.isoformat(timespec="seconds"), local.strftime("%-d %b %Y, %H:%M %Z"))


@register.simple_tag(takes_context=True)
def left(context: template.Context, value: datetime | None) -> SafeString | str:
    """Return how long until `value`, as a <time> that the page's clock redraws; how late, when it has passed."""
    if not value:
        return format_html('<span class="left">{}</span>', "no deadline")
    local = value.astimezone(_zone(context))
    seconds = (value - clock.now()).total_seconds()
    tone = "late" if seconds < 0 else "soon" if seconds < 1800 else ""
    return format_html(
        '<time class="left {}" data-left datetime="{}" title="{}">{}</time>',
        tone,
        value.isoformat(timespec="seconds"),
        local.strftime("%-d %b %Y, %H:%M %Z"),
        said(seconds),
    )


def said(seconds: float) -> str:
    """Return "2 h 10 min left" or "5 min late"; the same words as static/js/clock.js."""
    minutes = int(abs(seconds) // 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    length = f"{days} d {hours} h" if days else f"{hours} h {rest} min" if hours else f"{rest} min"
    return f"{length} {'late' if seconds < 0 else 'left'}"


@register.filter
def words(name: Any) -> str:
    """Return `high_stakes` as "high stakes"."""
    return str(name).replace("_", " ")


@register.filter
def percent(value: float | None) -> str:
    """Return 0.62 as "62 %"."""
    return "" if value is None else f"{value:.0%}".replace("%", " %")


@register.filter
def duration(value: Any) -> str:
    """Return a timedelta or a number of seconds as "24 h"."""
    seconds = int(getattr(value, "total_seconds", lambda: value)())
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else said(seconds).removesuffix(" left")


@register.filter
def wait_words(wait: Wait) -> str:
    """Return an estimated wait as "about 14 min more; 4 min to 40 min in nine of ten such cases". A lower end of seconds tells nothing."""
    middle, low = span_words(wait.seconds), span_words(wait.low)
    share = {0.9: "nine of ten", 0.8: "eight of ten", 0.95: "nineteen of twenty"}.get(wait.level, f"{wait.level:.0%}")
    if wait.high is None:
        return f"about {middle} more; nothing says when it ends at the latest"
    between = f"{low} to {span_words(wait.high)}" if wait.low >= 60 else f"no longer than {span_words(wait.high)}"
    return f"about {middle} more; {between} in {share} such cases"


def span_words(seconds: int) -> str:
    """Return a number of seconds as a person says it: "40 s", "14 min", "2 h 10 min"."""
    return f"{seconds} s" if seconds < 60 else said(seconds).removesuffix(" left").replace(" h 0 min", " h")


@register.filter
def at(mapping: dict, key: Any) -> Any:
    """Return mapping[key], or nothing."""
    return mapping.get(key, "")


@register.simple_tag(takes_context=True)
def inbox_count(context: template.Context) -> str:
    """Return how many wait for this person, capped. Two queries a page: the roles, which others reuse, and the count."""
    user = context.get("user")
    if not getattr(user, "is_authenticated", False):
        return ""
    return inbox.count_of(user)


@register.simple_tag(takes_context=True)
def drawn_for(context: template.Context) -> SafeString | str:
    """Return the hidden field by which what was typed finds its way back when the session has ended meanwhile."""
    request = context.get("request")
    return format_html('<input type="hidden" name="{}" value="{}">', kept.FIELD, kept.drawn_for(request)) if request else ""


@register.simple_tag
def server_time() -> SafeString:
    """Return the server's own time for the page's clock; a wrong clock on the desk moves no deadline."""
    now = clock.now()
    return format_html(
        '<time id="live-clock" datetime="{}">{} UTC</time>', now.isoformat(timespec="seconds"), now.strftime("%H:%M")
    )
