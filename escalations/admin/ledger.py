"""The audit record, its seals, and what the machinery says of itself. To be read."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Max, QuerySet
from django.http import HttpRequest

from escalations import clock, looks
from escalations.models import AuditEntry, AuditSeal, Heartbeat, Incident, Person, Proposal

from .bases import Administrators, ReadOnly, json_of, link_to

NEWEST = 100_000  # entries looked through for the filter below; a whole ledger would take longer than the page


class OfAdministrators(admin.SimpleListFilter):
    title = f"what it is about (newest {NEWEST:,})"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("rules", "rules, policies, sources, people"), ("incidents", "incidents and proposals")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("rules", "incidents"):
            return queryset
        newest = AuditEntry.objects.aggregate(pk=Max("pk"))["pk"] or 0
        return queryset.filter(pk__gt=newest - NEWEST, incident_id__isnull=self.value() == "rules")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    incident_at = "incident_id"
    list_display = ("id", "at", "action", "who", "about", "sealed")
    list_display_links = ("id",)
    list_select_related = ("seal",)
    list_filter = (OfAdministrators,)
    found_by = ("pk", "incident_id")
    search_help_text = "The number of an entry, or the id of an incident."
    fields = ("id", "at", "action", "who", "about", "of_incident", "of_proposal", "sealed", "hash", "said", "body")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Return the entries, without what is said of a proposal alone where this administrator judges that again.

        Nor what somebody answered to an alarm about themselves, as long as it is theirs alone: that they did says whose alarm it is.
        """
        rows = super().get_queryset(request).exclude(action="vigilance.answered", at__gt=clock.now() - looks.SHARED_AFTER)
        judging = list(looks.opened_by(request.user).values_list("proposal", flat=True)) if isinstance(request.user, Person) else []
        return rows.exclude(proposal_id__in=judging) if judging else rows

    @admin.display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor if entry.actor_kind in ("person", entry.actor) else f"{entry.actor} ({entry.actor_kind})"

    @admin.display(description="About")
    def about(self, entry: AuditEntry) -> str:
        if entry.subject:
            facts = json.loads(entry.body).get("facts") or {}
            name = next((facts[key] for key in ("name", "username", "source") if facts.get(key)), "")
            return entry.subject if name in entry.subject else f"{entry.subject}: {name}"
        return str(entry.incident_id or "")

    @admin.display(description="Number in the chain")
    def sealed(self, entry: AuditEntry) -> str:
        return str(entry.seal.seq) if hasattr(entry, "seal") else "not yet"

    @admin.display(description="Hash")
    def hash(self, entry: AuditEntry) -> str:
        return entry.seal.hash if hasattr(entry, "seal") else "–"

    @admin.display(description="Incident")
    def of_incident(self, entry: AuditEntry) -> str:
        return link_to(Incident.objects.filter(pk=entry.incident_id).first() if entry.incident_id else None)

    @admin.display(description="Proposal")
    def of_proposal(self, entry: AuditEntry) -> str:
        return link_to(Proposal.objects.filter(pk=entry.proposal_id).first() if entry.proposal_id else None)

    @admin.display(description="What was said")
    def said(self, entry: AuditEntry) -> str:
        return json_of(json.loads(entry.body).get("facts"))


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnly):
    list_display = ("seq", "sealed_at", "entry_id", "hash")
    found_by = ("pk", "entry_id")
    search_help_text = "A number in the chain, or the number of an entry."
    fields = ("seq", "of_entry", "previous", "hash", "sealed_at")
    readonly_fields = fields

    @admin.display(description="Entry")
    def of_entry(self, seal: AuditSeal) -> str:
        return link_to(seal.entry)


@admin.register(Heartbeat)
class HeartbeatAdmin(Administrators):
    list_display = ("name", "at", "detail")
    ordering = ("-at",)
    sortable_by = ()
    fields = ("name", "at", "detail_json")
    readonly_fields = fields

    @admin.display(description="Detail")
    def detail_json(self, heartbeat: Heartbeat) -> str:
        return json_of(heartbeat.detail)
