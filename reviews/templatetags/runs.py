"""How the pages of runs write things down: seconds where the rest of the room has minutes, and how long ago something was."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from escalations import clock

from .. import run_facts
from .room import _zone

register = template.Library()
register.filter("number", run_facts.number)
register.filter("decimal", run_facts.decimal)


@register.filter
def tool(name: str) -> str:
    """Return the name of a run's last tool as the stream tells it; the template escapes it."""
    return run_facts.tool_said(name)


@register.filter
def took(milliseconds: int | None) -> str:
    """Return 420 as "420 ms", 3200 as "3.2 s", 90000 as "1 min 30 s"; nothing for nothing."""
    if milliseconds is None:
        return ""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else lasted(milliseconds / 1000)


@register.filter
def lasted(value: timedelta | float) -> str:
    """Return a length as "4 s", "2 min 5 s", "3 h 10 min" or "2 d 3 h"; the same words as static/js/run.js."""
    seconds = int(value.total_seconds() if isinstance(value, timedelta) else value)
    seconds = max(0, seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 172_800:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"


@register.filter
def offset(since: timedelta) -> str:
    """Return how long after the start something was, as "+0:04.2" or "+1:02:03"."""
    tenths = max(0, round(since.total_seconds() * 10))
    seconds, tenth = divmod(tenths, 10)
    hours, minutes, rest = seconds // 3600, seconds % 3600 // 60, seconds % 60
    return f"+{hours}:{minutes:02}:{rest:02}" if hours else f"+{minutes}:{rest:02}.{tenth}"


@register.simple_tag(takes_context=True)
def second(context: template.Context, value: datetime | None) -> SafeString | str:
    """Return a moment to the second in the person's own time zone; the day where it is not today."""
    if not value:
        return ""
    local, today = value.astimezone(_zone(context)), clock.now().astimezone(_zone(context)).date()
    text = local.strftime("%H:%M:%S") if local.date() == today else local.strftime("%-d %b, %H:%M:%S")
    whole = local.strftime("%-d %b %Y, %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(timespec="milliseconds"), whole, text)


@register.simple_tag(takes_context=True)
def ago(context: template.Context, value: datetime | None, missing: str = "") -> SafeString | str:
    """Return how long ago something was, as a <time> that the page's script redraws."""
    if not value:
        return missing
    local = value.astimezone(_zone(context))
    return format_html(
        '<time data-ago datetime="{}" title="{}">{} ago</time>',
        value.isoformat(timespec="milliseconds"), local.strftime("%-d %b %Y, %H:%M:%S %Z"), lasted(clock.now() - value),
    )  # fmt: skip


@register.filter
def share(bar: Any) -> str:
    """Return how much of a budget is gone as "62 %"."""
    return f"{bar.share:.0%}".replace("%", " %")
