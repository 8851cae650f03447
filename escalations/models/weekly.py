"""The weekly escalation review: what came to people is judged, and turned into changes."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Floor, ReviewState

from .changes import Replay
from .people import Person, Role
from .proposals import Proposal
from .rules import RoutingRule


class EscalationReview(models.Model):
    """One team's review of one week. `agenda` is what was counted when it was made, in the shape docs/weekly.md tells."""

    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="escalation_reviews")
    week = models.DateField()  # its Monday
    state = models.CharField(max_length=6, choices=ReviewState, default=ReviewState.OPEN)
    agenda = models.JSONField(default=dict)
    notes = models.TextField(blank=True)
    made_at = models.DateTimeField(default=clock.now)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-week", "role__name"]
        constraints = [models.UniqueConstraint(fields=["role", "week"], name="one_review_a_week")]

    def __str__(self) -> str:
        return f"{self.role.name}, week of {self.week:%Y-%m-%d}"

    def get_absolute_url(self) -> str:
        return f"/weekly/{self.pk}/"


class Finding(models.Model):
    """What the team found of one escalation. Written anew until the review is closed."""

    FOUND = [
        ("right", "rightly escalated"), ("rule", "the rule was wrong"), ("model", "the model was wrong"), ("context", "context was missing"),
        ("staffing", "nobody was there"),
    ]

    review = models.ForeignKey(EscalationReview, on_delete=models.PROTECT, related_name="findings")
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="findings")
    found = models.CharField(max_length=8, choices=FOUND)
    note = models.TextField(blank=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["review", "proposal"], name="one_finding_each")]


class FollowUp(models.Model):
    """Something to be done, with an owner. It stands on every later review of the team until it is done or dropped."""

    review = models.ForeignKey(EscalationReview, on_delete=models.PROTECT, related_name="follow_ups")
    finding = models.ForeignKey(Finding, null=True, on_delete=models.PROTECT, related_name="follow_ups")
    text = models.CharField(max_length=500)
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    due = models.DateField(null=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    dropped = models.BooleanField(default=False)
    outcome = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["due", "pk"]
        # what carries over.
        indexes = [models.Index(fields=["review"], condition=Q(ended_at=None), name="follow_up_open")]


class Suggestion(models.Model):
    """A rule that the data suggest: a readable condition that tells approved from rejected. Never live by itself."""

    review = models.ForeignKey(EscalationReview, on_delete=models.PROTECT, related_name="suggestions")
    condition = models.TextField(max_length=2048)
    floor = models.CharField(max_length=6, choices=Floor)
    why = models.TextField()
    matched = models.PositiveIntegerField()  # decided proposals that it matches
    agreed = models.PositiveIntegerField()  # of them, decided as the rule would have
    low = models.FloatField()  # of the share agreed, exact 95 %
    high = models.FloatField()
    examples = models.JSONField(default=list)  # ids of proposals
    rule = models.ForeignKey(RoutingRule, null=True, on_delete=models.PROTECT, related_name="+")  # the draft made of it
    replay = models.ForeignKey(Replay, null=True, on_delete=models.PROTECT, related_name="+")
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    dismissed_why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-matched", "pk"]
