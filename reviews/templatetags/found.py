"""How the room shows where a search has found something."""

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .. import veil
from ..search import Asked, marked, pattern_of
from .room import sentence, shown

register = template.Library()


@register.filter
def found(value: Any, asked: Asked | None) -> SafeString:
    """Return untrusted text as `shown` does, with the words of a search marked. What is masked is never taken apart."""
    pattern = pattern_of(asked) if asked else None
    text = "" if value is None else str(value)
    if pattern is None:
        return shown(text)
    parts = (
        format_html('<span class="masked">{}</span>', veil.said(span)) if span else sentence(marked(pattern, part))
        for part, span in veil.current().pieces(text)
    )
    return format_html_join("", "{}", ((part,) for part in parts))
