"""What is asked of who stops everything, and of the two who release it."""

from datetime import datetime

from django import forms
from django.utils.dateparse import parse_datetime

from escalations.policies.stop import LONGEST_REASON

STOP_WORD, RELEASE_WORD = "stop", "release"


class StopForm(forms.Form):
    """A reason, and the word typed: nobody stops everything by a slip."""

    reason = forms.CharField(max_length=LONGEST_REASON, error_messages={"required": "Say why: everybody reads it, on every page."})
    typed = forms.CharField(max_length=20, required=False)
    word = STOP_WORD

    def clean_typed(self) -> str:
        """Return what was typed. Raises ValidationError for another word; its case does not matter."""
        typed: str = self.cleaned_data["typed"].strip()
        if typed.casefold() != self.word:
            raise forms.ValidationError(f"Type the word {self.word} to confirm.")
        return typed


class AskForm(forms.Form):
    """Why it may go on; the second person types the word."""

    reason = forms.CharField(max_length=LONGEST_REASON, error_messages={"required": "Say why it may go on: who confirms it reads this."})


class ConfirmForm(StopForm):
    """The question as it was shown, and the word."""

    reason = None  # type: ignore[assignment]
    asked_at = forms.CharField(max_length=40)
    word = RELEASE_WORD

    def clean_asked_at(self) -> datetime:
        """Return when it was asked. Raises ValidationError for what this page never wrote."""
        try:
            moment = parse_datetime(self.cleaned_data["asked_at"])
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise forms.ValidationError("Read the page again.")
        return moment
