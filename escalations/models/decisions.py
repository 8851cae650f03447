"""What was signed, by whom, and what came of it. Nothing here is ever updated (a database trigger refuses)."""

from django.db import models
from django.db.models import Q

from escalations import clock
from escalations.states import Verdict

from .people import Person
from .proposals import Proposal


class Signature(models.Model):
    """One person's yes, no or change to one version of one proposal. `digest` and `version` are what that person was shown."""

    METHODS = [("page", "the page"), ("group", "a group form"), ("api", "a token"), ("chat", "a chat bridge")]

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="signatures")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="signatures")
    type = models.CharField(max_length=8, choices=Verdict)
    digest = models.CharField(max_length=71)
    version = models.PositiveIntegerField()
    method = models.CharField(max_length=5, choices=METHODS)
    interactive = models.BooleanField(default=True)  # a person was there at the moment; only such signatures may teach
    at = models.DateTimeField(default=clock.now)

    class Meta:
        # Who said yes where several have to may still say no.
        constraints = [models.UniqueConstraint(fields=["proposal", "person", "version", "type"], name="one_signature_each")]


class Hold(models.Model):
    """A signature that can still be taken back: the proposal stays pending until `settles_at`, then the clock settles it as signed.

    Deleted when it settles, is undone, or what was signed changed meanwhile; the audit chain keeps all three.
    """

    proposal = models.OneToOneField(Proposal, primary_key=True, on_delete=models.PROTECT, related_name="hold")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    type = models.CharField(max_length=8, choices=Verdict)
    digest = models.CharField(max_length=71)
    version = models.PositiveIntegerField()
    method = models.CharField(max_length=5, choices=Signature.METHODS)
    reason = models.TextField(blank=True)
    args = models.JSONField(null=True)
    draft = models.JSONField(null=True)
    message = models.TextField(null=True)
    retry = models.BooleanField(default=False)
    signed_at = models.DateTimeField(default=clock.now)
    settles_at = models.DateTimeField()

    class Meta:
        # timers: what can no longer be undone.
        indexes = [models.Index(fields=["settles_at"], name="hold_over")]


class Decision(models.Model):
    """The one decision of a settled proposal. `signed_digest` is what was shown, `args_digest` what may run (null: nothing)."""

    BY = [("person", "a person"), ("policy", "a policy"), ("clock", "the clock")]

    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="decision")
    type = models.CharField(max_length=8, choices=Verdict)
    by_kind = models.CharField(max_length=6, choices=BY)
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="decisions")
    by_id = models.CharField(max_length=150)  # the person's username, or the rule's or policy's name
    by_name = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    action = models.CharField(max_length=200, blank=True)
    args = models.JSONField(null=True)
    draft = models.JSONField(null=True)
    message = models.TextField(null=True)
    retry = models.BooleanField(default=False)
    signed_digest = models.CharField(max_length=71)
    args_digest = models.CharField(max_length=71, null=True)
    decided_at = models.DateTimeField(default=clock.now)
    valid_until = models.DateTimeField()
    request_key = models.CharField(max_length=300, null=True)  # "<token key id>:<Idempotency-Key>" of an API decision
    request_digest = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request_key"], name="decision_request_once"),
            models.CheckConstraint(
                condition=Q(type__in=["approve", "edit"], args_digest__isnull=False)
                | Q(type__in=["reject", "respond"], args_digest__isnull=True),
                name="only_a_yes_names_what_may_run",
            ),
        ]
        indexes = [models.Index(fields=["-decided_at"], name="decision_newest")]


class Acknowledgement(models.Model):
    """The agent says it has acted on the outcome. Once; until then the decision is visibly open."""

    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="acknowledgement")
    result = models.CharField(max_length=6, choices=[("done", "done"), ("failed", "failed")])
    args_digest = models.CharField(max_length=71, null=True)
    detail = models.TextField(blank=True)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [
            # lanes: what failed lately, among all that was acted on.
            models.Index(fields=["at"], condition=Q(result="failed"), name="acknowledgement_failed"),
        ]
