"""Escalation policies with their steps."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from escalations import policies
from escalations.errors import Invalid
from escalations.models import EscalationPolicy, EscalationStep
from escalations.states import Fallback

from .bases import Act, ActForm, Edited, actor_of, without_pop_ups

DURATION = "Hours:minutes:seconds, or days before it: 04:00:00, 2 00:00:00."


UNDO = (
    f"Seconds, up to {policies.LONGEST_UNDO}. A signature given on a page waits that long before it settles: until then whoever gave "
    "it can take it back, nobody else can decide, and the agent has no answer yet. 0: it settles at once. What already stands in a "
    "queue keeps what it was given."
)


class StepFormSet(BaseInlineFormSet):
    """Checks policy and steps together, as the verb will."""

    def steps(self) -> list[policies.Step]:
        """Return the steps in their order, without those marked for removal."""
        kept = [
            (form.cleaned_data.get("position") or 0, number, form.cleaned_data)
            for number, form in enumerate(self.forms)
            if form.cleaned_data.get("role") and not form.cleaned_data.get("DELETE")
        ]
        return [policies.Step(data["role"], data["after"], data["repeat"]) for _, _, data in sorted(kept, key=lambda one: one[:2])]

    def clean(self) -> None:
        super().clean()
        policy = self.instance
        if any(self.errors) or not all(isinstance(one, timedelta) for one in (policy.expires_after, policy.valid_for)):
            return
        try:
            policies.check_policy(policy, self.steps())
        except Invalid as refused:
            raise ValidationError([f"{error['pointer'].lstrip('/')}: {error['detail']}" for error in refused.errors]) from None


class Steps(admin.TabularInline):
    model = EscalationStep
    formset = StepFormSet
    fields = ("position", "role", "after", "repeat")
    extra = 0

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "after":
            kwargs["help_text"] = DURATION
        return without_pop_ups(super().formfield_for_dbfield(db_field, request, **kwargs))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


class ConfirmForm(ActForm):
    version = forms.IntegerField(widget=forms.HiddenInput)

    def about(self, row: EscalationPolicy) -> None:
        self.initial["version"] = row.version


def _confirm(policy: EscalationPolicy, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.confirm_approve(policy, person=request.user, version=data["version"])
    return "Confirmed. What runs out under this policy with no trigger, every notice sent and waited out, is approved."


def _archive(policy: EscalationPolicy, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.archive_policy(policy, actor=actor_of(request))
    return "Archived. What already runs under it keeps the copy it was given."


def policies_actor(request: HttpRequest) -> Any:
    return EscalationPolicyAdmin.actor(None, request)


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(Edited):
    list_display = ("name", "is_default", "expires_after", "what_happens", "valid_for", "undo_seconds", "version", "archived_at")
    ordering = ("archived_at", "name")
    fields = (
        "name", "description", "is_default", "expires_after", "fallback", "valid_for", "undo_seconds", "what_happens",
        "approve_asked_by", "approve_confirmed_by", "version", "archived_at",
    )
    readonly_fields = ("what_happens", "approve_asked_by", "approve_confirmed_by", "version", "archived_at")
    inlines = (Steps,)
    acts = (
        Act(
            "confirm", "Confirm the yes without anybody",
            "This policy asks that what nobody answers is approved. It only does so once a second administrator has confirmed "
            "exactly this version; any later edit takes that away again.",
            _confirm, form=ConfirmForm, grave=True,
            when=lambda policy: policy.fallback == Fallback.APPROVE and policy.approve_confirmed_by_id is None,
        ),
        Act(
            "archive", "Archive", "Nothing new will be routed by this policy. It can still be read.", _archive,
            when=lambda policy: policy.archived_at is None and not policy.is_default,
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "expires_after":
            kwargs["help_text"] = f"When the fallback happens. {DURATION}"
        if db_field.name == "undo_seconds":
            kwargs["help_text"] = UNDO
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="When nobody answers")
    def what_happens(self, policy: EscalationPolicy) -> str:
        if policy.pk is None:
            return "–"
        effective = policies.effective_fallback(policy)
        return str(effective) if effective == policy.fallback else f"{effective}, until a second administrator confirms {policy.fallback}"

    def has_change_permission(self, request: HttpRequest, obj: EscalationPolicy | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def save_model(self, request: HttpRequest, obj: EscalationPolicy, form: Any, change: bool) -> None:
        """Policy and steps are one edit: see save_related."""

    def save_related(self, request: HttpRequest, form: Any, formsets: list[Any], change: bool) -> None:
        steps = [step for formset in formsets for step in formset.steps()]
        policies.save_policy(form.instance, steps=steps, actor=actor_of(request), person=request.user)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> str:
        return ""  # the audit entry says it
