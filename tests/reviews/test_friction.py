"""What a yes costs the hand: nothing, a reason, or typing out what it will hit."""

import pytest

from escalations.models import Decision, Proposal
from reviews.friction import Target, friction_of, typable
from tests.factories import SourceFactory

from .conftest import signature
from .test_groups import URL, picks

pytestmark = pytest.mark.django_db

FINAL = [{"name": "irreversible", "why": "The action's name says delete."}]


def url(proposal):
    return f"/proposals/{proposal.pk}/"


def made(**facts):
    return Proposal(**{"triggers": FINAL, "risk": "high", "action": "refund", **facts})


@pytest.mark.parametrize(
    ("args", "path", "text"),
    [
        ({"order": 1182, "amount": 250}, "amount", "250"),
        ({"amount": 250.5, "to": "ann"}, "amount", "250.5"),
        ({"note": "x", "username": "ann", "reason": "left"}, "username", "ann"),
        ({"note": "x", "customer_id": 77}, "customer_id", "77"),
        ({"a": {"path": "/srv/data"}}, "a.path", "/srv/data"),
        ({"what": "the lot"}, "what", "the lot"),
        ({"to": "ann\u202e", "note": "x" * 70, "id": 7}, "id", "7"),
        ({"force": True, "nothing": None}, "action", "refund"),
        ({}, "action", "refund"),
    ],
)  # fmt: skip
def test_what_cannot_be_undone_is_typed_by_its_amount_or_its_target(args, path, text):
    assert friction_of(made(args=args)).target == Target(path, text)


def test_the_arg_that_is_over_its_limit_is_the_one_to_type():
    stakes = {"name": "high_stakes", "why": "rows is 900, the limit is 100", "where": "proposal.args.rows"}

    assert friction_of(made(args={"table": "users", "rows": 900}, triggers=[*FINAL, stakes])).target == Target("rows", "900")


def test_a_draft_is_typed_by_who_gets_it_and_what_nobody_can_type_is_ticked():
    draft = {"to": "ann@customer.example", "subject": "s", "body": "b", "format": "text"}

    assert friction_of(made(action="", args=None, draft=draft)).target == Target("to", "ann@customer.example")
    assert friction_of(made(action="", args=None, draft={**draft, "to": None})).tick
    assert friction_of(made(action="зачистить", args={"to": "Ω" * 4})).tick


@pytest.mark.parametrize(("text", "yes"), [("250", True), ("Zoë Müller", True), ("a\nb", False), ("аdmin", False), ("x" * 61, False), (" x", False), ("", False), ("🙂", False)])
def test_only_what_can_be_read_off_and_typed_is_asked_for(text, yes):
    assert typable(text) is yes


@pytest.mark.parametrize("risk", ["low", "medium"])
def test_where_little_depends_on_it_choosing_and_signing_is_enough(page, ask, risk):
    proposal = ask(risk=risk)

    assert page.post(url(proposal), signature(proposal)).status_code == 303


@pytest.mark.parametrize("risk", ["high", "critical"])
def test_a_yes_to_high_risk_needs_a_reason(page, ask, risk):
    proposal = ask(risk=risk)

    bare = page.post(url(proposal), signature(proposal, reason="  "))
    edit = page.post(url(proposal), signature(proposal, type="edit", args='{"order": 1182, "amount": 9}'))
    reasoned = page.post(url(proposal), signature(proposal, reason="the customer is right"))

    assert bare.status_code == edit.status_code == 422 and "Say why" in bare.content.decode()
    assert reasoned.status_code == 303
    assert Decision.objects.get().reason == "the customer is right"


def test_a_yes_to_what_cannot_be_undone_needs_its_target_typed_exactly(page, ask):
    proposal = ask(risk="high", triggers=FINAL, args={"amount": 250, "order": 1182})
    said = signature(proposal, reason="asked for twice")

    shown = page.get(url(proposal)).content.decode()
    for wrong in ("", "25", "250.0", "amount"):
        assert page.post(url(proposal), {**said, "confirm": wrong, "read": "on"}).status_code == 422
    told = page.post(url(proposal), {**said, "confirm": "25"}).content.decode()
    assert page.post(url(proposal), {**said, "confirm": " 250 "}).status_code == 303

    assert 'class="to-type value">250<' in shown and "cannot be undone" in shown
    assert "type amount exactly as it stands, 250" in told and 'value="25"' in told


def test_what_was_changed_is_typed_as_it_was_changed(page, ask):
    proposal = ask(risk="high", triggers=FINAL, args={"amount": 250})
    said = signature(proposal, type="edit", args='{"amount": 90}', reason="less")

    old = page.post(url(proposal), {**said, "confirm": "250"})
    new = page.post(url(proposal), {**said, "confirm": "90"})

    assert old.status_code == 422 and 'class="to-type value">90<' in old.content.decode()
    assert new.status_code == 303


def test_what_nobody_can_type_is_ticked(page, ask):
    proposal = ask(risk="high", triggers=FINAL, action="", args=None, incident_kind="draft",
                   draft={"to": "Ωmega", "subject": "s", "body": "b", "format": "text"})  # fmt: skip
    said = signature(proposal, reason="fine")

    assert page.post(url(proposal), said).status_code == 422
    assert page.post(url(proposal), {**said, "read": "on"}).status_code == 303


@pytest.mark.parametrize("said", [{"type": "reject", "reason": "no"}, {"type": "respond", "message": "later"}])
def test_a_no_costs_nothing_more(page, ask, said):
    proposal = ask(risk="critical", triggers=FINAL)

    assert page.post(url(proposal), signature(proposal, **said)).status_code == 303


def test_a_group_costs_what_its_riskiest_costs(page, ask):
    source = SourceFactory(name="billing-agent")
    calm = ask(source=source, incident_fingerprint="fp")
    grave = ask(source=source, incident_fingerprint="fp", risk="high", triggers=FINAL)
    form = {"pick": picks(calm, grave), "type": "approve"}

    bare = page.post(URL, form)
    reasoned = page.post(URL, {**form, "reason": "both were late"})
    typed = page.post(URL, {**form, "reason": "both were late", "confirm": "250"})

    assert bare.status_code == reasoned.status_code == 422
    assert "Say why" in bare.content.decode() and "exactly as it stands, 250" in reasoned.content.decode()
    assert "2 of 2 signed" in typed.content.decode()


def test_of_a_group_only_what_is_ticked_counts(page, ask):
    source = SourceFactory(name="billing-agent")
    calm = ask(source=source, incident_fingerprint="fp")
    ask(source=source, incident_fingerprint="fp", risk="high", triggers=FINAL)

    assert "1 of 1 signed" in page.post(URL, {"pick": picks(calm), "type": "approve"}).content.decode()
