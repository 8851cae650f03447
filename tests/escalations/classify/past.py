"""A past that people decided, made by the real verbs."""

from escalations import lifecycle
from escalations.models import Proposal
from tests.factories import IncidentFactory, ProposalFactory


def proposed(source, **given):
    """Return a pending proposal of this source; `incident={…}` is for the incident."""
    incident = IncidentFactory(source=source, **given.pop("incident", {}))
    return ProposalFactory(incident=incident, **given)


def decided(person, source, verdict="reject", reason="", *, interactive=True, changes=None, **given):
    """Return a proposal of this source that this person decided."""
    one = proposed(source, **given)
    more = {"args": changes} if changes is not None else {}
    lifecycle.decide(
        one.pk, person=person, type=verdict, digest=one.args_digest, version=one.version, reason=reason, message="said", interactive=interactive,
        **more,
    )
    return Proposal.objects.get(pk=one.pk)
