"""A call that is exactly what a person made of an earlier one: their signature lets it go, once.

The client cannot carry changed arguments, so an edit reaches it as a no that names them. When the same run then calls the same function
with those arguments, nobody is asked twice: the signature is of this digest, and acknowledging it uses it up. The call is recorded as an
incident of its own, which its source needs no answer to any more, and both say so. Nothing else is let through: another digest,
another run, a second time, a signature past its `valid_until`, or a moment when everything is stopped, and a person is asked as ever.
"""

from typing import Any

from django.conf import settings
from django.db import transaction

from escalations import clock, lifecycle, standstill, wire
from escalations.adapters.base import post
from escalations.api.auth import Caller
from escalations.errors import Conflict, Invalid
from escalations.models import ApiKey, Decision, Incident, Proposal

from . import answers
from .asked import Asked, as_incident


def let_go(caller: Caller, asked: Asked) -> Incident | None:
    """Return the call's incident where a signature lets it go; None where a person is to be asked, with nothing written.

    One transaction: the signature is used up, the call recorded and settled, or none of it. Who races for one signature: one wins.
    """
    signed = _signed(caller, asked)
    if signed is None:
        return None
    try:
        with transaction.atomic():
            if standstill.enter():
                return None
            lifecycle.acknowledge(
                signed.proposal.incident_id, result="done", args_digest=asked.digest,
                detail=answers.AGAIN.format(call_id=asked.call_id), actor=caller.actor,
            )
            incident, replayed = post(caller, as_incident(asked), key=asked.key, strict=True)
            if replayed:  # it was asked before, and a person was
                transaction.set_rollback(True)
                return None
            lifecycle.add_context(incident.pk, context=_pointing_to(signed), actor=caller.actor)
            lifecycle.withdraw(incident.pk, actor=caller.actor)
            incident.refresh_from_db()
            return incident
    except (Conflict, Invalid):  # somebody else used it up, or its time is over
        return None


def _signed(caller: Caller, asked: Asked) -> Decision | None:
    """Return the newest unused yes to exactly this content, given to another content of the same run. One query, by the run."""
    changed = Decision.objects.filter(
        proposal__incident__source=caller.as_source, proposal__incident__session=asked.run_id,
        proposal__incident__test=caller.env == ApiKey.TEST, proposal__incident__key__startswith="humanlayer:function:",
        args_digest=asked.digest, valid_until__gt=clock.now(), acknowledgement=None,
    )
    as_asked = Proposal.objects.filter(source=caller.as_source, revision=1, args_digest=asked.digest).values("incident")
    return changed.exclude(proposal__incident__in=as_asked).select_related("proposal").order_by("-decided_at").first()


def _pointing_to(signed: Decision) -> dict[str, Any]:
    said = f"{signed.by_name} signed exactly this at {wire.moment(signed.decided_at)}, by changing an earlier call of the same run."
    url = settings.PUBLIC_URL.rstrip("/") + signed.proposal.get_absolute_url()
    return {"summary": said, "links": [{"label": "What was signed", "url": url}]}
