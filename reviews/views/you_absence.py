"""One's own absences: from when to when, and who stands in. Typed and shown in one's own time zone."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest

from escalations import audit, clock, policies
from escalations.errors import CountersignError, Invalid
from escalations.models import Absence, Person

WHEN = "%Y-%m-%dT%H:%M"


class AbsenceForm(forms.Form):
    """When one is away. `plan` saves it."""

    since = forms.DateTimeField(label="Away from", input_formats=[WHEN, "%Y-%m-%dT%H:%M:%S"])
    until = forms.DateTimeField(label="Until", input_formats=[WHEN, "%Y-%m-%dT%H:%M:%S"])
    deputy = forms.ModelChoiceField(Person.objects.none(), label="Who stands in", required=False)
    note = forms.CharField(label="A note", required=False, max_length=200)

    def __init__(self, person: Person, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.person = person
        self.fields["deputy"].queryset = policies.deputies_for(person)  # type: ignore[attr-defined]

    def plan(self) -> bool:
        """Save it, on record; return whether that went, else the errors say why not."""
        if not self.is_valid():
            return False
        zone, given = ZoneInfo(self.person.time_zone), self.cleaned_data
        absence = Absence(
            person=self.person, since=_at(given["since"], zone), until=_at(given["until"], zone), deputy=given["deputy"], note=given["note"]
        )
        try:
            policies.save_absence(absence, actor=audit.Actor.of(self.person))
        except Invalid as refused:
            for error in refused.errors:
                field = error["pointer"].lstrip("/")
                self.add_error(field if field in self.fields else None, error["detail"])
            return False
        return True


def _at(typed: datetime, zone: ZoneInfo) -> datetime:
    return typed.replace(tzinfo=zone)


def call_off(person: Person, absence_id: str) -> str:
    """End one of this person's own absences; return what to tell them."""
    absence = Absence.objects.filter(pk=absence_id, person=person).first() if absence_id.isdecimal() and len(absence_id) < 12 else None
    if absence is None:
        return "That absence is not there any more."
    try:
        policies.call_off(absence, actor=audit.Actor.of(person))
    except CountersignError as refused:
        return refused.detail
    return "You are here again. What was passed on stays with who got it."


def drawn(request: HttpRequest) -> dict[str, Any]:
    """Return what the part about absences is made of. Two queries."""
    now = clock.now()
    return {
        "absence_form": AbsenceForm(request.user),
        "absences": Absence.objects.filter(person=request.user.pk, until__gt=now).select_related("deputy").order_by("since")[:20],
        "absence_now": now,
    }
