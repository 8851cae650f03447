"""What people post about runs. A form says what was wrong; whether it may be done is the record's to say."""

from typing import Any
from uuid import UUID

from django import forms

from escalations.models import Person
from escalations.states import Order

from .forms import Text

LONGEST = 2_000
MOST_AT_ONCE = 500  # runs that are stopped by one act


class WordsForm(forms.Form):
    """Words that the agent is told besides; a note is nothing without them."""

    text = Text(max_length=LONGEST)
    seen = forms.IntegerField(required=False, min_value=0)  # the last order on the page they were written on

    def __init__(self, data: Any, *, needed: str = "") -> None:
        super().__init__(data)
        self.needed = needed

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"].strip()
        if not text and self.needed:
            raise forms.ValidationError(self.needed)
        return text


class GiveForm(WordsForm):
    """To whom a run is given."""

    to = forms.ModelChoiceField(
        Person.objects.filter(is_active=True),
        error_messages={"required": "Choose a colleague.", "invalid_choice": "That is none of the people it can be given to."},
    )


class StopManyForm(forms.Form):
    """The runs as they were shown, why, and how many they are, typed: nobody stops everything of an agent by a slip."""

    run = forms.MultipleChoiceField(required=False)
    reason = forms.CharField(max_length=LONGEST, error_messages={"required": "Say why: each agent is told, and it stays on record."})
    typed = forms.CharField(max_length=20, required=False)

    def __init__(self, data: Any, *, runs: list[UUID]) -> None:
        super().__init__(data)
        self.runs = runs
        self.fields["run"].choices = [(str(pk), str(pk)) for pk in runs]  # type: ignore[attr-defined]

    def clean_typed(self) -> str:
        """Return what was typed. Raises ValidationError for anything but the number of runs on the page."""
        typed: str = self.cleaned_data["typed"].strip()
        if typed != str(len(self.runs)):
            raise forms.ValidationError(f"Type {len(self.runs)}, the number of runs that are stopped, to confirm.")
        return typed


NEEDED = {Order.NOTE: "Write first what it is to be told.", Order.STOP: "Say why: the agent is told, and it stays on record."}


def form_for(act: str, data: Any) -> forms.Form:
    """Return the form of an act on one run."""
    return GiveForm(data) if act == "hand_over" else WordsForm(data, needed=NEEDED.get(act, ""))  # type: ignore[call-overload]
