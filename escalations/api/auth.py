"""Who is calling: a source by its key, or a person by their token. Never a name in a body (law 8)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Q
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from escalations import audit, clock, errors, prepared, vault
from escalations.models import ApiKey, Person, PersonToken, Source
from escalations.models.sources import EVENTS

WINDOW = 10  # seconds
BAD_KEYS = 50  # of one address in one window
KEPT = 360  # windows, an hour
SEEN_EVERY = timedelta(minutes=1)
REPORTS = ":events"  # behind the name under which calls by a DSN are counted

# Durable at once is not needed for a count, so that it costs no flush; the flush of the incident itself carries it along.
_COUNT = """
INSERT INTO escalations_ratewindow AS seen (who, "window", count)
SELECT %s, %s, %s FROM set_config('synchronous_commit', 'off', true)
ON CONFLICT (who, "window") DO UPDATE SET count = seen.count + excluded.count
RETURNING count
"""
_FORGET = 'DELETE FROM escalations_ratewindow WHERE "window" < %s RETURNING 1'



def _columns(model: type[models.Model]) -> tuple[list[str], str]:
    """Return the names of a model's own columns, and how to select them under names that no other model has."""
    fields = model._meta.concrete_fields
    table = model._meta.db_table
    return [field.attname for field in fields], ", ".join(f'{table}.{one.column} AS "{table}.{one.column}"' for one in fields)


_KEY, _KEY_COLUMNS = _columns(ApiKey)
_SOURCE, _SOURCE_COLUMNS = _columns(Source)

# A source's key and its source, if both are alive, and the call counted, in one round trip: every call needs the three. (Through
# the ORM and in two statements this was 30% of the interpreter's time of a POST, now it is 7%.) Only who has the secret is
# counted: a key's id is no secret and must not do to use up the source's limit.
_CALL = f"""
WITH known AS MATERIALIZED (
    SELECT {_KEY_COLUMNS}, {_SOURCE_COLUMNS}, secret_hash = %s AS proven
    FROM escalations_apikey JOIN escalations_source ON escalations_source.id = escalations_apikey.source_id
    WHERE key_id = %s AND env = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %s) AND disabled_at IS NULL
),
counted AS (
    INSERT INTO escalations_ratewindow AS seen (who, "window", count)
    SELECT 'source:' || known."escalations_source.id"
        || CASE WHEN known."escalations_apikey.scopes" = ARRAY['{EVENTS}']::varchar[] THEN '{REPORTS}' ELSE '' END, %s, 1
    FROM known, set_config('synchronous_commit', 'off', true) WHERE proven
    ON CONFLICT (who, "window") DO UPDATE SET count = seen.count + 1
    RETURNING count
)
SELECT known.*, (SELECT count FROM counted) FROM known
"""


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
    """`Authorization: Bearer <key>`. One statement, which also counts a source's call against its limit."""

    def authenticate(self, request: Request) -> tuple[Any, Caller]:
        """Return (person or None, Caller). Raises NotAuthenticated, or RateLimited for too many calls or bad keys."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise errors.NotAuthenticated()
        caller = calling(request._request, text.strip())
        return caller.person, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


def calling(request: HttpRequest, key: str) -> Caller:
    """Return whose key this is, wherever in the request it stood. Raises NotAuthenticated, or RateLimited for too many calls."""
    caller = _calling(key)
    if caller is None:
        _count_bad_key(request)
        raise errors.NotAuthenticated("This key is not known, was revoked or has expired.")
    return caller


def _calling(text: str) -> Caller | None:
    """Return whose key this is, if it is alive. One statement, none for what does not look like a key. Raises RateLimited."""
    parts = vault.parse_key(text)
    if parts is None:
        return None
    prefix, key_id, secret = parts
    if prefix != "cs_person":
        return _source_calling(prefix.removeprefix("cs_"), key_id, secret)
    token = PersonToken.objects.alive().select_related("person").filter(key_id=key_id).first()
    if token is None or not vault.matches(secret, token.secret_hash):
        return None
    _mark_used(token)
    return Caller(token, person=token.person)


def _source_calling(env: str, key_id: str, secret: str) -> Caller | None:
    now = clock.now()
    window = int(now.timestamp()) // WINDOW
    rows = prepared.run(_CALL, [vault.hash_of(secret), key_id, env, now, window])
    if not rows:
        return None
    *values, _, count = rows[0]
    key = ApiKey.from_db(connection.alias, _KEY, values[: len(_KEY)])
    if not vault.matches(secret, key.secret_hash):
        return None
    key.source = source = Source.from_db(connection.alias, _SOURCE, values[len(_KEY) :])
    _mark_used(key)
    _check(count, 1, _limit(source), now)
    return Caller(key, source=source)


def spend(source: Source, cost: int, *, of_dsn: bool = False) -> None:
    """Count `cost` more incidents against the source's limit. Raises RateLimited with the seconds until the next window.

    What comes by a DSN has a limit of its own, just as high: a DSN stands in the open, and whoever finds one is not to keep the
    source's agents from asking.
    """
    if cost > 0:
        _count(f"source:{source.pk}{REPORTS if of_dsn else ''}", cost, _limit(source))


def _limit(source: Source) -> int:
    return max(1, source.requests_per_minute * WINDOW // 60)


def _count_bad_key(request: HttpRequest) -> None:
    _count(f"bad-key:{request.META.get('REMOTE_ADDR') or 'unknown'}"[:80], 1, BAD_KEYS)


def _count(who: str, cost: int, limit: int) -> None:
    now = clock.now()
    [(count,)] = prepared.run(_COUNT, [who, int(now.timestamp()) // WINDOW, cost])
    _check(count, cost, limit, now)


def _check(count: int, cost: int, limit: int, now: datetime) -> None:
    seconds = int(now.timestamp())
    if count == cost:  # the first of a new window sweeps up
        prepared.run(_FORGET, [seconds // WINDOW - KEPT])
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
    check_scope(caller, "incidents:read" if request.method in ("GET", "HEAD") else "incidents:write")


def check_scope(caller: Caller, scope: str) -> None:
    """Raise NotAllowed for a key that does not have this scope."""
    if not caller.has_scope(scope):
        raise errors.NotAllowed(f"This key does not have the scope {scope}.")
