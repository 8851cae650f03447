"""How a list says things about its rows."""

from typing import Any
from urllib.parse import quote, urlencode

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .. import inbox, order, veil

register = template.Library()


@register.simple_tag
def why_here(row: Any, by: str) -> str:
    """Return why a row stands where it does; empty where the time left says it all."""
    return order.why_here(row, by)


@register.filter
def rule_of(by: str) -> str:
    """Return the rule of an order in one sentence."""
    return order.rule_of(by)


@register.simple_tag
def facts(row: Any, twins: dict[tuple[int, str], int], group_url: str) -> SafeString:
    """Return what one chooses a row by: source, kind, risk, severity, triggers, whether it is a test, the group it stands for.

    In Python, for a page has fifty of these and a template takes thrice as long over them.
    """
    return format_html(
        '<span class="source">{}</span> <span class="muted">{}</span> {}{}{}{}{}',
        row.source.name,
        row.kind,
        pill(f"risk-{row.risk}", row.risk),
        pill(f"severity-{row.severity}", row.severity),
        format_html_join("", "{}", ((pill("trigger", name.replace("_", " ")),) for name in row.trigger_names)),
        pill("test", "test") if row.test else "",
        alike(row, twins, group_url),
    )


@register.simple_tag
def alike(row: Any, twins: dict[tuple[int, str], int], group_url: str) -> SafeString:
    """Return the link to the group a row stands for, "×12"; nothing where it stands for itself alone."""
    number = twins.get((row.source_id, row.incident.fingerprint), 0)
    if not number:
        return SafeString()
    query = urlencode({"source": row.source.name, "fingerprint": row.incident.fingerprint}, quote_via=quote)
    return format_html(
        '<a class="pill twins" href="{}?{}" aria-label="{} alike, decide together">×{}</a> ', group_url, query, number, number
    )


def pill(kind: str, text: str) -> SafeString:
    return format_html('<span class="pill {}">{}</span> ', kind, text)


class Under(template.Node):
    """What is drawn under a veil of its own: the rows of a list beside an item that was revealed."""

    def __init__(self, over: FilterExpression, nodes: NodeList) -> None:
        self.over, self.nodelist = over, nodes

    def render(self, context: template.Context) -> str:
        with veil.drawn(self.over.resolve(context)):
            return self.nodelist.render(context)


@register.tag
def under(parser: Parser, token: Token) -> Under:
    """`{% under side.veil %}…{% endunder %}`"""
    over = parser.compile_filter(token.split_contents()[1])
    nodes = parser.parse(("endunder",))
    parser.delete_first_token()
    return Under(over, nodes)


@register.simple_tag(takes_context=True)
def waiting_said(context: template.Context) -> str:
    """Return "(3) " for a tab's title; nothing when nothing waits. No query when the page has counted already."""
    said = inbox.count_of(context["user"])
    return "" if said == "0" else f"({said}) "
