"""What somebody judges again is told to them nowhere: not by their token, not in the week's minutes, not by any page or list there is."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import reverse

from escalations import clock, lifecycle, looks, weekly
from escalations.models import EscalationReview, Estimate, SecondLook, Trial, VigilanceAlarm, Work
from tests.browser.test_look import MORE, PAGES
from tests.escalations.api.speaking import Speaker, key_for, token_for
from tests.factories import PersonFactory, ProposalFactory, role
from tests.lanes import lane_with, live_version

pytestmark = pytest.mark.django_db

WHY = "zanzibar-reason"
TITLE = "A very particular title"


@pytest.fixture
def chief(db):
    """Somebody of the role who may go everywhere."""
    return PersonFactory(username="chief", roles=["finance", "manager"], is_staff=True, is_superuser=True)


@pytest.fixture
def look(ask, colleague, chief):
    """What a colleague decided, and the chief has open."""
    one = ask(incident_fingerprint="fp", category="refund", title=TITLE)
    lifecycle.decide(one.pk, person=colleague, type="reject", digest=one.args_digest, version=one.version, reason=WHY)
    made = SecondLook.objects.create(proposal=one, role=role("finance"), lapses_at=clock.now() + timedelta(days=7))
    return looks.open_look(made.pk, person=chief)


@pytest.fixture
def speaker(chief):
    return Speaker(token_for(chief, interactive=True))


def test_a_token_reads_nothing_of_it_while_it_is_open(look, speaker, chief):
    incident = look.proposal.incident_id

    one, listed = speaker.get(f"/incidents/{incident}"), speaker.get("/incidents")

    assert one.status_code == 404 and WHY not in one.content.decode()
    assert str(incident) not in listed.content.decode()
    looks.answer(look.pk, person=chief, verdict="approve")
    assert speaker.get(f"/incidents/{incident}").json()["decision"]["reason"] == WHY
    assert str(incident) in speaker.get("/incidents").content.decode()


def test_its_source_reads_it_as_ever(look):
    agent = Speaker(key_for(look.proposal.source))

    assert agent.get(f"/incidents/{look.proposal.incident_id}").json()["decision"]["reason"] == WHY


@pytest.fixture
def review(look, colleague):
    items = [{"proposal": str(look.proposal_id), "marks": ["overridden"]}]
    made = EscalationReview.objects.create(role=role("finance"), week=clock.now().date() - timedelta(days=7), agenda={"v": 1, "items": items})
    weekly.find(made.pk, look.proposal_id, found="model", note=f"rightly rejected, {WHY}", person=colleague)
    return made


@pytest.mark.parametrize("where", ["/weekly/{}/", "/weekly/{}/minutes/?format=md", "/weekly/{}/minutes/?format=txt"])
def test_the_weeks_review_and_its_minutes_tell_nothing_of_it(look, review, chief, colleague, signed_in, where):
    told, others = (signed_in(person).get(where.format(review.pk)).content.decode() for person in (chief, colleague))

    assert WHY not in told.replace("\\", "") and TITLE not in told and "against the machine</span>" not in told
    assert WHY in others.replace("\\", "") and TITLE in others


def test_no_page_of_the_room_tells(look, review, chief, signed_in):
    client, told = signed_in(chief), {}
    for name, url in {**PAGES, **MORE}.items():
        if url and "{" not in url:
            told[name] = client.get(url, follow=True).content.decode()

    assert len(told) > 12
    assert [name for name, text in told.items() if WHY in text] == []


def test_the_page_of_its_lane_does_not_tell(look, chief, colleague, signed_in):
    lane = lane_with(look.proposal.source, "refund", right=3)
    work = Work.objects.create(incident=look.proposal.incident, proposal=look.proposal, stage="done")
    Estimate.objects.create(work=work, version=live_version(), approve=0.99, novelty=0.1)
    Trial.objects.create(
        proposal=look.proposal, lane=lane, work=work, version=live_version(), score=0.99, eligible=True, mode="watched", right=False,
        how="decision", labelled_at=clock.now(),
    )
    other = PersonFactory(roles=["manager"])

    told, others = (signed_in(person).get(lane.get_absolute_url()).content.decode() for person in (chief, other))

    assert WHY not in told and WHY in others


def test_no_list_of_the_administration_tells(look, review, chief, signed_in):
    client, told = signed_in(chief), {}
    for model in admin.site._registry:
        meta = model._meta
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        answer = client.get(url)
        if answer.status_code == 200:
            told[meta.model_name] = answer.content.decode()
        for row in model._default_manager.all()[:20]:
            answer = client.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk]))
            told[f"{meta.model_name} {row.pk}"] = answer.content.decode() if answer.status_code == 200 else ""

    assert len(told) > 12
    assert [name for name, text in told.items() if WHY in text] == []


def test_the_next_revision_does_not_tell_how_the_one_before_ended(look, chief, signed_in, ask):
    incident = look.proposal.incident
    following = ProposalFactory(incident=incident, role=role("finance"), revision=2, args={"order": 1182, "amount": 20})
    url, client = f"/proposals/{following.pk}/", signed_in(chief)

    for answer in (client.get(url), client.post(url, {"type": "approve", "digest": following.args_digest, "version": following.version})):
        assert answer["Location"] == f"/second/{look.pk}/" and WHY not in answer.content.decode()
    assert "Nothing was signed" in client.get(f"/second/{look.pk}/").content.decode()
    assert WHY not in client.get(f"{url}raw/").content.decode()
    client.post(f"/second/{look.pk}/", {"act": "leave"})
    assert client.get(url).status_code == 200


def test_who_reads_the_record_learns_of_nobodys_alarm_before_managers_do(reviewer, ada, signed_in):
    looks.vigilance.raise_alarm(looks.vigilance.Sign(reviewer.pk, "pace", "21 of 25", {}))
    looks.answer_alarm(VigilanceAlarm.objects.get().pk, person=reviewer, text="All of one batch.")
    client, url = signed_in(ada), "/admin/escalations/auditentry/"

    told = client.get(url).content.decode()
    later = clock.now() + looks.SHARED_AFTER + timedelta(minutes=1)
    with clock.frozen_at(later):
        afterwards = signed_in(ada).get(url).content.decode()

    assert "vigilance.alarmed" in told and "vigilance.answered" not in told
    assert "vigilance.answered" in afterwards
