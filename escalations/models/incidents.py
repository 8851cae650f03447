"""What sources submit, what they add to it, and the work still to be done on it."""

import uuid

import uuid_utils.compat
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Kind, Severity, Stage, Status

from .people import Person
from .sources import Source


def new_id() -> uuid.UUID:
    """Return a UUIDv7: unique, and in the order of creation, so that indexes grow at one end."""
    identifier: uuid.UUID = uuid_utils.compat.uuid7()
    return identifier


class Incident(models.Model):
    """One thing a source submitted.

    What the source said is immutable (a database trigger refuses); below the line stands what triage and the lifecycle say.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="incidents")
    key = models.CharField(max_length=255, null=True, blank=True)
    body_digest = models.CharField(max_length=64)  # SHA-256 over the canonical request, for "same key, same body?"
    test = models.BooleanField(default=False)
    kind = models.CharField(max_length=12, choices=Kind)
    title = models.CharField(max_length=500)
    body = models.TextField(blank=True)
    claimed_severity = models.CharField(max_length=10, choices=Severity, blank=True)
    fingerprint = models.CharField(max_length=255, blank=True)
    external_id = models.CharField(max_length=255, blank=True)
    environment = models.CharField(max_length=80, blank=True)
    on_behalf_of = models.CharField(max_length=255, blank=True)
    customer = models.JSONField(default=dict)
    payload = models.JSONField(default=None, null=True)
    context = models.JSONField(default=dict)
    session = models.CharField(max_length=255, blank=True)
    timeout_seconds = models.PositiveIntegerField(null=True)
    callback_url = models.URLField(max_length=500, blank=True)
    sanitised = models.BooleanField(default=False)  # NULs or lone surrogates were replaced; `raw` is what was sent
    raw = models.BinaryField(null=True)
    received_at = models.DateTimeField(default=clock.now)
    # -- triage and lifecycle
    status = models.CharField(max_length=8, choices=Status, default=Status.RECEIVED)
    severity = models.CharField(max_length=10, choices=Severity, default=Severity.INFO)
    category = models.CharField(max_length=80, blank=True)
    triggers = ArrayField(models.CharField(max_length=40), default=list)
    escalate = models.CharField(max_length=5, blank=True)
    pattern = models.CharField(max_length=12, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # ingest: the same key never makes a second incident.
            models.UniqueConstraint(fields=["source", "key"], name="incident_once_per_source"),
        ]
        indexes = [
            # GET /incidents: newest first, of one source.
            models.Index(fields=["source", "-received_at", "-id"], name="incident_newest_of_source"),
            # similar past decisions and groups: incidents of one source that are the same failure or request.
            models.Index(fields=["source", "fingerprint", "-id"], condition=~Q(fingerprint=""), name="incident_by_fingerprint"),
            # clients that come back with an id of their own: the newest incident of it.
            models.Index(fields=["source", "external_id", "-id"], condition=~Q(external_id=""), name="incident_by_external_id"),
            # GET /incidents?session=
            models.Index(fields=["source", "session"], condition=~Q(session=""), name="incident_by_session"),
        ]

    def __str__(self) -> str:
        return self.title


class ContextItem(models.Model):
    """More context, sent after ingest: an answer to a question, a tool's result. Append-only; each raises the version."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="added_context")
    context = models.JSONField(default=dict)
    sanitised = models.BooleanField(default=False)
    received_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["received_at", "pk"]


class Question(models.Model):
    """Something a reviewer asks the agent back, without deciding."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="questions")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    asked_at = models.DateTimeField(default=clock.now)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["asked_at", "pk"]


class Work(models.Model):
    """What is still to be done on an incident. The row is the truth; a task in the queue is only a wake-up.

    Claimed in batches with SKIP LOCKED, a lease and a fencing token (`escalations/queue.py`); `attempts` counts claims, so a
    job that kills its worker ends with a person instead of looping.
    """

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="work")
    proposal = models.ForeignKey("escalations.Proposal", null=True, on_delete=models.PROTECT, related_name="work")
    stage = models.CharField(max_length=8, choices=Stage, default=Stage.CLASSIFY)
    run_at = models.DateTimeField(default=clock.now)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [
            # queue.claim and timers: what is due, per stage.
            models.Index(fields=["stage", "run_at"], condition=~Q(stage=Stage.DONE), name="work_due"),
        ]
