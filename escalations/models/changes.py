"""What a rule was, what it would have done, and what waits for a second administrator."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import ChangeState, ReplayState

from .people import Person, Role
from .proposals import Proposal
from .rules import RoutingRule


class RuleVersion(models.Model):
    """A rule as it was saved once: who, when, why. Append-only; `values` is JSON, rows by their names, durations in seconds."""

    rule = models.ForeignKey(RoutingRule, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    values = models.JSONField()
    why = models.TextField(blank=True)
    actor_kind = models.CharField(max_length=10)
    actor = models.CharField(max_length=150)
    confirmed_by = models.CharField(max_length=150, blank=True)  # the second administrator, where one was needed
    restored_from = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["rule", "version"], name="rule_version_once")]

    def __str__(self) -> str:
        return f"{self.rule_id} version {self.version}"


class Change(models.Model):
    """An edit that would let the machine do more, or look at less: it waits until a second administrator confirms it.

    `subject` is what the audit calls the row ("RoutingRule 12", "Trigger high_stakes", "Source 3"), `wanted` the fields it would have,
    `lowers` in words why one administrator is not enough, `base` the version (or the digest of the values) it was asked of.
    """

    KINDS = [("rule", "a rule"), ("trigger", "a trigger"), ("source", "a source"), ("policy", "a policy")]

    kind = models.CharField(max_length=8, choices=KINDS)
    subject = models.CharField(max_length=120)
    name = models.CharField(max_length=120)
    wanted = models.JSONField()
    base = models.CharField(max_length=64)
    lowers = models.JSONField(default=list)
    why = models.TextField(blank=True)
    state = models.CharField(max_length=9, choices=ChangeState, default=ChangeState.WAITING)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=clock.now)
    settled_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    settled_at = models.DateTimeField(null=True)
    said = models.TextField(blank=True)

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            # one open question a subject: the newer one takes the place of the older.
            models.UniqueConstraint(fields=["subject"], condition=Q(state="waiting"), name="one_open_change_per_subject"),
            models.CheckConstraint(
                condition=~Q(state="confirmed") | ~Q(asked_by=models.F("settled_by")), name="change_needs_two_people"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class ShadowVerdict(models.Model):
    """What a rule in shadow would have done with one proposal that it matched. Append-only; decides nothing."""

    rule = models.ForeignKey(RoutingRule, on_delete=models.PROTECT, related_name="shadow_verdicts")
    version = models.PositiveIntegerField()
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="shadow_verdicts")
    floor = models.CharField(max_length=6)  # what it would have had in all, with this rule live
    was = models.CharField(max_length=6)  # what it had
    would_settle = models.BooleanField(default=False)  # nobody would have been asked
    role = models.ForeignKey(Role, null=True, on_delete=models.PROTECT, related_name="+")  # who would have been asked
    error = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "version", "proposal"], name="shadow_verdict_once")]
        # a rule's page: the newest first.
        indexes = [models.Index(fields=["rule", "version", "-at"], name="shadow_verdict_newest")]


class Replay(models.Model):
    """A draft of a rule, or a trigger's settings, run over what was judged before. A background job; it changes nothing else.

    `wanted` are the fields as they would be; `result` the counts, as `replay` documents them. Claimed with a lease and a token, in
    slices: `cursor` is where the next one begins.
    """

    KINDS = [("rule", "a rule"), ("trigger", "a trigger")]

    kind = models.CharField(max_length=8, choices=KINDS)
    subject = models.CharField(max_length=120)  # "RoutingRule 12", "Trigger high_stakes"; "" for a rule that was never saved
    name = models.CharField(max_length=120)
    wanted = models.JSONField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    state = models.CharField(max_length=9, choices=ReplayState, default=ReplayState.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    cursor = models.JSONField(null=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    next_try_at = models.DateTimeField(null=True, default=clock.now)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]
        # replay: what is to be run.
        indexes = [models.Index(fields=["next_try_at"], condition=Q(state__in=["waiting", "running"]), name="replay_due")]

    def __str__(self) -> str:
        return f"{self.name}, {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"


class ReplayItem(models.Model):
    """One proposal that would have gone another way, kept for reading: every would-be mistake, and the newest of the others."""

    replay = models.ForeignKey(Replay, on_delete=models.CASCADE, related_name="items")
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="+")
    was = models.JSONField()  # {"floor", "role", "triggers"}
    becomes = models.JSONField()
    said = models.CharField(max_length=8, blank=True)  # what a person decided: a Verdict; "" when none did
    mistake = models.BooleanField(default=False)  # it would have gone alone, and a person did not approve it as proposed

    class Meta:
        constraints = [models.UniqueConstraint(fields=["replay", "proposal"], name="replay_item_once")]
        indexes = [models.Index(fields=["replay", "mistake", "-proposal"], name="replay_mistakes")]
