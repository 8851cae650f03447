"""A team's week, made of rows: when it is, and how something in it was decided."""

from datetime import date, timedelta

from escalations import canonical
from escalations.models import Decision, Incident, Proposal, Signature
from escalations.states import STATE_OF, State, Verdict
from escalations.weekly.gathering import begins

MONDAY = date(2026, 3, 2)
SINCE = begins(MONDAY)
NEXT = SINCE + timedelta(days=7, hours=1)  # the Monday after, when the review is made


def decide(one, verdict, at, person, *, by="person", interactive=True):
    """Write down a decision as settling would."""
    state = State.EXPIRED if by == "clock" else STATE_OF[Verdict(verdict)]
    Proposal.objects.filter(pk=one.pk).update(state=state, settled_at=at)
    runs = one.args_digest if verdict in ("approve", "edit") else None
    Decision.objects.create(
        proposal=one, type=verdict, by_kind=by, person=person if by == "person" else None, by_id=person.username if by == "person" else by,
        by_name=by, signed_digest=one.args_digest, args_digest=runs, decided_at=at, valid_until=at + timedelta(days=1),
    )
    if by == "person":
        Signature.objects.create(
            proposal=one, person=person, type=verdict, digest=one.args_digest, version=1, method="page", interactive=interactive, at=at
        )
    one.refresh_from_db()
    return one


def many(source, to, person, said, *, interactive=True, test=False, by="person", method="page"):
    """Let as many come as `said` has (args, verdict), half an hour apart from the beginning of the week, each decided at once. Four queries."""
    incidents, proposals, decisions, signatures = [], [], [], []
    for number, (args, verdict) in enumerate(said):
        at = SINCE + timedelta(minutes=number * 20)
        incident = Incident(source=source, key=f"many-{source.pk}-{number}", body_digest="0" * 64, kind="action", title="t", test=test, received_at=at)
        content = canonical.content_text("refund", args, None)
        digest = canonical.digest_of(content)
        proposal = Proposal(
            incident=incident, source=source, kind="action", action="refund", args=args, content=content, args_digest=digest, test=test,
            role=to, asked=[to.pk], routed_at=at, settled_at=at, state=STATE_OF[Verdict(verdict)],
        )
        decisions.append(Decision(
            proposal=proposal, type=verdict, by_kind=by, person=person if by == "person" else None, by_id=by, by_name=by, signed_digest=digest,
            args_digest=digest if verdict == "approve" else None, decided_at=at, valid_until=at,
        ))
        signatures.append(Signature(
            proposal=proposal, person=person, type=verdict, digest=digest, version=1, method=method, interactive=interactive, at=at
        ))
        incidents.append(incident)
        proposals.append(proposal)
    for model, rows in ((Incident, incidents), (Proposal, proposals), (Decision, decisions), (Signature, signatures)):
        model.objects.bulk_create(rows)
