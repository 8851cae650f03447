"""How people are reached: their channels, what they want to hear and when, and who they are in a chat."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Digest

from .audit import AuditEntry
from .decisions import Signature
from .incidents import new_id
from .people import Person, Role
from .proposals import Proposal


class Channel(models.Model):
    """One more way to reach a person or a role, besides e-mail. The URL (it holds tokens) is sealed; `label` shows it without them."""

    KINDS = [("apprise", "Apprise"), ("slack", "Slack, with buttons")]

    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="channels")
    role = models.ForeignKey(Role, null=True, blank=True, on_delete=models.PROTECT, related_name="channels")
    kind = models.CharField(max_length=8, choices=KINDS, default="apprise")
    sealed = models.BinaryField(editable=False)
    label = models.CharField(max_length=200, editable=False)
    notices = ArrayField(models.CharField(max_length=20), default=list, blank=True, help_text="Which notices; none: all of them.")
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)  # it failed: nothing is tried before
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(person=None, role__isnull=False) | Q(person__isnull=False, role=None), name="channel_of_one"
            )
        ]

    def __str__(self) -> str:
        return self.label


class NoticeWishes(models.Model):
    """What one person wants to be told by mail and channels, and when not. Without a row: everything at once."""

    person = models.OneToOneField(Person, primary_key=True, on_delete=models.CASCADE, related_name="notice_wishes")
    unwanted = ArrayField(models.CharField(max_length=20), default=list, blank=True)  # notices not to be sent to them
    by_mail = models.BooleanField(default=True)
    digest = models.CharField(max_length=6, choices=Digest, blank=True)  # what is not urgent, gathered
    digest_at = models.TimeField(default="08:00")  # daily: local time
    quiet_from = models.TimeField(null=True, blank=True)  # local time; what is not critical waits until `quiet_until`
    quiet_until = models.TimeField(null=True, blank=True)


class SlackWorkspace(models.Model):
    """A Slack app of ours in one workspace: what signs its requests, and what we post with. Both sealed."""

    name = models.CharField(max_length=120, unique=True)
    team_id = models.CharField(max_length=20, unique=True)
    sealed_signing_secret = models.BinaryField(editable=False)
    sealed_bot_token = models.BinaryField(editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = "Slack workspace"

    def __str__(self) -> str:
        return self.name


class SlackAccount(models.Model):
    """Who a Slack user is here. Without a row a click decides nothing."""

    workspace = models.ForeignKey(SlackWorkspace, on_delete=models.PROTECT, related_name="accounts")
    user_id = models.CharField(max_length=20)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="slack_accounts")
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user_id"], name="slack_user_once")]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.person}"


class SlackMessageQuerySet(models.QuerySet):
    def open(self) -> "SlackMessageQuerySet":
        """Those that still follow their proposal."""
        return self.filter(closed_at=None)

    def due(self, now: datetime) -> "SlackMessageQuerySet":
        """Those that have to be written anew, and that nobody is writing."""
        return self.open().filter(Q(lease_until=None) | Q(lease_until__lt=now), next_try_at__lte=now)

    def untrue(self) -> "SlackMessageQuerySet":
        """Those whose proposal moved or was signed since they were written. After a failure they wait until it is time."""
        signed = Signature.objects.filter(proposal=models.OuterRef("proposal"), at__gt=models.OuterRef("written_at"))
        moved = Q(told_version__lt=models.F("proposal__version"))
        return self.open().filter(moved | models.Exists(signed), error="")

    def mark_untrue(self, now: datetime, *, recent: int = 0) -> int:
        """Make due what is no longer true; return how many. Of all open ones: 10 ms a thousand. `recent`: only of proposals that
        the last so many entries of the record tell of, which costs 2 ms however many there are. Three queries, one when none is open."""
        if not self.open().exists():
            return 0
        found = self.untrue()
        if recent:
            last = AuditEntry.objects.aggregate(last=models.Max("pk"))["last"] or 0
            told = AuditEntry.objects.filter(pk__gt=last - recent, proposal_id__isnull=False)
            found = found.filter(proposal__in=told.values("proposal_id"))
        return self.filter(pk__in=list(found.values_list("pk", flat=True)[:1_000])).update(next_try_at=now)


class SlackMessage(models.Model):
    """A message with buttons that stands in a channel: what it showed, and whether it tells the truth still.

    An outbound row: when what it shows is no longer so, `next_try_at` is set and it is written anew.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(SlackWorkspace, on_delete=models.PROTECT, related_name="+")
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="slack_messages")
    told = models.ForeignKey(Channel, null=True, on_delete=models.PROTECT, related_name="slack_messages")  # whom it is for
    channel_id = models.CharField(max_length=40)
    ts = models.CharField(max_length=40)
    digest = models.CharField(max_length=71)
    version = models.PositiveIntegerField()
    told_version = models.PositiveIntegerField()  # what it says now is of this version, and of this moment
    written_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True)  # it says how it ended; nothing more will be written
    next_try_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = SlackMessageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "channel_id", "ts"], name="slack_message_once")]
        indexes = [
            # what has to be written anew.
            models.Index(fields=["next_try_at"], condition=Q(closed_at=None), name="slack_message_due"),
            # messages that may no longer tell the truth.
            models.Index(fields=["proposal"], condition=Q(closed_at=None), name="slack_message_open"),
        ]


class SlackPress(models.Model):
    """A button that was pressed: taken once, however often the request comes, and what whoever pressed it is told (an outbound row).

    Kept for a day; who decided what stands in the record.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(SlackWorkspace, on_delete=models.PROTECT, related_name="+")
    request = models.CharField(max_length=64, unique=True)  # the request's signature: nobody but Slack can make another
    user_id = models.CharField(max_length=40)
    channel_id = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=40, blank=True)  # what came of it: a verdict, or the code of a refusal
    reply = models.TextField(blank=True)
    at = models.DateTimeField(default=clock.now)
    next_try_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "slack presses"
        indexes = [
            # replies that wait to be sent, and presses old enough to forget.
            models.Index(fields=["next_try_at"], condition=Q(next_try_at__isnull=False), name="slack_press_due"),
            models.Index(fields=["at"], name="slack_press_age"),
        ]
