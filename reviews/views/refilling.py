"""A page drawn for who signed in again: the fields as they were typed, everything else as it is now."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from escalations.errors import AlreadySettled
from escalations.models import Proposal
from escalations.states import State

from .. import deciding, kept, veil
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
    form = DecisionForm(
        fields, proposal=proposal, quiet=True,
        reasons=deciding.reasons_of(proposal), masked=veil.covers(request.user, proposal),
    )  # fmt: skip
    return {"form": form} if proposal.state == State.PENDING else {"form": form, "moved_on": AlreadySettled()}
