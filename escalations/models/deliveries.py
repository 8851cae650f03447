"""The two outboxes: outcomes to sources, messages to people. At least once, with a stable id, never "mark, then send"."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Sending

from .channels import Channel
from .incidents import Incident, new_id
from .people import Person, Role
from .proposals import Proposal
from .sources import Source


class Delivery(models.Model):
    """One outcome on its way to a source (or an approved draft to its addressee). `id` is the webhook-id; `body` never changes."""

    CHANNELS = [("webhook", "webhook"), ("email", "e-mail")]
    TYPES = [(name, name) for name in ("proposal.settled", "incident.settled", "incident.question", "draft.send")]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="deliveries")
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="deliveries")
    proposal = models.ForeignKey(Proposal, null=True, on_delete=models.PROTECT, related_name="deliveries")
    type = models.CharField(max_length=20, choices=TYPES)
    channel = models.CharField(max_length=7, choices=CHANNELS, default="webhook")
    url = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True)  # the exact bytes, written when first sent, the same for every attempt
    state = models.CharField(max_length=16, choices=Sending, default=Sending.WAITING)
    next_try_at = models.DateTimeField(null=True, default=clock.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            # a settled proposal opens exactly one outcome.
            models.UniqueConstraint(
                fields=["proposal"], condition=Q(type="proposal.settled"), name="one_outcome_per_proposal"
            ),
        ]
        indexes = [
            # deliver: what is due.
            models.Index(fields=["next_try_at"], condition=Q(state=Sending.WAITING), name="delivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.type} to {self.url or self.source_id}"


class DeliveryAttempt(models.Model):
    """One try, and what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="tries")
    at = models.DateTimeField(default=clock.now)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField(default=0)
    by_hand = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["at", "pk"]


class Notice(models.Model):
    """One message to one person, or to a role's shared mailbox. `id` is the stable message id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=20)  # the names in outbox.NOTICES
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="notices")
    role = models.ForeignKey(Role, null=True, on_delete=models.PROTECT, related_name="+")
    proposal = models.ForeignKey(Proposal, null=True, on_delete=models.PROTECT, related_name="notices")
    step = models.PositiveSmallIntegerField(null=True)
    address = models.EmailField(blank=True)
    channel = models.ForeignKey(Channel, null=True, on_delete=models.PROTECT, related_name="notices_sent")  # None: by mail
    group_key = models.CharField(max_length=80, blank=True)  # alike proposals: one message for them all
    sent_with = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="told_too")  # the message it was part of
    facts = models.JSONField(default=dict)  # what the message's template says besides the proposal
    state = models.CharField(max_length=16, choices=Sending, default=Sending.WAITING)
    next_try_at = models.DateTimeField(null=True, default=clock.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # notify: what is due.
            models.Index(fields=["next_try_at"], condition=Q(state=Sending.WAITING), name="notice_due"),
            # notify: was this person (or channel) told of such a group already?
            models.Index(fields=["group_key", "-created_at"], condition=~Q(group_key=""), name="notice_of_group"),
        ]
