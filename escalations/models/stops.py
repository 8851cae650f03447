"""The switch that stops everything: no machine decides, and nothing leaves."""

from django.db import models
from django.db.models import F, Q

from escalations import clock

from .people import Person


class Stop(models.Model):
    """Everything was stopped, by whom and why. It holds until two people released it; at most one holds at a time."""

    reason = models.TextField()
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now)
    release_asked_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    release_asked_at = models.DateTimeField(null=True)
    release_why = models.TextField(blank=True)
    released_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    released_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=Q(released_at=None), name="one_stop_at_a_time"),
            models.CheckConstraint(
                condition=Q(released_at=None) | (Q(release_asked_by__isnull=False) & ~Q(release_asked_by=F("released_by"))),
                name="release_needs_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"stopped {self.at:%Y-%m-%d %H:%M}"
