"""A rule is written in rows or as an expression, with help at hand, and tried on the bench; nothing is saved by looking."""

import json

import pytest
from django.urls import reverse

from escalations.admin.bench import Case
from escalations.admin.rule_form import acted, rows_in
from escalations.floors.builder import ANY, Row
from escalations.models import AuditEntry, Change, Classification, Incident, Proposal, Role, RoutingRule
from tests.escalations.admin.conftest import administrator
from tests.factories import IncidentFactory, ProposalFactory, RuleFactory, SourceFactory

pytestmark = pytest.mark.django_db

ADD, BENCH, SAID = (f"admin:escalations_routingrule_{name}" for name in ("add", "bench", "said"))
BUILT = {
    "said_in": "rows", "b-kind": "action", "b-action": "refund", "b-join": "all", "b-count": "2",
    "b-0-field": "proposal.args.amount", "b-0-operator": "over", "b-0-value": "100",
    "b-1-field": "source.name", "b-1-operator": "is", "b-1-value": "billing-agent",
}
REST = {
    "name": "Large refunds", "why": "Money.", "state": "draft", "priority": 500, "floor": "review", "by": "rule", "threshold": "",
    "role": "", "policy": "", "severity": "", "category": "",
}
WRITTEN = 'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount > 100 && source.name == "billing-agent"'
CARD = "4111 1111 1111 1111"


def read(answer, status=200):
    assert answer.status_code == status
    return answer.content.decode()


def flat(condition):
    return condition.replace(" &&\n", " && ")


@pytest.fixture
def refund():
    source = SourceFactory(name="billing-agent", authoritative_paths=["customer.tier"])
    incident = IncidentFactory(
        source=source, title="Refund for order 1182", customer={"tier": "verified"}, payload={"card": CARD, "order": {"total": 20}}
    )
    return ProposalFactory(incident=incident, action="refund", args={"amount": 250})


def test_a_new_rule_is_a_draft_in_rows(admin):
    text = read(admin.get(reverse(ADD)))

    assert '<option value="draft" selected>' in text and 'name="b-kind"' in text and 'name="condition"' not in text


def test_rows_are_saved_as_the_condition_they_write(admin):
    assert admin.post(reverse(ADD), REST | BUILT).status_code == 302

    rule = RoutingRule.objects.get(name="Large refunds")
    assert flat(rule.condition) == WRITTEN and rule.state == "draft"
    page = read(admin.get(reverse("admin:escalations_routingrule_change", args=[rule.pk])))
    assert 'value="proposal.args.amount"' in page and 'value="billing-agent"' in page


def test_a_condition_too_free_for_rows_stays_text_and_says_so(admin):
    rule = RuleFactory(name="Free", condition="size(customer.flags) > 0")

    text = read(admin.get(reverse("admin:escalations_routingrule_change", args=[rule.pk])))
    assert "freer than rows can show" in text and 'name="condition"' in text and 'name="b-kind"' not in text


def test_args_without_a_kind_and_an_action_are_not_saved_from_rows(admin):
    text = read(admin.post(reverse(ADD), REST | BUILT | {"b-action": ""}))

    assert "Args differ from action to action" in text and not RoutingRule.objects.filter(name="Large refunds").exists()
    assert 'value="proposal.args.amount"' in text  # what was typed is still there


@pytest.mark.parametrize(("typed", "marked"), [
    ({"condition": 'incident.kind == "action" &&\n proposal.nonsense > 3'}, '<mark class="wrong">proposal.nonsense</mark>'),
    ({"condition": "proposal.args.amount >"}, '<mark class="wrong"> </mark>'),
    ({"condition": 'incident.title == "x"', "floor": "auto"}, '<mark class="wrong">incident.title</mark>'),
    (BUILT | {"b-0-field": "proposal.argz.amount"}, '<mark class="wrong">proposal.argz.amount</mark>'),
    ({"condition": 'incident.kind == "<b>" && nope'}, '&quot;&lt;b&gt;&quot; &amp;&amp; <mark class="wrong">nope</mark>'),
])
def test_the_place_of_an_error_is_underlined_when_it_is_saved_and_while_it_is_typed(admin, typed, marked):
    saved = read(admin.post(reverse(ADD), REST | typed))
    typing = read(admin.post(reverse(SAID), REST | typed))

    assert marked in saved and marked in typing
    assert not RoutingRule.objects.filter(name="Large refunds").exists()


@pytest.mark.parametrize(("act", "count", "first"), [("add", 3, "proposal.args.amount"), ("drop-0", 1, "source.name"), ("drop-9", 2, "proposal.args.amount")])
def test_rows_are_added_and_removed_without_javascript_and_nothing_is_saved(admin, act, count, first):
    text = read(admin.post(reverse(ADD), REST | BUILT | {"_builder": act}))

    assert f'name="b-count" value="{count}"' in text and f'id="b-0-field" value="{first}"' in text
    assert 'value="Large refunds"' in text and not RoutingRule.objects.filter(name="Large refunds").exists()


def test_rows_become_an_expression_and_rows_again(admin):
    text = read(admin.post(reverse(ADD), REST | BUILT | {"_builder": "text"}))
    assert 'name="condition"' in text and "proposal.args.amount &gt; 100" in text and "b-kind" not in text

    text = read(admin.post(reverse(ADD), REST | {"said_in": "text", "condition": WRITTEN, "_builder": "rows"}))
    assert 'id="b-1-value" value="billing-agent"' in text


def test_a_button_of_the_builder_keeps_what_was_typed_over_a_saved_rule(admin):
    rule = RuleFactory(name="Saved", condition=WRITTEN, role=Role.objects.get(name="finance"), floor="review")

    page = reverse("admin:escalations_routingrule_change", args=[rule.pk])
    text = read(admin.post(page, REST | BUILT | {"name": "Renamed", "floor": "block", "role": "", "model_counts": "on", "_builder": "add"}))
    assert 'value="Renamed"' in text and '<option value="block" selected>' in text
    assert f'<option value="{rule.role_id}" selected' not in text
    rule.refresh_from_db()
    assert rule.name == "Saved"


def test_an_example_takes_the_conditions_place(admin):
    text = read(admin.post(reverse(SAID), REST | BUILT | {"_builder": "example-7"}))
    assert 'value="customer.flags"' in text and 'value="vip"' in text


@pytest.mark.parametrize("typed", [
    {"b-count": "9" * 40}, {"b-count": "²"}, {"b-count": "-1"}, {"b-kind": "nonsense"}, {"b-0-operator": "nonsense"}, {"_builder": "drop-²"},
    {"_builder": "example-99999"}, {"b-incident": "nonsense"}, {"b-0-value": "\x00\ud83d"[:1]}, {"said_in": "both"}, {"condition": "(" * 3000},
])
def test_whatever_is_posted_to_the_builder_is_answered(admin, typed):
    assert admin.post(reverse(SAID), REST | BUILT | typed).status_code == 200
    assert admin.post(reverse(ADD), REST | BUILT | {"_builder": "add"} | typed).status_code == 200


def test_names_stand_there_with_the_values_of_the_newest_that_fits_and_what_is_sensitive_is_masked(admin, refund):
    ProposalFactory(incident=IncidentFactory(title="Another, newer"), action="close_account", args={})

    text = read(admin.post(reverse(SAID), REST | BUILT))
    assert "Refund for order 1182" in text and 'data-insert="proposal.args.amount"' in text and 'data-insert="incident.payload.order.total"' in text
    assert CARD not in text and "payment card number" in text


def test_the_values_that_stand_there_are_those_a_condition_reads(refund):
    """All engines put together, with the source's claim, not what the first of them said."""
    refund.claims = {"confidence": 0.3}
    words = [
        Classification(engine="rules", severity="info", category="refund", confidence=0.95, sure=True),
        Classification(engine="llm", severity="critical", category="security", confidence=0.9),
    ]
    case = Case(refund.incident, refund, words, stored=True)
    shown = {one.name: one.value for one in case.names([])}
    for name in ("severity", "confidence", "category"):
        value = shown[f"classification.{name}"]
        written = value if name == "confidence" else json.dumps(value.strip('"“”'))
        assert case.verdict(f"classification.{name} == {written}", auto=False, marked=frozenset()) == "matches", value


def test_the_incident_whose_values_are_shown_can_be_chosen(admin, refund):
    ProposalFactory(incident=IncidentFactory(title="Another, newer"), action="refund", args={"amount": 3})

    text = read(admin.post(reverse(ADD), REST | BUILT | {"b-incident": str(refund.incident_id), "_builder": "names"}))
    assert "Refund for order 1182" in text and f'value="{refund.incident_id}"' in text


@pytest.mark.parametrize(("typed", "said"), [
    (BUILT, "it matches."), (BUILT | {"b-0-value": "900"}, "it does not match."), ({"condition": "proposal.args.missing > 3"}, "proposal.args.missing is missing"),
    ({"condition": 'proposal.action.matches("(")'}, "it could not be answered"), (BUILT | {"floor": "auto", "b-1-field": "customer.tier", "b-1-value": "verified"}, "it matches."),
])
def test_what_a_condition_says_of_that_incident_stands_below_it_while_it_is_typed(admin, refund, typed, said):
    text = read(admin.post(reverse(SAID), REST | typed))
    assert "On “Refund for order 1182” it" in text and said in text


def test_only_administrators_come_in_and_said_takes_no_get(client, admin, db):
    assert admin.get(reverse(SAID)).status_code == 405
    client.force_login(administrator("rosa", is_staff=False, is_superuser=False))
    assert client.get(reverse(BENCH)).status_code in (302, 403) and client.post(reverse(SAID), BUILT).status_code in (302, 403)


@pytest.mark.parametrize("size", [1, 40])
def test_the_editor_costs_the_same_however_much_there_is(admin, refund, size, django_assert_max_num_queries):
    RuleFactory.create_batch(size)
    ProposalFactory.create_batch(size)
    rule = RuleFactory(condition=WRITTEN)

    with django_assert_max_num_queries(40) as counted:
        admin.get(reverse("admin:escalations_routingrule_change", args=[rule.pk]))
    with django_assert_max_num_queries(20):  # session, person, roles; sample: ids, proposal, words; paths, roles for the veil
        admin.post(reverse(SAID), REST | BUILT)
    assert counted


# -- what waits for somebody else


def test_what_lets_the_machine_do_more_is_proposed_and_says_why(admin):
    typed = REST | BUILT | {"floor": "auto", "state": "live", "changed_why": "They are small."}

    answer = admin.post(reverse(ADD), typed, follow=True)
    text = read(answer)
    change = Change.objects.get()
    assert change.why == "They are small." and RoutingRule.objects.get(name="Large refunds").state == "draft"
    assert "Nothing has changed yet" in text and "waits for a second administrator</h2>" in text and "was added successfully" not in text


def test_two_who_edit_the_same_rule_do_not_overwrite_each_other(admin):
    rule = RuleFactory(name="Shared", condition="true")
    page = reverse("admin:escalations_routingrule_change", args=[rule.pk])
    typed = REST | {"name": "Shared", "condition": "true", "state": "live", "said_in": "text", "seen": "1"}

    assert admin.post(page, typed | {"priority": 7}).status_code == 302
    text = read(admin.post(page, typed | {"priority": 9}, follow=True))
    rule.refresh_from_db()
    assert rule.priority == 7 and "Somebody saved this rule since you opened it" in text


# -- the bench


def counts():
    return [model.objects.count() for model in (Incident, Proposal, AuditEntry, RoutingRule, Change)]


def test_the_bench_says_every_rules_verdict_and_what_results_in_words(admin, refund):
    RuleFactory(name="Try me", state="draft", condition=WRITTEN)
    before = counts()

    for wanted in (refund.pk, refund.incident_id):
        text = read(admin.get(reverse(BENCH), {"incident": wanted}))
        assert "A person decides: the rule “Refunds over 100” asks for one" in text
        assert "Why it may not go alone" in text and "Try me" in text and "<td>draft</td>" in text
        assert "finance: the rule “Refunds over 100” names it." in text
        assert CARD not in text
    assert counts() == before


def test_a_draft_is_tried_as_if_it_were_live(admin, refund):
    rule = RuleFactory(name="Try me", state="draft", condition=WRITTEN, floor="block")

    assert "It is refused without asking anybody" not in read(admin.get(reverse(BENCH), {"incident": refund.pk}))
    assert "It is refused without asking anybody: the rule “Try me” blocks it." in read(
        admin.get(reverse(BENCH), {"incident": refund.pk, "rule": rule.pk})
    )


def test_an_incident_that_never_came_is_judged_and_forgotten(admin, refund):
    RuleFactory(name="Small", floor="auto", condition='incident.kind == "action" && proposal.action == "refund" && proposal.args.amount <= 20 && customer.tier == "verified"')
    pasted = {"kind": "action", "title": "A small refund", "customer": {"tier": "verified"}, "proposal": {"action": "refund", "args": {"amount": 12}}, "odd": 1}
    before = counts()

    text = read(admin.post(reverse(BENCH), {"pasted": json.dumps(pasted), "source": refund.source_id}))
    assert "Nobody is asked: the rule “Small” lets it go alone" in text and "The API would refuse odd" in text
    strange = SourceFactory()
    text = read(admin.post(reverse(BENCH), {"pasted": json.dumps(pasted), "source": strange.pk}))
    assert "not authoritative for this source" in text and "Nobody is asked" not in text
    assert counts() == before


@pytest.mark.parametrize(("pasted", "said"), [
    ("{", "not JSON"), ("[]", "JSON object"), ("{}", "kind is one of"), ('{"kind": "action", "title": 3}', "title is a text"),
    ('{"kind": "action", "title": "x"}', "what it wants to do"), ('{"kind": "alert", "title": "x", "payload": NaN}', "no number"),
    ('{"kind": "alert", "title": "x", "severity": "bad"}', "severity is one of"), ('{"kind": "alert", "title": "x", "customer": []}', "customer is an object"),
    ('{"kind": "action", "proposal": {"action": ["x"]}}', "proposal.action is a text"), ('{"kind": "action", "proposal": {"action": "x", "args": {"n": 1e400}}}', "proposal.args"),
    ('{"kind": "action", "proposal": {"action": "x", "args": {"n": 99999999999999999999}}}', "proposal.args"),
    ('{"kind": "alert", "payload": ' + "[" * 5000 + "]" * 5000 + "}", "nested"), ('{"kind": "alert", "payload": ' + "[" * 90 + "]" * 90 + "}", "nested deeper"),
    ('{"kind": "alert", "title": "\\u0000"}', "cannot be stored"), ('{"kind": "alert", "title": "\\ud800"}', "cannot be stored"),
    ('{"kind": "alert", "customer": {"flags": 3}}', "customer.flags is a list"), ('{"kind": "alert", "customer": {"flags": [[]]}}', "customer.flags is a list"),
    ('{"kind": "action", "proposal": {"action": "x", "allowed_decisions": true}}', "allowed_decisions is a list"),
    ('{"kind": "draft", "proposal": {"draft": {"to": 3}}}', "parts of a draft"), ('{"kind": "action", "proposal": {"action": "x", "confidence": true}}', "confidence"),
])
def test_what_cannot_be_judged_is_refused_in_words(admin, refund, pasted, said):
    assert said in read(admin.post(reverse(BENCH), {"pasted": pasted, "source": refund.source_id}))


@pytest.mark.parametrize("given", [
    {"incident": "nonsense"}, {"incident": "019a0000-0000-7000-8000-000000000000"}, {"incident": "x", "rule": "nonsense"}, {"rule": "999"}, {},
])
def test_a_bench_without_an_incident_is_a_form(admin, given):
    assert "An incident that came" in read(admin.get(reverse(BENCH), given))


def test_the_bench_shows_hostile_texts_as_text(admin):
    proposal = ProposalFactory(incident=IncidentFactory(title="<script>alert(1)</script>\u202e", payload={'"><b>': 1, "a": "<img>"}))

    text = read(admin.get(reverse(BENCH), {"incident": proposal.pk}))
    text += read(admin.post(reverse(SAID), REST | BUILT | {"b-incident": str(proposal.pk), "b-0-value": '"><script>', "b-0-field": "<b>"}))
    assert "<script>alert" not in text and "<img>" not in text and "\u202e" not in text and '"><script>' not in text


@pytest.mark.parametrize("size", [1, 30])
def test_the_bench_costs_the_same_however_many_rules_there_are(admin, refund, size, django_assert_max_num_queries):
    RuleFactory.create_batch(size, condition=WRITTEN, state="draft")
    RuleFactory.create_batch(size, condition=WRITTEN)

    with django_assert_max_num_queries(45):
        admin.get(reverse(BENCH), {"incident": refund.pk})


def test_rows_in_a_form_are_read_as_they_stand():
    rows = rows_in(BUILT | {"b-join": "any", "b-0-value": " two\nlines "})
    assert rows.join == ANY and rows.rows[0] == Row("proposal.args.amount", "over", "two lines")
    assert acted({"said_in": "text", "condition": "size(x) > 1"}, "rows") == {"said_in": "text", "condition": "size(x) > 1", "rows": None}
