"""How a list says things about its rows."""

from functools import reduce
from operator import add
from typing import Any
from urllib.parse import quote, urlencode

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.defaultfilters import truncatechars
from django.utils.html import format_html
from django.utils.safestring import SafeString

from escalations.states import State

from .. import inbox, order, veil
from .room import shown, unmarked

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
    pills = [pill(f"risk-{row.risk}", row.risk), pill(f"severity-{row.severity}", row.severity)]
    pills += [pill("trigger", name.replace("_", " ")) for name in row.trigger_names]
    pills += [pill("test", "test")] * row.test + [alike(row, twins, group_url)]
    first = format_html('<span class="source">{}</span> <span class="muted">{}</span> ', row.source.name, row.kind)
    return reduce(add, pills, first)


@register.simple_tag
def alike(row: Any, twins: dict[tuple[int, str], int], group_url: str) -> SafeString:
    """Return the link to the group a row stands for, "×12"; nothing where it stands for itself alone."""
    number = twins.get((row.source_id, row.incident.fingerprint), 0)
    if not number:
        return SafeString()
    query = urlencode({"source": row.source.name, "fingerprint": row.incident.fingerprint}, quote_via=quote)
    said = f"{number}+" if number >= inbox.TWINS else str(number)  # no further is counted
    return format_html('<a class="pill twins" href="{}?{}" aria-label="{} alike, decide together">×{}</a> ', group_url, query, said, said)


def pill(kind: str, text: str) -> SafeString:
    return format_html('<span class="pill {}">{}</span> ', kind, text)


@register.simple_tag(takes_context=True)
def holding(context: template.Context, row: Any) -> SafeString:
    """Return who holds a row and the button to claim or release it. In Python, like `facts`."""
    who, act = SafeString(), ""
    if row.claimed_by_id and row.claimed_by_id == context["user"].pk:
        who, act = format_html('<span class="mine">{}</span>', "yours"), "Release"
    elif row.claimed_by:
        who = format_html('<span class="held">{} holds this</span>', shown(row.claimed_by.name))
    else:
        act = "Claim"
    said = context.get("error")
    problem = format_html('<p class="problem" role="alert">{}</p>', said) if said else ""
    form = _act(context, row, act) if act and context.get("may_decide") and row.state == State.PENDING else ""
    return format_html('<div class="holder" id="holder-{}">{}{}{}</div>', row.pk, problem, who, form)


def _act(context: template.Context, row: Any, act: str) -> SafeString:
    request, filters = context["request"], context["filters"]
    return format_html(
        '<form method="post" action="{}acts/{}" hx-post="{}acts/" hx-target="closest .holder" hx-swap="outerHTML" hx-sync="this:drop"'
        ' hx-disabled-elt="find button"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<input type="hidden" name="row" value="1"><button class="small{}" id="hold-{}" name="act" value="{}"{}'
        ' aria-label="{}: {}">{}</button></form>',
        row.get_absolute_url(), filters.asked, row.get_absolute_url(), context["csrf_token"], "" if act == "Claim" else " quiet",
        row.pk, act.lower(), " autofocus" if request.htmx and request.method == "POST" else "",
        act, truncatechars(unmarked(row.title or row.action), 60), act,
    )  # fmt: skip


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
