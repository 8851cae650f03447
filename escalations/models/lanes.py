"""Lanes: where the machine's autonomy is earned, granted, checked and withdrawn."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import LaneState, TrialMode

from .learning import ClassifierVersion
from .people import Person
from .proposals import Proposal
from .sources import Source


class Lane(models.Model):
    """One source's action, or category where nothing runs. `policies.lanes` is the only writer of its state.

    `summary` is what the list shows, worked out from the trials when they change; never what is decided by.
    """

    BY = [("action", "action"), ("category", "category")]

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="lanes")
    by = models.CharField(max_length=8, choices=BY)
    subject = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=LaneState, default=LaneState.WATCHING)
    alpha = models.FloatField(default=0.02)  # the share of errors among what is settled alone that a manager would allow
    delta = models.FloatField(default=0.05)  # one minus the confidence that it is not more
    created_at = models.DateTimeField(default=clock.now)
    checked_at = models.DateTimeField(null=True)  # when its evidence was last looked at; a granted lane not looked at lets nothing go
    summary = models.JSONField(default=dict)

    class Meta:
        ordering = ["source__name", "by", "subject"]
        constraints = [models.UniqueConstraint(fields=["source", "by", "subject"], name="lane_once")]

    def __str__(self) -> str:
        return f"{self.source.name}: {self.subject}"

    def get_absolute_url(self) -> str:
        return f"/autonomy/{self.pk}/"


class LaneGrant(models.Model):
    """A manager's signed decision that a lane may settle alone what scores at least `threshold`, until `expires_at`.

    Its terms never change (a database trigger refuses); only its end is written, once.
    """

    ENDS = [
        ("expired", "its time was over"), ("manager", "a manager ended it"), ("bound", "more of it was wrong than allowed, or may have been"),
        ("high_risk", "something of high risk was wrong"), ("drift", "its traffic changed"), ("unchecked", "nobody checks it"),
        ("classifier", "its classifier was taken back"),
    ]

    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, related_name="grants")
    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, related_name="grants")
    alpha = models.FloatField()
    delta = models.FloatField()
    threshold = models.FloatField()
    audit_share = models.FloatField()  # of what would be settled alone, in the long run; more at first
    evidence = models.JSONField()  # what it was granted on: {"decided", "selected", "wrong", "bound", "share", "rungs", "since", "until"}
    terms_digest = models.CharField(max_length=71)  # over the canonical terms and evidence: what was shown and signed
    granted_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    granted_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    end = models.CharField(max_length=10, choices=ENDS, blank=True)
    end_why = models.TextField(blank=True)
    end_evidence = models.JSONField(default=dict)

    class Meta:
        ordering = ["-granted_at"]
        constraints = [models.UniqueConstraint(fields=["lane"], condition=Q(ended_at=None), name="one_grant_a_lane")]


class Trial(models.Model):
    """One proposal that came through a lane: what the machine would have done, and what became of it.

    Written when it is routed (`mode`, `score`), completed when it is decided or when harm shows later (`right`). Of an undecided one
    neither `mode` nor `score` is shown to anybody: an audit sample must not be told apart.
    """

    HOW = [("decision", "a person decided"), ("harm", "harm showed later"), ("second", "a person looked later")]

    proposal = models.OneToOneField(Proposal, primary_key=True, on_delete=models.PROTECT, related_name="trial")
    lane = models.ForeignKey(Lane, on_delete=models.PROTECT, related_name="trials")
    work = models.ForeignKey("escalations.Work", on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(ClassifierVersion, null=True, on_delete=models.PROTECT, related_name="+")
    grant = models.ForeignKey(LaneGrant, null=True, on_delete=models.PROTECT, related_name="trials")
    score = models.FloatField(null=True)
    novelty = models.FloatField(null=True)
    eligible = models.BooleanField(default=False)  # floor, triggers and the past would have let it go
    mode = models.CharField(max_length=7, choices=TrialMode)
    share = models.FloatField(default=1.0)  # the chance with which a person was to see it
    high_risk = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    right = models.BooleanField(null=True)  # a person would have approved it as proposed; null: nobody knows (yet)
    how = models.CharField(max_length=8, choices=HOW, blank=True)
    labelled_at = models.DateTimeField(null=True)
    counts = models.BooleanField(default=True)  # decided one by one, by a person who was there: may be evidence

    class Meta:
        indexes = [
            # a lane's evidence, in the order in which it came.
            models.Index(fields=["lane", "version", "labelled_at"], name="trial_evidence"),
            # learn: what was decided since.
            models.Index(fields=["created_at"], condition=Q(labelled_at=None) & ~Q(mode="alone"), name="trial_open"),
            # routing: whether anything under a grant proved wrong since it was looked at.
            models.Index(fields=["grant", "labelled_at"], condition=Q(right=False), name="trial_wrong"),
        ]
