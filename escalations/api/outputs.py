"""What the API answers, for its OpenAPI document alone; `wire.py` is what makes the JSON. A test holds the two together."""

from rest_framework import serializers

from escalations.states import Kind, Risk, RunState, Severity, State, Status, Verdict

from .inputs import DraftIn, IncidentIn


class QuestionOut(serializers.Serializer):
    id = serializers.CharField()
    text = serializers.CharField()
    asked_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)


class SignaturesOut(serializers.Serializer):
    given = serializers.IntegerField()
    needed = serializers.IntegerField()


class ProposalOut(serializers.Serializer):
    id = serializers.UUIDField()
    revision = serializers.IntegerField()
    version = serializers.IntegerField()
    state = serializers.ChoiceField(State.values)
    action = serializers.CharField(allow_null=True)
    args = serializers.JSONField(allow_null=True)
    draft = DraftIn(allow_null=True)
    args_digest = serializers.CharField()
    confidence = serializers.FloatField(allow_null=True)
    risk = serializers.ChoiceField(Risk.values)
    role = serializers.CharField(allow_null=True)
    step = serializers.IntegerField()
    due_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    allowed_decisions = serializers.ListField(child=serializers.ChoiceField(Verdict.values))
    signatures = SignaturesOut(required=False)


class ByOut(serializers.Serializer):
    kind = serializers.ChoiceField(["person", "policy", "clock"])
    id = serializers.CharField()
    name = serializers.CharField()


class DecisionOut(serializers.Serializer):
    type = serializers.ChoiceField(Verdict.values)
    by = ByOut()
    reason = serializers.CharField()
    action = serializers.CharField(allow_null=True)
    args = serializers.JSONField(allow_null=True)
    draft = DraftIn(allow_null=True)
    message = serializers.CharField(allow_null=True)
    retry = serializers.BooleanField()
    signed_digest = serializers.CharField()
    args_digest = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField()


class AcknowledgedOut(serializers.Serializer):
    result = serializers.ChoiceField(["done", "failed"])
    args_digest = serializers.CharField(allow_null=True)
    detail = serializers.CharField()
    at = serializers.DateTimeField()


class WaitOut(serializers.Serializer):
    seconds = serializers.IntegerField()
    low = serializers.IntegerField()
    high = serializers.IntegerField(allow_null=True, help_text="Null where nothing says when it ends at the latest.")
    level = serializers.FloatField(help_text="How often what is left lies between `low` and `high`.")


class ReportedByOut(serializers.Serializer):
    kind = serializers.ChoiceField(["person", "source"])
    id = serializers.CharField()


class OutcomeReportOut(serializers.Serializer):
    id = serializers.IntegerField()
    incident = serializers.UUIDField()
    outcome = serializers.ChoiceField(["right", "wrong", "resolved"])
    how = serializers.ChoiceField(["feedback", "complaint", "correction", "ack"])
    detail = serializers.CharField()
    complaint = serializers.UUIDField(allow_null=True, help_text="The incident that complains.")
    by = ReportedByOut()
    at = serializers.DateTimeField()


class IncidentOut(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.values)
    source = serializers.CharField()
    kind = serializers.ChoiceField(Kind.values)
    test = serializers.BooleanField()
    title = serializers.CharField()
    severity = serializers.ChoiceField(Severity.values)
    category = serializers.CharField(allow_null=True)
    triggers = serializers.ListField(child=serializers.CharField())
    escalate = serializers.ChoiceField(["auto", "human", "none"], allow_null=True)
    pattern = serializers.ChoiceField(["approval", "review_gate", "confidence", "exception", "oversight"])
    pattern_why = serializers.CharField(help_text="One sentence: why this pattern, from kind, floor, triggers and rules.")
    received_at = serializers.DateTimeField()
    estimated_wait_seconds = serializers.IntegerField(allow_null=True)
    estimated_wait = WaitOut(allow_null=True)
    questions = QuestionOut(many=True)
    proposal = ProposalOut(allow_null=True)
    decision = DecisionOut(allow_null=True)
    acknowledged = AcknowledgedOut(allow_null=True)
    review_url = serializers.URLField()


class IncidentPage(serializers.Serializer):
    items = IncidentOut(many=True)
    next = serializers.URLField(allow_null=True)


class FaultOut(serializers.Serializer):
    pointer = serializers.CharField(help_text="RFC 6901, into what was sent.")
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer):
    """RFC 9457. `code` is the contract, the texts may change."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FaultOut(many=True, required=False)


class BatchIn(serializers.Serializer):
    items = IncidentIn(many=True, help_text="1 to 500, each with its own `key`.")


class BatchItemOut(serializers.Serializer):
    status = serializers.IntegerField()
    incident = IncidentOut(required=False)
    problem = Problem(required=False)
    replayed = serializers.BooleanField(required=False)


class BatchOut(serializers.Serializer):
    items = BatchItemOut(many=True)


class OrderedByOut(serializers.Serializer):
    kind = serializers.ChoiceField(["person", "policy"])
    name = serializers.CharField()


class NoteOut(serializers.Serializer):
    number = serializers.IntegerField()
    text = serializers.CharField()
    by = OrderedByOut(allow_null=True)
    at = serializers.DateTimeField()


class DirectiveOut(serializers.Serializer):
    directive = serializers.ChoiceField(["continue", "pause", "stop", "note"])
    number = serializers.IntegerField(help_text="Of the last order; send it back as `seen`.")
    reason = serializers.CharField(allow_null=True)
    by = OrderedByOut(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)
    notes = NoteOut(many=True)


class LimitsOut(serializers.Serializer):
    steps = serializers.IntegerField(allow_null=True)
    repeats = serializers.IntegerField(allow_null=True)
    minutes = serializers.IntegerField(allow_null=True)
    cost = serializers.CharField(allow_null=True)


class SessionOut(serializers.Serializer):
    id = serializers.UUIDField()
    source = serializers.CharField()
    agent = serializers.CharField()
    goal = serializers.CharField()
    test = serializers.BooleanField()
    state = serializers.ChoiceField(RunState.values)
    reason = serializers.CharField()
    limits = LimitsOut()
    role = serializers.CharField(help_text="Who watches.")
    steps = serializers.IntegerField()
    errors = serializers.IntegerField()
    tokens = serializers.IntegerField()
    cost = serializers.CharField()
    started_at = serializers.DateTimeField()
    last_step_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.ChoiceField(["done", "failed", "stopped"], allow_null=True)
    detail = serializers.CharField(allow_null=True)
    directive = DirectiveOut()
    incidents = serializers.ListField(child=serializers.UUIDField(), help_text="Opened because of what the run did.")
    watch_url = serializers.URLField()


class SessionPage(serializers.Serializer):
    items = SessionOut(many=True)
    next = serializers.URLField(allow_null=True)


class SteppedOut(serializers.Serializer):
    session = serializers.UUIDField()
    accepted = serializers.IntegerField(help_text="How many of the steps were new.")
    steps = serializers.IntegerField(help_text="How many the run has now.")
    directive = DirectiveOut()
