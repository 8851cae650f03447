"""The demo company: believable incidents of every kind, which go in by the door everybody uses and come out routed."""

import json
from datetime import timedelta

import pytest
from django.db import transaction
from django_q.models import OrmQ

from escalations import audit, clock, demo, oversight, vault
from escalations.demo import showcase
from escalations.demo.billing import BILLING
from escalations.demo.desk import DESK
from escalations.models import (
    Acknowledgement,
    ApiKey,
    AuditEntry,
    Comment,
    Decision,
    Hold,
    Incident,
    OutcomeReport,
    OversightSession,
    Person,
    Proposal,
    Question,
    RoutingRule,
    SessionAlarm,
    Source,
    StepRun,
    Work,
)
from escalations.states import Kind, State, Status, Verdict
from reviews import desk


@pytest.mark.django_db
def test_the_company_has_people_who_can_sign_in_and_sources_that_can_post():
    made = demo.install()
    json.dumps(made)
    assert len(made["people"]) == 6 and len(made["sources"]) == 2
    for one in made["people"]:
        person = Person.objects.get(username=one["username"])
        assert person.check_password(one["password"]) and len(one["password"]) >= 16
    roles = {one["username"]: one["roles"] for one in made["people"]}
    assert "finance" in roles["rosa"] and roles["milan"] == ["manager"] and Person.objects.get(username="ada").is_superuser
    second = Person.objects.get(username="noor")
    assert roles["noor"] == ["second administrator"] and second.is_staff and not second.is_superuser
    assert not Source.objects.filter(owner=second).exists()  # who answers for a source cannot confirm how much it is believed
    for one in made["sources"]:
        _, key_id, secret = vault.parse_key(one["key"])
        assert vault.matches(secret, ApiKey.objects.alive().get(key_id=key_id, source__name=one["name"]).secret_hash)
        assert one["signing_secret"].startswith("whsec_")
    assert Source.objects.filter(is_demo=True).count() == 1


@pytest.mark.django_db
def test_what_came_today_is_of_every_kind_and_the_newest_waits_for_the_worker():
    made = demo.install()
    today, waiting = Incident.objects.filter(key__startswith="demo-"), Work.objects.filter(stage="classify")
    assert today.count() == len(BILLING + DESK + showcase.BILLING + showcase.DESK) >= 50
    assert made["incidents"] == Incident.objects.count() > today.count() > waiting.count() > 5
    assert set(today.values_list("kind", flat=True)) == set(Kind.values)
    assert set(waiting.values_list("incident__status", flat=True)) == {Status.RECEIVED}
    assert not Proposal.objects.filter(due_at__lte=clock.now()).exists()
    titles = [incident["title"] for incident in BILLING + DESK]
    assert len(titles) == len(set(titles))
    assert OrmQ.objects.count() == 1  # one wake-up, not a week of them
    assert RoutingRule.objects.get(policy__undo_seconds=20).state == "live"  # drafts are signed with time to think again
    assert set(Proposal.objects.filter(policy__undo_seconds=20).values_list("kind", flat=True)) == {Kind.DRAFT}


@pytest.mark.django_db
def test_the_last_week_went_through_the_verbs_in_the_order_of_time_and_has_all_that_a_week_has():
    demo.install()
    moments = list(AuditEntry.objects.order_by("id").values_list("at", flat=True))
    assert moments == sorted(moments) and len(moments) > 300
    assert moments[-1] - moments[0] > timedelta(days=7)
    while audit.seal(1000) == 1000:
        pass
    report = audit.verify(anchors=False)
    assert report.ok and report.unsealed == 0
    decided = Proposal.objects.exclude(settled_at=None)
    assert not decided.filter(settled_at__gt=clock.now()).exists()
    for decision in Decision.objects.filter(by_kind="person").select_related("proposal"):
        assert decision.proposal.signatures.filter(person=decision.person, at__lte=decision.decided_at).exists()
        assert decision.proposal.routed_at < decision.decided_at
    check_that_the_week_has_all_that_a_week_has()
    check_that_the_managers_desk_is_full()


def check_that_the_week_has_all_that_a_week_has():
    people = Decision.objects.filter(by_kind="person")
    assert {"rosa", "ines", "tomas", "milan"} == set(people.values_list("by_id", flat=True))
    assert set(people.values_list("type", flat=True)) == set(Verdict.values)
    assert people.filter(type="reject", retry=True).exists() and not people.filter(type="reject", reason="").exists()
    assert Decision.objects.filter(by_kind="policy").exists() and Proposal.objects.filter(state=State.WITHDRAWN).exists()
    assert set(StepRun.objects.values_list("why", flat=True)) == {"clock", "person"}
    assert set(Acknowledgement.objects.values_list("result", flat=True)) == {"done", "failed"}
    assert Proposal.objects.filter(state=State.PENDING, revision=3).exists()
    assert Proposal.objects.filter(state=State.PENDING, claimed_by__username="tomas", claim_until__gt=clock.now()).exists()
    assert not Hold.objects.exists() and AuditEntry.objects.filter(action="proposal.held").exists()
    assert Question.objects.exclude(answered_at=None).exists() and Comment.objects.exists()
    assert {"wrong", "resolved"} <= set(OutcomeReport.objects.values_list("outcome", flat=True))


def check_that_the_managers_desk_is_full():
    now = desk.now_of()
    shown = desk.desk_of(now)
    assert len(shown.people) == 4 and all(one.decided for one in shown.people)
    assert shown.held and shown.escalations and len(shown.sources) == 2
    assert any(one.pace for one in now.queues if one.role == "finance")


@pytest.mark.django_db
def test_a_record_that_has_begun_gets_no_past():
    with transaction.atomic():
        audit.record("person.signed_in", actor=audit.SYSTEM)
    made = demo.install()
    assert not Decision.objects.exists()
    assert made["incidents"] == Work.objects.filter(stage="classify").count()


@pytest.mark.django_db(transaction=True)
def test_the_pipeline_sends_them_to_the_people_the_company_has_for_them(run_jobs):
    demo.install()
    run_jobs()
    assert not Incident.objects.filter(status=Status.RECEIVED).exists()
    asked = dict(Proposal.objects.filter(state=State.PENDING).values_list("incident__title", "role__name"))
    assert asked["Refund €249.00 for order 20390"] == "finance"
    assert asked["Delete 412 customers without orders"] == "process owner"
    assert asked["Give the intern the role billing-admin"] == "security"
    assert asked["Close the account of customer c-5520"] == "process owner"
    assert asked["Export personal data of customer c-3391"] == "specialist"
    assert asked["Statement on the recall of the bunk bed Pico"] == "specialist"
    assert asked["Customer threatens with a lawyer after a hurt finger"] == "specialist"
    fired = {
        proposal.incident.title: proposal.trigger_names
        for proposal in Proposal.objects.select_related("incident").filter(state=State.PENDING)
    }
    assert "injection_suspected" in fired["Answer a review on the shop page"]
    assert "sensitive_data" in fired["Charge a card that was sent by mail"]
    assert "user_request" in fired["Customer insists on talking to a person about an instalment plan"]
    assert "agent_failed" in fired["KeyError: 'vat_rate' while writing an invoice"]
    assert "injection_suspected" in fired["Pay Nordwood\u200b Timber's reminder"]
    assert "irreversible" in fired["Delete 412 customers without orders"]
    alike = Proposal.objects.filter(state=State.PENDING, incident__fingerprint="label-printer-hall-3")
    assert alike.count() == 12 and len(set(alike.values_list("args_digest", flat=True))) == 1
    alone = set(Proposal.objects.filter(decision__by_kind="policy").values_list("incident__title", flat=True))
    assert {"Nightly price import finished", "BasketExpired: a basket of 3 days was emptied"} <= alone
    assert all(Incident.objects.filter(title__in=alone).values_list("source__is_demo", flat=True))


@pytest.mark.django_db
def test_three_agents_were_at_work_and_one_of_them_goes_round_in_circles():
    demo.install()
    runs = {run.agent: run for run in OversightSession.objects.all()}
    assert {agent: (run.state, run.outcome) for agent, run in runs.items()} == {
        "reconciliation-agent": ("ended", "done"), "campaign-agent": ("stopped", "stopped"), "purchasing-agent": ("pausing", ""),
    }
    for run in runs.values():
        assert run.digest == oversight.digest_of(run.taken.all())
    alarm = SessionAlarm.objects.select_related("incident").get()
    assert (alarm.name, alarm.session.agent, alarm.incident.source.name) == ("loop", "purchasing-agent", "billing-agent")
    assert Work.objects.filter(incident=alarm.incident, stage="classify").exists()
