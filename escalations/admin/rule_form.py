"""The form of a rule: its condition as rows or as an expression, which are one thing, and the place where it is wrong."""

from collections.abc import Mapping
from typing import Any

from django import forms

from escalations import policies
from escalations.floors import builder
from escalations.floors.builder import Row, Rows
from escalations.floors.names import EXAMPLES, Place, place_of
from escalations.floors.rulebook import marked_paths
from escalations.models import EscalationPolicy, RoutingRule
from escalations.states import Floor, Kind

from .bases import CheckedForm

ROWS, TEXT = "rows", "text"
ACT = "_builder"  # the name of the buttons that change the form and save nothing
EMPTY = Row("", "is", "")


def rows_in(data: Mapping[str, Any]) -> Rows:
    """Return the rows as a form posted them; rows without a field stay, so that a half-filled one is not lost."""
    number = str(data.get("b-count") or "0")
    count = min(int(number), builder.MOST_ROWS) if number.isascii() and number.isdigit() else 0
    rows = []
    for at in range(count):
        field, operator, value = (_line(data.get(f"b-{at}-{part}")) for part in ("field", "operator", "value"))
        rows.append(Row(field, operator if operator in builder.OPERATORS else "is", value))
    kind = str(data.get("b-kind") or "")
    join = builder.ANY if data.get("b-join") == builder.ANY else builder.ALL
    return Rows(kind if kind in Kind.values else "", _line(data.get("b-action")), join, tuple(rows))


def _line(value: Any) -> str:
    return " ".join(str(value or "").replace("\x00", "").splitlines()).strip()


def filled(rows: Rows) -> Rows:
    """Return the rows that say something."""
    return Rows(rows.kind, rows.action, rows.join, tuple(row for row in rows.rows if row.field))


def acted(data: Mapping[str, Any], act: str) -> dict[str, Any]:
    """Return what a builder's button makes of what is typed: another row, one row less, the other view, a ready example.

    Nothing is saved. {"said_in", "condition", "rows"}; `rows` is None where the condition is freer than they can show.
    """
    said_in = ROWS if data.get("said_in") == ROWS else TEXT
    rows: Rows | None = rows_in(data) if said_in == ROWS else None
    condition = builder.condition_of(filled(rows)) if rows else str(data.get("condition") or "")
    if rows is None:
        rows = builder.rows_of(condition)
    name, _, number = act.partition("-")
    at = int(number) if number.isascii() and number.isdigit() else -1
    if name == "add" and rows and len(rows.rows) < builder.MOST_ROWS:
        rows = Rows(rows.kind, rows.action, rows.join, (*rows.rows, EMPTY))
    elif name == "drop" and rows and 0 <= at < len(rows.rows):
        rows = Rows(rows.kind, rows.action, rows.join, rows.rows[:at] + rows.rows[at + 1 :])
        condition = builder.condition_of(filled(rows))
    elif name == "example" and 0 <= at < len(EXAMPLES):
        condition = EXAMPLES[at].condition
        rows = builder.rows_of(condition)
        said_in = ROWS if said_in == ROWS and rows else TEXT
    elif name == TEXT:
        said_in = TEXT
    elif name == ROWS and rows is not None:
        said_in = ROWS
    return {"said_in": said_in, "condition": condition, "rows": rows}


class RuleForm(CheckedForm):
    """`typed` is what was typed before a button that saves nothing was pressed."""

    changed_why = forms.CharField(
        required=False, max_length=2_000, label="Why this change", widget=forms.Textarea(attrs={"rows": 2, "cols": 100}),
        help_text="For colleagues and for later: kept with the version, and read by whoever has to confirm it.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    typed: Mapping[str, Any] | None = None

    class Meta:
        model = RoutingRule
        fields = (
            "name", "why", "state", "condition", "floor", "by", "threshold", "model_counts", "role", "policy", "priority", "severity",
            "category",
        )
        widgets = {
            "condition": forms.Textarea(attrs={"rows": 4, "cols": 100, "class": "condition", "spellcheck": "false", "autocomplete": "off"}),
            "why": forms.Textarea(attrs={"rows": 2, "cols": 100}),
        }

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        if data is not None and data.get("said_in") == ROWS:
            data = data.copy()
            data["condition"] = builder.condition_of(filled(rows_in(data)))
        super().__init__(data, *args, **kwargs)
        if "policy" in self.fields:
            self.fields["policy"].queryset = EscalationPolicy.objects.filter(archived_at=None)
        self.initial["seen"] = self.instance.version if self.instance.pk else None
        if self.typed is not None:
            self.initial |= {name: self.typed.get(name) for name in self.fields if name in self.typed or name == "model_counts"}
            self.initial["condition"] = self.acted["condition"]

    @property
    def acted(self) -> dict[str, Any]:
        """Return how the condition is to be shown: in rows or as text, and both."""
        if self.typed is not None:
            return acted(self.typed, str(self.typed.get(ACT, "")))
        if self.is_bound:
            shown = acted(self.data, "")
            return shown if "said_in" in self.data else shown | {"said_in": TEXT}
        condition = str(self.initial.get("condition") or "")
        rows = builder.rows_of(condition)
        return {"said_in": TEXT if rows is None else ROWS, "condition": condition, "rows": rows}

    @property
    def place(self) -> Place | None:
        """Return where the condition is wrong as it stands; None for a good one, and for one that is not begun. One query for auto."""
        condition = self.acted["condition"]
        return place_of(condition, auto=self.is_auto, authoritative=marked_paths()) if condition.strip() else None

    @property
    def is_auto(self) -> bool:
        """Return whether the rule would let the machine act alone: then it may read less."""
        given = self.data.get("floor") if self.is_bound else self.initial.get("floor")
        return given == Floor.AUTO

    def check(self) -> None:
        if self.data.get("said_in") == ROWS and (shortage := filled(rows_in(self.data)).shortage):
            self.add_error("condition", shortage)
            return
        policies.check_rule(self.instance)
