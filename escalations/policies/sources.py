"""Sources, their keys and the secrets their outcomes are signed with."""

import ipaddress
from datetime import datetime

from django.conf import settings
from django.db import transaction

from escalations import audit, callbacks, clock, outbox, vault
from escalations.errors import Conflict, Invalid
from escalations.models import ApiKey, Change, Person, SigningSecret, Source
from escalations.models.sources import EVENTS, SCOPES

from .asking import ask, base_of, needs_asking, one_at_a_time, outdate, said_of
from .changes import changes, problem, readable, stored, subject_of
from .lowering import lowers
from .versions import values_of

FIELDS = (
    "name", "description", "owner", "callback_url", "allowed_hosts", "authoritative_paths", "known_irreversible", "may_email",
    "may_chat", "requests_per_minute", "is_demo",
)
LIVE_AT_ONCE = 2  # keys per source and environment, signing secrets per source: the old and the new while callers change over


def check_source(source: Source) -> None:
    """Raise Invalid with a pointer per field if this source may not be saved. Up to two queries."""
    errors = []
    if Source.objects.filter(name__iexact=source.name).exclude(pk=source.pk).exists():
        errors.append(problem("name", "taken", "Another source has this name."))
    if source.pk and Source.objects.filter(pk=source.pk).exclude(name=source.name).exists():
        errors.append(problem("name", "fixed", "Incidents and rules carry this name; it does not change."))
    if source.callback_url and (wrong := callback_problem(source.callback_url)):
        errors.append(problem("callback_url", "not_allowed", wrong))
    for host in source.allowed_hosts:
        if wrong := callback_problem(f"https://{host}"):
            errors.append(problem("allowed_hosts", "not_allowed", f"{host}: {wrong}"))
    if source.owner_id and not source.owner.is_active:
        errors.append(problem("owner", "inactive", "That person is deactivated."))
    if source.requests_per_minute < 1:
        errors.append(problem("requests_per_minute", "out_of_range", "At least one; disable the source to stop it."))
    if errors:
        raise Invalid(errors)


def callback_problem(url: str) -> str:
    """Return why outcomes may not be sent to `url`; empty when they may.

    Only the text is judged here. Where the name really leads is looked up, and pinned, for each delivery.
    """
    try:
        target = callbacks.parse(url)
    except callbacks.BadCallback as refused:
        return f"This callback is refused: {refused}."
    if target.scheme == "http" and not _is_loopback(target.host):
        return "A callback is https (http only to this machine, in development)."
    return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@transaction.atomic
def save_source(
    source: Source, *, actor: audit.Actor, person: Person | None = None, why: str = ""
) -> str | Change | None:
    """Save a source, or ask for it. Return its first signing secret, to be shown once, when it had none; else None.

    Where live rules would let more go, or fewer of its actions count as irreversible (`lowers`), nothing of the edit is saved: the
    Change that waits for a second administrator is returned. A source that is new is saved without what would do that, which
    then waits (`waiting(source)`); its secret is returned. `person` is who edits; without one the system saves at once.
    """
    one_at_a_time()
    old = stored(source)
    check_source(source)
    reasons = lowers(old, source)
    if not needs_asking(reasons, actor=actor, person=person) or person is None:
        write_source(source, old, actor=actor, why=why)
        return outbox.ensure_secret(source)
    wanted = values_of(source, FIELDS)
    if old is not None:
        return ask(old, wanted=wanted, base=base_of(old, FIELDS), lowers=reasons, person=person, why=why)
    source.authoritative_paths, source.is_demo, source.may_chat = [], False, False
    if lowers(None, source):
        source.owner = None  # a live rule goes by who answers for a source
    write_source(source, None, actor=actor, why=why)
    ask(source, wanted=wanted, base=base_of(source, FIELDS), lowers=reasons, person=person, why=why)
    return outbox.ensure_secret(source)


def write_source(
    source: Source, old: Source | None, *, actor: audit.Actor, why: str = "", asked_by: audit.Actor | None = None
) -> Source:
    """Write a checked source and its entry; nothing when nothing changed. `old` is as stored, and locked."""
    if changed := changes(old, source, FIELDS):
        if old is None:
            source.save()
        else:
            source.save(update_fields=FIELDS)
            outdate(source, actor=actor)
        audit.record(
            "source.saved", actor=actor, subject=subject_of(source), name=source.name, changed=changed,
            **said_of(why, asked_by),
        )
    return source


def _locked(source: Source) -> Source:
    return Source.objects.select_for_update(of=("self",)).get(pk=source.pk)


@transaction.atomic
def disable_source(source: Source, *, actor: audit.Actor) -> None:
    """Refuse this source's keys from now on. What it submitted stays, and outcomes still go out."""
    locked = _locked(source)
    if locked.disabled_at is None:
        _set(locked, actor, disabled_at=clock.now())


@transaction.atomic
def enable_source(source: Source, *, actor: audit.Actor) -> None:
    """Take this source's keys again."""
    locked = _locked(source)
    if locked.disabled_at is not None:
        _set(locked, actor, disabled_at=None)


def _set(source: Source, actor: audit.Actor, **values: object) -> None:
    changed = {field: {"old": readable(getattr(source, field)), "new": readable(value)} for field, value in values.items()}
    for field, value in values.items():
        setattr(source, field, value)
    source.save(update_fields=list(values))
    audit.record("source.saved", actor=actor, subject=subject_of(source), name=source.name, changed=changed)


@transaction.atomic
def issue_key(source: Source, *, env: str, actor: audit.Actor, expires_at: datetime | None = None) -> vault.Minted:
    """Issue a key and return it with its text, which is shown once and kept nowhere.

    Raises Conflict when two of this environment are alive: revoke one first. Invalid for an unknown `env` or a time gone by.
    """
    return _issued(source, env=env, actor=actor, expires_at=expires_at, scopes=list(SCOPES))


@transaction.atomic
def issue_dsn(source: Source, *, env: str, actor: audit.Actor, expires_at: datetime | None = None) -> str:
    """Issue a key that may report exceptions and nothing else, and return the Sentry DSN it stands in, which is shown once.

    A DSN stands in the open, in web pages and apps, so its key reads nothing and asks for nothing. Two of each environment may be
    alive beside the source's own keys. Raises as `issue_key`.
    """
    return dsn_of(source, _issued(source, env=env, actor=actor, expires_at=expires_at, scopes=[EVENTS]).text)


def dsn_of(source: Source, key: str) -> str:
    """Return the address a Sentry SDK is given: PUBLIC_URL with the key in front of the host and the source's number behind it."""
    scheme, _, rest = str(settings.PUBLIC_URL).rstrip("/").partition("://")
    return f"{scheme}://{key}@{rest}/{source.pk}"


def _issued(
    source: Source, *, env: str, actor: audit.Actor, expires_at: datetime | None, scopes: list[str]
) -> vault.Minted:
    if env not in (ApiKey.LIVE, ApiKey.TEST):
        raise Invalid([problem("env", "unknown", "An environment is live or test.")])
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid([problem("expires_at", "past", "This key would already have expired.")])
    locked = _locked(source)
    if locked.disabled_at is not None:
        raise Conflict("This source is disabled; enable it before it gets a key.")
    what = "DSNs" if EVENTS in scopes else "keys"
    alike = ApiKey.objects.alive().filter(source=locked, env=env)
    alike = alike.filter(scopes__contains=[EVENTS]) if EVENTS in scopes else alike.exclude(scopes__contains=[EVENTS])
    if alike.count() >= LIVE_AT_ONCE:
        raise Conflict(f"Two {env} {what} of {locked.name} are alive. Revoke one before another is issued.")
    minted = vault.mint(f"cs_{env}")
    key = ApiKey.objects.create(
        source=locked, env=env, key_id=minted.key_id, secret_hash=minted.secret_hash, expires_at=expires_at, scopes=scopes
    )
    audit.record(
        "key.issued", actor=actor, subject=subject_of(key), source=locked.name, env=env, key_id=minted.key_id, scopes=scopes,
        expires_at=readable(expires_at),
    )
    return minted


@transaction.atomic
def revoke_key(key: ApiKey, *, actor: audit.Actor) -> None:
    """Refuse this key from the next request on. Nothing happens to one already revoked."""
    locked = ApiKey.objects.select_for_update(of=("self",)).select_related("source").get(pk=key.pk)
    if locked.revoked_at is not None:
        return
    locked.revoked_at = clock.now()
    locked.save(update_fields=["revoked_at"])
    audit.record(
        "key.revoked", actor=actor, subject=subject_of(locked), source=locked.source.name, env=locked.env, key_id=locked.key_id
    )


@transaction.atomic
def rotate_secret(source: Source, *, actor: audit.Actor) -> str:
    """Add a signing secret and return it, to be shown once. The newest before it goes on signing too; older ones are retired."""
    locked = _locked(source)
    live = list(SigningSecret.objects.filter(source=locked, retired_at=None).order_by("-created_at", "-pk"))
    retired = _retire(live[LIVE_AT_ONCE - 1 :])
    text = outbox.add_secret(locked)
    audit.record("secret.rotated", actor=actor, subject=subject_of(locked), source=locked.name, retired=retired)
    return text


@transaction.atomic
def retire_secrets(source: Source, *, actor: audit.Actor) -> int:
    """Retire every signing secret but the newest: receivers have changed over. Return how many."""
    locked = _locked(source)
    live = list(SigningSecret.objects.filter(source=locked, retired_at=None).order_by("-created_at", "-pk"))
    retired = _retire(live[1:])
    if retired:
        audit.record("secret.rotated", actor=actor, subject=subject_of(locked), source=locked.name, retired=retired)
    return len(retired)


def _retire(secrets: list[SigningSecret]) -> list[int]:
    numbers = [secret.pk for secret in secrets]
    if numbers:
        SigningSecret.objects.filter(pk__in=numbers).update(retired_at=clock.now())
    return numbers
