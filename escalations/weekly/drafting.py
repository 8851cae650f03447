"""What becomes of a suggestion: a draft of a rule with its replay, or nothing, with the reason. It never goes live from here."""

from datetime import timedelta

from django.db import transaction

from escalations import audit, clock, policies, replay
from escalations.errors import Conflict, Invalid, NotAllowed, NotFound
from escalations.models import Change, Person, Replay, RoutingRule, Suggestion
from escalations.states import Floor, ReplayState, RuleState

from .finding import may_write

REPLAYED = timedelta(days=30)
LONGEST_WHY = 300
_SAYS = {Floor.AUTO: "Let go alone", Floor.REVIEW: "Ask a person", Floor.BLOCK: "Refuse"}


class Done(Conflict):
    """Somebody drafted or dismissed it meanwhile."""

    detail = "Somebody drafted or dismissed this meanwhile."


def may_draft(person: Person) -> bool:
    """Say whether this person may make drafts of rules: administrators of rules, and who decides everything. Two queries at most."""
    if not person.is_active:
        return False
    return person.has_perm("escalations.add_routingrule") or person.roles().filter(decides_everything=True).exists()


@transaction.atomic
def draft(suggestion_id: int, *, person: Person) -> Suggestion:
    """Make a draft of the suggested rule, and ask for its replay over the last thirty days as if it were live. About thirty queries.

    The draft decides nothing; an administrator makes it live, or throws it away, on the rule's page, and a second one confirms what lets
    more go. Raises NotFound, NotAllowed, Done, Invalid (too many replays wait; the condition reads what it no longer may).
    """
    row = _locked(suggestion_id, person)
    if not may_draft(person):
        raise NotAllowed("Only managers and administrators of rules make drafts of rules.")
    if row.rule_id or row.dismissed_at:
        raise Done
    rule = RoutingRule(
        name=f"{_SAYS[Floor(row.floor)]}, suggested {clock.now():%Y-%m-%d} ({row.pk})", condition=row.condition, floor=row.floor, why=row.why,
        state=RuleState.DRAFT,
    )
    saved = policies.save_rule(rule, actor=audit.Actor.of(person), person=person, why=f"Suggested by the review of {row.review}.")
    if isinstance(saved, Change):
        raise Conflict("A draft decides nothing, and still waits for a second administrator.")
    row.rule, row.replay = saved, _replayed(saved, person)
    row.save(update_fields=["rule", "replay"])
    audit.record(
        "suggestion.drafted", actor=audit.Actor.of(person), subject=f"EscalationReview {row.review_id}", suggestion=row.pk,
        rule=saved.name, replay=row.replay.pk,
    )
    return row


@transaction.atomic
def replay_again(suggestion_id: int, *, person: Person) -> Suggestion:
    """Ask once more for the replay of a drafted suggestion, with the rule as it is now. Raises as `draft`; Done while one runs."""
    row = _locked(suggestion_id, person)
    if not may_draft(person):
        raise NotAllowed("Only managers and administrators of rules ask for replays.")
    if row.rule is None or (row.replay and row.replay.state in (ReplayState.WAITING, ReplayState.RUNNING)):
        raise Done("There is no draft to replay, or its replay runs already.")
    row.replay = _replayed(row.rule, person)
    row.save(update_fields=["replay"])
    return row


@transaction.atomic
def dismiss(suggestion_id: int, *, why: str, person: Person) -> Suggestion:
    """Say why a suggestion is not taken up; half a year long it is not made again to this team. Raises NotFound, NotAllowed, Done,
    Invalid. About five queries."""
    row = _locked(suggestion_id, person)
    if row.rule_id or row.dismissed_at:
        raise Done
    why = why.strip()
    if not why or len(why) > LONGEST_WHY:
        raise Invalid([{"pointer": "/why", "code": "required", "detail": f"Say why, in at most {LONGEST_WHY} characters."}])
    row.dismissed_at, row.dismissed_by, row.dismissed_why = clock.now(), person, why
    row.save(update_fields=["dismissed_at", "dismissed_by", "dismissed_why"])
    audit.record(
        "suggestion.dismissed", actor=audit.Actor.of(person), subject=f"EscalationReview {row.review_id}", suggestion=row.pk,
        condition=row.condition, why=why,
    )
    return row


def _locked(suggestion_id: int, person: Person) -> Suggestion:
    found = Suggestion.objects.select_for_update(of=("self",)).select_related("review__role", "rule", "replay")
    row = found.filter(pk=suggestion_id).first()
    if row is None:
        raise NotFound
    if not may_write(person, row.review.role) and not may_draft(person):
        raise NotAllowed("Only members of this team, managers and administrators of rules answer its suggestions.")
    return row


def _replayed(rule: RoutingRule, person: Person) -> Replay:
    """Ask what the rule would have done had it been live."""
    now = clock.now()
    wanted = replay.wanted_of(rule) | {"state": RuleState.LIVE}
    return replay.ask("rule", wanted, f"RoutingRule {rule.pk}", now - REPLAYED, now, person)
