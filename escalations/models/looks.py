"""Second looks: people measured kindly. None of it holds up an outcome, and none of it leaves the house."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import LookState, Verdict

from .people import Person, Role
from .proposals import Proposal


class KnownAnswer(models.Model):
    """A settled proposal whose right answer is beyond doubt: people who see it again, not knowing that, can be measured by it."""

    proposal = models.OneToOneField(Proposal, primary_key=True, on_delete=models.PROTECT, related_name="known_answer")
    verdict = models.CharField(max_length=8, choices=Verdict)
    why = models.TextField()
    marked_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    marked_at = models.DateTimeField(default=clock.now)
    retired_at = models.DateTimeField(null=True)


class SecondLook(models.Model):
    """One settled proposal to be judged again by somebody who does not know what was decided. `looks` is its only writer.

    `expected` is set where the answer is known (only then); whoever answers is told so afterwards, never before.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="looks")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=LookState, default=LookState.OPEN)
    expected = models.CharField(max_length=8, choices=Verdict, blank=True)
    share = models.FloatField(default=1.0)  # the chance with which it was drawn
    drawn_at = models.DateTimeField(default=clock.now)
    lapses_at = models.DateTimeField()
    opened_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(null=True)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="second_looks")
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True)
    category = models.CharField(max_length=80, blank=True)
    reason = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["proposal"], condition=Q(state="open"), name="one_open_look"),
            models.UniqueConstraint(fields=["proposal", "person"], name="one_look_a_person"),
        ]
        indexes = [
            # the list of second looks of a role.
            models.Index(fields=["role", "drawn_at"], condition=Q(state="open"), name="look_open"),
            # agreement: newest first.
            models.Index(fields=["-answered_at"], condition=Q(state="answered"), name="look_answered"),
        ]


class VigilanceAlarm(models.Model):
    """A sign that somebody signs without looking. That person sees it first; managers from `shared_at` on, with what was answered."""

    KINDS = [
        ("known", "a known answer was missed"), ("pace", "signed faster than it can be read"), ("streak", "nothing but yes for long"),
        ("disagree", "others often saw it otherwise"),
    ]

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="vigilance_alarms")
    kind = models.CharField(max_length=8, choices=KINDS)
    why = models.TextField()
    evidence = models.JSONField(default=dict)
    raised_at = models.DateTimeField(default=clock.now)
    seen_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)
    shared_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(fields=["person", "kind"], condition=Q(cleared_at=None), name="one_alarm_a_kind")
        ]
