"""Channels and maintenance windows in the admin: an address is typed once, never seen again, and every edit is on record."""

from datetime import timedelta

import pytest
from django.urls import reverse

from escalations import clock, vault
from escalations.models import AuditEntry, Channel, MuteWindow, Notice
from tests.factories import PersonFactory, role

pytestmark = pytest.mark.django_db

SECRET = "tk_verysecrettoken123"
URL = f"ntfys://{SECRET}@ntfy.example.com/finance"


@pytest.fixture
def ada(client):
    ada = PersonFactory(is_staff=True)
    client.force_login(ada)
    return ada


def add(client, **data):
    return client.post(reverse("admin:escalations_channel_add"), {"url": URL, "role": role("finance").pk, **data})


def test_a_channel_is_sealed_labelled_and_on_record(client, ada):
    answer = add(client, notices=["escalated", "critical"])

    channel = Channel.objects.get()
    assert answer.status_code == 302
    assert (channel.label, channel.role, set(channel.notices)) == ("ntfy (ntfy.example.com)", role("finance"), {"critical", "escalated"})
    assert vault.unseal(channel.sealed).decode() == URL
    assert SECRET.encode() not in bytes(channel.sealed)
    assert SECRET not in AuditEntry.objects.get(action="channel.saved").body
    for page in (
        reverse("admin:escalations_channel_changelist"),
        reverse("admin:escalations_channel_change", args=[channel.pk]),
        reverse("admin:escalations_channel_history", args=[channel.pk]),
    ):
        text = client.get(page).content.decode()
        assert SECRET not in text and "ntfy" in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"url": "file:///etc/passwd"}, "speaks to this machine only"),
        ({"url": "nonsense://x"}, "cannot read this address"),
        ({"url": "not an address"}, "Write one address"),
        ({"role": ""}, "Choose a person or a role"),
    ],
)
def test_what_is_refused_is_said_at_the_form_and_nothing_is_kept(data, said, client, ada):
    answer = add(client, **data)

    assert answer.status_code == 200 and said in answer.content.decode()
    assert not Channel.objects.exists()


def test_not_for_a_person_and_a_role_at_once(client, ada):
    assert "Choose a person or a role" in add(client, person=ada.pk).content.decode()


def test_what_is_told_there_can_be_changed_and_the_address_cannot(client, ada):
    add(client)
    channel = Channel.objects.get()
    page = reverse("admin:escalations_channel_change", args=[channel.pk])

    assert client.post(page, {"notices": ["critical"], "url": "ntfys://elsewhere.example/x"}).status_code == 302

    channel.refresh_from_db()
    assert channel.notices == ["critical"] and vault.unseal(channel.sealed).decode() == URL


def test_a_test_is_a_notice_like_any_other_and_switching_off_is_on_record(client, ada):
    add(client)
    channel = Channel.objects.get()

    def act(name):
        return client.post(reverse("admin:escalations_channel_act", args=[channel.pk, name]), {"act": name})

    act("test")
    assert Notice.objects.get().kind == "channel_test" and Notice.objects.get().channel == channel
    act("disable")
    channel.refresh_from_db()
    assert channel.disabled_at is not None
    act("test")
    assert Notice.objects.count() == 1
    act("enable")
    assert list(AuditEntry.objects.filter(subject=f"Channel {channel.pk}").order_by("pk").values_list("action", flat=True)) == [
        "channel.saved", "channel.disabled", "channel.saved",
    ]  # fmt: skip


def test_who_is_no_administrator_sees_none_of_it(client):
    client.force_login(PersonFactory(is_staff=False))
    assert client.get(reverse("admin:escalations_channel_changelist")).status_code in (302, 403)


# -- maintenance


def window(**data):
    since = clock.now()
    return {
        "name": "Moving the database", "since_0": f"{since:%Y-%m-%d}", "since_1": f"{since:%H:%M:%S}",
        "until_0": f"{since + timedelta(hours=2):%Y-%m-%d}", "until_1": f"{since + timedelta(hours=2):%H:%M:%S}", **data,
    }  # fmt: skip


def test_a_maintenance_window_is_saved_and_can_be_ended(client, ada):
    assert client.post(reverse("admin:escalations_mutewindow_add"), window()).status_code == 302
    mute = MuteWindow.objects.get()
    assert mute.created_by == ada and "holds notices now" in client.get(reverse("admin:escalations_mutewindow_changelist")).content.decode()

    client.post(reverse("admin:escalations_mutewindow_act", args=[mute.pk, "end"]), {"act": "end"})

    mute.refresh_from_db()
    assert mute.until <= clock.now()
    assert AuditEntry.objects.filter(action="mute.saved").count() == 2


def test_a_window_of_a_month_is_refused(client, ada):
    answer = client.post(reverse("admin:escalations_mutewindow_add"), window(until_0="2099-01-01"))
    assert "At most seven days" in answer.content.decode() and not MuteWindow.objects.exists()
