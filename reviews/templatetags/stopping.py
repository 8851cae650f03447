"""What every page says while everything is stopped, and who has signed where several have to."""

from django import template

from escalations import standstill
from escalations.models import Proposal, Stop
from escalations.policies.stop import may_stop

from .. import signers

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


@register.simple_tag(takes_context=True)
def signers_of(context: template.Context, proposal: Proposal) -> signers.Signers | None:
    """Return who has signed; None where one yes is enough, without a query."""
    return signers.signers_of(proposal, context["user"])


@register.filter
def is_held_back(proposal: Proposal) -> bool:
    """Say whether everything is stopped and this outcome has not left. One query."""
    return bool(standstill.held_back([proposal.pk]))
