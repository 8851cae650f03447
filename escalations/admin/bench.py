"""The bench: what the rules would do with one incident, and why. And an incident to read a rule's names by. Nothing is written here."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms

from escalations import canonical, clock, lifecycle
from escalations.classify import rules as rules_engine
from escalations.errors import Invalid
from escalations.floors import cel
from escalations.floors.explain import Explanation, explain
from escalations.floors.facts import facts_of
from escalations.floors.judge import facts_for_rules
from escalations.floors.names import Name, names_of
from escalations.floors.rulebook import Rulebook
from escalations.lifecycle.sources import words_of
from escalations.models import Classification, Incident, Proposal, RoutingRule, Source
from escalations.route import acknowledgement_of, known_of
from escalations.states import Kind, RuleState, Severity

RECENT = 12
LOOKED_AT = 500  # of the newest, to find one of the wanted kind and action
LONGEST_PASTED = 200_000
DEEPEST = 64
TEXTS = ("title", "body", "external_id", "environment", "on_behalf_of", "session", "fingerprint", "severity")
OBJECTS = ("customer", "context", "proposal")
MEMBERS = frozenset({"key", "kind", "payload", "timeout_seconds", "callback_url", *TEXTS, *OBJECTS})


@dataclass
class Case:
    """An incident on the bench, stored or pasted, with what the engines said of it. `notes` tell what is only supposed."""

    incident: Incident
    proposal: Proposal
    words: list[Any]
    stored: bool
    notes: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """Return all the source sent, for a veil to know."""
        sent = (self.incident.payload, self.incident.context, self.incident.customer)
        parts = [json.dumps(one, ensure_ascii=False, default=str) for one in sent if one]
        return [self.incident.title, self.incident.body, self.proposal.content, *parts]

    def verdict(self, condition: str, *, auto: bool, marked: frozenset[str]) -> str:
        """Return what a condition says of this incident, in words; "" for one that cannot be read. No query."""
        try:
            compiled = cel.compile_condition(condition, auto=auto, authoritative=marked)
        except Invalid:
            return ""
        result = compiled.evaluate(facts_for_rules(self.incident, self.proposal, self.words))
        if isinstance(result, cel.Failed):
            return f"could not be answered: {result.why}"
        return "matches" if result else "does not match"

    def names(self, authoritative: list[str] | frozenset[str]) -> list[Name]:
        """Return the names a condition may read with what stands there. No query."""
        return names_of(facts_for_rules(self.incident, self.proposal, self.words), authoritative)


class BenchForm(forms.Form):
    """An id, or an incident as it would be posted, from a source."""

    incident = forms.CharField(required=False, max_length=80, label="An incident or proposal, by its id")
    pasted = forms.CharField(
        required=False, max_length=LONGEST_PASTED, label="Or an incident as a source posts it",
        widget=forms.Textarea(attrs={"rows": 12, "cols": 90, "spellcheck": "false", "class": "condition"}),
        help_text="The JSON that is posted to /api/v1/incidents. It is judged and forgotten.",
    )
    source = forms.ModelChoiceField(Source.objects.order_by("name"), required=False, label="as if it came from", empty_label="(a source)")
    rule = forms.ModelChoiceField(
        RoutingRule.objects.exclude(state=RuleState.ARCHIVED), required=False, label="with this rule as if it were live",
        empty_label="the rules as they are",
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("pasted") and not given.get("source") and not self.errors:
            self.add_error("source", "Whose incident would it be? Rules ask for the source.")
        return given


def stored(wanted: str) -> Case | None:
    """Return a stored incident by its id, or by its proposal's; None where there is none. About five queries."""
    try:
        pk = uuid.UUID(wanted.strip())
    except ValueError:
        return None
    proposal = Proposal.objects.filter(pk=pk).first()
    proposals = Proposal.objects.select_related("incident__source__owner", "source")
    proposal = proposals.filter(pk=proposal.pk).first() if proposal else proposals.filter(incident=pk).order_by("-revision").first()
    if proposal is not None:
        return Case(proposal.incident, proposal, words_of(proposal) or _spoken(proposal.incident, proposal), True)
    incident = Incident.objects.select_related("source__owner").filter(pk=pk).first()
    if incident is None:
        return None
    words = list(Classification.objects.filter(incident=incident)) or _spoken(incident, None)
    return Case(incident, acknowledgement_of(incident, words), words, True)


def pasted(text: str, source: Source) -> Case:
    """Return an incident that exists nowhere, made of what somebody pasted. Raises ValidationError with what is wrong with it."""
    data, notes = _read(text)
    now = clock.now()
    incident = Incident(
        source=source, kind=data["kind"], title=data.get("title") or "(without a title)", claimed_severity=data.get("severity") or "",
        customer=data.get("customer") or {}, payload=data.get("payload"), context=data.get("context") or {}, received_at=now,
        **{name: data.get(name) or "" for name in TEXTS if name not in ("title", "severity")},
    )
    words = []
    if content := data.get("proposal"):
        proposal = lifecycle.new_proposal(incident, content)
        words = _spoken(incident, proposal)
    else:
        words = _spoken(incident, None)
        proposal = acknowledgement_of(incident, words)
    notes.append("Only the engine “rules” spoke here; others may add a trigger or lower the confidence.")
    return Case(incident, proposal, words, False, notes)


def tried(case: Case, rule: RoutingRule | None = None) -> Explanation:
    """Return what would become of a case now, as `route` would judge it. About a dozen queries, all of them reading."""
    known = known_of(case.incident, case.proposal, case.stored)
    return explain(Rulebook.load(), case.incident, case.proposal, case.words, as_live=rule, **known)


def sample(wanted: str, kind: str = "", action: str = "") -> Case | None:
    """Return the incident of this id, else the newest that fits best: same action, same kind, any. About six queries."""
    if wanted.strip():
        return stored(wanted)
    newest = list(Proposal.objects.order_by("-pk").values_list("pk", "kind", "action")[:LOOKED_AT])
    fits = sorted(newest, key=lambda one: (bool(action) and one[2] == action, not kind or one[1] == kind), reverse=True)
    return stored(str(fits[0][0])) if fits else None


def recent() -> list[Proposal]:
    """Return the newest proposals, to pick one. One query."""
    return list(Proposal.objects.select_related("source", "incident").defer("incident__raw", "incident__payload").order_by("-pk")[:RECENT])


def _spoken(incident: Incident, proposal: Proposal | None) -> list[Any]:
    return [rules_engine.speak(facts_of(incident, proposal))]


def _read(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return pasted JSON as something that can be judged, and what the API would refuse of it."""
    try:
        data = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise forms.ValidationError("It is nested too deeply.") from None
    except ValueError as error:
        raise forms.ValidationError(f"That is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise forms.ValidationError("An incident is a JSON object.")
    if _is_deep(data):
        raise forms.ValidationError(f"It is nested deeper than {DEEPEST}.")
    if data.get("kind") not in Kind.values:
        raise forms.ValidationError(f"kind is one of {', '.join(Kind.values)}.")
    for name in TEXTS:
        if not isinstance(data.get(name, ""), str):
            raise forms.ValidationError(f"{name} is a text.")
    if data.get("severity", "") not in ("", *Severity.values):
        raise forms.ValidationError(f"severity is one of {', '.join(Severity.values)}.")
    for name in OBJECTS:
        if not isinstance(data.get(name, {}), dict):
            raise forms.ValidationError(f"{name} is an object.")
    if data["kind"] in (Kind.ACTION, Kind.DRAFT) and not data.get("proposal"):
        raise forms.ValidationError(f"An incident of kind {data['kind']} says in “proposal” what it wants to do.")
    if not _are_texts((data.get("customer") or {}).get("flags")):
        raise forms.ValidationError("customer.flags is a list of texts.")
    _check_proposal(data.get("proposal") or {})
    if not _storable(text, data):
        raise forms.ValidationError("It holds characters that cannot be stored.")
    unknown = sorted(set(data) - MEMBERS)
    return data, [f"The API would refuse {', '.join(unknown[:5])}: it knows no such member."] if unknown else []


def _check_proposal(content: Mapping[str, Any]) -> None:
    for name, kind in (("action", str), ("description", str), ("impact", str), ("args", dict), ("draft", dict)):
        if content.get(name) is not None and not isinstance(content[name], kind):
            raise forms.ValidationError(f"proposal.{name} is {'a text' if kind is str else 'an object'}.")
    if not _are_texts(content.get("allowed_decisions")):
        raise forms.ValidationError("proposal.allowed_decisions is a list of texts.")
    if isinstance(content.get("confidence"), bool) or not isinstance(content.get("confidence", 0), int | float):
        raise forms.ValidationError("proposal.confidence is a number from 0 to 1.")
    if any(not isinstance(value, str) for value in (content.get("draft") or {}).values()):
        raise forms.ValidationError("The parts of a draft are texts.")
    for name in ("action", "args", "draft"):
        if faults := canonical.check_signable(content.get(name), f"proposal.{name}"):
            raise forms.ValidationError(f"{faults[0]['pointer']}: {faults[0]['detail']}")


def _are_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_deep(data: Any) -> bool:
    """Say whether it is nested deeper than anything the API lets in, without recursing."""
    level = [data]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return True


def _storable(text: str, data: dict[str, Any]) -> bool:
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text and "\\u0000" not in text


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number JSON knows")
