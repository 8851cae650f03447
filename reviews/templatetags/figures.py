"""How the desk writes figures down."""

from datetime import datetime, timedelta

from django import template

from ..desk import Queue

register = template.Library()


@register.filter
def span(value: float | timedelta | None) -> str:
    """Return seconds as a person says them: "40 s", "3 min", "2 h 10 min", "3 d 4 h"; a dash for nothing."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


@register.filter
def waits(queue: Queue, now: datetime) -> timedelta | None:
    """Return how long the oldest of a queue has waited."""
    return now - queue.oldest if queue.oldest else None


@register.filter
def tenths(value: float | None) -> str:
    """Return 0.9956 as "99.6 %"; a dash for nothing."""
    return "–" if value is None else f"{value * 100:.1f} %"


@register.filter
def signed(value: float | None) -> str:
    """Return -0.2 as "−0.20", with a sign that is as wide as a digit; a dash for nothing."""
    return "–" if value is None else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


@register.filter
def part(value: float | None) -> str:
    """Return 0.62 as "62 %"; a dash for nothing."""
    return "–" if value is None else f"{value * 100:.0f} %"


@register.filter
def an_hour(pace: float | None) -> str:
    """Return seconds between decisions as "12 an hour"; one digit behind the point below ten."""
    if not pace:
        return "–"
    number = 3600 / pace
    return f"{number:.0f} an hour" if number >= 10 else f"{number:.1f} an hour".replace(".0 ", " ")
