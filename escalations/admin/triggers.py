"""Triggers: retuned and pointed somewhere, never made by hand."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from escalations import policies
from escalations.models import Trigger
from escalations.states import ALWAYS_ON, TRIGGERS

from .bases import actor_of
from .seconded import Seconded, WhyForm


class ReadableJson(json.JSONEncoder):
    """Settings are edited by people: one name a line, its words beside it."""

    def encode(self, o: Any) -> str:
        if not isinstance(o, dict) or not o:
            return super().encode(o)
        members = (f"  {super(ReadableJson, self).encode(name)}: {super(ReadableJson, self).encode(o[name])}" for name in sorted(o))
        return "{\n" + ",\n".join(members) + "\n}"


class TriggerForm(WhyForm):
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
class TriggerAdmin(Seconded):
    form = TriggerForm
    list_display = ("name", "enabled", "role", "policy", "description")
    list_select_related = ("role", "policy")
    readonly_fields = ("name",)
    fields = ("name", "description", "enabled", "role", "policy", "settings", "why_now")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(name__in=TRIGGERS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # what fires a trigger is code

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[str, ...]:
        return ("name", "enabled") if obj and obj.name in ALWAYS_ON else ("name",)

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        saved = policies.save_trigger(
            obj, actor=actor_of(request), person=request.user, why=form.cleaned_data.get("why_now", "")
        )
        self.outcome(request, saved)
