"""A manager watches a lane fill, lets it act alone, sees a check fail and the lane withdrawn. On a phone, in the dark, without JavaScript."""

import httpx
import pytest
from playwright.sync_api import expect

from escalations import classify, clock, lifecycle, route
from escalations.classify import learned as engine
from escalations.floors import lanes as floor
from escalations.learn import evidence, following
from escalations.learned import Said
from escalations.models import Lane, LaneGrant, Proposal, Trial
from escalations.policies import lanes
from escalations.states import TrialMode
from tests.browser.conftest import PASSWORD
from tests.escalations.api.speaking import key_for
from tests.factories import PersonFactory, SourceFactory
from tests.lanes import lane_with, tried

from .looking import SIZES, axe, picture

ENOUGH = 51  # right ones in a row at ten in a hundred


class Sure:
    """A version that expects of everything that people approve it."""

    def speak(self, vectors):
        return [Said("", None, "", None, 0.97, 0.1) for _ in vectors]


@pytest.fixture
def source(transactional_db):
    return SourceFactory(name="billing-agent")


@pytest.fixture
def manager(transactional_db):
    return PersonFactory(username="mona", first_name="Mona", last_name="Manager", roles=["manager"], password=PASSWORD)


@pytest.fixture
def agent(source, server, monkeypatch):
    """Let the agent ask for a voucher by its own door; whether it is drawn for a person is the test's to say."""
    drawn = {}
    monkeypatch.setattr(engine, "_model", lambda pk: Sure())
    monkeypatch.setattr(floor, "draw", lambda what, incident, revision: 0.0 if drawn.get(incident.key) else 0.999)
    key = key_for(source)

    def ask(order, audit=False):
        drawn[f"order-{order}"] = audit
        following.follow()  # as the timers do each second: a lane nobody looks after lets nothing go
        body = {
            "kind": "action", "title": f"Voucher for order {order}", "context": {"request": "It came four days late."},
            "proposal": {"action": "goodwill_voucher", "args": {"order": order, "amount": 10}, "confidence": 0.9},
        }
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"order-{order}"}
        answer = httpx.post(f"{server.url}/api/v1/incidents", json=body, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        assert classify.run_batch() and route.run_batch()
        return Proposal.objects.get(incident=answer.json()["id"])

    return ask


def decided(proposal, person, type="approve"):
    """Decide as the page would, where a test has seen the page often enough."""
    lifecycle.decide(
        proposal.pk, person=person, type=type, digest=proposal.args_digest, version=proposal.version,
        reason="" if type == "approve" else "Already given by telephone.",
    )
    following.follow()


def sign(page, proposal, verdict, reason=""):
    """Open an item and sign it as a reviewer does."""
    page.goto(proposal.get_absolute_url())
    page.locator(f"input[name=type][value={verdict}]").check()
    if reason:
        page.locator(f".option-{verdict} textarea[name=reason], textarea[name=reason]").first.fill(reason)
    page.locator("button.sign").click()
    expect(page.get_by_text("Signed:", exact=False).first).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without"])
def test_a_lane_is_earned_granted_checked_and_withdrawn(open_browser, manager, reviewer, source, agent, troubles, script):
    troubles[0].append("422 (Unprocessable")
    lane = lane_with(source, "goodwill_voucher", right=ENOUGH - 3, alpha=0.1, person=reviewer)
    boss, desk = open_browser(manager, java_script_enabled=script), open_browser(reviewer, java_script_enabled=script)

    # It fills: the reviewer decides, and the manager sees the bound come down.
    boss.goto("/")
    boss.get_by_role("navigation", name="Main").get_by_role("link", name="Lanes").click()
    boss.get_by_role("link", name="goodwill_voucher").click()
    expect(boss.get_by_text(f"Decided {ENOUGH - 3} of about {ENOUGH}")).to_be_visible()
    expect(boss.get_by_role("heading", name="Nothing can be granted yet")).to_be_visible()
    picture(boss, "lane-fills")
    sign(desk, agent(101), "approve")
    for order in (102, 103):
        decided(agent(order), reviewer)
    following.follow()
    boss.reload()
    expect(boss.get_by_text("100 % could go alone: with 95 % confidence at most 10 % of that is wrong.")).to_be_visible()
    boss.get_by_text("The same as a table").click()
    expect(boss.get_by_role("row").filter(has_text="yes, the most")).to_be_visible()

    # The manager signs, and is asked for what signing takes.
    boss.get_by_label("Days it holds").fill("14")
    boss.get_by_label("Reason").fill("Small amounts, and nobody decided otherwise.")
    boss.get_by_label("Your password, again").fill(PASSWORD)
    boss.get_by_role("button", name="Sign: it may act alone").click()
    expect(boss.get_by_role("alert")).to_contain_text("Type the name of the lane exactly")
    assert not LaneGrant.objects.exists()
    expect(boss.get_by_label("Reason")).to_have_value("Small amounts, and nobody decided otherwise.")
    expect(boss.get_by_label("Your password, again")).to_have_value("")
    boss.get_by_label("To sign, type the name of the lane").fill("goodwill_voucher")
    boss.get_by_label("Your password, again").fill(PASSWORD)
    boss.get_by_role("button", name="Sign: it may act alone").click()
    expect(boss.get_by_text("It acts alone on what scores at least")).to_be_visible()
    picture(boss, "lane-granted")

    # It acts alone, but for what is drawn; who decides that sees nothing of it.
    alone = agent(104)
    assert (alone.state, alone.decision.by_name) == ("approved", "The lane “goodwill_voucher” of billing-agent")
    sample = agent(105, audit=True)
    assert (sample.state, Trial.objects.get(pk=sample.pk).mode) == ("pending", TrialMode.AUDIT)
    boss.reload()
    expect(boss.get_by_text("No audit sample was decided yet")).to_be_visible()
    desk.goto(sample.get_absolute_url())
    expect(desk.get_by_text("audit sample", exact=False)).to_have_count(0)
    sign(desk, sample, "reject", "Already given by telephone.")
    desk.goto(f"/incidents/{sample.incident_id}/")
    expect(desk.get_by_text("This was an audit sample: it would have gone alone")).to_be_visible()

    # What fails is shown, and when it is too much the lane is withdrawn by itself.
    following.follow()
    for order in range(106, 130):
        if Lane.objects.get(pk=lane.pk).state == "watching":
            break
        decided(agent(order, audit=True), reviewer, "reject")
    boss.reload()
    expect(boss.get_by_text("watching", exact=True)).to_be_visible()
    history = boss.get_by_role("region", name="Every grant")
    expect(history).to_contain_text("signed by Mona Manager")
    expect(history).to_contain_text("Ended")
    expect(boss.get_by_role("region", name="The mistakes")).to_contain_text("Already given by telephone.")
    picture(boss, "lane-withdrawn")
    assert agent(200).state == "pending"  # people decide everything again


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_hold_at_every_width_and_in_the_dark(open_browser, manager, source, scheme, size):
    lane = lane_with(source, "goodwill_voucher", right=70, wrong=3, wrong_score=0.6, alpha=0.1)
    lane_with(source, "a_very_long_name_of_an_action_that_some_agent_asks_for_again_and_again_" * 2, right=3, wrong=3)
    page = open_browser(manager, viewport=SIZES[size], color_scheme=scheme)

    def look(address, name):
        page.goto(address)
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for fold in page.locator("details:not(dialog details)").all():
            fold.evaluate("(one) => { one.open = true; }")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        axe(page)
        picture(page, f"{name}-{size}-{scheme}")

    look(lane.get_absolute_url(), "lane-offered")
    view = evidence.seen(lane)
    given = lanes.grant(
        lane.pk, person=manager, alpha=0.1, delta=0.05, threshold=view.certified.threshold, days=3, reason="Proven.", digest=view.digest,
        until=view.until,
    )
    for right in (True, False):
        tried(lane, right, mode=TrialMode.AUDIT, grant=given, share=0.2, high_risk=not right)
    for one in Lane.objects.all():
        Lane.objects.filter(pk=one.pk).update(summary=evidence.summary_of(one))
    look("/autonomy/", "lanes")
    look(lane.get_absolute_url(), "lane-alone")
    lanes.withdraw(
        lane.pk, end="high_risk", why="An audit sample of high risk was rejected.", actor=lanes.audit.SYSTEM,
        evidence={"audits": 2, "audits_wrong": 1, "alone": 14}, grant_id=given.pk,
    )
    look(lane.get_absolute_url(), "lane-ended")
    assert clock.now() > given.granted_at
