"""Routing rules: what comes to a person, and to whom."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from escalations import policies
from escalations.errors import Invalid
from escalations.models import EscalationPolicy, RoutingRule
from escalations.states import Floor, RuleState

from .bases import actor_of
from .seconded import RULE_ACTS, Seconded, WhyForm, versions_context


class RuleForm(WhyForm):
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

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

        if self.instance.pk is None:
            self.initial["state"] = RuleState.DRAFT
        else:
            self.fields["seen"].initial = self.instance.version

    def check(self) -> None:
        if self.instance.pk and self.cleaned_data.get("seen") not in (None, self.instance.version):
            raise Invalid([{"pointer": "/", "code": "changed", "detail": policies.SAVED_MEANWHILE}])
        policies.check_rule(self.instance)


@admin.register(RoutingRule)
class RoutingRuleAdmin(Seconded):
    form = RuleForm
    acts = RULE_ACTS
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
        ("History", {"fields": ("why_now", "seen", "version", "changed_at")}),
    )

    @admin.display(description="Floor", ordering="floor")
    def floor_and_by(self, rule: RoutingRule) -> str:
        if rule.floor != Floor.AUTO or rule.by == "rule":
            return str(rule.floor)
        return f"{rule.floor} by {rule.by}" + (f" {rule.threshold:g}" if rule.threshold is not None else "")

    def save_model(self, request: HttpRequest, obj: RoutingRule, form: Any, change: bool) -> None:
        saved = policies.save_rule(
            obj, actor=actor_of(request), person=request.user, why=form.cleaned_data.get("why_now", ""),
            seen=form.cleaned_data.get("seen"),
        )
        self.outcome(request, saved)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Below the form: every version, with what it changed."""
        extra = dict(extra_context or {})
        if object_id and (rule := self.get_object(request, object_id)) is not None:
            extra |= versions_context(rule)
        return super().changeform_view(request, object_id, form_url, extra)
