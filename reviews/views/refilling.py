"""A page drawn for who signed in again: the fields as they were typed, everything else as it is now."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from escalations.errors import AlreadySettled
from escalations.models import Proposal
from escalations.states import State

from .. import deciding, groups, kept, veil
from ..forms import DecisionForm
from .acts import FORMS

AGAIN = "You were signed out meanwhile. What you had typed stands in its place: read the page again before you sign it."
NOT_IN_TIME = "You were signed out meanwhile. What you had typed was not sent; it stands below."


def refilled(request: HttpRequest, proposal: Proposal) -> dict[str, Any]:
    """Return what `drawn` needs to fill the form again with what was kept for this person and page; nothing when nothing was.

    Only the fields: the digest and the version are those of the proposal as it is now, and the choice is made again if it changed.
    """
    found = kept.theirs(request)
    if found is None:
        return {}
    act, fields = found
    messages.info(request, AGAIN if act or proposal.state == State.PENDING else NOT_IN_TIME)
    if act:
        name = fields.get("act", "")
        return {"act": name, "act_form": FORMS[name](fields)} if name in FORMS else {}
    if fields.get("version") != str(proposal.version):
        fields.pop("type", None)
    fields["digest"], fields["version"] = proposal.args_digest, str(proposal.version)
    masked = veil.covers(request.user, proposal)
    form = DecisionForm(fields, proposal=proposal, quiet=True, reasons=deciding.reasons_of(proposal), masked=masked)
    return {"form": form} if proposal.state == State.PENDING else {"form": form, "moved_on": AlreadySettled()}


def refilled_group(request: HttpRequest, group: groups.Group, *, masked: bool) -> tuple[DecisionForm, set[str]] | None:
    """Return the form of a group filled with what was kept, and the rows that stay ticked: those that are as they were then."""
    found = kept.theirs(request)
    if found is None or found[0]:
        return None
    messages.info(request, AGAIN)
    fields, twins = found[1], [twin.proposal for twin in group.twins]
    ticked, there = set(fields.getlist("pick")), {str(twin.pick) for twin in group.twins}
    if not ticked <= there:
        fields.pop("type", None)
    fields["digest"], fields["version"] = twins[0].args_digest, str(twins[0].version)
    form = DecisionForm(
        fields, proposal=twins[0], quiet=True, reasons=deciding.reasons_of(twins[0]), masked=masked, alike=twins[1:]
    )
    return form, ticked & there or {"none"}  # an empty set would tick them all
