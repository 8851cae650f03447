"""A workspace, a channel of finance's, people who are linked, and a proposal that may be decided there."""

import pytest

from escalations import audit, clock
from escalations.models import Notice, Proposal, SlackWorkspace
from escalations.notify import slack as chats
from escalations.policies import chat
from tests.factories import STANDARD, PersonFactory, ProposalFactory, SourceFactory, role
from tests.fakes import slack as fakes

ADDRESS = "/slack/interactivity"


@pytest.fixture
def slack(settings):
    with fakes.slack_running() as fake:
        settings.SLACK_API_URL = fake.url
        yield fake


@pytest.fixture
def workspace(db):
    return chat.save_workspace(
        SlackWorkspace(name="Acme", team_id=fakes.TEAM), actor=audit.SYSTEM, signing_secret=fakes.SECRET, bot_token=fakes.TOKEN
    )


def linked(workspace, user_id, **who):
    person = PersonFactory(**who)
    chat.link_account(workspace, user_id=user_id, person=person, actor=audit.Actor.of(person))
    return person


@pytest.fixture
def rosa(workspace):
    return linked(workspace, "U0ROSA", username="rosa", first_name="Rosa", roles=["finance"])


@pytest.fixture
def carl(workspace):
    return linked(workspace, "U0CARL", username="carl", first_name="Carl", roles=["finance"])


@pytest.fixture
def mona(workspace):
    return linked(workspace, "U0MONA", username="mona", first_name="Mona", roles=["manager"])


@pytest.fixture
def in_finance(workspace):
    return chat.add_slack_channel(workspace, channel_id="C0FINANCE", role=role("finance"), actor=audit.SYSTEM)


@pytest.fixture
def source(db):
    return SourceFactory(name="billing-agent", may_chat=True)


@pytest.fixture
def make(source):
    """Make a proposal in finance's queue that a button may decide, unless the test says otherwise."""

    def one(policy=None, **more):
        given = {"role": role("finance"), "risk": "low", "policy": {**STANDARD, "chat_up_to": "high", **(policy or {})}}
        return ProposalFactory(incident__source=more.pop("source", source), **(given | more))

    return one


@pytest.fixture
def posted(slack, in_finance, make):
    """Post a proposal into finance's channel; return it as it is then."""

    def post(channel=in_finance, proposal=None, kind="escalated", also=(), **more):
        proposal = proposal or make(**more)
        chats.send(Notice(kind=kind, role=channel.role, person=channel.person, proposal=proposal), channel, also)
        return Proposal.objects.get(pk=proposal.pk)

    return post


@pytest.fixture
def press(slack, client):
    """Press a button of the last message as a Slack user; return the status."""

    def pressed(action, user, *, to=None, at_time=None, secret=fakes.SECRET, headers=None, **more):
        payload = slack.pressing(action, user, **more)
        return send(client, payload, at=at_time, secret=secret, headers=headers).status_code

    return pressed


def send(client, payload, *, at=None, secret=fakes.SECRET, headers=None):
    body, signed = fakes.signed(payload, secret=secret, at=clock.now().timestamp() if at is None else at)
    return client.post(ADDRESS, body, content_type="application/x-www-form-urlencoded", headers={**signed, **(headers or {})})
