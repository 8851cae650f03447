"""Absences: who is away, and who deputises. People enter their own on their page; administrators anybody's here."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from escalations import clock, policies
from escalations.models import Absence, Person

from .bases import Act, CheckedForm, Edited, actor_of

WHEN = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class AbsenceForm(CheckedForm):
    """Moments are typed as in the time zone of who is away."""

    since = forms.DateTimeField(label="Away from", widget=WHEN, help_text="In that person's time zone, as all times here.")
    until = forms.DateTimeField(label="Until", widget=WHEN)

    class Meta:
        model = Absence
        fields = ("person", "since", "until", "deputy", "note")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and "since" in self.fields:
            zone = ZoneInfo(self.instance.person.time_zone)
            for name in ("since", "until"):
                self.initial[name] = getattr(self.instance, name).astimezone(zone).replace(tzinfo=None)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        person = cleaned.get("person") or getattr(self.instance, "person", None)
        if person is not None:
            for name in ("since", "until"):
                if isinstance(given := cleaned.get(name), datetime):
                    cleaned[name] = given.replace(tzinfo=ZoneInfo(person.time_zone))
        return cleaned

    def check(self) -> None:
        policies.check_absence(self.instance)


def _call_off(absence: Absence, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.call_off(absence, actor=actor_of(request))
    return "They are here again. What was passed on stays with who got it."


@admin.register(Absence)
class AbsenceAdmin(Edited):
    form = AbsenceForm
    list_display = ("person", "since", "until", "deputy", "note", "is_now")
    list_select_related = ("person", "deputy")
    ordering = ("-until",)
    fields = ("person", "since", "until", "deputy", "note", "passed_on_at")
    readonly_fields = ("passed_on_at",)
    acts = (
        Act(
            "end", "End it now", "They are here again from this moment. An absence that has not begun is taken back.", _call_off,
            when=lambda absence: absence.until > clock.now(),
        ),
    )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", Person.objects.filter(is_active=True).order_by("first_name", "last_name", "username"))
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "deputy" and field is not None:
            field.empty_label = "nobody: what they hold is given back"
        return field

    def has_change_permission(self, request: HttpRequest, obj: Absence | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.until > clock.now())

    @admin.display(description="Away now", boolean=True)
    def is_now(self, absence: Absence) -> bool:
        return bool(absence.since <= clock.now() < absence.until)

    def save_model(self, request: HttpRequest, obj: Absence, form: Any, change: bool) -> None:
        policies.save_absence(obj, actor=actor_of(request))
