"""What each engine said."""

from django.db import models

from escalations import clock
from escalations.states import Severity

from .incidents import Incident, Work


class Classification(models.Model):
    """One engine's word on one incident (or on one revision of it). An engine that failed leaves a row with `error`."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="classifications")
    work = models.ForeignKey(Work, on_delete=models.PROTECT, related_name="classifications")
    engine = models.CharField(max_length=10)  # rules, llm, learned
    version = models.CharField(max_length=80, blank=True)
    severity = models.CharField(max_length=10, choices=Severity, blank=True)
    category = models.CharField(max_length=80, blank=True)
    confidence = models.FloatField(null=True)
    sure = models.BooleanField(default=False)  # whether the category is this engine's to decide
    triggers = models.JSONField(default=list)  # [{"name", "why", "where"}]
    rationale = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)
    latency_ms = models.PositiveIntegerField(default=0)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            # a job that runs twice writes each engine's word once.
            models.UniqueConstraint(fields=["work", "engine"], name="classification_once_per_engine"),
        ]
