"""People, and the roles whose queues they sit at."""

from django.contrib.auth.models import AbstractUser, Group
from django.contrib.postgres.fields import ArrayField
from django.db import models

from escalations import clock
from escalations.states import Sensitive

MANAGER = "manager"
QUEUE_MANAGER = "queue manager"
AUDITOR = "auditor"


class Role(Group):
    """A role owns a queue; its members are the people in the Django group it extends. `name` is what the API shows."""

    description = models.TextField(blank=True)
    sees_everything = models.BooleanField(default=False, help_text="Members read every queue (managers, auditors).")
    decides_everything = models.BooleanField(default=False, help_text="Members may decide in every queue (managers).")
    clearance = ArrayField(
        models.CharField(max_length=10, choices=Sensitive), default=list, blank=True,
        help_text="Kinds of values members read without asking. Others reveal them on purpose, and that is recorded.",
    )
    notify_email = models.EmailField(blank=True, help_text="A shared mailbox, told besides the members.")

    def __str__(self) -> str:
        return self.name


class Person(AbstractUser):
    """Somebody who signs. `username` is the name to sign in with; `get_full_name()` is what others read."""

    time_zone = models.CharField(max_length=64, default="UTC")

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    @property
    def name(self) -> str:
        """Return what colleagues call this person."""
        return self.get_full_name() or self.username

    def roles(self) -> models.QuerySet[Role]:
        """Return the roles this person belongs to. One query."""
        return Role.objects.filter(user=self)


class PersonTokenQuerySet(models.QuerySet):
    def alive(self) -> models.QuerySet:
        """Tokens that may still be used: neither revoked nor expired, of an active person."""
        return self.filter(revoked_at=None, expires_at__gt=clock.now(), person__is_active=True)


class PersonToken(models.Model):
    """Lets one person decide over the API: `cs_person_<key_id>_<secret>`, of which only a hash is kept."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="tokens")
    key_id = models.CharField(max_length=24, unique=True)
    secret_hash = models.CharField(max_length=64)
    interactive = models.BooleanField(default=False, help_text="A person is at the other end at the moment of deciding.")
    minted_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = PersonTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"token {self.key_id} of {self.person_id}"
