"""What the delivery tests stand on: a receiver, a source with a secret, a settled proposal."""

from datetime import timedelta

import pytest
from django.db import transaction

from escalations import audit, clock, outbox
from escalations.models import AuditEntry, Decision, Proposal
from escalations.states import State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory
from tests.fakes import receiver as fakes

ADMIN = audit.Actor("person", "ada", "Ada Admin")


@pytest.fixture
def development(settings):
    settings.DEBUG = True


@pytest.fixture
def receiver():
    with fakes.listening() as listening:
        yield listening


@pytest.fixture
def source(receiver):
    source = SourceFactory(callback_url=receiver.url, owner=PersonFactory())
    source.secret = outbox.ensure_secret(source)
    return source


def settled(source, *, type="approve", draft=None, args=None, **incident):
    """Return a settled proposal with its decision and its incident, as the lifecycle leaves them."""
    incident = IncidentFactory(source=source, **incident)
    action = "" if draft else "refund"
    proposal = ProposalFactory(incident=incident, action=action, args=None if draft else {"amount": 250}, draft=draft)
    yes = type in ("approve", "edit")
    Decision.objects.create(
        proposal=proposal, type=type, by_kind="policy", by_id="p", by_name="p", action=action, args=proposal.args, draft=draft,
        signed_digest=proposal.args_digest, args_digest=proposal.args_digest if yes else None, valid_until=clock.now() + timedelta(days=1),
    )
    Proposal.objects.filter(pk=proposal.pk).update(state=State.APPROVED, settled_at=clock.now())
    proposal.refresh_from_db()
    return proposal, proposal.decision, incident


def outcome(source, **incident):
    proposal, _, incident = settled(source, **incident)
    with transaction.atomic():  # as settling does
        return outbox.open_outcome(proposal, incident)


def tries(delivery):
    return [(attempt.status, attempt.error) for attempt in delivery.tries.all()]


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
