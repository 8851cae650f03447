"""One's own page: what one is told, by which way and when not."""

from datetime import time

import pytest

from escalations import vault
from escalations.models import AuditEntry, Channel, Notice, NoticeWishes
from tests.factories import PersonFactory

URL = "ntfys://tk_secret123@ntfy.example.com/mine"


@pytest.fixture
def browser(signed_in, rosa):
    return signed_in(rosa)


def wish(browser, **said):
    return browser.post("/you/", {"change": "wishes", "wanted": ["mentioned"], "digest": "", **said})


def test_who_never_said_anything_is_told_of_everything(browser):
    text = browser.get("/you/").content.decode()

    assert text.count('name="wanted"') == text.count('name="wanted" value="') > 4 and "change_waits" not in text
    assert all("checked" in part[:60] for part in text.split('name="wanted"')[1:])
    assert not NoticeWishes.objects.exists()


def test_wishes_are_kept_and_on_record(browser, rosa):
    answer = wish(browser, by_mail="on", digest="daily", digest_at="09:30", quiet_from="22:00", quiet_until="07:00")

    kept = NoticeWishes.objects.get(person=rosa)
    assert answer["Location"] == "/you/" and "new_work" in kept.unwanted and "mentioned" not in kept.unwanted
    assert (kept.by_mail, kept.digest, kept.digest_at) == (True, "daily", time(9, 30))
    assert (kept.quiet_from, kept.quiet_until) == (time(22), time(7))
    assert AuditEntry.objects.filter(action="wishes.saved", actor="rosa").count() == 1
    text = browser.get("/you/").content.decode()
    assert 'value="22:00"' in text and '<option value="daily" selected>' in text


def test_nobody_can_ask_not_to_be_told_of_what_is_critical(browser, rosa):
    wish(browser, wanted=[])
    assert not {"critical", "escalated", "token_minted"} & set(NoticeWishes.objects.get(person=rosa).unwanted)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"quiet_from": "22:00"}, "Quiet hours have a beginning and an end"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "That would be all day"),
        ({"quiet_from": "soon", "quiet_until": "later"}, "Write a time as 22:30"),
        ({"digest": "yearly"}, "Select a valid choice"),
        ({"wanted": ["everything"]}, "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_refused_with_why_and_stays_typed(browser, said, why):
    answer = wish(browser, **said)

    assert answer.status_code == 422 and why in answer.content.decode() and not NoticeWishes.objects.exists()


def test_a_channel_of_ones_own_is_sealed_and_can_be_tried_and_switched_off(browser, rosa):
    assert browser.post("/you/", {"change": "channel", "url": URL})["Location"] == "/you/"

    channel = Channel.objects.get(person=rosa)
    text = browser.get("/you/").content.decode()
    assert "ntfy (ntfy.example.com)" in text and "secret123" not in text and vault.unseal(channel.sealed).decode() == URL
    for act in ("test", "off", "on"):
        browser.post("/you/", {"change": "channel_act", "channel": channel.pk, "act": act})
    assert Notice.objects.get(kind="channel_test").channel == channel
    actions = AuditEntry.objects.filter(subject=f"Channel {channel.pk}", actor="rosa").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["channel.saved", "channel.disabled", "channel.saved"]


@pytest.mark.parametrize(
    ("url", "why"),
    [("json://127.0.0.1/x", "for administrators"), ("ntfys", "Write one address"), ("tgram://x", "cannot read"), ("", "Write the address")],
)
def test_an_address_that_will_not_do_is_refused_and_not_shown_again(browser, url, why):
    answer = browser.post("/you/", {"change": "channel", "url": url})

    assert answer.status_code == 422 and why in answer.content.decode() and not Channel.objects.exists()
    assert f'value="{url}"' not in answer.content.decode() or not url


@pytest.mark.parametrize("name", ["test", "off", "on"])
def test_somebody_else_s_channel_is_out_of_reach(browser, name):
    other = Channel.objects.create(person=PersonFactory(), sealed=b"x", label="theirs")

    browser.post("/you/", {"change": "channel_act", "channel": other.pk, "act": name})

    other.refresh_from_db()
    assert other.disabled_at is None and not Notice.objects.exists() and "theirs" not in browser.get("/you/").content.decode()


@pytest.mark.parametrize("pk", ["", "x", "-1", "9" * 40, "٣"])
def test_a_channel_that_is_none_is_told_so(browser, pk):
    assert browser.post("/you/", {"change": "channel_act", "channel": pk, "act": "off"}).status_code == 303


def test_an_unknown_act_does_nothing(browser, rosa):
    channel = Channel.objects.create(person=rosa, sealed=b"x", label="mine")
    browser.post("/you/", {"change": "channel_act", "channel": channel.pk, "act": "delete"})
    channel.refresh_from_db()
    assert channel.disabled_at is None
