"""An administrator connects Slack, and a press in the channel decides: the whole way, through the real server's own door."""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from playwright.sync_api import expect

from escalations import clock
from escalations.models import Notice, Person, Proposal, SlackMessage
from escalations.notify import slack as chats
from tests.factories import STANDARD, PersonFactory, ProposalFactory, role
from tests.fakes import slack as fakes

RULES = {"preload": False, "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}}


@pytest.fixture
def slack(settings):
    with fakes.slack_running() as fake:
        settings.SLACK_API_URL = fake.url
        yield fake


def fill_in(page, act, **given):
    page.get_by_role("link", name=act).click()
    for label, value in given.items():
        field = page.get_by_label(label.replace("_", " "))
        field.select_option(label=value) if field.evaluate("one => one.tagName") == "SELECT" else field.fill(value)
    page.locator(".submit-row input[type=submit]").click()




def as_a_worker(work):
    """Run it where no event loop runs; Playwright's runs on this thread."""

    def done():
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(done).result(30)


def shoot(page, name):
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "java_script_enabled": False}], ids=["desk", "phone"])
def test_slack_is_connected_and_a_press_decides(open_browser, server, slack, transactional_db, options):
    ada = Person.objects.create_user("ada", "ada@example.com", "x" * 20, is_staff=True, is_superuser=True)
    rosa = PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"])
    page = open_browser(ada, **options)

    page.goto("/admin/escalations/slackworkspace/add/")
    page.get_by_label("Name").fill("Acme")
    page.get_by_label("Workspace ID").fill(fakes.TEAM)
    page.get_by_label("Signing secret").fill(fakes.SECRET)
    page.get_by_label("Bot token").fill(fakes.TOKEN)
    shoot(page, f"add-{len(options)}")
    page.get_by_role("button", name="Save and continue editing").click()
    fill_in(page, "Link a Slack account", Slack_member_ID="U0ROSA", Person="rosa")
    fill_in(page, "Tell a role in a channel", Channel_ID="C0FINANCE", Role="finance")
    fill_in(page, "Post a test message", Channel_ID="C0FINANCE")
    expect(page.get_by_text("Posted to C0FINANCE as countersign of Acme")).to_be_visible()
    expect(page.get_by_text("U0ROSA")).to_be_visible()
    shoot(page, f"change-{len(options)}")
    if options.get("java_script_enabled", True):
        found = Axe().run(page, options=RULES).response["violations"]
        assert not [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
    assert fakes.TOKEN not in page.content()

    proposal = ProposalFactory(incident__source__may_chat=True, role=role("finance"), risk="low", policy={**STANDARD, "chat_up_to": "low"})
    channel = role("finance").channels.get()
    as_a_worker(lambda: chats.send(Notice(kind="escalated", role=channel.role, proposal=proposal), channel))
    body, headers = fakes.signed(slack.pressing("approve", "U0ROSA"), at=clock.now().timestamp())
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    assert httpx.get(f"{server.url}/slack/interactivity", headers=headers).status_code == 405
    assert httpx.post(f"{server.url}/slack/interactivity", content=body + b"x", headers=headers).status_code == 401
    assert Proposal.objects.get().state == "pending"
    answer = httpx.post(f"{server.url}/slack/interactivity", content=body, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")

    as_a_worker(chats.follow)
    assert SlackMessage.objects.get().closed_at is not None
    assert "Rosa Reviewer approved this" in slack.last()["blocks"][1]["text"]["text"]
    reader = open_browser(rosa, **options)
    reader.goto(slack.buttons()["open"]["url"].replace("http://testserver", server.url))
    expect(reader.get_by_text("Rosa Reviewer").first).to_be_visible()
    assert "pproved" in reader.content()
