"""The record: incidents, proposals, what engines said, signatures, decisions. To be read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from escalations.models import Acknowledgement, AuditEntry, Classification, Decision, Incident, Proposal, Signature, StepRun

from .bases import ReadOnly, Rows, json_of, link_to, shown


class Classifications(Rows):
    model = Classification
    fields = ("engine", "version", "severity", "category", "confidence", "error", "latency_ms", "created_at")
    readonly_fields = fields


class Proposals(Rows):
    model = Proposal
    fields = ("revision", "page", "state", "role", "floor", "created_at", "settled_at")
    readonly_fields = fields

    @admin.display(description="Proposal")
    def page(self, proposal: Proposal) -> str:
        return link_to(proposal, proposal.action or str(proposal.pk))


@admin.register(Incident)
class IncidentAdmin(ReadOnly):
    has_history = True
    incident_at = "pk"
    list_display = ("received_at", "what", "source", "kind", "severity", "category", "status", "test")
    list_display_links = ("received_at",)
    list_select_related = ("source",)
    inlines = (Proposals, Classifications)
    fields = (
        "id", "in_the_room", "source", "kind", "what", "text", "received_at", "status", "severity", "claimed_severity", "category",
        "triggers", "escalate", "pattern", "settled_at", "key", "test", "external_id", "fingerprint", "environment", "on_behalf_of",
        "session", "customer_json", "payload_json", "context_json", "callback_url", "timeout_seconds", "sanitised",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        queryset = super().get_queryset(request).defer("raw")
        return queryset if _is_page(request) else queryset.defer("raw", "payload", "context", "body")

    def get_history(self, obj: Incident) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.filter(incident_id=obj.pk).order_by("-pk")

    @admin.display(description="Title")
    def what(self, incident: Incident) -> str:
        return shown(incident.title)

    @admin.display(description="Body")
    def text(self, incident: Incident) -> str:
        return format_html('<pre class="json">{}</pre>', shown(incident.body)) if incident.body else "–"

    @admin.display(description="In the room")
    def in_the_room(self, incident: Incident) -> str:
        return format_html('<a href="{}">the whole story</a>', f"/incidents/{incident.pk}/")

    @admin.display(description="Customer")
    def customer_json(self, incident: Incident) -> str:
        return json_of(incident.customer)

    @admin.display(description="Payload")
    def payload_json(self, incident: Incident) -> str:
        return json_of(incident.payload)

    @admin.display(description="Context")
    def context_json(self, incident: Incident) -> str:
        return json_of(incident.context)


def _is_page(request: HttpRequest) -> bool:
    """Whether one row is shown, not a list."""
    return bool(request.resolver_match and "object_id" in request.resolver_match.kwargs)


class Signatures(Rows):
    model = Signature
    fields = ("person", "type", "digest", "version", "method", "interactive", "at")
    readonly_fields = fields


class StepRuns(Rows):
    model = StepRun
    fields = ("step", "role", "due_at", "fired_at", "why")
    readonly_fields = fields


class Decided(Rows):
    model = Decision
    fields = ("type", "by_kind", "by_name", "reason", "signed_digest", "args_digest", "decided_at", "valid_until")
    readonly_fields = fields


@admin.register(Proposal)
class ProposalAdmin(ReadOnly):
    has_history = True
    incident_at = "incident"
    list_display = ("created_at", "what", "action", "revision", "state", "role", "step", "due_at", "expires_at", "claimed_by")
    list_display_links = ("created_at",)
    list_select_related = ("role", "claimed_by")
    found_by = ("pk", "incident_id")
    inlines = (Decided, Signatures, StepRuns)
    fields = (
        "id", "in_the_room", "of_incident", "revision", "author", "author_person", "state", "version", "role", "step", "due_at",
        "expires_at", "claimed_by", "claim_until", "parked_at", "settled_at", "action", "args_json", "draft_json", "args_digest",
        "description_text", "claims_json", "allowed_decisions", "schema_json", "severity", "category", "confidence", "risk", "floor",
        "triggers_json", "rules_json", "policy_json", "created_at", "routed_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        queryset = super().get_queryset(request)
        if _is_page(request):
            return queryset.select_related("incident")
        return queryset.only(
            "id", "created_at", "title", "action", "revision", "state", "role__name", "step", "due_at", "expires_at",
            "claimed_by__username", "claimed_by__first_name", "claimed_by__last_name",
        )

    def get_history(self, obj: Proposal) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.filter(incident_id=obj.incident_id, proposal_id=obj.pk).order_by("-pk")

    @admin.display(description="Title")
    def what(self, proposal: Proposal) -> str:
        return shown(proposal.title or proposal.action)

    @admin.display(description="In the room")
    def in_the_room(self, proposal: Proposal) -> str:
        return format_html('<a href="{}">read and sign</a>', proposal.get_absolute_url())

    @admin.display(description="Incident")
    def of_incident(self, proposal: Proposal) -> str:
        return link_to(proposal.incident)

    @admin.display(description="Description (the agent's prose)")
    def description_text(self, proposal: Proposal) -> str:
        return shown(proposal.description) or "–"

    @admin.display(description="Args")
    def args_json(self, proposal: Proposal) -> str:
        return json_of(proposal.args)

    @admin.display(description="Draft")
    def draft_json(self, proposal: Proposal) -> str:
        return json_of(proposal.draft)

    @admin.display(description="Claims")
    def claims_json(self, proposal: Proposal) -> str:
        return json_of(proposal.claims)

    @admin.display(description="Args schema")
    def schema_json(self, proposal: Proposal) -> str:
        return json_of(proposal.args_schema)

    @admin.display(description="Triggers")
    def triggers_json(self, proposal: Proposal) -> str:
        return json_of(proposal.triggers)

    @admin.display(description="Rules that matched")
    def rules_json(self, proposal: Proposal) -> str:
        return json_of(proposal.rules)

    @admin.display(description="Policy, as frozen")
    def policy_json(self, proposal: Proposal) -> str:
        return json_of(proposal.policy)


@admin.register(Classification)
class ClassificationAdmin(ReadOnly):
    list_display = ("created_at", "engine", "severity", "category", "confidence", "error", "latency_ms", "tokens_in", "tokens_out")
    found_by = ("incident_id",)
    fields = (
        "of_incident", "engine", "version", "severity", "category", "confidence", "sure", "triggers_json", "rationale_text", "error",
        "latency_ms", "tokens_in", "tokens_out", "created_at",
    )
    readonly_fields = fields

    @admin.display(description="Incident")
    def of_incident(self, classification: Classification) -> str:
        return link_to(classification.incident)

    @admin.display(description="Triggers")
    def triggers_json(self, classification: Classification) -> str:
        return json_of(classification.triggers)

    @admin.display(description="Rationale")
    def rationale_text(self, classification: Classification) -> str:
        return shown(classification.rationale) or "–"


@admin.register(Signature)
class SignatureAdmin(ReadOnly):
    incident_at = "proposal__incident"
    list_display = ("at", "person", "type", "method", "interactive", "version", "digest")
    list_select_related = ("person",)
    found_by = ("proposal_id",)
    fields = ("of_proposal", "person", "type", "digest", "version", "method", "interactive", "at")
    readonly_fields = fields

    @admin.display(description="Proposal")
    def of_proposal(self, signature: Signature) -> str:
        return link_to(signature.proposal)


class Acknowledged(Rows):
    model = Acknowledgement
    fields = ("result", "args_digest", "detail", "at")
    readonly_fields = fields


@admin.register(Decision)
class DecisionAdmin(ReadOnly):
    incident_at = "proposal__incident"
    list_display = ("decided_at", "type", "by_kind", "by_name", "action", "reason", "valid_until")
    found_by = ("proposal_id",)
    inlines = (Acknowledged,)
    fields = (
        "of_proposal", "type", "by_kind", "by_id", "by_name", "reason", "action", "args_json", "draft_json", "message", "retry",
        "signed_digest", "args_digest", "decided_at", "valid_until",
    )
    readonly_fields = fields

    @admin.display(description="Proposal")
    def of_proposal(self, decision: Decision) -> str:
        return link_to(decision.proposal)

    @admin.display(description="Args")
    def args_json(self, decision: Decision) -> str:
        return json_of(decision.args)

    @admin.display(description="Draft")
    def draft_json(self, decision: Decision) -> str:
        return json_of(decision.draft)
