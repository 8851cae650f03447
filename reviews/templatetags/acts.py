"""What the acts of a page need to be drawn: names, colleagues, seconds, one's own held signatures."""

import re
from collections.abc import Iterable
from datetime import datetime
from math import ceil

from django import template
from django.db.models import Count, Q, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString

from escalations import authority, clock, lifecycle
from escalations.models import Comment, Hold, Person, Proposal, Role
from escalations.states import Verdict

from .. import held, values
from ..values import Change
from .room import shown

register = template.Library()

NAMES_OFFERED = 200


@register.simple_tag(takes_context=True)
def my_holds(context: template.Context) -> held.Mine | None:
    """Return this person's signatures that can be taken back, but for the one whose page this is. No query when there are none."""
    request = context.get("request")
    found = held.mine(request) if request is not None and hasattr(request, "user") else None
    here = context.get("proposal")
    here = here.pk if isinstance(here, Proposal) else context.get("on")
    if found is not None and here:
        others = [one for one in found.standing if str(one.pk) != str(here)]
        found.keyed, found.standing = len(others) == len(found.standing), others
    return found


@register.simple_tag(takes_context=True)
def colleagues(context: template.Context, proposal: Proposal) -> QuerySet[Person]:
    """Return whom a comment on this proposal may call on: who may read it, but for oneself. One query."""
    return authority.readers_of(proposal).exclude(pk=context["user"].pk).only("username", "first_name", "last_name")[:NAMES_OFFERED]


@register.simple_tag
def roles_with_people() -> QuerySet[Role]:
    """Return all roles with `people`, how many active members each has. One query."""
    return Role.objects.annotate(people=Count("user", filter=Q(user__is_active=True))).order_by("name")


@register.filter
def is_chosen(pk: int, typed: str | None) -> bool:
    """Say whether this is the choice that was posted."""
    return str(pk) == typed


@register.filter
def with_names(comment: Comment, people: Iterable[Person]) -> SafeString:
    """Return a comment's text as ever, with the names of who was told standing out and written in full on hovering."""
    told = {one.username.lower(): one for one in people if one.pk in comment.mentions}
    out = SafeString()
    for piece in re.split(r"(@[\w.+-]+(?:@[\w.-]+)?)", comment.text):
        name = next(iter(lifecycle.names_in(piece)), "") if piece.startswith("@") else ""
        person = told.get(name.lower()) if name else None
        if person is None:
            out += shown(piece)
        else:
            out += format_html('<b class="mention" title="{}">@{}</b>', person.name, shown(name)) + shown(piece[len(name) + 1 :])
    return out


@register.filter
def mentioned_in(comments: Iterable[Comment]) -> list[Person]:
    """Return who was told by any of these comments. One query, none when nobody was."""
    ids = {pk for comment in comments for pk in comment.mentions}
    return list(Person.objects.filter(pk__in=ids)) if ids else []


@register.simple_tag
def seconds_left(moment: datetime) -> SafeString:
    """Return a <time> with the whole seconds until `moment`; static/js/held.js counts them down."""
    left = ceil((moment - clock.now()).total_seconds())
    said = f"{left} s" if left > 0 else "a moment"
    return format_html('<time class="left" data-seconds datetime="{}">{}</time>', moment.isoformat(timespec="milliseconds"), said)


@register.filter
def look_again(hold: Hold) -> int:
    """Return in how many seconds to look what became of it."""
    return held.look_again(hold.settles_at)


@register.filter
def verdict(name: str) -> str:
    """Return `edit` as "Edit"."""
    return str(Verdict(name).label)


@register.filter
def edits(hold: Hold, proposal: Proposal) -> list[Change]:
    """Return what a held edit would run instead of what was proposed, leaf by leaf."""
    if hold.type != Verdict.EDIT:
        return []
    return values.changes(values.signed(proposal), {"action": proposal.action, "args": hold.args, "draft": hold.draft})
