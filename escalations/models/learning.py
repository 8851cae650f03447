"""What the machine learned from decisions, and on what: versions of the local model, what each said, what was known at ingest."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Kind, Severity, Verdict, VersionState

from .incidents import Incident, Work
from .people import Person
from .sources import Source


class ClassifierVersion(models.Model):
    """One trained state of the `learned` engine, and the job that makes it. `learn` is the only writer of its state.

    `weights` are numbers in a layout of our own (docs/learned.md), never a pickle. `scores` are what it reached on decisions that came
    after all it was trained on; `rungs` the thresholds at which each lane's evidence will be counted, fixed before any of it came in.
    """

    number = models.PositiveIntegerField(unique=True)
    state = models.CharField(max_length=8, choices=VersionState, default=VersionState.WAITING)
    asked_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")  # null: it was time
    created_at = models.DateTimeField(default=clock.now)
    window_from = models.DateTimeField(null=True)  # decided from
    window_until = models.DateTimeField(null=True)  # decided until
    rows = models.PositiveIntegerField(default=0)
    features = models.JSONField(default=dict)  # {"spec", "dimensions", "names": [...]}
    weights = models.BinaryField(null=True)
    scores = models.JSONField(default=dict)
    rungs = models.JSONField(default=dict)  # {"": [0.99, ...], "<source pk>/action/refund": [...]}, strict to lax
    trained_at = models.DateTimeField(null=True)
    promoted_at = models.DateTimeField(null=True)
    promoted_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    promoted_why = models.TextField(blank=True)
    retired_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    next_try_at = models.DateTimeField(null=True, default=clock.now)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="live"), name="one_live_classifier"),
            models.UniqueConstraint(fields=["state"], condition=Q(state__in=["waiting", "training"]), name="one_training_at_a_time")
        ]

    def __str__(self) -> str:
        return f"classifier {self.number}"


class Features(models.Model):
    """What was known of one work's incident at ingest, as numbers: what the engine spoke from, and what it is trained on."""

    work = models.OneToOneField(Work, primary_key=True, on_delete=models.CASCADE, related_name="features")
    spec = models.PositiveSmallIntegerField()
    data = models.BinaryField()


class Estimate(models.Model):
    """What one version said of one work when it came in: the chance that a person would approve it as proposed. Append-only.

    Shown to nobody before the work is decided: whoever knew it could tell an audit sample from other work.
    """

    work = models.ForeignKey(Work, on_delete=models.PROTECT, related_name="estimates")
    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, related_name="estimates")
    approve = models.FloatField(null=True)  # null: it does not know
    novelty = models.FloatField(null=True)  # 0 is like what was decided before, 1 like nothing
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["work", "version"], name="estimate_once")]


class History(models.Model):
    """One labelled case from before Countersign, imported so that the engine starts warm. Trains; is evidence for no lane."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="history")
    key = models.CharField(max_length=255)
    kind = models.CharField(max_length=12, choices=Kind)
    incident = models.JSONField()  # as it would have been posted
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True)
    category = models.CharField(max_length=80, blank=True)
    severity = models.CharField(max_length=10, choices=Severity, blank=True)
    reason = models.TextField(blank=True)
    decided_at = models.DateTimeField()
    imported_at = models.DateTimeField(default=clock.now)
    spec = models.PositiveSmallIntegerField(default=0)
    data = models.BinaryField(null=True)  # its features, worked out when it is first trained on

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="history_once")]


class OutcomeReport(models.Model):
    """What somebody learned later of what was decided: it was right, it was wrong, it is resolved. Append-only."""

    OUTCOMES = [("right", "it was right"), ("wrong", "it was wrong"), ("resolved", "it is resolved")]
    HOW = [
        ("feedback", "feedback"), ("complaint", "a complaint"), ("correction", "a later correction"),
        ("ack", "the agent reports that it failed"),
    ]

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="outcomes")
    outcome = models.CharField(max_length=8, choices=OUTCOMES)
    how = models.CharField(max_length=10, choices=HOW, default="feedback")
    detail = models.TextField(blank=True)
    by_kind = models.CharField(max_length=6)  # person, source
    by_id = models.CharField(max_length=150)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    interactive = models.BooleanField(default=False)  # a person was there, and had not asked for it themselves; on record, and weighs no more
    complaint = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="+")  # the incident that complains
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "by_kind", "by_id", "outcome", "how"], name="outcome_said_once")
        ]
