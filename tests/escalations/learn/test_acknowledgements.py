"""What acknowledges is what Countersign made: nothing that a source names so, nor anything it lets fail, is taken for it."""

import pytest

from escalations import audit, clock, lifecycle, route
from escalations.classify import nearest
from escalations.floors.lanes import lane_of
from escalations.learn import training
from escalations.models import Classification, Decision, Proposal, Work, acknowledges, acknowledges_sql
from escalations.weekly import cases, kinds
from escalations.weekly.gathering import WEEK, rows_of
from tests.earning import came, decide

LABELS = {"category": "pwned", "severity": "info"}


def failed(proposal, person, type="approve", **more):
    """Decide it, let its source fail at it, and return what is put to a person then."""
    decide(proposal, person, type, **more)
    signed = Decision.objects.get(proposal=proposal).args_digest
    lifecycle.acknowledge(proposal.incident_id, result="failed", args_digest=signed, actor=audit.Actor.source(proposal.source))
    again = Work.objects.get(incident=proposal.incident_id, proposal__revision=proposal.revision + 1)
    Classification.objects.create(
        incident_id=proposal.incident_id, work=again, engine="rules", severity="info", category="refund", confidence=0.9, sure=True
    )
    Work.objects.filter(pk=again.pk).update(stage="route")
    while route.run_batch():
        pass
    return Proposal.objects.get(pk=again.proposal_id)


def everywhere(proposal):
    """Return what is said of a proposal by each way to ask, which have to agree."""
    found = Proposal.objects.filter(pk=proposal.pk)
    by_decision = Decision.objects.filter(proposal=proposal)
    said = {
        proposal.is_acknowledgement, found.filter(acknowledges()).exists(), found.annotate(is_one=acknowledges()).get().is_one,
        found.extra(where=[acknowledges_sql("escalations_proposal")]).exists(),
    }
    said |= set(by_decision.annotate(is_one=acknowledges("proposal__")).values_list("is_one", flat=True))
    assert len(said) == 1, said
    return said.pop()


@pytest.mark.parametrize("action", ["open_ticket", "acknowledge"])
def test_no_source_teaches_a_category_by_what_it_lets_fail(source, mona, action):
    proposal = came(source, None, kind="alert", proposal={"action": action, "args": dict(LABELS)})
    again = failed(proposal, mona)
    decide(again, mona)

    assert again.author == "system" and again.args == LABELS
    assert not everywhere(proposal) and not everywhere(again)
    taught = list(training.of_decisions())
    assert len(taught) == 2 and {(case.category, case.severity) for case in taught} == {("", "")}
    assert {case.lane for case in taught} == {f"{source.pk}/action/{action}"}
    words = list(Classification.objects.filter(incident=proposal.incident))
    assert lane_of(proposal.incident, again, words) is None
    read = cases.cases_of(again.role, clock.now() - WEEK, clock.now())
    assert {case.action for case in read} == {action} and all(case.facts["proposal"]["args"] == LABELS for case in read)
    assert {kinds.key_of(one)[2] for one in rows_of(Proposal.objects.filter(source=source))} == {action}
    other = came(source, None, kind="alert")
    told = nearest.of_works([other.incident.work.get()], 3)
    found = [past for some in told.values() for past in some]
    assert found and not any(past.signed for past in found)


@pytest.mark.parametrize("type_", ["approve", "edit"])
def test_an_acknowledgement_that_failed_still_is_one(source, mona, type_):
    proposal = came(source, None, kind="alert")
    labels = {"category": "outage", "severity": "warning"}
    again = failed(proposal, mona, type_, **({"args": labels} if type_ == "edit" else {}))
    decide(again, mona)

    assert everywhere(proposal) and everywhere(again)
    signed = {(case.category, case.severity) for case in training.of_decisions()}
    assert signed == {("outage", "warning") if type_ == "edit" else ("refund", "info")}


def test_what_a_source_puts_in_the_place_of_an_acknowledgement_is_its_own(source, mona):
    first = came(source, None, kind="alert")
    lifecycle.revise(
        first.incident_id, content={"action": "acknowledge", "args": dict(LABELS)}, actor=audit.Actor.source(source)
    )
    Work.objects.filter(proposal__revision=2).update(stage="route")
    while route.run_batch():
        pass
    second = Proposal.objects.get(incident=first.incident, revision=2)
    third = failed(second, mona)

    assert everywhere(first) and not everywhere(second) and not everywhere(third)


def test_a_first_revision_costs_no_query(source, django_assert_num_queries):
    ours, theirs = came(source, None, kind="alert"), came(source, None)
    with django_assert_num_queries(0):
        assert ours.is_acknowledgement and not theirs.is_acknowledgement
