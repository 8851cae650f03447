"""What administrators edit: rules, triggers, categories. Changed through `policies`, archived and never deleted."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from escalations import clock
from escalations.states import Floor, RuleState, Severity

from .people import Role
from .policies import EscalationPolicy


class Category(models.Model):
    """A kind of incident, as the engines name it."""

    name = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True, help_text="What belongs here; the model reads this too.")
    role = models.ForeignKey(Role, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    guidance = models.TextField(blank=True, help_text="What applies to these, in the policy's own words; the reviewer reads it.")
    reject_reasons = ArrayField(
        models.CharField(max_length=120), default=list, blank=True,
        help_text="Reasons a reviewer may pick when rejecting, separated by commas.",
    )

    class Meta:
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Trigger(models.Model):
    """A named reason why a person must look. `settings` holds its numbers and words, read by `floors/triggers.py`."""

    name = models.CharField(max_length=40, primary_key=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(EscalationPolicy, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    settings = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name


class RoutingRule(models.Model):
    """A condition in CEL and what it demands. The strictest floor of all live rules that match wins."""

    BY = [("rule", "the condition alone"), ("threshold", "confidence"), ("lane", "earned autonomy")]

    name = models.CharField(max_length=120, unique=True)
    why = models.TextField(blank=True, help_text="In words, shown to the reviewer: why must a person look, or need not?")
    priority = models.IntegerField(default=100, help_text="The highest that names a role is asked.")
    condition = models.TextField(max_length=2048)
    floor = models.CharField(max_length=6, choices=Floor, default=Floor.REVIEW)
    by = models.CharField(max_length=9, choices=BY, default="rule", help_text="For floor auto: what else must hold.")
    role = models.ForeignKey(Role, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(EscalationPolicy, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    severity = models.CharField(max_length=10, choices=Severity, blank=True, help_text="Raise the severity to at least this.")
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    threshold = models.FloatField(null=True, blank=True)
    model_counts = models.BooleanField(
        default=False, help_text="Exceptions and alerts only: the language model's confidence may meet the threshold."
    )
    state = models.CharField(max_length=8, choices=RuleState, default=RuleState.LIVE)
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField(default=clock.now)
    matched_at = models.DateTimeField(null=True, editable=False)  # within an hour of when it last matched

    class Meta:
        ordering = ["-priority", "name"]

    def __str__(self) -> str:
        return self.name
