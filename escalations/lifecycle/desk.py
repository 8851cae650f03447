"""What a reviewer may do without settling: claim, release, hand over, escalate now, extend, ask back, comment, reveal."""

import re
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from escalations import audit, authority, clock, outbox, queue
from escalations.errors import AlreadyClaimed, IllegalMove, Invalid, NotFound
from escalations.models import Comment, Hold, Person, Proposal, Question, Role, StepRun
from escalations.models.people import MANAGER
from escalations.states import State

from . import hold, moves
from .absent import away_now, deputies_of
from .stepping import next_due

LONGEST_EXTENSION = timedelta(days=7)
LONGEST_TOLD = 2_000  # characters of a comment that a notice carries, and of a reason in the audit
MOST_MENTIONS = 20
# "@carl", "@carl.colleague", "@carl@acme.example"; not the domain of an address that stands in a text.
MENTION = re.compile(r"(?<![\w@.+/-])@([\w.+-]+(?:@[\w.-]+)?)")


def claim(proposal_id: Any, *, person: Person, take_over: bool = False) -> Proposal:
    """Take a proposal so that colleagues see it; it lapses by itself. Raises AlreadyClaimed (with who) unless `take_over`, and Held.

    Claiming again renews the lease; who is away holds nothing. It does not raise the version: nothing of what is signed changes.
    """
    now = clock.now()
    with transaction.atomic():
        proposal = _at_the_desk(proposal_id, person)
        hold.check_free(proposal)
        taken_from = _locked_holder(proposal, now) if take_over else None
        free = Q(claimed_by=None) | Q(claimed_by=person) | Q(claim_until__lte=now) | Q(claim_until=None) | Q(away_now(now))
        wanted = Q(pk=proposal.pk, state=State.PENDING) & (Q() if take_over else free)
        until = now + timedelta(seconds=settings.CLAIM_SECONDS)
        if not Proposal.objects.filter(wanted).update(claimed_by=person, claim_until=until):
            current = Proposal.objects.select_related("claimed_by").get(pk=proposal.pk)
            if current.state != State.PENDING:
                raise moves.refusal(current.pk)
            holder = current.claimed_by
            raise AlreadyClaimed(f"{holder.name if holder else 'A colleague'} holds this.", until=current.claim_until)
        _record(
            "proposal.claimed", proposal, person,
            taken_from=taken_from.username if taken_from and taken_from != person else None,
        )
        proposal.claimed_by, proposal.claim_until = person, until
    return proposal


def _locked_holder(proposal: Proposal, now: datetime) -> Person | None:
    """Lock the proposal and return who holds it by a claim that lives: two who take it over at once take it one from the other."""
    locked = Proposal.objects.select_for_update(of=("self",)).select_related("claimed_by").get(pk=proposal.pk)
    return locked.claimed_by if locked.claim_until is not None and locked.claim_until > now else None


def release(proposal_id: Any, *, person: Person) -> None:
    """Give a claim back. Nothing happens when it is not (any more) this person's."""
    with transaction.atomic():
        proposal = _at_the_desk(proposal_id, person)
        if Proposal.objects.filter(pk=proposal.pk, claimed_by=person).update(claimed_by=None, claim_until=None):
            _record("proposal.released", proposal, person)


def release_all(person: Person, *, actor: audit.Actor) -> int:
    """Give back everything a person has claimed (they left, or were deactivated), and let their held signatures fall.

    Return how many claims.
    """
    with transaction.atomic():
        signed = Hold.objects.filter(person=person).order_by("pk").values_list("pk", flat=True)
        for proposal in Proposal.objects.select_for_update(of=("self",)).filter(pk__in=list(signed)).order_by("pk"):
            hold.fall(proposal, actor=actor, why=f"{person.name} may not sign any more")
        held = list(Proposal.objects.select_for_update(of=("self",)).filter(claimed_by=person).order_by("pk"))
        Proposal.objects.filter(pk__in=[one.pk for one in held]).update(claimed_by=None, claim_until=None)
        audit.record_many([
            audit.entry("proposal.released", actor=actor, incident_id=one.incident_id, proposal_id=one.pk, of=person.username)
            for one in held
        ])
    return len(held)


def hand_over(proposal_id: Any, *, person: Person, role: Role, why: str = "") -> Proposal:
    """Ask another role instead. The clock goes on as it was; the version rises; the new role is told."""
    with transaction.atomic():
        proposal = _pending(proposal_id, person)
        if role.pk == proposal.role_id:
            raise IllegalMove(f"{role.name} is asked already.")
        asked = [*proposal.asked, role.pk] if role.pk not in proposal.asked else proposal.asked
        _update(proposal, role=role, asked=asked, claimed_by=None, claim_until=None)
        _record("proposal.handed_over", proposal, person, to=role.name, why=why)
        outbox.open_notice("escalated", proposal=proposal, role=role, step=proposal.step, why=why, by=person.name)
    return proposal


def escalate_now(proposal_id: Any, *, person: Person, why: str = "") -> Proposal:
    """Fire the next step at once; with none left, ask the managers."""
    now = clock.now()
    with transaction.atomic():
        proposal = _pending(proposal_id, person)
        steps = proposal.policy.get("steps", [])
        if proposal.step < len(steps):
            role = Role.objects.filter(pk=steps[proposal.step]["role"]).first() or Role.objects.get(name=MANAGER)
        else:
            role = Role.objects.get(name=MANAGER)
            if role.pk == proposal.role_id:
                raise IllegalMove("The managers are asked already.")
        StepRun.objects.create(
            proposal=proposal, step=proposal.step + 1, role=role, due_at=now, fired_at=now, why="person"
        )
        asked = [*proposal.asked, role.pk] if role.pk not in proposal.asked else proposal.asked
        _update(
            proposal, role=role, asked=asked, step=proposal.step + 1, claimed_by=None, claim_until=None,
            due_at=next_due(proposal.policy, proposal.step + 1, now, proposal.expires_at),
        )
        _record("proposal.escalated", proposal, person, to=role.name, step=proposal.step, why=why)
        outbox.open_notice("escalated", proposal=proposal, role=role, step=proposal.step, why=why, by=person.name)
    return proposal


def extend(proposal_id: Any, *, person: Person, by: timedelta, why: str = "") -> Proposal:
    """Move the next step and the expiry by `by`, up to seven days from now in all."""
    now = clock.now()
    with transaction.atomic():
        proposal = _pending(proposal_id, person)
        if by <= timedelta(0):
            raise Invalid([{"pointer": "/by", "code": "invalid", "detail": "Give it more time, not less."}])
        if proposal.due_at is None or proposal.expires_at is None:
            raise IllegalMove("No clock is running.")
        if proposal.expires_at + by > now + LONGEST_EXTENSION:
            raise Invalid([{"pointer": "/by", "code": "too_long", "detail": "At most seven days from now."}])
        _update(proposal, due_at=proposal.due_at + by, expires_at=proposal.expires_at + by, warned_at=None)
        _record("proposal.extended", proposal, person, seconds=int(by.total_seconds()), why=why)
    return proposal


def ask_back(proposal_id: Any, *, person: Person, text: str) -> Question:
    """Ask the agent something without deciding; it is told, answers with context, and the version rises then."""
    with transaction.atomic():
        proposal = _pending(proposal_id, person)
        if not text.strip():
            raise Invalid([{"pointer": "/text", "code": "required", "detail": "What do you want to know?"}])
        question = Question.objects.create(incident_id=proposal.incident_id, person=person, text=text.strip())
        outbox.open_question(proposal.incident, question)
        _record("proposal.asked_back", proposal, person, question=question.pk)
        queue.announce(proposal.incident_id)
    return question


def comment(proposal_id: Any, *, person: Person, text: str) -> Comment:
    """Leave a word to colleagues; possible after settling too. Who is named as "@username" is told, and who deputises while they are away.

    Raises Invalid when nothing is said, or when it names somebody who may not read this, whoever that is.
    """
    with transaction.atomic():
        proposal = _readable(proposal_id, person)
        if not text.strip():
            raise Invalid([{"pointer": "/text", "code": "required", "detail": "Write something."}])
        named = _mentioned(proposal, text)
        said = Comment.objects.create(proposal=proposal, person=person, text=text.strip(), mentions=[one.pk for one in named])
        _record("proposal.commented", proposal, person, comment=said.pk, mentioned=[one.username for one in named])
        outbox.open_notices([
            outbox.Wanted("mentioned", proposal, person=one, facts={"by": person.name, "text": said.text[:LONGEST_TOLD]})
            for one in named
            if one != person
        ] + [
            outbox.Wanted("mentioned", proposal, person=deputy, facts={"by": person.name, "text": said.text[:LONGEST_TOLD], "instead_of": away})
            for deputy, away in _standing_in(proposal, named)
            if deputy != person and deputy not in named
        ])
    return said


def reveal(proposal_id: Any, *, person: Person, why: str = "") -> None:
    """Put it on record that this person had values shown that are masked for them; who may read the proposal may. Four queries."""
    with transaction.atomic():
        _record("proposal.revealed", _readable(proposal_id, person), person, why=why.strip()[:LONGEST_TOLD])


def names_in(text: str) -> list[str]:
    """Return the user names a comment calls on with "@name", as they stand there, each once; no query.

    A name may hold dots, and be an address; a full stop behind it is the sentence's.
    """
    names = (found.rstrip(".-+") for found in MENTION.findall(text))
    return list({name.lower(): name for name in names if name}.values())


def _mentioned(proposal: Proposal, text: str) -> list[Person]:
    names = names_in(text)
    if not names:
        return []
    if len(names) > MOST_MENTIONS:
        raise Invalid([{"pointer": "/text", "code": "too_many", "detail": f"Call on {MOST_MENTIONS} colleagues at most."}])
    asked_for = reduce(or_, (Q(username__iexact=name) for name in names))
    found = {one.username.lower(): one for one in authority.readers_of(proposal).filter(asked_for)}
    if strangers := [f"@{name}" for name in names if name.lower() not in found]:
        raise Invalid([{
            "pointer": "/text", "code": "cannot_read",
            "detail": f"Nobody called {', '.join(strangers)} can read this, so nobody was told. Name a colleague of its roles, or leave "
            "the @ out.",
        }])
    return [found[name.lower()] for name in names]


def _standing_in(proposal: Proposal, named: list[Person]) -> list[tuple[Person, str]]:
    """Return who deputises for those of the named who are away and may read this, with whom they stand in for. Two queries at most."""
    deputies = deputies_of(named, clock.now()) if named else []
    if not deputies:
        return []
    may_read = set(authority.readers_of(proposal).filter(pk__in=[deputy.pk for deputy, _ in deputies]).values_list("pk", flat=True))
    return [(deputy, away.name) for deputy, away in deputies if deputy.pk in may_read]


def _readable(proposal_id: Any, person: Person) -> Proposal:
    proposal = (
        authority.readable_by(person)
        .select_related("incident__source__owner", "source", "role", "claimed_by")
        .filter(pk=proposal_id)
        .first()
    )
    if proposal is None:
        raise NotFound
    return proposal


def _at_the_desk(proposal_id: Any, person: Person) -> Proposal:
    """Return a proposal this person may decide, or raise why not."""
    proposal = _readable(proposal_id, person)
    authority.check_may_decide(person, proposal)
    return proposal


def _pending(proposal_id: Any, person: Person) -> Proposal:
    """Lock and return a pending proposal this person may decide, on which no signature is held.

    Judged on what the lock returns: roles may have moved.
    """
    _readable(proposal_id, person)
    proposal = (
        Proposal.objects.select_for_update(of=("self",))
        .select_related("incident__source__owner", "source", "role")
        .get(pk=proposal_id)
    )
    authority.check_may_decide(person, proposal)
    if proposal.state != State.PENDING:
        raise moves.refusal(proposal.pk)
    hold.check_free(proposal)
    return proposal


def _update(proposal: Proposal, **values: Any) -> None:
    """Write a locked proposal; its version rises because a reviewer could have seen the change."""
    Proposal.objects.filter(pk=proposal.pk).update(version=F("version") + 1, **values)
    for name, value in values.items():
        setattr(proposal, name, value)
    proposal.version += 1


def _record(action: str, proposal: Proposal, person: Person, **facts: Any) -> None:
    audit.record(
        action, actor=audit.Actor.of(person), incident_id=proposal.incident_id, proposal_id=proposal.pk,
        version=proposal.version, **facts,
    )
