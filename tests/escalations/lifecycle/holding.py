"""How the tests of held signatures sign, look and let time pass."""

from datetime import timedelta

from escalations import audit, clock, lifecycle
from escalations.models import AuditEntry, Decision, Delivery, Hold, Signature
from tests.factories import STANDARD

UNDO = {**STANDARD, "undo_seconds": 20}
AGENT = audit.Actor("source", "agent", "agent")
SECONDS = timedelta(seconds=1)


def sign(proposal, person, type="approve", **more):
    more.setdefault("digest", proposal.args_digest)
    more.setdefault("version", proposal.version)
    if type == "reject":
        more.setdefault("reason", "not like this")
    return lifecycle.decide(proposal.pk, person=person, type=type, **more)


def entries(action):
    return AuditEntry.objects.filter(action=action).count()


def nothing_settled(proposal):
    proposal.refresh_from_db()
    assert proposal.state == "pending"
    assert not Decision.objects.exists() and not Signature.objects.exists()
    assert not Delivery.objects.exists()
    return True


def settled_after(proposal, seconds=20):
    with clock.frozen_at(Hold.objects.get(pk=proposal.pk).signed_at + seconds * SECONDS):
        return lifecycle.settle_held()
