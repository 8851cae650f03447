"""How a list says things about its rows."""

from typing import Any

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token

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
def group_size(twins: dict[tuple[int, str], int], row: Any) -> int:
    """Return how many pending twins a row stands among; 0 for none."""
    return twins.get((row.source_id, row.incident.fingerprint), 0)


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
