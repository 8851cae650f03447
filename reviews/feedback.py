"""What people type about what came of a decision, and about which decisions they want as a file."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms

from escalations import clock, feedback, looks
from escalations.models import Incident, OutcomeReport, Person, Role

from .access import incident_for, sees_everything
from .forms import Text

LATEST = 20  # reports on the page
OUTCOMES = [("right", "It was right"), ("wrong", "It was wrong"), ("resolved", "It is resolved")]
HOWS = [("feedback", "I know it, or was told"), ("complaint", "Somebody complained"), ("correction", "It had to be corrected")]
FORMATS = [
    ("jsonl", "JSON lines: everything, one decision a line; can be imported again"),
    ("csv", "CSV: for a spreadsheet"),
    ("chat", "Chats to fine-tune a model on: only what people decided and nobody found wrong"),
]


class OutcomeForm(forms.Form):
    """What came of it. Whether that may be said is the record's to say."""

    outcome = forms.ChoiceField(
        choices=OUTCOMES, widget=forms.RadioSelect, error_messages={"required": "Say what you know now: right, wrong or resolved."}
    )
    how = forms.ChoiceField(choices=HOWS, required=False)
    detail = Text(max_length=20_000)
    complaint = forms.UUIDField(required=False)

    def complains(self, person: Person) -> Incident | None:
        """Return the incident that complains, None for none. Raises Http404 for one that is not this person's to read."""
        named = self.cleaned_data.get("complaint")
        return incident_for(person, named) if named else None


class FileForm(forms.Form):
    """Which decisions, as what. Days are days in UTC; the last one is included."""

    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    role = forms.ModelChoiceField(Role.objects.order_by("name"), required=False, to_field_name="name", empty_label="every role")
    format = forms.ChoiceField(choices=FORMATS)
    redact = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if said.get("since") and said.get("until") and said["until"] < said["since"]:
            self.add_error("until", "The last day lies before the first.")
        return said

    @property
    def scope(self) -> feedback.Scope:
        """Return what was asked for; nothing that is decided from now on."""
        said = self.cleaned_data
        now = clock.now()
        until = min(now, _midnight(said["until"] + timedelta(days=1))) if said["until"] else now
        return feedback.Scope(since=_midnight(said["since"]) if said["since"] else None, until=until, role=said["role"])


def latest(person: Person) -> list[OutcomeReport]:
    """Return what was learned last, newest first; of tests nothing. One query. For who sees everything."""
    if not sees_everything(person):
        return []
    found = OutcomeReport.objects.filter(incident__test=False).exclude(
        incident__in=looks.opened_by(person).values("proposal__incident")  # what one judges again is not told beforehand
    )
    return list(found.select_related("incident__source", "person").order_by("-at", "-pk")[:LATEST])


def of_incident(incident: Incident) -> list[OutcomeReport]:
    """Return what was learned of one incident, oldest first. One query."""
    return list(OutcomeReport.objects.filter(incident=incident).select_related("person")[: 10 * LATEST])


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
