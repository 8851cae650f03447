"""A rejected draft comes again, written by the model from the reviewer's words, and is routed like any other."""

import pytest

from escalations import lifecycle, queue
from escalations.audit import Actor
from escalations.classify import redraft
from escalations.models import AuditEntry, Proposal, Work
from escalations.states import Kind, Stage, State
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, role

pytestmark = pytest.mark.django_db(transaction=True)

DRAFT = {"to": "ann@example.com", "subject": "Your order", "body": "Dear ann@example.com, no. Card 4111 1111 1111 1111.", "format": "text"}


@pytest.fixture
def rejected(model):
    """A draft that a reviewer rejected, asking for another."""
    incident = IncidentFactory(kind=Kind.DRAFT, title="Reply to Ann", body="Ann (ann@example.com, 203.0.113.77) asks where her order is.")
    proposal = ProposalFactory(
        incident=incident, action="", args=None, draft=DRAFT, description="A reply", role=role("support"), claims={"confidence": 0.9},
    )
    reviewer = PersonFactory(roles=["support"])
    lifecycle.decide(
        proposal.pk, person=reviewer, type="reject", digest=proposal.args_digest, version=proposal.version,
        reason="Be kinder, and sign as bob@example.org.", retry=True,
    )
    proposal.refresh_from_db()
    return proposal


def work():
    return Work.objects.get(proposal__revision=1)


def newest():
    return Proposal.objects.order_by("-revision").first()


def test_the_model_writes_a_new_revision_from_the_reviewers_words(rejected, model):
    model.answer = {"subject": "Your order\nis late", "body": "Dear <EMAIL_1>, sorry! Yours, <EMAIL_2>"}

    assert redraft.run_batch() == 1

    new = newest()
    assert (new.revision, new.author, new.state) == (2, "model", State.PENDING)
    assert new.draft == {**DRAFT, "subject": "Your order is late", "body": "Dear ann@example.com, sorry! Yours, bob@example.org"}
    assert (new.description, new.claims) == (rejected.description, rejected.claims)
    assert new.args_digest != rejected.args_digest
    assert work().stage == Stage.DONE and work().error == ""
    assert Work.objects.get(proposal=new).stage == Stage.CLASSIFY  # classified and routed like any other
    assert AuditEntry.objects.filter(action="proposal.revised", proposal_id=new.pk, actor="system").exists()
    assert "Be kinder" in model.prompts
    assert redraft.run_batch() == 0


def test_nothing_personal_is_sent_and_what_only_the_incident_knows_cannot_be_written(rejected, model):
    redraft.run_batch()

    for secret in ("ann@example.com", "bob@example.org", "4111", "203.0.113.77"):
        assert secret not in model.prompts
    assert "(ip hidden)" in model.prompts


@pytest.mark.parametrize("name", ["<IP_1>", "<APIKEY_1>"])
def test_a_draft_with_a_value_hidden_from_it_is_not_used(rejected, model, name):
    model.answer = {"subject": "x", "body": f"From {name}"}

    redraft.run_batch()

    assert newest() == rejected
    assert work().stage == Stage.DONE and "hidden from it" in work().error


@pytest.mark.parametrize("fault", ["500", "truncated"])
def test_a_model_that_fails_is_asked_three_times_and_then_left_to_the_agent(rejected, model, fault):
    model.fault = fault

    for _ in range(queue.MAX_ATTEMPTS):
        assert redraft.run_batch() == 1
        Work.objects.filter(stage=Stage.REDRAFT).update(run_at="2020-01-01T00:00:00Z")

    assert redraft.run_batch() == 0
    assert newest() == rejected
    assert work().stage == Stage.DONE
    assert work().error.startswith("No redraft: ")
    rejected.incident.refresh_from_db()
    assert rejected.incident.status == "waiting"  # for the agent's own revision


def test_an_address_from_the_model_is_refused_and_the_old_one_stays(rejected, model):
    model.script = ["extra_keys"]

    redraft.run_batch()

    assert newest().draft["to"] == "ann@example.com"


def test_the_agents_own_revision_goes_first(rejected, model):
    lifecycle.revise(
        rejected.incident_id, content={"draft": {**DRAFT, "body": "Mine."}}, author="source", actor=Actor.source(rejected.source)
    )

    assert redraft.run_batch() == 0

    assert newest().author == "source"


def test_who_lost_the_lease_posts_nothing(rejected, model, monkeypatch):
    put = redraft._put

    def too_late(asked, reply):
        Work.objects.update(token=99)
        put(asked, reply)

    monkeypatch.setattr(redraft, "_put", too_late)

    redraft.run_batch()

    assert newest() == rejected
    assert work().stage == Stage.REDRAFT


def test_without_a_model_the_work_ends_with_the_reason(rejected, settings):
    settings.OPENAI_API_KEY = settings.OPENAI_BASE_URL = ""

    redraft.run_batch()

    assert work().stage == Stage.DONE and "No model" in work().error


def test_the_budget_counts_for_redrafts_too(rejected, model, settings):
    settings.LLM_DAILY_TOKENS = 100

    redraft.run_batch()

    assert model.seen == []
    assert "budget" in work().error
