"""Who may post: sources, their keys, and the secrets their callbacks are signed with."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from escalations import clock

from .people import Person

SCOPES = ("incidents:write", "incidents:read")
EVENTS = "events:write"  # of a key that stands in the open, as Sentry's do: it may report exceptions and nothing else


def all_scopes() -> list[str]:
    return list(SCOPES)


class Source(models.Model):
    """A registered service or agent. It has keys, an owner who answers for it, and perhaps a callback."""

    name = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    owner = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="sources",
        help_text="Answers for this source; may never decide what it asks.",
    )
    callback_url = models.URLField(blank=True, max_length=500)
    allowed_hosts = ArrayField(
        models.CharField(max_length=255), default=list, blank=True,
        help_text="Hosts (host or host:port) outcomes may be sent to besides the callback's own.",
    )
    authoritative_paths = ArrayField(
        models.CharField(max_length=200, validators=[RegexValidator(r"^(payload|customer)(\.[A-Za-z0-9_]+)+$")]),
        default=list, blank=True,
        help_text="Paths such as payload.order.total whose values come from a system of record; only these may an auto rule read.",
    )
    known_irreversible = ArrayField(
        models.CharField(max_length=200), default=list, blank=True, help_text="Actions of this source that cannot be undone."
    )
    may_email = models.BooleanField(default=False, help_text="Approved drafts of this source may be mailed to the signed address.")
    may_chat = models.BooleanField(default=False, help_text="What it asks may be decided by a button in a chat, where the policy allows it.")
    requests_per_minute = models.PositiveIntegerField(default=60_000)
    is_demo = models.BooleanField(default=False)
    disabled_at = models.DateTimeField(null=True, blank=True)
    endpoint_disabled_at = models.DateTimeField(null=True, blank=True)
    endpoint_disabled_why = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class ApiKeyQuerySet(models.QuerySet):
    def alive(self) -> models.QuerySet:
        """Keys that may still be used: neither revoked nor expired, of a source that is not disabled."""
        now = clock.now()
        return self.filter(
            models.Q(expires_at=None) | models.Q(expires_at__gt=now), revoked_at=None, source__disabled_at=None
        )


class ApiKey(models.Model):
    """`cs_<env>_<key_id>_<secret>`; only the SHA-256 of the secret is kept (it is long and random, so a fast hash is right)."""

    LIVE, TEST = "live", "test"

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="keys")
    env = models.CharField(max_length=4, choices=[(LIVE, LIVE), (TEST, TEST)], default=LIVE)
    key_id = models.CharField(max_length=24, unique=True)
    secret_hash = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=40), default=all_scopes)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"cs_{self.env}_{self.key_id}_…"


class SigningSecret(models.Model):
    """A Standard Webhooks secret of a source, encrypted at rest. Two live ones mean two signatures (rotation)."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="signing_secrets")
    sealed = models.BinaryField()
    created_at = models.DateTimeField(default=clock.now)
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"signing secret {self.pk} of {self.source_id}"
