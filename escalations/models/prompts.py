"""What the language model is told, in versions; and how two of them compare on what people decided."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import PromptState, ReplayState

from .people import Person


class PromptVersion(models.Model):
    """One version of what the model is told. What it says never changes (a database trigger refuses); only its state does."""

    number = models.PositiveIntegerField(unique=True)
    state = models.CharField(max_length=7, choices=PromptState, default=PromptState.DRAFT)
    instructions = models.TextField()
    policy = models.TextField(blank=True)  # the house's own words on what may go and what may not
    examples = models.PositiveSmallIntegerField(default=3)  # how many nearest past decisions are shown to it
    why = models.TextField(blank=True)
    made_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")  # null: installed
    made_at = models.DateTimeField(default=clock.now)
    promoted_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    promoted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["state"], condition=Q(state="live"), name="one_live_prompt")]

    def __str__(self) -> str:
        return f"prompt {self.number}"


class PromptTrial(models.Model):
    """Two versions asked the same of past incidents, beside what people decided. A background job that decides nothing."""

    first = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=ReplayState, default=ReplayState.WAITING)
    wanted = models.PositiveIntegerField()  # how many incidents
    done = models.PositiveIntegerField(default=0)
    cursor = models.JSONField(null=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    next_try_at = models.DateTimeField(null=True, default=clock.now)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]
