"""How work climbs when nobody answers: the definition. The run is the copy frozen onto the proposal."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from escalations import clock
from escalations.states import Fallback, Risk

from .calendars import Calendar
from .people import Person, Role


class EscalationPolicy(models.Model):
    """Ordered steps, a final expiry and what happens then. Edited through `policies.save_policy`, never deleted."""

    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    expires_after = models.DurationField(default=timedelta(hours=12))
    fallback = models.CharField(max_length=8, choices=Fallback, default=Fallback.REJECT)
    valid_for = models.DurationField(default=timedelta(hours=24), help_text="How long the agent may act on a decision.")
    undo_seconds = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(300)],
        help_text="How long a signature given on a page can be taken back before it settles; 0: it settles at once.",
    )
    quorum = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(5)],
        help_text="How many people have to sign the same yes. One no is enough.",
    )
    calendar = models.ForeignKey(
        Calendar, null=True, blank=True, on_delete=models.PROTECT, related_name="policies",
        help_text="Its clock stands still outside these hours. None: it never stands still.",
    )
    chat_up_to = models.CharField(
        max_length=8, blank=True, choices=[(Risk.LOW, "low"), (Risk.MEDIUM, "medium"), (Risk.HIGH, "high")],
        help_text="The highest risk at which a button in a chat decides, for sources that allow it. None: a chat only links here.",
    )
    is_default = models.BooleanField(default=False)
    # A fallback that says yes without anybody needs two administrators: who asked for it, and who confirmed it.
    approve_asked_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approve_confirmed_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    archived_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name_plural = "escalation policies"
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=models.Q(is_default=True), name="one_default_policy"),
            models.CheckConstraint(
                condition=~models.Q(approve_asked_by=models.F("approve_confirmed_by")), name="approve_needs_two_people"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EscalationStep(models.Model):
    """`after` the previous step, ask `role`; `repeat` times more at the same distance."""

    policy = models.ForeignKey(EscalationPolicy, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    after = models.DurationField()
    repeat = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["policy", "position"], name="step_once_per_position")]


class StepRun(models.Model):
    """One step that fired. Unique per proposal and step: whatever races or is killed, a step fires once."""

    proposal = models.ForeignKey("escalations.Proposal", on_delete=models.PROTECT, related_name="step_runs")
    step = models.PositiveSmallIntegerField()
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    due_at = models.DateTimeField()
    fired_at = models.DateTimeField(default=clock.now)
    why = models.CharField(max_length=20, default="clock")  # clock, or escalated by a person

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["proposal", "step"], name="step_fires_once")]
