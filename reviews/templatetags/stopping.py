"""What every page says while everything is stopped."""

from django import template

from escalations import standstill
from escalations.models import Stop
from escalations.policies.stop import may_stop

register = template.Library()


@register.simple_tag(takes_context=True)
def standing_stop(context: template.Context) -> Stop | None:
    """Return the stop that holds, for who is signed in. One query; strangers are told nothing."""
    user = context.get("user")
    return standstill.standing() if user is not None and user.is_authenticated else None


@register.simple_tag(takes_context=True)
def may_release(context: template.Context) -> bool:
    """Say whether the reader may be one of the two who release it. One query."""
    return may_stop(context["user"])
