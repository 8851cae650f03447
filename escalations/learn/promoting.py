"""A version of the classifier is made live, by a person and only if it is better; or taken back."""

from typing import Any

from django.db import transaction

from escalations import audit, clock
from escalations.errors import IllegalMove, Invalid, NotAllowed, NotFound
from escalations.models import ClassifierVersion, Person
from escalations.policies import lanes
from escalations.states import VersionState

LONGEST_REASON = 2_000


def better(version: ClassifierVersion, live: ClassifierVersion | None) -> tuple[bool, str]:
    """Say whether a version reached more than the live one on the same later decisions, or than no classifier at all; and why, in words.

    Beside a live one the first question both answer decides: the log loss of the chance of a yes, else the accuracy of category, then
    severity. Pure.
    """
    scores = version.scores or {}
    if live is None:
        return _beats_base(scores)
    if scores.get("beside_number") != live.number or not scores.get("beside"):
        return False, f"It was never measured beside classifier {live.number}, which is live: have a new one trained."
    this, that = scores["beside"]["this"], scores["beside"]["live"]
    mine, theirs = this.get("approve") or {}, that.get("approve") or {}
    if mine and theirs and mine["n"] == theirs["n"]:
        won = mine["log_loss"] < theirs["log_loss"]
        return won, (
            f"On {mine['n']} later decisions its log loss (the smaller the better) is {mine['log_loss']:.4f}; that of classifier "
            f"{live.number}, which is live, is {theirs['log_loss']:.4f}."
        )
    if theirs and not mine:
        return False, f"It does not know what people would approve; classifier {live.number}, which is live, does."
    if mine and not theirs:
        return _beats_base(this)
    for name in ("category", "severity"):
        one, other = this.get(name) or {}, that.get(name) or {}
        if one or other:
            won = one.get("accuracy", 0.0) > other.get("accuracy", 0.0)
            return won, (
                f"Of {name} it is right {one.get('accuracy', 0):.1%} of the time; classifier {live.number}, which is live, "
                f"{other.get('accuracy', 0):.1%}."
            )
    return False, "Nothing was decided since that it could be measured by."


def promote(pk: int, *, person: Person, reason: str) -> ClassifierVersion:
    """Make a ready version live; the one that was is retired, and can come back. About ten queries.

    Raises NotAllowed, NotFound, Invalid (no reason), IllegalMove (not ready, or no better).
    """
    with transaction.atomic():
        reason = _checked(person, reason)
        live, row = _locked(pk)
        if row.state != VersionState.READY:
            raise IllegalMove(f"Classifier {row.number} is {row.state}, not ready.")
        is_better, why = better(row, live)
        if not is_better:
            raise IllegalMove(f"It is no better. {why}")
        now = clock.now()
        if live is not None:
            _move(live, VersionState.RETIRED, retired_at=now)
        _move(row, VersionState.LIVE, promoted_at=now, promoted_by=person, promoted_why=reason, retired_at=None)
        audit.record(
            "classifier.promoted", actor=audit.Actor.of(person), subject=f"ClassifierVersion {row.pk}", number=row.number,
            before=live.number if live else None, why=reason, measured=why,
        )
    return row


def take_back(pk: int, *, person: Person, reason: str) -> ClassifierVersion | None:
    """Take the live version back; the one that gave way to it is live again, which is returned, None when none did.

    One that was taken back itself never comes back so. Every grant that stands on what is taken back ends in the same transaction.
    Raises as `promote` does.
    """
    with transaction.atomic():
        reason = _checked(person, reason)
        live, row = _locked(pk)
        if live is None or live.pk != row.pk:
            raise IllegalMove(f"Classifier {row.number} is not live.")
        before = (
            ClassifierVersion.objects.select_for_update(no_key=True).defer("weights")
            .filter(state=VersionState.RETIRED, promoted_at__isnull=False, retired_at=row.promoted_at).first()
        )
        now = clock.now()
        _move(row, VersionState.RETIRED, retired_at=now)
        if before is not None:
            _move(before, VersionState.LIVE, promoted_by=person, promoted_why=reason, retired_at=None)
        lanes.withdraw_all_of(row.pk, why=f"Classifier {row.number} was taken back: {reason}"[:500], person=person)
        audit.record(
            "classifier.taken_back", actor=audit.Actor.of(person), subject=f"ClassifierVersion {row.pk}", number=row.number,
            again=before.number if before else None, why=reason,
        )
    return before


def _beats_base(scores: dict[str, Any]) -> tuple[bool, str]:
    if approve := scores.get("approve"):
        won = approve["log_loss"] < approve["base_log_loss"]
        return won, (
            f"On {approve['n']} later decisions its log loss (the smaller the better) is {approve['log_loss']:.4f}; always giving the share "
            f"that is approved has {approve['base_log_loss']:.4f}."
        )
    for name in ("category", "severity"):
        if said := scores.get(name):
            return said["accuracy"] > said["base"], (
                f"Of {name} it is right {said['accuracy']:.1%} of the time; always saying the commonest is {said['base']:.1%}."
            )
    return False, "It was not measured on anything."


def _checked(person: Person, reason: str) -> str:
    if not (person.is_active and (person.is_superuser or person.is_staff)):
        raise NotAllowed("Administrators decide which classifier is live.")
    reason = reason.strip().replace("\x00", "\ufffd")
    if not reason:
        raise Invalid([{"pointer": "/reason", "code": "required", "detail": "Say why: whoever reads it later will ask."}])
    return reason[:LONGEST_REASON]


def _locked(pk: int) -> tuple[ClassifierVersion | None, ClassifierVersion]:
    """Lock and return (the live version, the one meant). Two queries.

    Not their keys: what is being let go names its version when it commits, and a grant's end waits for that with these locks held.
    """
    locked = ClassifierVersion.objects.select_for_update(no_key=True).defer("weights")
    live = locked.filter(state=VersionState.LIVE).first()
    row = locked.filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such classifier.")
    return live, row


def _move(row: ClassifierVersion, state: VersionState, **also: Any) -> None:
    row.state = state
    for name, value in also.items():
        setattr(row, name, value)
    row.save(update_fields=["state", *also])
