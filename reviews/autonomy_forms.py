"""What is asked of who lets a lane act alone, ends that, or says how many errors would be allowed."""

import unicodedata
from datetime import datetime
from typing import Any

from django import forms
from django.utils.dateparse import parse_datetime

from escalations.models import Lane

from .friction import typable

LONGEST_REASON = 2_000
CONFIDENCES = (("90", "90 %"), ("95", "95 %"), ("99", "99 %"))


class ReasonForm(forms.Form):
    """Why; on record for good."""

    reason = forms.CharField(max_length=LONGEST_REASON, error_messages={"required": "Say why: whoever reads it later will ask."})


class TargetForm(ReasonForm):
    """How many errors in a hundred would be allowed, and how sure one wants to be that there are not more."""

    allowed = forms.FloatField(
        min_value=0.1, max_value=20,
        error_messages={
            "required": "Say how many in a hundred may be wrong.", "invalid": "Write a number, such as 2 or 0.5.",
            "min_value": "Less than 0.1 in a hundred cannot be proven with the decisions of a team.",
            "max_value": "More than 20 in a hundred is no autonomy anybody should sign.",
        },
    )
    sure = forms.ChoiceField(choices=CONFIDENCES, error_messages={"required": "Choose how sure you want to be."})
    reason = None  # type: ignore[assignment]

    @property
    def alpha(self) -> float:
        """Return the share of errors that would be allowed."""
        return round(float(self.cleaned_data["allowed"]) / 100, 6)

    @property
    def delta(self) -> float:
        """Return one minus the confidence."""
        return round(1 - int(self.cleaned_data["sure"]) / 100, 6)


class GrantForm(ReasonForm):
    """A grant is signed like what cannot be undone: the reason, the lane's name typed out, and the password again.

    What was shown travels along: the terms, the moment its evidence ends, and the digest over both.
    """

    digest = forms.CharField(max_length=71)
    until = forms.CharField(max_length=40, required=False)
    alpha = forms.FloatField(min_value=0, max_value=1)
    delta = forms.FloatField(min_value=0, max_value=1)
    threshold = forms.FloatField(min_value=0, max_value=1)
    days = forms.IntegerField(
        min_value=1, max_value=90,
        error_messages={
            "required": "Say for how many days.", "min_value": "At least one day.", "max_value": "At most 90 days; then it is looked at anew.",
        },
    )
    typed = forms.CharField(max_length=200, required=False)
    read = forms.BooleanField(required=False)
    password = forms.CharField(strip=False, error_messages={"required": "Enter your password again: this is signed by you."})

    def __init__(self, data: Any, *, lane: Lane) -> None:
        super().__init__(data)
        self.lane = lane

    def clean_until(self) -> datetime | None:
        """Return the moment up to which the evidence was shown. Raises ValidationError for what the page never wrote."""
        text = self.cleaned_data["until"]
        try:
            moment = parse_datetime(text) if text else None
        except ValueError:
            moment = None
        if text and (moment is None or moment.tzinfo is None):
            raise forms.ValidationError("Read the page again.")
        return moment

    def clean(self) -> dict[str, Any]:
        """Return what was signed. Raises ValidationError where the lane's name was not typed; where nobody can type it, it is ticked."""
        said = super().clean() or {}
        typed, subject = said.get("typed", "").strip(), self.lane.subject
        if not typable(subject):
            if not said.get("read"):
                self.add_error("read", "Tick that you have read what is signed.")
        elif unicodedata.normalize("NFC", typed) != unicodedata.normalize("NFC", subject):
            self.add_error("typed", "Type the name of the lane exactly as it stands, to sign this.")
        return said
