"""What the machinery needs to know of itself: heartbeats, wake-ups, rate windows, what the model has cost."""

from django.db import models

from escalations import clock


class Heartbeat(models.Model):
    """When something was last seen alive: `queue` (through the queue), `timers:<host>:<pid>`, `sealer`, `anchor`, `auditor`."""

    name = models.CharField(max_length=120, primary_key=True)
    at = models.DateTimeField(default=clock.now)
    detail = models.JSONField(default=dict)


class WakeUp(models.Model):
    """At most one wake-up per kind waits in the queue; this row says whether one does."""

    kind = models.CharField(max_length=20, primary_key=True)
    queued_at = models.DateTimeField(null=True)


class RateWindow(models.Model):
    """How many requests a source (or a caller with a bad key) made in one window."""

    who = models.CharField(max_length=80)
    window = models.BigIntegerField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["who", "window"], name="rate_window_once")]


class ModelSpend(models.Model):
    """What the language model was asked on one day (UTC), against the daily budget."""

    day = models.DateField(primary_key=True)
    calls = models.PositiveIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)
