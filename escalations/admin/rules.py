"""Routing rules and triggers: what comes to a person, and to whom."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from escalations import policies
from escalations.models import EscalationPolicy, RoutingRule, Trigger
from escalations.states import ALWAYS_ON, TRIGGERS, Floor

from .bases import CheckedForm, Edited, actor_of


class RuleForm(CheckedForm):
    class Meta:
        model = RoutingRule
        fields = (
            "name", "why", "state", "priority", "condition", "floor", "by", "threshold", "model_counts", "role", "policy",
            "severity", "category",
        )
        widgets = {
            "condition": forms.Textarea(attrs={"rows": 4, "cols": 100, "class": "condition", "spellcheck": "false"}),
            "why": forms.Textarea(attrs={"rows": 2, "cols": 100}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "policy" in self.fields:
            self.fields["policy"].queryset = EscalationPolicy.objects.filter(archived_at=None)

    def check(self) -> None:
        policies.check_rule(self.instance)


@admin.register(RoutingRule)
class RoutingRuleAdmin(Edited):
    form = RuleForm
    list_display = ("name", "priority", "floor_and_by", "role", "policy", "state", "why")
    list_select_related = ("role", "policy")
    list_filter = ("state", "floor", "role")
    search_fields = ("name", "condition", "why")
    readonly_fields = ("version", "changed_at")
    fieldsets = (
        (None, {"fields": ("name", "why", "state")}),
        ("When it matches", {
            "fields": ("condition", "priority"),
            "description": "A condition in CEL over incident, proposal, classification, source, customer and now. Begin with the "
            "kind and the action: only keys inside args and payload can be missing, and an error beside a false is ignored. A rule "
            "with floor auto may read only source, incident.kind, proposal.action, proposal.args, now, and authoritative paths.",
        }),
        ("What it demands", {
            "fields": ("floor", "by", "threshold", "model_counts", "role", "policy", "severity", "category"),
            "description": "The strictest floor of all live rules that match wins. With floor auto nobody looks, unless a trigger "
            "fires or what “by” asks for is not there.",
        }),
        ("History", {"fields": ("version", "changed_at")}),
    )

    @admin.display(description="Floor", ordering="floor")
    def floor_and_by(self, rule: RoutingRule) -> str:
        if rule.floor != Floor.AUTO or rule.by == "rule":
            return str(rule.floor)
        return f"{rule.floor} by {rule.by}" + (f" {rule.threshold:g}" if rule.threshold is not None else "")

    def save_model(self, request: HttpRequest, obj: RoutingRule, form: Any, change: bool) -> None:
        policies.save_rule(obj, actor=actor_of(request))


class ReadableJson(json.JSONEncoder):
    """Settings are edited by people: one name a line, its words beside it."""

    def encode(self, o: Any) -> str:
        if not isinstance(o, dict) or not o:
            return super().encode(o)
        members = (f"  {super(ReadableJson, self).encode(name)}: {super(ReadableJson, self).encode(o[name])}" for name in sorted(o))
        return "{\n" + ",\n".join(members) + "\n}"


class TriggerForm(CheckedForm):
    settings = forms.JSONField(
        required=False, encoder=ReadableJson,
        widget=forms.Textarea(attrs={"rows": 16, "cols": 100, "class": "condition", "spellcheck": "false"}),
        help_text="Its numbers and words. What is left out stands as it is built in.",
    )

    class Meta:
        model = Trigger
        fields = ("description", "enabled", "role", "policy", "settings")

    def clean_settings(self) -> Any:
        return {} if self.cleaned_data["settings"] is None else self.cleaned_data["settings"]

    def check(self) -> None:
        policies.check_trigger(self.instance)


@admin.register(Trigger)
class TriggerAdmin(Edited):
    form = TriggerForm
    list_display = ("name", "enabled", "role", "policy", "description")
    list_select_related = ("role", "policy")
    readonly_fields = ("name",)
    fields = ("name", "description", "enabled", "role", "policy", "settings")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(name__in=TRIGGERS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # what fires a trigger is code

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[str, ...]:
        return ("name", "enabled") if obj and obj.name in ALWAYS_ON else ("name",)

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        policies.save_trigger(obj, actor=actor_of(request))
