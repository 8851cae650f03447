"""What people post. A form says what was wrong; whether it may be done is the record's to say."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django import forms
from django.forms.utils import ErrorDict

from escalations.canonical import args_digest
from escalations.models import Proposal, Role
from escalations.states import Severity, Verdict

from .friction import Friction, riskiest
from .schema_form import ArgsForm, unbroken, with_line_ends_of
from .sentences import is_acknowledgement
from .strict import parsed

LONGEST = 20_000
YES = (Verdict.APPROVE, Verdict.EDIT)
MASKED = "Some of what would be signed is masked. Reveal it first: nobody says yes to what they cannot read."


class Text(forms.CharField):
    """Text as it was typed, with the line ends a browser adds taken off again: "\\r\\n" was never proposed by anybody."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "strip": False, "max_length": LONGEST, **options})

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value) or "").replace("\r\n", "\n")


class Problem(NamedTuple):
    """What is wrong, and the id of the control it is about."""

    anchor: str
    text: str


class DecisionForm(forms.Form):
    """One form for the four decisions. `digest` and `version` are what the page showed, and what will be signed.

    `reasons` are those of the category; `masked`: the person cannot read all that is signed; `alike`: others that are signed with it;
    `quiet`: only keeps what was typed, and says nothing of it.
    """

    type = forms.CharField(error_messages={"required": "Choose a decision first."})
    digest = forms.CharField(max_length=71)
    version = forms.IntegerField(min_value=1)
    reason = Text()
    because = forms.MultipleChoiceField(
        required=False, error_messages={"invalid_choice": "This reason is not offered any more: %(value)s"}
    )
    retry = forms.BooleanField(required=False)
    message = Text()
    how = forms.ChoiceField(required=False, choices=[("", ""), ("fields", "fields"), ("raw", "raw")])
    args = Text(max_length=1_000_000)
    severity = forms.ChoiceField(required=False, choices=[("", ""), *Severity.choices])
    category = Text(max_length=80)
    to = Text(max_length=500)
    subject = Text(max_length=1_000)
    text = Text(max_length=500_000)
    confirm = Text(max_length=500)
    read = forms.BooleanField(required=False)

    def __init__(
        self, data: Any, *, proposal: Proposal, reasons: Sequence[str] = (), masked: bool = False,
        alike: Sequence[Proposal] = (), quiet: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(data)
        self.proposal = proposal
        self.masked = masked
        self.signed_together = [proposal, *alike]
        self.friction: Friction = riskiest(self.signed_together)
        self.args_form: ArgsForm | None = None
        if data.get("how") == "fields" and edits_args(proposal):
            self.args_form = ArgsForm(proposal.args, proposal.args_schema, data)
        field = self.fields["because"]
        field.choices = [(reason, reason) for reason in reasons]  # type: ignore[attr-defined]
        if quiet:
            self._errors = ErrorDict()
            self.cleaned_data: dict[str, Any] = {}

    @property
    def problems(self) -> list[Problem]:
        """Return everything that is wrong, each with the control it is about, in the order of the form."""
        found = [Problem("", text) for text in self.non_field_errors()]
        by_field = {one.id: one for one in self.args_form.fields if one.problem} if self.args_form else {}
        for name in self.fields:
            if name == "args" and by_field:
                found += [Problem(f"f-{one.id}", f"{one.path}: {one.problem}") for one in by_field.values()]
            found += [Problem(f"f-{name}", text) for text in self.errors.get(name, []) if text != IN_FIELDS]
        return found

    def clean_type(self) -> str:
        verdict: str = self.cleaned_data["type"]
        if verdict not in self.proposal.allowed_decisions and verdict != Verdict.REJECT:
            raise forms.ValidationError("This proposal does not take that decision.")
        if verdict in YES and self.masked:
            raise forms.ValidationError(MASKED)
        return verdict

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        verdict = said.get("type")
        if verdict == Verdict.REJECT:
            said["reason"] = joined(said.get("because") or [], said.get("reason", ""))
            if not said["reason"] and not {"reason", "because"} & set(self.errors):
                self.add_error("reason", "Say why not: the agent and your colleagues read it.")
        if verdict == Verdict.RESPOND and not said.get("message", "").strip():
            self.add_error("message", "Write the answer.")
        if verdict == Verdict.EDIT:
            self._clean_edit(said)
        if verdict in YES:
            self.friction = riskiest(self.signed_together, **said.get("edited", {}))
            asked = self.friction.problems(
                reason=said.get("reason", ""), confirm=said.get("confirm", ""), read=bool(said.get("read"))
            )
            for name, problem in asked.items():
                self.add_error(name, problem)
        return said

    def _clean_edit(self, said: dict[str, Any]) -> None:
        """Put the edited args or draft where `decide` reads them; unchanged content is an approval, not an edit."""
        proposal = self.proposal
        if proposal.draft is not None:
            edited = self._edited_draft(said, proposal.draft)
            same, said["edited"] = edited.items() <= proposal.draft.items(), {"draft": edited}
        elif is_acknowledgement(proposal):
            args = {**(proposal.args or {}), "severity": said.get("severity"), "category": said.get("category", "").strip()}
            same, said["edited"] = args == proposal.args, {"args": args}
        elif self.args_form is not None:
            args = self.args_form.read()
            same, said["edited"] = self._is_same(args), {"args": args}
            if any(one.problem for one in self.args_form.fields):
                self.add_error("args", IN_FIELDS)
                return
        else:
            try:
                args = parsed(said.get("args", ""))
            except ValueError as error:
                self.add_error("args", str(error))
                return
            same, said["edited"] = self._is_same(args), {"args": args}
        if same:
            self.add_error("type", "Nothing was changed. Change something, or approve it as it is.")

    def _is_same(self, args: Any) -> bool:
        return args_digest("", args, None) == args_digest("", self.proposal.args, None)

    @staticmethod
    def _edited_draft(said: dict[str, Any], draft: dict[str, Any]) -> dict[str, Any]:
        """Return the parts of the draft as they were typed; one that was not touched is what it was, null or odd line ends too."""
        typed = {"to": said.get("to", "").strip(), "subject": said.get("subject", ""), "body": said.get("text", "")}
        edited = {}
        for key, text in typed.items():
            before = draft.get(key)
            drawn = unbroken(before or "")
            if text in (drawn, drawn.replace("\n", ""), drawn.strip() if key == "to" else drawn):
                text = before
            elif key == "body":
                text = with_line_ends_of(before or "", text)
            if text or key in draft:
                edited[key] = text
        return edited

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


IN_FIELDS = "Some values cannot be read."  # said at each of them instead


def edits_args(proposal: Proposal) -> bool:
    """Say whether an edit of this changes its args: a draft has its own three fields, and our own question two choices."""
    return proposal.draft is None and not is_acknowledgement(proposal)


def joined(because: Sequence[str], reason: str) -> str:
    """Return the reasons that were picked and the one that was written, as one text."""
    picked, written = "; ".join(because), reason.strip()
    return f"{picked}: {written}" if picked and written else picked or written


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
