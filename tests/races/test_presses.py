"""Whoever presses at once, in a chat or on the page: one decision, and a request that comes again is the same request."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from escalations import audit, clock, lifecycle
from escalations.errors import CountersignError
from escalations.models import Decision, Delivery, Hold, Notice, Proposal, Signature, SlackPress, SlackWorkspace
from escalations.notify import slack as chats
from escalations.policies import chat
from tests.factories import STANDARD, PersonFactory, ProposalFactory, role
from tests.fakes import slack as fakes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


@pytest.fixture
def slack(settings):
    with fakes.slack_running() as fake:
        settings.SLACK_API_URL = fake.url
        yield fake


@pytest.fixture
def workspace():
    made = SlackWorkspace(name="Acme", team_id=fakes.TEAM)
    return chat.save_workspace(made, actor=audit.SYSTEM, signing_secret=fakes.SECRET, bot_token=fakes.TOKEN)


def people(workspace, number):
    for n in range(number):
        person = PersonFactory(roles=["finance"])
        chat.link_account(workspace, user_id=f"U0PERSON{n}", person=person, actor=audit.Actor.of(person))
        yield person


def post(workspace, **policy):
    channel = chat.add_slack_channel(workspace, channel_id="C0FINANCE", role=role("finance"), actor=audit.SYSTEM)
    proposal = ProposalFactory(
        incident__source__may_chat=True, role=role("finance"), risk="low", policy={**STANDARD, "chat_up_to": "low", **policy}
    )
    chats.send(Notice(kind="escalated", role=channel.role, proposal=proposal), channel)
    return proposal


def at_once(calls):
    """Start every call at the same moment, each on a connection of its own; return what each returned."""
    barrier = threading.Barrier(len(calls))

    def one(call):
        try:
            barrier.wait(20)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


def sending(request):
    body, headers = request
    return lambda: Client().post("/slack/interactivity", body, content_type="application/x-www-form-urlencoded", headers=headers).status_code


def test_eight_who_press_at_once_make_one_decision(slack, workspace):
    team = list(people(workspace, 8))
    proposal = post(workspace)
    now = clock.now().timestamp()
    requests = [fakes.signed(slack.pressing("approve", f"U0PERSON{n}"), at=now) for n in range(len(team))]

    assert at_once([sending(one) for one in requests]) == [200] * 8

    assert Decision.objects.filter(proposal=proposal).count() == Signature.objects.count() == 1
    assert Delivery.objects.filter(proposal=proposal, type="proposal.settled").count() == 1
    outcomes = sorted(SlackPress.objects.values_list("outcome", flat=True))
    assert outcomes == ["already_settled"] * 7 + ["approve"]


def test_a_chat_and_the_page_at_once_make_one_decision(slack, workspace):
    rosa, carl = people(workspace, 2)
    proposal = post(workspace)
    request = fakes.signed(slack.pressing("approve", "U0PERSON0"), at=clock.now().timestamp())

    def on_the_page():
        try:
            lifecycle.decide(proposal.pk, person=carl, type="reject", digest=proposal.args_digest, version=proposal.version, reason="no")
        except CountersignError as error:
            return error.code
        return "reject"

    _, page = at_once([sending(request), on_the_page])

    decision = Decision.objects.get(proposal=proposal)
    pressed = SlackPress.objects.get().outcome
    assert {page, pressed} == {"already_settled", str(decision.type)}
    assert Proposal.objects.get().state == {"approve": "approved", "reject": "rejected"}[decision.type]


def test_one_request_sent_eight_times_at_once_counts_once(slack, workspace):
    [rosa] = people(workspace, 1)
    proposal = post(workspace, undo_seconds=60)
    request = fakes.signed(slack.pressing("approve", "U0PERSON0"), at=clock.now().timestamp())

    assert at_once([sending(request)] * 8) == [200] * 8

    assert SlackPress.objects.count() == 1
    assert Hold.objects.get(proposal=proposal).person == rosa


def test_one_person_who_presses_eight_times_is_one_of_several(slack, workspace):
    rosa, carl = people(workspace, 2)
    proposal = post(workspace, quorum=2)
    now = clock.now().timestamp()
    requests = [fakes.signed(slack.pressing("approve", "U0PERSON0", trigger_id=str(n)), at=now) for n in range(8)]

    assert at_once([sending(one) for one in requests]) == [200] * 8

    assert not Decision.objects.exists()
    assert Signature.objects.filter(proposal=proposal, person=rosa).count() == 1


def test_two_workers_write_a_message_anew_once(slack, workspace):
    [rosa] = people(workspace, 1)
    proposal = post(workspace)
    lifecycle.withdraw(proposal.incident_id, actor=audit.SYSTEM)

    assert sum(at_once([chats.follow] * 4)) == 1
    assert [method for method, _ in slack.calls].count("chat.update") == 1
