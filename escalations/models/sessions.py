"""Runs of agents that people watch: what they did step by step, and what they were told."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Order, RunState

from .incidents import Incident, new_id
from .people import Person, Role
from .sources import Source


class OversightSession(models.Model):
    """One run of an agent, watched live. `oversight` is the only writer.

    What the agent said at the start does not change. Below the line stand its state, what it was told last, and sums over its
    steps, which are written together with each step.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="sessions")
    key = models.CharField(max_length=255, null=True, blank=True)
    body_digest = models.CharField(max_length=64)
    test = models.BooleanField(default=False)
    agent = models.CharField(max_length=200)
    goal = models.TextField(blank=True)
    max_steps = models.PositiveIntegerField(null=True)
    max_repeats = models.PositiveIntegerField(null=True)
    max_minutes = models.PositiveIntegerField(null=True)
    max_cost = models.DecimalField(max_digits=14, decimal_places=6, null=True)
    started_at = models.DateTimeField(default=clock.now)
    # -- how it stands
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="+")  # who watches
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")  # who has taken it on
    version = models.PositiveBigIntegerField(default=0)  # rises with every change below, so that no two are made of one reading
    state = models.CharField(max_length=8, choices=RunState, default=RunState.RUNNING)
    reason = models.TextField(blank=True)  # why it is paused, or was stopped
    orders = models.PositiveIntegerField(default=0)  # the number of the last order
    told = models.PositiveIntegerField(default=0)  # the last order that left in an answer
    seen = models.PositiveIntegerField(default=0)  # the last order the agent has confirmed, by calling again
    held = models.BooleanField(default=False)  # the last answer said that everything is stopped
    paused_at = models.DateTimeField(null=True)  # since when it has been paused, while it is
    paused_seconds = models.FloatField(default=0)  # how long it was paused before: time that counts against no budget
    warned = ArrayField(models.CharField(max_length=10), default=list)  # budgets that were found near their end: steps, minutes, cost
    steps = models.PositiveIntegerField(default=0)
    last_number = models.PositiveIntegerField(default=0)  # the highest number of a step; more than `steps` where the agent skipped some
    errors = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    last_tool = models.CharField(max_length=200, blank=True)
    last_step_at = models.DateTimeField(null=True)
    heard_at = models.DateTimeField(default=clock.now)  # the agent's last call of any kind
    recent = models.JSONField(default=list)  # what the last steps were, for finding loops
    digest = models.CharField(max_length=64, blank=True)  # SHA-256 over the one before and the step's canonical JSON
    outcome = models.CharField(max_length=10, blank=True)  # as the agent said at its end: done, failed, stopped
    detail = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # oversight.start: the same key never makes a second run.
            models.UniqueConstraint(fields=["source", "key"], name="session_once_per_source"),
        ]
        indexes = [
            # GET /sessions: newest first, of one source.
            models.Index(fields=["source", "-started_at", "-id"], name="session_newest_of_source"),
            # /oversight/: newest first.
            models.Index(fields=["-started_at", "-id"], name="session_newest"),
            # /oversight/ and the timers: those that have not ended. On nothing that a step changes, so that a step touches no index.
            models.Index(fields=["-started_at", "-id"], condition=Q(ended_at=None), name="session_alive"),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.goal}" if self.goal else self.agent


class SessionStep(models.Model):
    """One thing an agent did: a tool, with what it gave and what came back. Append-only."""

    session = models.ForeignKey(OversightSession, on_delete=models.PROTECT, related_name="taken")
    number = models.PositiveIntegerField()
    tool = models.CharField(max_length=200)
    args = models.JSONField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    took_ms = models.PositiveIntegerField(null=True)
    late = models.BooleanField(default=False)  # done after it was told to stop, or had said that it is done
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["number"]
        constraints = [
            # oversight: a step that is sent again is the same step. Also: one run's steps in order.
            models.UniqueConstraint(fields=["session", "number"], name="step_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number}. {self.tool}"


class SessionOrder(models.Model):
    """What a run was told: by a person, or by a rule of ours. Asked, then told in an answer, then confirmed by the next call."""

    session = models.ForeignKey(OversightSession, on_delete=models.PROTECT, related_name="given")
    number = models.PositiveIntegerField()
    order = models.CharField(max_length=6, choices=Order)
    text = models.TextField(blank=True)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")  # none: a rule of ours, or the clock
    asked_at = models.DateTimeField(default=clock.now)
    told_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["session", "number"], name="order_once")]

    def __str__(self) -> str:
        return f"{self.number}. {self.order}"


class SessionAlarm(models.Model):
    """Why a run was brought to people: the incident that was opened for it, and whether its decision was carried out."""

    session = models.ForeignKey(OversightSession, on_delete=models.PROTECT, related_name="alarms")
    name = models.CharField(max_length=20)  # loop, cycle, same_error, no_progress, budget, went_on, silent
    why = models.TextField()
    step = models.PositiveIntegerField(default=0)  # after which step
    incident = models.OneToOneField(Incident, null=True, on_delete=models.PROTECT, related_name="alarm")
    at = models.DateTimeField(default=clock.now)
    followed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["at", "pk"]
        indexes = [
            # timers: alarms whose incident is not opened, or whose decision is not carried out yet.
            models.Index(fields=["at"], condition=Q(followed_at=None), name="alarm_open"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"
