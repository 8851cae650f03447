"""A trigger's settings as fields of a form: numbers as numbers, words one on a line, each with what it means."""

import re
from typing import Any

from django import forms

from escalations import policies
from escalations.floors.triggers import DEFAULT_SETTINGS
from escalations.models import EscalationPolicy, Trigger

from .seconded import WhyForm
from .trigger_help import EXPLAINED

PREFIX = "setting_"
MOST_LINES = 2_000
LONGEST_TEXT = 100_000

_SUBJECT = re.compile(r"\[(.+)\]")


class Lines(forms.CharField):
    """A list of texts, one on each line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False, max_length=LONGEST_TEXT, strip=True,
            widget=forms.Textarea(attrs={"rows": 8, "cols": 80, "class": "condition", "spellcheck": "false"}), **options,
        )  # fmt: skip

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else self.written(value)

    def clean(self, value: Any) -> Any:
        lines = [line.strip() for line in super().clean(value).splitlines()]
        if len(lines) > MOST_LINES:
            raise forms.ValidationError(f"At most {MOST_LINES} lines.")
        return self.read([line for line in lines if line])

    def written(self, value: Any) -> str:
        return "\n".join(map(str, value))

    def read(self, lines: list[str]) -> Any:
        return list(dict.fromkeys(lines))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return True  # whether it did is for the verb to say


class Subjects(Lines):
    """Phrases by subject: a line in square brackets, and its phrases under it."""

    def written(self, value: dict[str, list[str]]) -> str:
        return "\n\n".join("\n".join([f"[{subject}]", *phrases]) for subject, phrases in sorted(value.items()))

    def read(self, lines: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        subject = None
        for line in lines:
            if named := _SUBJECT.fullmatch(line):
                subject = named[1].strip()
                found.setdefault(subject, [])
            elif subject is None:
                raise forms.ValidationError("Begin with a subject in square brackets.")
            elif line not in found[subject]:
                found[subject].append(line)
        return found


class Limits(Lines):
    """Numbers by name: refund.amount = 500."""

    def written(self, value: dict[str, float]) -> str:
        return "\n".join(f"{name} = {number}" for name, number in sorted(value.items()))

    def read(self, lines: list[str]) -> dict[str, float]:
        found = {}
        for line in lines:
            name, _, number = (part.strip() for part in line.rpartition("="))
            if not name or not re.fullmatch(r"\d{1,15}(\.\d{1,6})?", number):
                raise forms.ValidationError(f"“{line[:80]}” is no limit; write refund.amount = 500.")
            found[name] = _as_number(float(number))
        return found


def _as_number(value: float) -> float:
    """Return a whole number as one: 250 stays 250 in the record, and does not become 250.0."""
    return int(value) if value.is_integer() else value


def fields_of(trigger: str) -> dict[str, forms.Field]:
    """Return the fields for a trigger's settings, by their names in the form; none for one that has no settings."""
    return {
        f"{PREFIX}{key}": _field(builtin, *EXPLAINED[trigger][key]) for key, builtin in DEFAULT_SETTINGS.get(trigger, {}).items()
    }


def _field(builtin: Any, label: str, explained: str) -> forms.Field:
    options: dict[str, Any] = {"label": label, "help_text": explained}
    if isinstance(builtin, bool):
        return forms.BooleanField(required=False, **options)
    if isinstance(builtin, int | float):
        options["help_text"] = f"{explained} Built in: {builtin}. Left empty, that holds."
        top = 1 if isinstance(builtin, float) else 1e15
        return forms.FloatField(required=False, min_value=0, max_value=top, widget=forms.NumberInput(attrs={"step": "any"}), **options)
    if isinstance(builtin, list):
        return Lines(**options)
    phrases = any(isinstance(value, list) for value in builtin.values())
    return Subjects(**options) if phrases else Limits(**options)


class TriggerForm(WhyForm):
    """Made for one trigger by `form_of`: its settings are fields beside the others."""

    class Meta:
        model = Trigger
        fields = ("description", "enabled", "role", "policy")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        builtin = DEFAULT_SETTINGS.get(self.instance.name, {})
        for key, value in builtin.items():
            given = self.instance.settings.get(key, value)
            self.initial.setdefault(f"{PREFIX}{key}", given)
            field = self.fields.get(f"{PREFIX}{key}")
            if isinstance(field, Lines):
                field.widget.attrs["rows"] = min(16, max(3, 2 + str(field.prepare_value(given)).count("\n")))
        if "policy" in self.fields:
            self.fields["policy"].queryset = EscalationPolicy.objects.filter(archived_at=None)

    def check(self) -> None:
        """Put the settings together, then ask the verb. What was left to the built-in values, and is as they are, stays left to them."""
        before, settings = self.instance.settings, {}
        for key, builtin in DEFAULT_SETTINGS.get(self.instance.name, {}).items():
            value = self.cleaned_data.get(f"{PREFIX}{key}")
            if isinstance(builtin, float | int) and not isinstance(builtin, bool):
                value = builtin if value is None else _as_number(value)
            if key in before or value != builtin:
                settings[key] = value
        self.instance.settings = settings
        policies.check_trigger(self.instance)


def form_of(trigger: str) -> type[TriggerForm]:
    """Return the form for a trigger, with a field for each of its settings."""
    return type("TriggerForm", (TriggerForm,), fields_of(trigger))
