"""What callers may post. Unknown members are refused with a pointer; a caller's wishes only ever tighten (DESIGN section 5)."""

from typing import Any

from rest_framework import serializers

from escalations import argschema, callbacks, canonical
from escalations.models import Source
from escalations.states import Kind, Severity, Verdict

from .fields import Amount, AnyJson, Choice, Members, Several, Share, Strict, Text, Whole, YesNo

LONGEST_TIMEOUT = 30 * 24 * 3600  # seconds
ENTRIES = 1_000
MOST_STEPS = 200  # in one call
MOST_NUMBER = 10**9  # of a step: there is always room for those that come after it
MOST_REPEATS = 40  # as far back as a run remembers


class CustomerIn(Strict):
    id = Text(max_length=255, required=False)
    tier = Text(max_length=80, required=False)
    flags = Several(child=Text(max_length=80), max_length=100, required=False)


class MessageIn(Strict):
    role = Text(max_length=80)
    content = AnyJson(required=False)


class AttemptIn(Strict):
    tool = Text(max_length=500, required=False)
    arguments = AnyJson(required=False)
    result = AnyJson(required=False)
    error = AnyJson(required=False)
    at = Text(max_length=80, required=False)


class LinkIn(Strict):
    label = Text(max_length=200, required=False)
    url = Text(max_length=2_000, blank=False)

    def validate_url(self, url: str) -> str:
        if not url.lower().startswith(("https://", "http://")) or any(ord(char) <= 32 for char in url):
            raise serializers.ValidationError("must begin with https:// or http://", code="bad_url")
        return url


class ContextIn(Strict):
    """What was asked, said and tried, for whoever decides."""

    request = AnyJson(required=False)
    messages = Several(child=MessageIn(), max_length=ENTRIES, required=False)
    attempts = Several(child=AttemptIn(), max_length=ENTRIES, required=False)
    summary = Text(required=False)
    why = Text(required=False)
    links = Several(child=LinkIn(), max_length=100, required=False)


class AddedContextIn(ContextIn):
    def further(self, data: dict[str, Any], pointer: str, **context: Any) -> list[dict[str, str]]:
        return [] if data else [_fault(pointer, "required", "say something: nothing was sent")]


class DraftIn(Strict):
    to = Text(max_length=500, blank=False, one_line=True)
    subject = Text(max_length=1_000, one_line=True)
    body = Text()
    format = Choice(["text"], default="text")


class DraftChangeIn(Strict):
    """A reviewer's change to a draft: what is left out stays."""

    to = Text(max_length=500, blank=False, one_line=True, required=False)
    subject = Text(max_length=1_000, one_line=True, required=False)
    body = Text(required=False)
    format = Choice(["text"], required=False)


class ProposalIn(Strict):
    """What the caller wants to do. Everything but the action, its args and the draft is a claim."""

    action = Text(max_length=200, blank=False, one_line=True, required=False)
    args = Members(required=False)
    draft = DraftIn(required=False)
    description = Text(required=False)
    args_schema = Members(required=False)
    allowed_decisions = Several(child=Choice(Verdict.values), min_length=1, max_length=4, required=False)
    confidence = Share(required=False)
    reversible = YesNo(required=False)
    impact = Text(max_length=5_000, required=False)
    fallback = Choice(["reject"], required=False)

    def further(self, data: dict[str, Any], pointer: str, **context: Any) -> list[dict[str, str]]:
        faults = []
        if "action" not in data and "draft" not in data:
            faults.append(_fault(f"{pointer}/action", "required", "a proposal has an action or a draft"))
        if "args" in data and "action" not in data:
            faults.append(_fault(f"{pointer}/action", "required", "args belong to an action"))
        for name in ("action", "args", "draft"):
            faults += canonical.check_signable(data.get(name), f"{pointer}/{name}")
        if "args_schema" in data:
            faults += argschema.schema_problems(data["args_schema"], f"{pointer}/args_schema")
        if "allowed_decisions" in data and Verdict.REJECT not in data["allowed_decisions"]:
            data["allowed_decisions"] = [*data["allowed_decisions"], str(Verdict.REJECT)]
        if len(set(data.get("allowed_decisions", []))) != len(data.get("allowed_decisions", [])):
            data["allowed_decisions"] = list(dict.fromkeys(data["allowed_decisions"]))
        return faults


class IncidentIn(Strict):
    """One thing a source submits."""

    key = Text(max_length=255, blank=False, one_line=True, required=False)
    kind = Choice(Kind.values)
    title = Text(max_length=500, blank=False)
    body = Text(required=False)
    severity = Choice(Severity.values, required=False)
    fingerprint = Text(max_length=255, required=False)
    external_id = Text(max_length=255, required=False)
    environment = Text(max_length=80, required=False)
    on_behalf_of = Text(max_length=255, required=False)
    customer = CustomerIn(required=False)
    payload = AnyJson(required=False)
    session = Text(max_length=255, required=False)
    timeout_seconds = Whole(low=1, high=LONGEST_TIMEOUT, required=False)
    callback_url = Text(max_length=callbacks.MAX_LENGTH, required=False)
    context = ContextIn(required=False)
    proposal = ProposalIn(required=False)

    def further(self, data: dict[str, Any], pointer: str, **context: Any) -> list[dict[str, str]]:
        faults = []
        proposal = data.get("proposal")
        if proposal is not None:
            faults += ProposalIn().further(proposal, f"{pointer}/proposal")
        elif data["kind"] in (Kind.ACTION, Kind.DRAFT):
            faults.append(_fault(f"{pointer}/proposal", "required", f"an incident of kind {data['kind']} says what it wants to do"))
        if data.get("callback_url"):
            faults += _callback_faults(data["callback_url"], context["source"], f"{pointer}/callback_url")
        return faults


class DecisionIn(Strict):
    """What a person decides, and exactly what they were shown."""

    type = Choice(Verdict.values)
    args_digest = Text(max_length=80, blank=False)
    version = Whole(low=1, high=2**31 - 1)
    reason = Text(max_length=20_000, required=False)
    args = Members(required=False)
    draft = DraftChangeIn(required=False)
    message = Text(max_length=200_000, required=False)
    retry = YesNo(required=False)

    def further(self, data: dict[str, Any], pointer: str, **context: Any) -> list[dict[str, str]]:
        faults = []
        for name in ("args", "draft"):
            if name in data and data["type"] != Verdict.EDIT:
                faults.append(_fault(f"{pointer}/{name}", "not_taken", "only an edit changes what was proposed"))
            faults += canonical.check_signable(data.get(name), f"{pointer}/{name}")
        if "args" in data and "draft" in data:
            faults.append(_fault(f"{pointer}/draft", "not_taken", "send args or a draft, whichever was proposed"))
        return faults


class AckIn(Strict):
    """What the agent did with the outcome."""

    result = Choice(["done", "failed"])
    args_digest = Text(max_length=80, required=False)
    detail = Text(max_length=20_000, required=False)


class OutcomeIn(Strict):
    """What was learned later of a decision."""

    outcome = Choice(["right", "wrong", "resolved"])
    how = Choice(["feedback", "complaint", "correction"], required=False)
    detail = Text(max_length=20_000, required=False)
    complaint = Text(max_length=36, blank=False, one_line=True, required=False)


class LimitsIn(Strict):
    """What a run may use up. What is left out has no limit, but for `repeats`, which is then 5."""

    steps = Whole(low=1, high=1_000_000, required=False)
    repeats = Whole(low=2, high=MOST_REPEATS, required=False)
    minutes = Whole(low=1, high=60 * 24 * 90, required=False)
    cost = Amount(required=False)


class SessionIn(Strict):
    """A run of an agent that is to be watched."""

    key = Text(max_length=255, blank=False, one_line=True, required=False)
    agent = Text(max_length=200, blank=False, one_line=True)
    goal = Text(max_length=20_000, required=False)
    limits = LimitsIn(required=False)
    role = Text(max_length=150, blank=False, one_line=True, required=False)


class StepIn(Strict):
    """One thing an agent did."""

    number = Whole(low=1, high=MOST_NUMBER, required=False)
    tool = Text(max_length=200, blank=False, one_line=True)
    args = AnyJson(required=False)
    result = AnyJson(required=False)
    error = Text(required=False)
    tokens = Whole(low=0, high=2**31 - 1, required=False)
    cost = Amount(required=False)
    took_ms = Whole(low=0, high=2**31 - 1, required=False)


class OneStepIn(StepIn):
    seen = Whole(low=0, high=2**31 - 1, required=False)


class StepsIn(Strict):
    """Several steps in one call."""

    steps = Several(child=StepIn(), min_length=1, max_length=MOST_STEPS)
    seen = Whole(low=0, high=2**31 - 1, required=False)


class EndIn(Strict):
    """The agent says that it is done."""

    outcome = Choice(["done", "failed", "stopped"])
    detail = Text(max_length=20_000, required=False)
    seen = Whole(low=0, high=2**31 - 1, required=False)


class NothingIn(Strict):
    """A call without members."""


def _callback_faults(url: str, source: Source, pointer: str) -> list[dict[str, str]]:
    try:
        callbacks.check(url, callback_url=source.callback_url, allowed_hosts=source.allowed_hosts)
    except callbacks.BadCallback as error:
        return [_fault(pointer, "bad_callback", str(error))]
    return []


def _fault(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}
