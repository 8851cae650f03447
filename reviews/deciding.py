"""What the panel in which a proposal is decided is made of: what stands in its fields, and what a signature will ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from escalations.canonical import args_digest
from escalations.lifecycle import MAX_REVISIONS
from escalations.models import Category, Proposal

from . import schema_form, values, worddiff
from .forms import DecisionForm, edits_args
from .friction import Friction, riskiest
from .schema_form import ArgsForm, unbroken
from .sentences import is_acknowledgement
from .strict import parsed

CANNOT_SHOW = "The fields cannot show all that you wrote; it stays as raw JSON."


@dataclass
class Panel:
    """The decision as the form shows it. `how` args are edited: by "fields" or "raw"."""

    typed: dict[str, Any]
    friction: Friction
    how: str = "raw"
    args_form: ArgsForm | None = None
    reasons: list[tuple[str, bool]] = field(default_factory=list)  # of the category, and whether each is picked
    before: str = ""  # the proposed text of a draft, as a field of a browser has it
    pieces: list[worddiff.Piece] = field(default_factory=list)  # what was changed of it so far
    last_try: bool = False  # no revision may follow this one

    @property
    def picked(self) -> list[str]:
        return [reason for reason, picked in self.reasons if picked]


def reasons_of(proposal: Proposal) -> list[str]:
    """Return the reasons the category offers for a no. One query; none without a category."""
    if not proposal.category:
        return []
    found = Category.objects.filter(name=proposal.category).values_list("reject_reasons", flat=True).first()
    return list(found or [])


def panel_of(
    proposal: Proposal, form: DecisionForm | None = None, *, reasons: Sequence[str] = (), masked: bool = False,
    alike: Sequence[Proposal] = (),
) -> Panel:  # fmt: skip
    """Return the panel with what was typed, or with what there is to edit. `alike` are signed together with it. No query."""
    said = typed(proposal, form, veiled=masked)
    panel = Panel(said, form.friction if form else riskiest([proposal, *alike]), last_try=proposal.revision >= MAX_REVISIONS)
    picked = list_of(form.data, "because") if form else []
    panel.reasons = [(reason, reason in picked) for reason in reasons]
    if masked:
        return panel
    if proposal.draft is not None:
        panel.before = unbroken(proposal.draft.get("body") or "")
        now = unbroken(said["text"])
        panel.pieces = worddiff.diff(panel.before, now) if now != panel.before else []
    elif edits_args(proposal):
        made = form.args_form if form else ArgsForm(proposal.args, proposal.args_schema)
        panel.how = "fields" if made is not None and made.usable else "raw"
        panel.args_form = made if panel.how == "fields" else None
        panel.typed.setdefault("args", "")
        panel.typed["may_switch"] = panel.how == "fields" or ArgsForm(proposal.args, proposal.args_schema).usable
    return panel


def typed(proposal: Proposal, form: DecisionForm | None, *, veiled: bool = False) -> dict[str, Any]:
    """Return what stands in the fields: what was typed, or what there is to edit, which is nothing while it may not be read."""
    if form is not None:
        return {name: form.data.get(name, "") for name in form.fields}
    if veiled:
        return {"type": "", "digest": proposal.args_digest, "version": proposal.version}
    draft = proposal.draft or {}
    args = proposal.args if is_acknowledgement(proposal) and proposal.args else {}
    return {
        "type": "",
        "digest": proposal.args_digest,
        "version": proposal.version,
        "args": values.editable(proposal.args if proposal.args is not None else {}),
        "to": draft.get("to") or "",
        "subject": draft.get("subject") or "",
        "text": draft.get("body") or "",
        "severity": args.get("severity", ""),
        "category": args.get("category", ""),
    }


def list_of(data: Any, name: str) -> list[str]:
    return data.getlist(name) if isinstance(data, QueryDict) else list(data.get(name) or [])


def switched(data: QueryDict, to: str, proposal: Proposal, **options: Any) -> DecisionForm:
    """Return the form edited the other way, by "fields" or "raw", with what was typed carried over; nothing is judged but that.

    What cannot be carried over stays as it is, with why. For any other word it is the form as it was.
    """
    if to not in ("raw", "fields") or not edits_args(proposal) or options.get("masked"):
        return DecisionForm(data, proposal=proposal, quiet=True, **options)
    kept = data.copy()
    kept["type"] = "edit"
    if to == "raw":
        before = ArgsForm(proposal.args, proposal.args_schema, data)
        args = before.read()
        form = DecisionForm(kept, proposal=proposal, quiet=True, **options)
        if any(one.problem for one in before.fields) and form.args_form is not None:
            form.args_form.read()
            form.add_error("args", "Mend these first, or go back to what was proposed.")
            return form
        kept["how"], kept["args"] = "raw", values.editable(args if args is not None else {})
    else:
        try:
            args = parsed(unbroken(data.get("args", "")))
        except ValueError as error:
            return _stays(kept, str(error), proposal, options)
        kept["how"] = "fields"
        there = {one.pointer: one.proposed for one in ArgsForm(args, proposal.args_schema).fields}
        for one in ArgsForm(proposal.args, proposal.args_schema).fields:
            kept[one.name] = there.get(one.pointer, "")
        back = ArgsForm(proposal.args, proposal.args_schema, kept).read()
        if args_digest("", back if back is not None else {}, None) != args_digest("", args, None):
            kept["how"] = "raw"
            return _stays(kept, CANNOT_SHOW, proposal, options)
    return DecisionForm(kept, proposal=proposal, quiet=True, **options)


def _stays(kept: QueryDict, why: str, proposal: Proposal, options: dict[str, Any]) -> DecisionForm:
    form = DecisionForm(kept, proposal=proposal, quiet=True, **options)
    form.add_error("args", why)
    return form


def place(form: DecisionForm, pointer: str, detail: str) -> bool:
    """Put what the record refused at the field of that value; say whether there is one."""
    made: schema_form.Field | None = form.args_form.at(pointer) if form.args_form else None
    if made is None:
        return False
    made.problem = made.problem or detail
    return True
