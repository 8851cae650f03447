"""People, their roles and their tokens."""

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import available_timezones

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction

from escalations import audit, clock, lifecycle, outbox, vault
from escalations.errors import IllegalMove, Invalid
from escalations.models import Person, PersonToken, Role
from escalations.models.people import MANAGER
from escalations.states import Sensitive

from .changes import changes, problem, readable, stored, subject_of

PERSON_FIELDS = ("username", "first_name", "last_name", "email", "time_zone", "is_staff", "is_superuser", "is_active")
ROLE_FIELDS = ("name", "description", "sees_everything", "decides_everything", "clearance", "notify_email")
TOKEN_DAYS = 30
LONGEST_TOKEN_DAYS = 90


def check_role(role: Role) -> None:
    """Raise Invalid if this role may not be saved. Its name is what policies, rules and callers say, so it does not change."""
    old = Role.objects.filter(pk=role.pk).first() if role.pk else None
    if old is not None and old.name != role.name:
        raise Invalid([problem("name", "fixed", "Callers and pages know the role by this name; it does not change.")])
    if old is not None and old.name == MANAGER and not (role.decides_everything and role.sees_everything):
        raise Invalid([problem("decides_everything", "manager", "Late work climbs to managers; they must be able to decide it.")])
    if role.decides_everything and not role.sees_everything:
        raise Invalid([problem("sees_everything", "needed", "Who decides everything also sees everything.")])
    if set(role.clearance) - set(Sensitive.values):
        raise Invalid([problem("clearance", "unknown", f"The kinds are: {', '.join(Sensitive.values)}.")])
    role.clearance = [kind for kind in Sensitive.values if kind in role.clearance]  # one order, each once


@transaction.atomic
def save_role(role: Role, *, actor: audit.Actor) -> Role:
    """Save a role."""
    old = stored(role)
    check_role(role)
    if changed := changes(old, role, ROLE_FIELDS):
        role.save()
        audit.record("role.saved", actor=actor, subject=subject_of(role), name=role.name, changed=changed)
    return role


def check_person(person: Person) -> None:
    """Raise Invalid if this person may not be saved. Up to three queries."""
    errors = []
    if Person.objects.filter(username__iexact=person.username).exclude(pk=person.pk).exists():
        errors.append(problem("username", "taken", "Somebody else signs in with this name."))
    if person.time_zone not in available_timezones():
        errors.append(problem("time_zone", "unknown", "No such time zone; write it like Europe/Vienna."))
    if person.pk and not person.is_superuser and _is_last_administrator(Person.objects.get(pk=person.pk)):
        errors.append(problem("is_superuser", "last", "This is the last administrator of people; make another one first."))
    if errors:
        raise Invalid(errors)


@transaction.atomic
def save_person(
    person: Person, *, actor: audit.Actor, roles: Iterable[Role] | None = None, password: str | None = None
) -> Person:
    """Save a person; `roles` replaces the roles they belong to, `password` (already validated) their password.

    A new password ends the sessions that were begun with the old one. To end everything at once, `deactivate`.
    """
    old = stored(person)
    if old is not None and old.is_active != person.is_active:
        raise IllegalMove("Deactivate or reactivate a person instead: more ends with it than a flag.")
    check_person(person)
    changed = changes(old, person, PERSON_FIELDS)
    if password is not None:
        person.set_password(password)
        changed["password"] = {"old": None, "new": "changed"}
    elif old is None and not person.password:
        person.set_unusable_password()
    person.save()
    if roles is not None:
        wanted = {role.pk: role for role in roles}
        had = list(person.roles())
        if {role.pk for role in had} != set(wanted):
            changed["roles"] = {
                "old": sorted(role.name for role in had), "new": sorted(role.name for role in wanted.values())
            }
            # Groups that are no roles stay as they are.
            person.groups.remove(*(role.pk for role in had if role.pk not in wanted))
            person.groups.add(*wanted)
    if changed:
        audit.record("person.saved", actor=actor, subject=subject_of(person), username=person.username, changed=changed)
    return person


@transaction.atomic
def deactivate(person: Person, *, actor: audit.Actor) -> None:
    """Take everything from a person at once: sign-in, sessions, tokens, and the claims that keep colleagues waiting.

    Costs one look at every live session: sessions do not name their owner outside of their sealed body.
    """
    locked = Person.objects.select_for_update(of=("self",)).get(pk=person.pk)
    if not locked.is_active:
        return
    if _is_last_administrator(locked):
        raise IllegalMove("This is the last administrator of people; make another one first.")
    now = clock.now()
    locked.is_active = False
    locked.save(update_fields=["is_active"])
    tokens = PersonToken.objects.filter(person=locked, revoked_at=None).update(revoked_at=now)
    sessions = _end_sessions(locked)
    lifecycle.release_all(locked, actor=actor)
    audit.record(
        "person.deactivated", actor=actor, subject=subject_of(locked), username=locked.username, tokens=tokens, sessions=sessions
    )
    person.is_active = False


def _is_last_administrator(person: Person) -> bool:
    others = Person.objects.filter(is_superuser=True, is_active=True).exclude(pk=person.pk)
    return person.is_superuser and not others.exists()


def _end_sessions(person: Person) -> int:
    mine = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=clock.now()).iterator()
        if session.get_decoded().get(SESSION_KEY) == str(person.pk)
    ]
    Session.objects.filter(pk__in=mine).delete()
    return len(mine)


@transaction.atomic
def reactivate(person: Person, *, actor: audit.Actor) -> None:
    """Let a person sign in again. Tokens and claims do not come back."""
    locked = Person.objects.select_for_update(of=("self",)).get(pk=person.pk)
    if locked.is_active:
        return
    locked.is_active = True
    locked.save(update_fields=["is_active"])
    audit.record(
        "person.saved", actor=actor, subject=subject_of(locked), username=locked.username,
        changed={"is_active": {"old": False, "new": True}},
    )
    person.is_active = True


@transaction.atomic
def mint_token(
    person: Person, *, actor: audit.Actor, interactive: bool = False, days: int = TOKEN_DAYS
) -> vault.Minted:
    """Mint a token that lets `person` decide over the API and return it with its text, shown once and kept nowhere.

    Who did not mint it themselves is told. Raises Invalid for more than 90 days or somebody deactivated.
    """
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Invalid([problem("days", "out_of_range", f"A token lives 1 to {LONGEST_TOKEN_DAYS} days.")])
    if not person.is_active:
        raise Invalid([problem("person", "inactive", "That person is deactivated.")])
    now = clock.now()
    minted = vault.mint("cs_person")
    token = PersonToken.objects.create(
        person=person, key_id=minted.key_id, secret_hash=minted.secret_hash, interactive=interactive, minted_by=actor.name,
        created_at=now, expires_at=now + timedelta(days=days),
    )
    audit.record(
        "token.minted", actor=actor, subject=subject_of(token), username=person.username, key_id=minted.key_id,
        interactive=interactive, expires_at=readable(token.expires_at),
    )
    if actor != audit.Actor.of(person):
        outbox.open_notice(
            "token_minted", person=person, by=actor.name, key_id=minted.key_id, interactive=interactive,
            expires_at=readable(token.expires_at),
        )
    return minted


@transaction.atomic
def revoke_token(token: PersonToken, *, actor: audit.Actor) -> None:
    """Refuse this token from the next request on. Nothing happens to one already revoked."""
    locked = PersonToken.objects.select_for_update(of=("self",)).select_related("person").get(pk=token.pk)
    if locked.revoked_at is not None:
        return
    locked.revoked_at = clock.now()
    locked.save(update_fields=["revoked_at"])
    audit.record(
        "token.revoked", actor=actor, subject=subject_of(locked), username=locked.person.username, key_id=locked.key_id
    )
