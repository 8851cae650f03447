"""Escalation policies with their steps."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import AdminErrorList, AdminForm
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms import all_valid
from django.forms.models import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse

from escalations import clock, policies
from escalations.errors import Invalid
from escalations.models import Calendar, EscalationPolicy, EscalationStep, Role, roles_with_somebody
from escalations.states import Fallback

from .bases import Act, ActForm, actor_of, without_pop_ups
from .seconded import Seconded

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


class PreviewForm(forms.Form):
    """When something would be posted, and whom it would ask first."""

    preview_at = forms.DateTimeField(
        label="Posted", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    preview_role = forms.ModelChoiceField(
        Role.objects.order_by("name"), label="Asked of", required=False, empty_label="the role that is asked first",
    )


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


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(Seconded):
    list_display = ("name", "is_default", "calendar", "expires_after", "what_happens", "quorum", "undo_seconds", "version", "archived_at")
    list_select_related = ("calendar",)
    change_form_template = "admin/escalations/policy_form.html"
    ordering = ("archived_at", "name")
    fields = (
        "name", "description", "is_default", "calendar", "expires_after", "fallback", "quorum", "valid_for", "undo_seconds", "chat_up_to",
        "what_happens",
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
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "calendar" and field is not None:
            field.queryset = Calendar.objects.filter(archived_at=None).order_by("name")
            field.empty_label = "none: its clock never stands still"
        return field

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say what the policy would do; "Preview" says it of the form as it stands, and saves nothing."""
        if request.method == "POST" and "_preview" in request.POST:
            return self._previewed(request, object_id)
        extra = dict(extra_context or {})
        if object_id and (policy := self.get_object(request, object_id)) is not None:
            extra |= self._said(request, policy, policies.steps_of(policy))
        else:
            extra["preview_form"] = PreviewForm(initial={"preview_at": self._now(request, None).replace(tzinfo=None)})
        return super().changeform_view(request, object_id, form_url, extra)

    def _previewed(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        policy = self.get_object(request, object_id) if object_id else None
        if object_id and policy is None:
            raise Http404
        if not (self.has_change_permission(request, policy) if policy else self.has_add_permission(request)):
            raise PermissionDenied
        name = str(policy) if policy else ""
        form = self.get_form(request, policy, change=policy is not None)(request.POST, instance=policy)
        valid = form.is_valid()
        formsets, inlines = self._create_formsets(request, form.instance, change=policy is not None)
        valid = all_valid(formsets) and valid
        title = f"Preview of {name}" if name else "Preview of a new policy"
        context = {
            **self.admin_site.each_context(request), "title": title, "object_id": object_id, "original": policy, "is_popup": False,
            "to_field": None, "media": self.media + form.media, "preserved_filters": self.get_preserved_filters(request),
            "adminform": AdminForm(form, list(self.get_fieldsets(request, policy)), {}, self.readonly_fields, model_admin=self),
            "inline_admin_formsets": self.get_inline_formsets(request, formsets, inlines, policy),
            "errors": AdminErrorList(form, formsets), "unsaved": True,
        }
        if valid:
            context |= self._said(request, form.instance, [step for formset in formsets for step in formset.steps()])
        else:
            context["preview_form"] = PreviewForm(request.POST)
        return self.render_change_form(request, context, add=policy is None, change=policy is not None, obj=policy)

    def _said(self, request: HttpRequest, policy: EscalationPolicy, steps: list[policies.Step]) -> dict[str, Any]:
        """Return the preview for a moment in the calendar's time zone; now, where none was given. Three queries."""
        zone = self._zone(request, policy.calendar)
        now = self._now(request, policy.calendar)
        asked = PreviewForm(request.POST if "_preview" in request.POST else None, initial={"preview_at": now.replace(tzinfo=None)})
        moment, first = now, None
        if asked.is_bound and asked.is_valid():
            given = asked.cleaned_data["preview_at"]
            moment = given.replace(tzinfo=zone) if given else now
            first = asked.cleaned_data["preview_role"]
        elif asked.is_bound:
            return {"preview_form": asked}
        said = policies.preview(
            policy, steps, first=first.name if first else "the role asked", moment=moment, zone=zone.key,
            present=roles_with_somebody(clock.now()),
        )
        return {"preview": said, "preview_form": asked}

    def _zone(self, request: HttpRequest, calendar: Calendar | None) -> ZoneInfo:
        name = calendar.time_zone if calendar is not None else request.user.time_zone
        return ZoneInfo(name) if name in available_timezones() else ZoneInfo("UTC")

    def _now(self, request: HttpRequest, calendar: Calendar | None) -> datetime:
        return clock.now().astimezone(self._zone(request, calendar)).replace(second=0, microsecond=0)

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
        saved = policies.save_policy(form.instance, steps=steps, actor=actor_of(request), person=request.user)
        self.outcome(request, saved)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> str:
        return ""  # the audit entry says it
