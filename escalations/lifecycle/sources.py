"""What a source may do to its own incident after ingest: revise, add context, withdraw, acknowledge."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from escalations import audit, canonical, clock, queue, search, standstill
from escalations.errors import AlreadySettled, Conflict, DecisionExpired, Invalid, NotAllowed, NotFound, Stopped
from escalations.floors.facts import context_texts
from escalations.floors.judge import new_findings
from escalations.floors.risk import risk_of
from escalations.floors.rulebook import Rulebook
from escalations.models import (
    Acknowledgement,
    Classification,
    ContextItem,
    Decision,
    Delivery,
    Incident,
    Person,
    Proposal,
    Question,
    SessionAlarm,
    Work,
)
from escalations.states import DEFAULT_DECISIONS, Kind, Stage, State, Status, Verdict

from . import hold, moves

MAX_REVISIONS = 5  # law 12: no shopping for a yes
CLAIMS = ("confidence", "reversible", "impact", "fallback")


class TooManyRevisions(Conflict):
    code = "too_many_revisions"
    detail = f"A line has {MAX_REVISIONS} revisions at most."


class AlreadyAcknowledged(Conflict):
    code = "already_acknowledged"
    detail = "This outcome was acknowledged already."


def new_proposal(
    incident: Incident, content: dict[str, Any], *, revision: int = 1, author: str = "source", person: Person | None = None
) -> Proposal:
    """Return an unsaved, unrouted proposal made of validated input; its digest is taken here, over what is stored. No query."""
    action, args, draft = content.get("action") or "", content.get("args"), content.get("draft")
    if action and args is None:
        args = {}
    if draft is not None:
        draft = {name: draft.get(name, "text" if name == "format" else "") for name in ("to", "subject", "body", "format")}
    text = canonical.content_text(action or None, args, draft)
    kind = Kind(incident.kind)
    allowed = [str(verdict) for verdict in content.get("allowed_decisions") or DEFAULT_DECISIONS[kind]]
    return Proposal(
        incident=incident,
        source_id=incident.source_id,
        test=incident.test,
        kind=kind,
        title=incident.title,
        revision=revision,
        author=author,
        author_person=person,
        action=action,
        args=args,
        draft=draft,
        content=text,
        args_digest=canonical.digest_of(text),
        description=content.get("description") or "",
        args_schema=content.get("args_schema"),
        allowed_decisions=allowed if Verdict.REJECT in allowed or not content.get("allowed_decisions") else [*allowed, "reject"],
        claims={name: content[name] for name in CLAIMS if content.get(name) not in (None, "")},
        created_at=clock.now(),
    )


def words_of(proposal: Proposal) -> list[Classification]:
    """Return what the engines said of this revision, or of the one before it when it was never classified. One query."""
    rows = list(Classification.objects.filter(incident_id=proposal.incident_id).select_related("work"))
    own = [row for row in rows if row.work.proposal_id == proposal.pk]
    if own or not rows:
        return own
    newest = max(row.work_id for row in rows)
    return [row for row in rows if row.work_id == newest]


def revise(
    incident_id: Any, *, content: dict[str, Any], author: str = "source", actor: audit.Actor, person: Person | None = None
) -> Proposal:
    """Post a new revision: to correct a pending one, or after a rejection with `retry`. It is classified and routed like any other.

    Raises AlreadySettled, TooManyRevisions, NotAllowed, NotFound. A model's redraft gives way when the agent's own revision came first.
    """
    with transaction.atomic():
        incident, pending = _locked(incident_id)
        _check_its_own(incident, actor)
        last = Proposal.objects.filter(incident=incident).order_by("-revision").select_related("decision").first()
        if last is not None and last.revision >= MAX_REVISIONS:
            raise TooManyRevisions
        if incident.status == Status.SETTLED:
            _check_handed_out(incident)
            raise moves.refusal(last.pk) if last else AlreadySettled()
        if author == "model" and pending is not None:
            raise AlreadySettled("A newer revision is pending.")
        if pending is not None:
            moves.leave(pending, State.SUPERSEDED, actor=actor, why="revised")
        if author == "source":
            _drop_work(incident)
        proposal = new_proposal(
            incident, content, revision=(last.revision if last else 0) + 1, author=author, person=person
        )
        proposal.save(force_insert=True)
        Work.objects.create(incident=incident, proposal=proposal)
        audit.record(
            "proposal.revised", actor=actor, incident_id=incident.pk, proposal_id=proposal.pk, revision=proposal.revision,
            args_digest=proposal.args_digest, author=author,
        )
        queue.wake("classify")
    return proposal


def add_context(incident_id: Any, *, context: dict[str, Any], sanitised: bool = False, actor: audit.Actor) -> ContextItem:
    """Add context to an open incident, answer what was asked back, and raise the pending proposal's version.

    A signature that is held on it falls: it was given without knowing this. Text found in it may add triggers and raise the risk,
    never take any away (law 5). Raises AlreadySettled, NotFound; NotAllowed for a source that was not asked, about what was opened
    about it: with a new version every moment nobody could decide.
    """
    with transaction.atomic():
        incident, pending = _locked(incident_id)
        asked = Question.objects.filter(incident=incident, answered_at=None)
        if actor.kind == "source" and _is_about_it(incident) and not asked.exists():
            raise NotAllowed("This was opened because of what the agent did; it answers what it is asked, and adds nothing.")
        if incident.status == Status.SETTLED:
            _check_handed_out(incident)
            raise AlreadySettled()
        item = ContextItem.objects.create(incident=incident, context=context, sanitised=sanitised)
        answered = Question.objects.filter(incident=incident, answered_at=None).update(answered_at=clock.now())
        fired: list[dict[str, Any]] = []
        if pending is not None:
            hold.fall(pending, actor=actor, why="context was added")
            if pending.routed_at is not None:
                fired = new_findings(Rulebook.load(), context_texts(context), pending.trigger_names)
            triggers = [*pending.triggers, *fired]
            names = [trigger["name"] for trigger in triggers]
            Proposal.objects.filter(pk=pending.pk).update(
                version=F("version") + 1, triggers=triggers,
                risk=risk_of(triggers=names, floor=pending.floor, category=pending.category, severity=pending.severity),
            )
            if fired:
                moves.set_triage(incident.pk, triggers=names)
            if pending.routed_at is not None:
                pending.incident = incident
                search.remember(pending)
        audit.record(
            "proposal.context_added", actor=actor, incident_id=incident.pk, proposal_id=pending.pk if pending else None,
            item=item.pk, answered=answered, new_triggers=[trigger["name"] for trigger in fired],
        )
        queue.announce(incident.pk)
    return item


def withdraw(incident_id: Any, *, actor: audit.Actor, why: str = "") -> Incident:
    """The source needs no answer any more; `why` stands in the record.

    Raises AlreadySettled (with who was first) once settled, NotAllowed, NotFound.
    """
    facts: dict[str, Any] = {"why": why} if why else {}
    with transaction.atomic():
        incident, pending = _locked(incident_id)
        _check_its_own(incident, actor)
        if incident.status == Status.SETTLED:
            _check_handed_out(incident)
            last = Proposal.objects.filter(incident=incident).order_by("-revision").first()
            raise moves.refusal(last.pk) if last else AlreadySettled()
        if pending is not None:
            moves.leave(pending, State.WITHDRAWN, actor=actor, **facts)
        else:
            audit.record("proposal.withdrawn", actor=actor, incident_id=incident.pk, **facts)
        _drop_work(incident)
        moves.settle_incident(incident, actor=actor)
    return incident


def acknowledge(
    incident_id: Any, *, result: str, args_digest: str | None = None, detail: str = "", actor: audit.Actor
) -> Acknowledgement:
    """The agent has acted on the outcome. Once. `failed` opens a new proposal for a person, with the trigger agent_failed.

    A no is no thing to fail at: it is recorded and asks nobody again (law 12), and where nothing ran, five revisions are enough.

    Raises DecisionExpired after `valid_until`, AlreadyAcknowledged, Invalid when the digest is not the one that may run, Conflict
    while nothing is decided, NotFound.
    """
    try:
        with transaction.atomic():
            incident, pending = _locked(incident_id)
            decision = (
                Decision.objects.filter(proposal__incident=incident).select_related("proposal").order_by("-decided_at").first()
            )
            if decision is None or pending is not None:
                raise Conflict("Nothing is decided yet.", code_hint="not_settled")
            if not Delivery.objects.filter(proposal=decision.proposal_id, token__gt=0).exists():  # a try may have reached it
                _check_handed_out(incident)
            if Acknowledgement.objects.filter(decision=decision).exists():
                raise AlreadyAcknowledged
            if decision.args_digest is not None and decision.valid_until <= clock.now():
                raise DecisionExpired(valid_until=decision.valid_until)
            if decision.args_digest is not None and args_digest != decision.args_digest:
                raise Invalid([{
                    "pointer": "/args_digest", "code": "digest_mismatch",
                    "detail": "This is not the digest that was signed. What ran is not what was approved.",
                }])
            acknowledgement = Acknowledgement.objects.create(
                decision=decision, result=result, args_digest=args_digest, detail=detail
            )
            audit.record(
                "outcome.acknowledged", actor=actor, incident_id=incident.pk, proposal_id=decision.proposal_id, result=result,
                args_digest=args_digest,
            )
            asks_again = decision.args_digest is not None or (
                decision.type != Verdict.REJECT and decision.proposal.revision < MAX_REVISIONS
            )
            if result == "failed" and asks_again and not _is_about_it(incident):
                _reopen(incident, decision, actor)
    except IntegrityError:
        raise AlreadyAcknowledged from None
    return acknowledgement


def _reopen(incident: Incident, decision: Decision, actor: audit.Actor) -> None:
    """Hand a failed outcome to a person: the same content again, which will be routed with agent_failed and what the agent says of it.

    In the words it was asked in: what was known then is known now, and the engines find nothing new in it.
    Who may not have signed it, because they had edited it into what it is, may not sign it again either.
    """
    last = decision.proposal
    again = new_proposal(
        incident,
        {"action": last.action, "args": decision.args or last.args, "draft": decision.draft or last.draft,
         "description": last.description,
         "args_schema": last.args_schema, "allowed_decisions": last.allowed_decisions, **last.claims},
        revision=last.revision + 1,
        author="system",
        person=last.author_person,
    )
    again.save(force_insert=True)
    Work.objects.create(incident=incident, proposal=again)
    moves.wait_again(incident.pk)
    audit.record(
        "proposal.revised", actor=actor, incident_id=incident.pk, proposal_id=again.pk, revision=again.revision,
        args_digest=again.args_digest, author="system", why="agent_failed",
    )
    queue.wake("classify")


def _check_handed_out(incident: Incident) -> None:
    """Raise Stopped when the source may not be told yet how its incident was settled. Two queries."""
    last = Proposal.objects.filter(incident=incident).order_by("-revision").values_list("pk", flat=True).first()
    if last is not None and standstill.held_back([last]):
        raise Stopped


def _check_its_own(incident: Incident, actor: audit.Actor) -> None:
    """Raise NotAllowed for a source that would take back, or reword, what was opened about it. One query for a hand-off in a run."""
    if actor.kind == "source" and _is_about_it(incident):
        raise NotAllowed("This was opened because of what the agent did; it is not the agent's to take back.")


def _is_about_it(incident: Incident) -> bool:
    """Say whether an incident was opened about a run of its source: the answer is carried to the run, and is nothing to fail at."""
    may_be = incident.kind == Kind.HANDOFF and bool(incident.session)
    return may_be and SessionAlarm.objects.filter(incident=incident).exists()


def _drop_work(incident: Incident) -> None:
    """End what is still to be done on an incident; whoever works on it finds its token stale."""
    Work.objects.filter(incident=incident).exclude(stage=Stage.DONE).update(stage=Stage.DONE, token=F("token") + 1)


def _locked(incident_id: Any) -> tuple[Incident, Proposal | None]:
    """Lock the pending proposal (if any), then its incident, and return both.

    A proposal that appears between the two locks is locked second; the only other that holds them in that order is this function.
    """
    pending = _pending(incident_id)
    try:
        incident = Incident.objects.select_for_update(of=("self",)).select_related("source__owner").get(pk=incident_id)
    except Incident.DoesNotExist:
        raise NotFound from None
    return incident, pending or _pending(incident_id)


def _pending(incident_id: Any) -> Proposal | None:
    return (
        Proposal.objects.select_for_update(of=("self",)).filter(incident_id=incident_id, state=State.PENDING).first()
    )

