"""What is to be signed, and where it stands."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Exists, OuterRef, Q

from escalations import clock
from escalations.states import Floor, Kind, Risk, Severity, State, Verdict

from .incidents import Incident, new_id
from .people import Person, Role
from .sources import Source

ACKNOWLEDGE = "acknowledge"  # the action of a proposal that we make; a source may have one of this name as well
_OURS = ("system", "person")  # what failed is put to a person again as ours, whoever had written it: the author alone says nothing


def acknowledges(of: str = "") -> Q:
    """Return the condition that a proposal, found by the path `of` ("proposal__"), is an acknowledgement; see `is_acknowledgement`."""
    theirs = Proposal.objects.filter(incident=OuterRef(f"{of}incident"), revision__lt=OuterRef(f"{of}revision")).exclude(author__in=_OURS)
    ours = Q(**{f"{of}author__in": _OURS, f"{of}action": ACKNOWLEDGE, f"{of}draft__isnull": True})
    return ours & (Q(**{f"{of}revision": 1}) | ~Exists(theirs))


def acknowledges_sql(alias: str) -> str:
    """Return the same condition as SQL about the row `alias` of escalations_proposal."""
    authors = ", ".join(f"'{author}'" for author in _OURS)
    return f"""({alias}.author IN ({authors}) AND {alias}.action = '{ACKNOWLEDGE}' AND {alias}.draft IS NULL
    AND ({alias}.revision = 1 OR NOT EXISTS (
        SELECT FROM escalations_proposal AS theirs
        WHERE theirs.incident_id = {alias}.incident_id AND theirs.revision < {alias}.revision AND theirs.author NOT IN ({authors})
    )))"""


class Urgency(models.Func):
    """When it would cost as much as a harmless, certain item due then: due time less what being wrong weighs (migration 0003)."""

    function = "countersign_urgency"
    output_field = models.DateTimeField()

    def __init__(self, **options: object) -> None:
        super().__init__("due_at", "risk", "confidence", **options)


class ProposalQuerySet(models.QuerySet):
    def open(self) -> "ProposalQuerySet":
        """Pending ones that have been routed: what stands in some role's queue."""
        return self.filter(state=State.PENDING, routed_at__isnull=False)

    def overdue(self, moment: datetime) -> "ProposalQuerySet":
        """Open ones whose next step or expiry has come."""
        return self.open().filter(due_at__lte=moment)

    def free(self) -> "ProposalQuerySet":
        """Those on which no signature stands that can still be taken back: the clock and the next reader leave the others alone."""
        return self.filter(hold=None)


class Proposal(models.Model):
    """An action with args, or a draft, awaiting or having a decision. Revisions of one incident form a line.

    The content (`content`, the canonical JSON whose SHA-256 is `args_digest`, and what is derived from it) is immutable. `version`
    rises with everything a reviewer could have seen change. `policy` is the escalation policy as it was when this was routed:
    {"name", "steps": [{"role": id, "name", "after": s}], "expires_after": s, "fallback", "valid_for": s, "undo_seconds": s},
    repeats written out.
    """

    AUTHORS = [("source", "the source"), ("system", "Countersign"), ("person", "a reviewer's edit"), ("model", "the model")]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="proposals")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    test = models.BooleanField(default=False)
    kind = models.CharField(max_length=12, choices=Kind)
    revision = models.PositiveSmallIntegerField(default=1)
    author = models.CharField(max_length=6, choices=AUTHORS, default="source")
    author_person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=200, blank=True)
    args = models.JSONField(null=True)
    draft = models.JSONField(null=True)
    content = models.TextField()
    args_digest = models.CharField(max_length=71)
    description = models.TextField(blank=True)
    args_schema = models.JSONField(null=True)
    allowed_decisions = ArrayField(models.CharField(max_length=8, choices=Verdict), default=list)
    claims = models.JSONField(default=dict)  # confidence, reversible, impact, fallback: the source's word, never proof
    created_at = models.DateTimeField(default=clock.now)
    # -- routing
    routed_at = models.DateTimeField(null=True)
    title = models.CharField(max_length=500, blank=True)
    severity = models.CharField(max_length=10, choices=Severity, default=Severity.INFO)
    category = models.CharField(max_length=80, blank=True)
    confidence = models.FloatField(null=True)
    risk = models.CharField(max_length=8, choices=Risk, default=Risk.MEDIUM)
    floor = models.CharField(max_length=6, choices=Floor, default=Floor.REVIEW)
    triggers = models.JSONField(default=list)  # [{"name", "why", "where"}], in the order of states.TRIGGERS
    rules = models.JSONField(default=list)  # every rule that matched or failed: [{"name", "floor", "why", "error"}]
    policy = models.JSONField(default=dict)
    # -- the life
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    version = models.PositiveIntegerField(default=1)
    role = models.ForeignKey(Role, null=True, on_delete=models.PROTECT, related_name="+")
    asked = ArrayField(models.IntegerField(), default=list)  # every role asked so far: their members may go on reading
    step = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True)  # "about to expire" was said
    claimed_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    claim_until = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    objects = ProposalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "revision"], name="revision_once"),
            models.UniqueConstraint(fields=["incident"], condition=Q(state=State.PENDING), name="one_pending_per_incident"),
            models.CheckConstraint(
                condition=Q(state=State.PENDING, settled_at=None) | (~Q(state=State.PENDING) & Q(settled_at__isnull=False)),
                name="settled_has_a_time",
            ),
        ]
        indexes = [
            # timers: open proposals whose time is up.
            models.Index(fields=["due_at"], condition=Q(state=State.PENDING), name="proposal_open_by_due"),
            # inbox: a role's queue, due soonest first.
            models.Index(fields=["role", "due_at", "id"], condition=Q(state=State.PENDING), name="proposal_queue"),
            # managers' inbox: every queue, due soonest first.
            models.Index(fields=["due_at", "id"], condition=Q(state=State.PENDING), name="proposal_all_queues"),
            # inbox, by urgency: a role's queue, and every queue.
            models.Index("role", Urgency(), "id", condition=Q(state=State.PENDING, routed_at__isnull=False), name="proposal_urgent"),
            models.Index(Urgency(), "id", condition=Q(state=State.PENDING, routed_at__isnull=False), name="proposal_all_urgent"),
            # desk: how long each role's queue has waited. Test keys' are left out of figures.
            models.Index(
                fields=["role", "routed_at"], condition=Q(state=State.PENDING, test=False, routed_at__isnull=False),
                name="proposal_waiting",
            ),
            # desk: what came to people, hour by hour (what a rule settled alone was asked of nobody).
            models.Index(fields=["routed_at"], condition=Q(test=False) & ~Q(asked=[]), name="proposal_came"),
            # desk: what people decided, newest first.
            models.Index(
                fields=["-settled_at"],
                condition=Q(test=False, state__in=[State.APPROVED, State.EDITED, State.REJECTED, State.ANSWERED]) & ~Q(asked=[]),
                name="proposal_decided",
            ),
            # inbox, filtered: what is rare is found here, what is common by walking along the order; the planner knows which it is.
            models.Index(fields=["kind"], condition=Q(state=State.PENDING), name="proposal_open_by_kind"),
            models.Index(fields=["severity"], condition=Q(state=State.PENDING), name="proposal_open_by_severity"),
            models.Index(fields=["risk"], condition=Q(state=State.PENDING), name="proposal_open_by_risk"),
            models.Index(fields=["source"], condition=Q(state=State.PENDING), name="proposal_open_by_source"),
            GinIndex(
                fields=["triggers"], opclasses=["jsonb_path_ops"], condition=Q(state=State.PENDING), gin_pending_list_limit=256,
                name="proposal_open_by_trigger",
            ),
            # timers: lapsed claims.
            models.Index(fields=["claim_until"], condition=Q(claim_until__isnull=False), name="proposal_claims"),
            # law 12: was a person ever asked for the same thing?
            models.Index(fields=["source", "args_digest", "created_at"], name="proposal_same_ask"),
            # settled page.
            models.Index(fields=["-settled_at", "-id"], condition=Q(settled_at__isnull=False), name="proposal_settled"),
            # settled page and its search, of one role; and what other roles settled after this one had been asked.
            models.Index(
                fields=["role", "-settled_at", "-id"], condition=Q(settled_at__isnull=False), name="proposal_settled_of_role"
            ),
            GinIndex(fields=["asked"], condition=Q(settled_at__isnull=False, asked__len__gt=1), name="proposal_settled_elsewhere"),
            # similar past decisions: what this source was told the last times it wanted the same action.
            models.Index(
                fields=["source", "action", "-settled_at"], condition=Q(settled_at__isnull=False), name="proposal_precedents"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title or self.action} (revision {self.revision})"

    def get_absolute_url(self) -> str:
        return f"/proposals/{self.pk}/"

    @property
    def is_alone(self) -> bool:
        """Say whether its line has no other revision: only a settled one has a successor."""
        return bool(self.revision == 1 and self.state == State.PENDING)

    @property
    def is_acknowledgement(self) -> bool:
        """Say whether this is what we made for an incident that brought no proposal, to acknowledge it with a category and a severity;
        put again where its source failed at it, or corrected by a reviewer, it still is. What a source or a model proposed is none, when
        it is put again neither, whatever its action is called. No query for a first revision, one for later ones that look like it.
        """
        if self.author not in _OURS or self.action != ACKNOWLEDGE or self.draft is not None:
            return False
        earlier = Proposal.objects.filter(incident=self.incident_id, revision__lt=self.revision)
        return self.revision == 1 or not earlier.exclude(author__in=_OURS).exists()

    @property
    def trigger_names(self) -> list[str]:
        return [trigger["name"] for trigger in self.triggers]


class Comment(models.Model):
    """A reviewer's word to colleagues; decides nothing."""

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="comments")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    mentions = ArrayField(models.IntegerField(), default=list)  # colleagues who were told
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["at", "pk"]


class SearchText(models.Model):
    """The words of a proposal and its incident by which it is found; sensitive values are left out. Written when it is routed."""

    proposal = models.OneToOneField(Proposal, primary_key=True, on_delete=models.CASCADE, related_name="search")
    words = SearchVectorField()

    class Meta:
        # search in the inbox and among what was settled.
        # What is not yet sorted into the index is read by every search, so it is kept short (kB).
        indexes = [GinIndex(fields=["words"], name="search_words", gin_pending_list_limit=256)]
