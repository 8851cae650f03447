"""Who is calling: a source by its key, or a person by their token. Never a name in a body (law 8)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Q
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from escalations import audit, clock, errors, vault
from escalations.models import ApiKey, Person, PersonToken, Source

WINDOW = 10  # seconds
BAD_KEYS = 50  # of one address in one window
KEPT = 360  # windows, an hour
SEEN_EVERY = timedelta(minutes=1)

# Durable at once is not needed for a count, so that it costs no flush; the flush of the incident itself carries it along.
_COUNT = """
INSERT INTO escalations_ratewindow AS seen (who, "window", count)
SELECT %(who)s, %(window)s, %(cost)s FROM set_config('synchronous_commit', 'off', true)
ON CONFLICT (who, "window") DO UPDATE SET count = seen.count + excluded.count
RETURNING count
"""
_FORGET = 'DELETE FROM escalations_ratewindow WHERE "window" < %s'


@dataclass(frozen=True)
class Caller:
    """The authenticated principal of a call: a source or a person, never both."""

    credential: ApiKey | PersonToken
    source: Source | None = None
    person: Person | None = None

    @property
    def actor(self) -> audit.Actor:
        if self.source is not None:
            return audit.Actor.source(self.source)
        return audit.Actor.of(self.as_person)

    @property
    def as_source(self) -> Source:
        """Return the source. Raises NotAllowed for a person's token."""
        if self.source is None:
            raise errors.NotAllowed("This call is for sources; a person's token cannot make it.")
        return self.source

    @property
    def as_person(self) -> Person:
        """Return the person. Raises NotAllowed for a source's key."""
        if self.person is None:
            raise errors.NotAllowed("Only people decide; a source's key cannot.")
        return self.person

    @property
    def env(self) -> str:
        """Return the environment of the key, `live` or `test`."""
        return self.credential.env if isinstance(self.credential, ApiKey) else ApiKey.LIVE

    def has_scope(self, scope: str) -> bool:
        """Say whether the key has this scope; people's tokens have what the person may do."""
        return self.person is not None or scope in self.credential.scopes


class Bearer(BaseAuthentication):
    """`Authorization: Bearer <key>`. One query, and one count against the source's limit in a statement of its own."""

    def authenticate(self, request: Request) -> tuple[Any, Caller]:
        """Return (person or None, Caller). Raises NotAuthenticated, or RateLimited for too many calls or bad keys."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise errors.NotAuthenticated()
        caller = find(text.strip())
        if caller is None:
            _count_bad_key(request._request)
            raise errors.NotAuthenticated("This key is not known, was revoked or has expired.")
        _mark_used(caller.credential)
        if caller.source is not None:
            spend(caller.source)
        return caller.person, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


def find(text: str) -> Caller | None:
    """Return whose key this is, if it is alive. One query, none for what does not look like a key."""
    parts = vault.parse_key(text)
    if parts is None:
        return None
    prefix, key_id, secret = parts
    if prefix == "cs_person":
        token = PersonToken.objects.alive().select_related("person").filter(key_id=key_id).first()
        if token is None or not vault.matches(secret, token.secret_hash):
            return None
        return Caller(token, person=token.person)
    key = ApiKey.objects.alive().select_related("source").filter(key_id=key_id).first()
    if key is None or not vault.matches(secret, key.secret_hash) or prefix != f"cs_{key.env}":
        return None
    return Caller(key, source=key.source)


def spend(source: Source, cost: int = 1) -> None:
    """Count `cost` incidents against the source's limit. Raises RateLimited with the seconds until the next window."""
    if cost > 0:
        _count(f"source:{source.pk}", cost, max(1, source.requests_per_minute * WINDOW // 60))


def _count_bad_key(request: HttpRequest) -> None:
    _count(f"bad-key:{request.META.get('REMOTE_ADDR') or 'unknown'}"[:80], 1, BAD_KEYS)


def _count(who: str, cost: int, limit: int) -> None:
    seconds = int(clock.now().timestamp())
    window = seconds // WINDOW
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"who": who, "window": window, "cost": cost})
        count = cursor.fetchone()[0]
        if count == cost:  # the first of a new window sweeps up
            cursor.execute(_FORGET, [window - KEPT])
    if count > limit:
        raise errors.RateLimited(retry_after=WINDOW - seconds % WINDOW)


def _mark_used(credential: ApiKey | PersonToken) -> None:
    """Remember when a key was last used, at most once a minute."""
    now = clock.now()
    if credential.last_used_at is not None and now - credential.last_used_at < SEEN_EVERY:
        return
    model: type[models.Model] = type(credential)
    model._default_manager.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=now - SEEN_EVERY), pk=credential.pk
    ).update(last_used_at=now)


class SourceMay(BasePermission):
    """A source's key with the scope the method needs. Never a person's token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True. Raises NotAllowed."""
        caller: Caller = request.auth
        _check_scope(caller, request)
        return caller.as_source is not None


class EitherMay(BasePermission):
    """A source's key with the scope, or a person's token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True. Raises NotAllowed."""
        _check_scope(request.auth, request)
        return True


class PersonMay(BasePermission):
    """A person's token. Never a source's key: software does not decide what software asks."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True. Raises NotAllowed."""
        return request.auth.as_person is not None


def _check_scope(caller: Caller, request: Request) -> None:
    scope = "incidents:read" if request.method in ("GET", "HEAD") else "incidents:write"
    if not caller.has_scope(scope):
        raise errors.NotAllowed(f"This key does not have the scope {scope}.")
