"""One proposal, one decision: a person signs what was shown (laws 3, 4, 8, 12)."""

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from escalations import argschema, audit, authority, canonical, clock, queue
from escalations.errors import (
    Blocked,
    ChangedSinceSeen,
    Conflict,
    DecisionNotAllowed,
    IdempotencyMismatch,
    Invalid,
    NotFound,
)
from escalations.floors import chatting
from escalations.floors.facts import context_texts
from escalations.floors.judge import judge
from escalations.floors.rulebook import Rulebook
from escalations.models import Decision, Hold, Person, Proposal, Signature, Work
from escalations.states import STATE_OF, Floor, Kind, Stage, State, Verdict

from . import hold, moves, quorum
from .placing import place
from .sources import MAX_REVISIONS, new_proposal, words_of

# What an edit cannot newly fire: the engines are not asked again about it.
OF_THE_ENGINES = frozenset({"low_confidence", "classifier_failed"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a signature: the decision; or, without one, the new pending revision that an edit became, or the hold.

    A hold means that the signature stands and can be taken back: the clock makes it the decision at `held.settles_at`. Where a yes
    needs several people and this was not the last, `signed` of the `needed` have signed what is shown.
    """

    proposal: Proposal
    decision: Decision | None
    revision: Proposal | None = None
    replayed: bool = False
    held: Hold | None = None
    signed: int = 0
    needed: int = 0


def decide(
    proposal_id: Any,
    *,
    person: Person,
    type: str,
    digest: str,
    version: int,
    reason: str = "",
    args: dict[str, Any] | None = None,
    draft: dict[str, Any] | None = None,
    message: str | None = None,
    retry: bool = False,
    method: str = "page",
    interactive: bool = True,
    request_key: str | None = None,
    request_digest: str = "",
) -> Outcome:
    """Sign a proposal as one person. One transaction; about fifteen queries.

    `digest` and `version` are what the person was shown; they are checked inside the UPDATE. `request_key` makes a repeat of the
    same request return what was stored. By a page or a group form, under a policy with `undo_seconds`, the signature is checked
    as ever and then held; `settling.settle_held` makes it the decision. Where the policy asks for several people's yes, all but the
    last are written and leave it pending.

    Raises NotYourQueue, OwnRequest, StepUpRequired (who), DecisionNotAllowed, Invalid, Blocked (what), AlreadySettled (with who
    was first), Held (with who signed), AlreadySigned, ChangedSinceSeen (read again), IdempotencyMismatch, NotFound.
    """
    if request_key and (known := _replay(request_key, request_digest)):
        return known
    try:
        with transaction.atomic():
            proposal = _shown(proposal_id, lock=True)
            _check(proposal, person, Verdict(type), digest, version, reason, message, retry, interactive)
            if method == "chat":
                chatting.check(proposal, Verdict(type), reason)
            seen = Q(version=version, args_digest=digest)
            verdict = moves.Verdictum(
                type=Verdict(type), by_kind="person", by_id=person.username, by_name=person.name, person=person, reason=reason,
                message=message, retry=retry, request_key=request_key, request_digest=request_digest,
                runs=moves.Content.of(proposal) if type == Verdict.APPROVE else None,
            )
            if type == Verdict.EDIT:
                became = _edit(proposal, person, verdict, args, draft, seen)
                if isinstance(became, Outcome):
                    return became
                verdict = replace(verdict, runs=became)
            if type == Verdict.APPROVE:
                quorum.check_new(proposal, person)
                if not quorum.is_last(proposal):
                    return _sign_one_of_several(proposal, person, seen, method, interactive, reason)
            if method in hold.HELD_BY and hold.undo_seconds(proposal):
                return Outcome(proposal, None, held=_hold(proposal, person, verdict, seen, method))
            return Outcome(proposal, sign(proposal, verdict, seen=seen, method=method, interactive=interactive))
    except Conflict:
        if request_key and (known := _replay(request_key, request_digest)):
            return known  # the same request twice at once: the other one was first, and this one saw its decision
        if request_key and type == Verdict.EDIT and (known := _became(proposal_id, person, args, draft)):
            return known
        if request_key and type == Verdict.APPROVE and (known := _signed_before(proposal_id, person, digest, version)):
            return known
        raise
    except IntegrityError as error:
        if request_key and "decision_request_once" in str(error) and (known := _replay(request_key, request_digest)):
            return known  # the same request twice at once: the other one was first
        raise


def sign(
    proposal: Proposal, verdict: moves.Verdictum, *, seen: Q, method: str, interactive: bool, held: Hold | None = None
) -> Decision:
    """Settle a proposal by a person's signature, as it was shown; in the caller's transaction, checked by the caller.

    `held` is the hold that this settles: the signature is of the moment it was given, and the clock's running out since then does
    not count against it. The decision is of now. Raises a Conflict when it is not as it was shown.
    """
    signed_at = {} if held is None else {"at": held.signed_at}
    shown_version, shown_digest = proposal.version, proposal.args_digest
    decision = moves.settle(
        proposal, STATE_OF[verdict.type], verdict, seen=seen, before_expiry=held is None, method=method, interactive=interactive,
        **({} if held is None else {"signed_at": held.signed_at}),
    )
    Signature.objects.create(
        proposal=proposal, person=verdict.person, type=verdict.type, digest=shown_digest, version=shown_version, method=method,
        interactive=interactive, **signed_at,
    )
    asks_again = verdict.retry and proposal.kind == Kind.DRAFT and proposal.revision < MAX_REVISIONS
    if asks_again and settings.COUNTERSIGN_MODEL:
        Work.objects.create(incident_id=proposal.incident_id, proposal=proposal, stage=Stage.REDRAFT)
        queue.wake("redraft")
    return decision


def _sign_one_of_several(
    proposal: Proposal, person: Person, seen: Q, method: str, interactive: bool, reason: str
) -> Outcome:
    """Write a yes after which more people are needed; the proposal is locked and stays as it is."""
    in_time = Q(expires_at=None) | Q(expires_at__gt=clock.now())
    if not Proposal.objects.filter(seen & in_time, pk=proposal.pk, state=State.PENDING).exists():
        raise moves.refusal(proposal.pk)
    signed = quorum.add(proposal, person, method=method, interactive=interactive, reason=reason)
    return Outcome(proposal, None, signed=signed, needed=quorum.needed(proposal))


def _hold(proposal: Proposal, person: Person, verdict: moves.Verdictum, seen: Q, method: str) -> Hold:
    """Hold a signature that everything was checked of; what an edit made of it stands in the hold, whole."""
    edited = verdict.runs if verdict.type == Verdict.EDIT else None
    held = hold.put(
        proposal, person, seen=seen, now=clock.now(), runs=verdict.runs.digest if verdict.runs else None,
        type=verdict.type, method=method, reason=verdict.reason, message=verdict.message, retry=verdict.retry,
        args=edited.args if edited else None, draft=edited.draft if edited else None,
    )
    if held is None:
        raise moves.refusal(proposal.pk)
    return held


def _replay(request_key: str, request_digest: str) -> Outcome | None:
    known = Decision.objects.select_related("proposal__incident").filter(request_key=request_key).first()
    if known is None:
        return None
    if known.request_digest != request_digest:
        raise IdempotencyMismatch
    return Outcome(known.proposal, known, replayed=True)


def _became(proposal_id: Any, person: Person, args: dict[str, Any] | None, draft: dict[str, Any] | None) -> Outcome | None:
    """Return the revision that this very edit of this person made when it was sent before. There is no decision to know it by."""
    before = _shown(proposal_id)
    revision = Proposal.objects.filter(
        incident_id=before.incident_id, revision=before.revision + 1, author="person", author_person=person
    ).first()
    if before.state != State.SUPERSEDED or revision is None:
        return None
    new_draft = None if before.draft is None else {**before.draft, **(draft or {})}
    digest = canonical.args_digest(before.action or None, before.args if new_draft else args, new_draft)
    return Outcome(before, None, revision=revision, replayed=True) if digest == revision.args_digest else None


def _signed_before(proposal_id: Any, person: Person, digest: str, version: int) -> Outcome | None:
    """Return what came of this very yes of this person, one of several, when it was sent before. There is no decision of theirs."""
    proposal = _shown(proposal_id)
    if not quorum.is_repeated(proposal, person, digest=digest, version=version):
        return None
    decision = Decision.objects.filter(proposal=proposal).first()
    pending = proposal.state == State.PENDING
    return Outcome(
        proposal, decision, replayed=True, signed=len(quorum.given(proposal)) if pending else 0,
        needed=quorum.needed(proposal) if pending else 0,
    )


def _shown(proposal_id: Any, *, lock: bool = False) -> Proposal:
    """Return the proposal; locked, so that a hold somebody made meanwhile is seen by whatever looks for it next."""
    rows = Proposal.objects.select_related("incident__source__owner", "role", "source")
    try:
        return (rows.select_for_update(of=("self",), no_key=True) if lock else rows).get(pk=proposal_id)
    except Proposal.DoesNotExist:
        raise NotFound from None


def _check(
    proposal: Proposal, person: Person, verdict: Verdict, digest: str, version: int, reason: str, message: str | None,
    retry: bool, interactive: bool,
) -> None:
    """Refuse early, with the best reason. What races is refused again inside the UPDATE."""
    if not authority.may_read(person, proposal):
        raise NotFound
    authority.check_may_decide(person, proposal, interactive=interactive)
    if proposal.state != State.PENDING:
        raise moves.refusal(proposal.pk)
    hold.check_free(proposal)
    if proposal.version != version or proposal.args_digest != digest:
        raise ChangedSinceSeen(version=proposal.version, args_digest=proposal.args_digest)
    if verdict not in proposal.allowed_decisions and verdict != Verdict.REJECT:
        raise DecisionNotAllowed(allowed=proposal.allowed_decisions)
    if verdict == Verdict.REJECT and not reason.strip():
        raise Invalid([{"pointer": "/reason", "code": "required", "detail": "Say why: the caller and the next reviewer read it."}])
    if verdict == Verdict.RESPOND and not (message or "").strip():
        raise Invalid([{"pointer": "/message", "code": "required", "detail": "Write the answer."}])
    if retry and verdict != Verdict.REJECT:
        raise Invalid([{"pointer": "/retry", "code": "invalid", "detail": "Only a rejection can ask for another try."}])
    if retry and proposal.revision >= MAX_REVISIONS:
        raise Invalid([{"pointer": "/retry", "code": "too_many_revisions", "detail": "The line has had all its revisions."}])


def _edit(
    proposal: Proposal, person: Person, verdict: moves.Verdictum, args: dict[str, Any] | None, draft: dict[str, Any] | None,
    seen: Q,
) -> Outcome | moves.Content:
    """Route the edited content as what it has become; return it if the editor may sign it.

    Else nothing settles and nothing is held: it is a new revision at once, with who may sign it (section 5).
    """
    edited = _edited(proposal, person, args, draft)
    rulebook = Rulebook.load()
    held = "A reviewer edited this into what it is; a person decides."
    judgement = judge(
        rulebook, proposal.incident, edited, words_of(proposal), held=held,
        fired_before=[trigger for trigger in proposal.triggers if trigger["name"] == "agent_failed"],
        texts=[pair for item in proposal.incident.added_context.all() for pair in context_texts(item.context)],
    )
    if judgement.floor == Floor.BLOCK:
        raise Blocked(f"The rule “{judgement.settles.name if judgement.settles else ''}” blocks what this would become.")
    new_triggers = set(judgement.trigger_names) - set(proposal.trigger_names) - OF_THE_ENGINES
    demanded = judgement.role_why == "rule" or (judgement.role_why == "trigger" and judgement.trigger_names[0] in new_triggers)
    asks_for = judgement.role if demanded or proposal.role is None else proposal.role
    several = quorum.needed(proposal)
    if authority.is_member(person, asks_for.pk) and not new_triggers and several == 1:
        return moves.Content(edited.action, edited.args, edited.draft, edited.args_digest)
    if proposal.revision >= MAX_REVISIONS:
        raise DecisionNotAllowed("This edit needs another reviewer, and the line has had all its revisions. Reject it instead.")
    actor = audit.Actor.of(person)
    moves.leave(proposal, State.SUPERSEDED, actor=actor, seen=seen, before_expiry=True, why="edited")
    edited.save(force_insert=True)
    audit.record(
        "proposal.revised", actor=actor, incident_id=edited.incident_id, proposal_id=edited.pk, revision=edited.revision,
        args_digest=edited.args_digest, new_triggers=sorted(new_triggers), reason=verdict.reason,
    )
    place(edited, replace(judgement, role=asks_for), rulebook, people=several)
    queue.announce(edited.incident_id)
    return Outcome(proposal, None, revision=edited)


def _edited(proposal: Proposal, person: Person, args: dict[str, Any] | None, draft: dict[str, Any] | None) -> Proposal:
    """Return the unsaved next revision that the edit makes, checked as an agent's own would be."""
    if proposal.draft is not None:
        pointer, given = "/draft", draft
        changed: dict[str, Any] | None = {**proposal.draft, **(draft or {})}
        if set(changed or {}) - {"to", "subject", "body", "format"}:
            raise Invalid([{"pointer": "/draft", "code": "unknown_field", "detail": "A draft has to, subject, body and format."}])
        new_args, new_draft = proposal.args, changed
    else:
        pointer, given, changed = "/args", args, args
        new_args, new_draft = args, None
    if given is None:
        raise Invalid([{"pointer": pointer, "code": "required", "detail": "Send what it should become."}])
    if problems := canonical.check_signable(changed, pointer):
        raise Invalid(problems)
    if new_draft is None and proposal.args_schema is not None and (problems := argschema.args_problems(proposal.args_schema, args)):
        raise Invalid(problems)
    edited = new_proposal(
        proposal.incident,
        {"action": proposal.action, "args": new_args, "draft": new_draft, "description": proposal.description,
         "args_schema": proposal.args_schema, "allowed_decisions": proposal.allowed_decisions, **proposal.claims},
        revision=proposal.revision + 1,
        author="person",
        person=person,
    )
    if edited.args_digest == proposal.args_digest:
        raise Invalid([{"pointer": pointer, "code": "unchanged", "detail": "Nothing was changed. Approve it instead."}])
    return edited
