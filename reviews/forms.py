"""What people post. A form says what was wrong; whether it may be done is the record's to say."""

from datetime import timedelta
from typing import Any

from django import forms

from escalations.canonical import args_digest
from escalations.models import Proposal, Role
from escalations.states import Risk, Severity, Verdict

from .sentences import is_acknowledgement
from .strict import parsed

LONGEST = 20_000
RISKY = (Risk.HIGH, Risk.CRITICAL)


class Text(forms.CharField):
    """Text as it was typed, with the line ends a browser adds taken off again: "\\r\\n" was never proposed by anybody."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "strip": False, "max_length": LONGEST, **options})

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value) or "").replace("\r\n", "\n")


class DecisionForm(forms.Form):
    """One form for the four decisions. `digest` and `version` are what the page showed, and what will be signed."""

    type = forms.CharField(error_messages={"required": "Choose a decision first."})
    digest = forms.CharField(max_length=71)
    version = forms.IntegerField(min_value=1)
    reason = Text()
    retry = forms.BooleanField(required=False)
    message = Text()
    args = Text(max_length=1_000_000)
    severity = forms.ChoiceField(required=False, choices=[("", ""), *Severity.choices])
    category = Text(max_length=80)
    to = Text(max_length=500)
    subject = Text(max_length=1_000)
    text = Text(max_length=500_000)
    read = forms.BooleanField(required=False)

    def __init__(self, *args: Any, proposal: Proposal, **options: Any) -> None:
        super().__init__(*args, **options)
        self.proposal = proposal

    @property
    def must_confirm(self) -> bool:
        return needs_confirming(self.proposal)

    def clean_type(self) -> str:
        verdict: str = self.cleaned_data["type"]
        if verdict not in self.proposal.allowed_decisions and verdict != Verdict.REJECT:
            raise forms.ValidationError("This proposal does not take that decision.")
        return verdict

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        verdict = said.get("type")
        if verdict == Verdict.REJECT and not said.get("reason", "").strip():
            self.add_error("reason", "Say why not: the agent and your colleagues read it.")
        if verdict == Verdict.RESPOND and not said.get("message", "").strip():
            self.add_error("message", "Write the answer.")
        if verdict == Verdict.EDIT:
            self._clean_edit(said)
        if verdict in (Verdict.APPROVE, Verdict.EDIT) and self.must_confirm and not said.get("read"):
            self.add_error("read", "Tick that you have read what is signed.")
        return said

    def _clean_edit(self, said: dict[str, Any]) -> None:
        """Put the edited args or draft where `decide` reads them; unchanged content is an approval, not an edit."""
        proposal = self.proposal
        if proposal.draft is not None:
            typed = {"to": said.get("to", "").strip(), "subject": said.get("subject", ""), "body": said.get("text", "")}
            edited = {key: text for key, text in typed.items() if text or key in proposal.draft}
            same, said["edited"] = edited.items() <= proposal.draft.items(), {"draft": edited}
        elif is_acknowledgement(proposal):
            args = {**(proposal.args or {}), "severity": said.get("severity"), "category": said.get("category", "").strip()}
            same, said["edited"] = args == proposal.args, {"args": args}
        else:
            try:
                args = parsed(said.get("args", ""))
            except ValueError as error:
                self.add_error("args", str(error))
                return
            same, said["edited"] = args_digest("", args, None) == args_digest("", proposal.args, None), {"args": args}
        if same:
            self.add_error("type", "Nothing was changed. Change something, or approve it as it is.")

    def signature(self) -> dict[str, Any]:
        """Return the keyword arguments of `lifecycle.decide`."""
        said = self.cleaned_data
        kept = {"type": said["type"], "digest": said["digest"], "version": said["version"], "reason": said["reason"].strip()}
        if said["type"] == Verdict.EDIT:
            kept |= said["edited"]
        if said["type"] == Verdict.RESPOND:
            kept["message"] = said["message"]
        if said["type"] == Verdict.REJECT:
            kept["retry"] = said["retry"]
        return kept


def needs_confirming(proposal: Proposal) -> bool:
    """Say whether a yes needs a tick first: high risk, or what cannot be undone."""
    return proposal.risk in RISKY or "irreversible" in proposal.trigger_names


class HandOverForm(forms.Form):
    role = forms.ModelChoiceField(Role.objects.order_by("name"), error_messages={"required": "Choose a role."})
    why = Text(max_length=2_000)


class WhyForm(forms.Form):
    why = Text(max_length=2_000)


class ExtendForm(forms.Form):
    hours = forms.IntegerField(min_value=1, max_value=72, error_messages={"required": "Say how many hours."})
    why = Text(max_length=2_000)

    @property
    def by(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["hours"])


class WordsForm(forms.Form):
    text = Text(max_length=5_000, required=True, error_messages={"required": "Write something first."})

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"].strip()
        if not text:
            raise forms.ValidationError("Write something first.")
        return text


class TokenForm(forms.Form):
    password = forms.CharField(strip=False, error_messages={"required": "Enter your password again."})
    days = forms.IntegerField(min_value=1, max_value=90, initial=30)
