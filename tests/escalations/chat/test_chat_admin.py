"""Workspaces and links are for administrators of people: whoever links an account says who signs."""

import json

import pytest
from django.urls import reverse

from escalations import audit, vault
from escalations.errors import IllegalMove, Invalid
from escalations.models import AuditEntry, Channel, Notice, Person, SlackAccount, SlackWorkspace
from escalations.policies import chat
from tests.escalations.chat.conftest import linked
from tests.factories import PersonFactory, SourceFactory, role
from tests.fakes import slack as fakes

pytestmark = pytest.mark.django_db

ADD = "admin:escalations_slackworkspace_add"


@pytest.fixture
def ada(db):
    return Person.objects.create_user("ada", "ada@example.com", "x" * 20, is_staff=True, is_superuser=True)


@pytest.fixture
def admin(client, ada):
    client.force_login(ada)
    return client


def page(workspace, act=""):
    return reverse("admin:escalations_slackworkspace_act", args=[workspace.pk, act]) if act else reverse(
        "admin:escalations_slackworkspace_change", args=[workspace.pk]
    )


GIVEN = {"name": "Acme", "team_id": fakes.TEAM, "signing_secret": fakes.SECRET, "bot_token": fakes.TOKEN}


def test_a_workspace_is_connected_sealed_and_on_the_record_without_its_secrets(admin, ada):
    assert admin.post(reverse(ADD), GIVEN).status_code == 302

    workspace = SlackWorkspace.objects.get()
    assert chat.signing_secret(workspace) == fakes.SECRET and chat.bot_token(workspace) == fakes.TOKEN
    entry = AuditEntry.objects.get(action="chat.saved")
    assert entry.actor == "ada" and fakes.SECRET not in entry.body and fakes.TOKEN not in entry.body
    body = admin.get(page(workspace)).content.decode()
    assert fakes.SECRET not in body and fakes.TOKEN not in body
    assert "/slack/interactivity" in body and "Nobody is linked" in body
    assert admin.post(page(workspace), {"name": "Acme Inc", "signing_secret": "", "bot_token": ""}).status_code == 302
    workspace.refresh_from_db()
    assert (workspace.name, chat.signing_secret(workspace)) == ("Acme Inc", fakes.SECRET)


@pytest.mark.parametrize("field, value", [
    ("signing_secret", ""), ("signing_secret", "short"), ("bot_token", ""), ("bot_token", "xoxp-1234567890-abc"), ("team_id", "C0123"), ("team_id", "t0123"),
])
def test_what_cannot_work_is_refused_at_its_field(admin, field, value):
    answer = admin.post(reverse(ADD), GIVEN | {field: value})
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not SlackWorkspace.objects.exists()


def test_an_administrator_of_rules_sees_none_of_it(client, workspace):
    client.force_login(Person.objects.create_user("staff", "s@example.com", "x" * 20, is_staff=True))
    for path in (reverse("admin:escalations_slackworkspace_changelist"), reverse(ADD), page(workspace), page(workspace, "link")):
        assert client.get(path).status_code in (302, 403)
        assert client.post(path, {"user_id": "U0EVIL", "person": 1}).status_code in (302, 403)
    assert not SlackAccount.objects.exists()


def test_a_link_is_told_to_whom_it_concerns_and_can_be_taken_away(admin, workspace):
    rosa = PersonFactory(username="rosa", roles=["finance"])

    assert admin.post(page(workspace, "link"), {"user_id": " U0ROSA ", "person": rosa.pk}).status_code == 302

    account = SlackAccount.objects.get()
    assert (account.user_id, account.person) == ("U0ROSA", rosa)
    notice = Notice.objects.get(kind="chat_linked")
    assert notice.person == rosa and notice.facts["user_id"] == "U0ROSA"
    facts = json.loads(AuditEntry.objects.get(action="chat.linked").body)["facts"]
    assert (facts["user_id"], facts["username"]) == ("U0ROSA", "rosa")
    assert "U0ROSA" in admin.get(page(workspace)).content.decode()
    assert admin.get(page(workspace, "unlink")).status_code == 200
    assert admin.post(page(workspace, "unlink"), {"account": account.pk}).status_code == 302
    assert not SlackAccount.objects.exists()
    assert AuditEntry.objects.filter(action="chat.unlinked").exists()


@pytest.mark.parametrize("user_id", ["", "rosa", "u0rosa", "B0BOT", "U0ROSA<script>", "U0 ROSA"])
def test_a_member_id_that_is_none_is_refused(workspace, user_id):
    with pytest.raises(Invalid):
        chat.link_account(workspace, user_id=user_id, person=PersonFactory(), actor=audit.SYSTEM)


def test_one_slack_user_is_one_person_and_nobody_who_left(workspace):
    linked(workspace, "U0ROSA")
    for person in (PersonFactory(), PersonFactory(is_active=False)):
        with pytest.raises(Invalid):
            chat.link_account(workspace, user_id="U0ROSA" if person.is_active else "U0OTHER", person=person, actor=audit.SYSTEM)


def test_a_role_is_told_in_a_channel(admin, workspace):
    assert admin.post(page(workspace, "channel"), {"channel_id": "C0FINANCE", "role": role("finance").pk}).status_code == 302
    channel = Channel.objects.get()
    assert (channel.kind, channel.role.name) == ("slack", "finance")
    assert chat.where(channel) == (workspace, "C0FINANCE")
    assert b"C0FINANCE" not in vault.seal(b"x") + bytes(channel.sealed)
    assert "C0FINANCE" in admin.get(page(workspace)).content.decode()
    for wrong in ({"channel_id": "general", "role": role("finance").pk}, {"channel_id": "C0X"}, {"channel_id": "C0FINANCE", "role": role("finance").pk}):
        assert admin.post(page(workspace, "channel"), wrong).status_code == 200
    assert Channel.objects.count() == 1


def test_a_test_message_says_whose_token_it_is(admin, workspace, slack):
    answer = admin.post(page(workspace, "try"), {"channel_id": "C0FINANCE"}, follow=True)
    assert "Posted to C0FINANCE as countersign of Acme" in answer.content.decode()
    assert len(slack.messages) == 1

    slack.trouble = [None, "not_in_channel"]
    assert "not_in_channel" in admin.post(page(workspace, "try"), {"channel_id": "C0FINANCE"}).content.decode()


def test_a_token_of_another_workspace_is_found_out(slack, workspace):
    SlackWorkspace.objects.update(team_id="T0OTHER")
    with pytest.raises(IllegalMove) as refused:
        chat.try_out(SlackWorkspace.objects.get(), channel_id="C0FINANCE")
    assert "another workspace: Acme" in refused.value.detail
    assert not slack.messages


def test_a_workspace_is_disabled_and_enabled(admin, workspace):
    admin.post(page(workspace, "disable"))
    workspace.refresh_from_db()
    assert workspace.disabled_at is not None
    admin.post(page(workspace, "enable"))
    workspace.refresh_from_db()
    assert workspace.disabled_at is None
    assert AuditEntry.objects.filter(action="chat.saved").count() == 3


def test_a_source_may_be_let_into_chats_on_its_page(admin):
    source = SourceFactory()
    path = reverse("admin:escalations_source_change", args=[source.pk])
    assert 'name="may_chat"' in admin.get(path).content.decode()
    admin.post(path, {"description": "", "callback_url": "", "allowed_hosts": "", "authoritative_paths": "", "known_irreversible": "", "may_chat": "on",
                      "requests_per_minute": "100", "owner": ""})
    source.refresh_from_db()
    assert source.may_chat
    assert "may_chat" in AuditEntry.objects.get(action="source.saved").body
