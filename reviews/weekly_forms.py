"""What is posted on the page of a weekly review. Each form keeps what was typed; `escalations.weekly` has the last word on all of it."""

from typing import Any

from django import forms

from escalations import weekly
from escalations.models import EscalationReview, Finding, Person
from escalations.weekly.drafting import LONGEST_WHY
from escalations.weekly.finding import LONGEST_NOTE, LONGEST_NOTES
from escalations.weekly.follow_ups import LONGEST


class Form(forms.Form):
    """A form of one review: `review` says whose members may own a follow-up."""

    def __init__(self, data: Any = None, *, review: EscalationReview) -> None:
        super().__init__(data)
        if "owner" in self.fields:
            self.fields["owner"].queryset = weekly.owners_of(review.role)  # type: ignore[attr-defined]


class FollowForm(Form):
    """Something to be done."""

    text = forms.CharField(max_length=LONGEST, label="What is to be done", error_messages={"required": "Say what is to be done."})
    owner = forms.ModelChoiceField(
        Person.objects.none(), label="Who does it", error_messages={"required": "Choose who does it.", "invalid_choice": "Choose who does it."}
    )
    due = forms.DateField(required=False, label="By when")


class FindForm(Form):
    """What was found of one escalation, and what is to be done about it, if anything."""

    proposal = forms.UUIDField()
    found = forms.ChoiceField(choices=Finding.FOUND, label="Finding", error_messages={"required": "Say what was found."})
    note = forms.CharField(required=False, max_length=LONGEST_NOTE, label="Note")
    text = forms.CharField(required=False, max_length=LONGEST, label="What is to be done")
    owner = forms.ModelChoiceField(Person.objects.none(), required=False, label="Who does it")
    due = forms.DateField(required=False, label="By when")

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if said.get("text") and not said.get("owner") and "owner" not in self.errors:
            self.add_error("owner", "Choose who does it.")
        if said.get("owner") and not said.get("text") and "text" not in self.errors:
            self.add_error("text", "Say what is to be done.")
        return said


class EndForm(Form):
    """What came of a follow-up."""

    follow_up = forms.IntegerField(min_value=1)
    outcome = forms.CharField(required=False, max_length=LONGEST, label="What came of it")


class NotesForm(Form):
    """The team's own notes."""

    notes = forms.CharField(required=False, max_length=LONGEST_NOTES, strip=False, label="Notes")


class SuggestionForm(Form):
    """Which suggestion."""

    suggestion = forms.IntegerField(min_value=1)


class DismissForm(SuggestionForm):
    """Why it is not taken up."""

    why = forms.CharField(max_length=LONGEST_WHY, label="Why not", error_messages={"required": "Say why."})
