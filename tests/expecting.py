"""What the live classifier expected of a proposal when it came in, written down as classifying does."""

from escalations.models import Classification, ClassifierVersion, Estimate, Proposal, Work


def expecting(one: Proposal, chance: float | None, version: ClassifierVersion | None = None) -> Proposal:
    """Let this version, else the first, live one, have given a yes such a chance. Returns the proposal."""
    version = version or ClassifierVersion.objects.get_or_create(number=1, state="live")[0]
    work = Work.objects.create(incident=one.incident, proposal=one, stage="done")
    Classification.objects.create(incident=one.incident, work=work, engine="learned", version=str(version.number), severity="info")
    Estimate.objects.create(work=work, version=version, approve=chance)
    return one
