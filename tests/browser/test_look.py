"""Every page: both themes, axe, a phone, four hundred per cent, paper, wide letters, and a focus that is always seen."""

import json
import subprocess
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import get_resolver
from playwright.sync_api import expect

from escalations import clock, lifecycle, policies
from escalations.audit import SYSTEM
from escalations.models import Incident, SecondLook, VigilanceAlarm
from escalations.states import Kind, Order, RunState
from tests.factories import (
    IncidentFactory,
    OversightSessionFactory,
    PersonFactory,
    ProposalFactory,
    SessionAlarmFactory,
    SessionOrderFactory,
    SessionStepFactory,
    SourceFactory,
)
from tests.lanes import lane_with
from tests.weeks import full_review

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
HEAVIEST = 150_000  # bytes of a page with everything it loads, as they are sent
# Every address of the pages, and how to come there; None: it answers with no page of its own.
PAGES = {
    "inbox": "/",
    "arrivals": None,
    "row": None,
    "lists": None,
    "proposal": "/proposals/{pending}/",
    "raw": "/proposals/{pending}/raw/",
    "acts": None,
    "strip": None,
    "incident": "/incidents/{story}/",
    "outcome": None,
    "feedback": "/feedback/",
    "held": None,
    "group": "/groups/?source=billing-agent&fingerprint=fp",
    "desk": "/desk/",
    "autonomy": "/autonomy/",
    "lane": "/autonomy/{lane}/",
    "lane_grant": None,
    "lane_withdraw": None,
    "lane_target": None,
    "weekly": "/weekly/",
    "weekly_review": "/weekly/{weekly}/",
    "weekly_acts": None,
    "weekly_minutes": None,
    "live": None,
    "settled": "/settled/",
    "settled_file": None,
    "you": "/you/",
    "second": "/second/",
    "second_look": "/second/{look}/",
    "agreement": "/second/agreement/",
    "known_answers": "/second/known/",
    "tokens": "/tokens/",
    "stop": "/stop/",
    "runs": "/oversight/",
    "run_arrivals": None,
    "stop_runs": "/oversight/stop/?agent=researcher&all=yes",
    "run": "/oversight/{run}/",
    "run_acts": None,
    "run_now": None,
    "run_steps": None,
    "run_replay": "/oversight/{run}/replay/?step=2",
    "run_row": None,
}
MORE = {
    "inbox, nothing found": "/?q=zebra",
    "proposal, settled": "/proposals/{settled}/",
    "not there": "/proposals/00000000-0000-4000-8000-000000000000/",
    "the API, explained": "/api/docs/",
    "administration": "/admin/",
    "administration, a list": "/admin/escalations/source/",
    "administration, a form": "/admin/escalations/routingrule/add/",
    "administration, a history": "/admin/escalations/person/{person}/history/",
}
SHOWN = {name: url for name, url in PAGES.items() if url} | MORE


@pytest.fixture
def chief(transactional_db):
    """Somebody who may go everywhere."""
    return PersonFactory(username="chief", roles=["finance", "manager"], is_staff=True, is_superuser=True)


def watched():
    """A run with something of everything in it."""
    run = OversightSessionFactory(
        steps=3, errors=1, cost="0.42", max_steps=4, max_cost=5, max_minutes=30, state=RunState.PAUSED, orders=1, reason="going round",
        last_tool="search", last_step_at=clock.now(), key="k",
    )
    for number, error in enumerate(["", "no seats", ""], start=1):
        SessionStepFactory(session=run, number=number, error=error, took_ms=420, tokens=7, args={"to": "anna@example.com", "memo": "x\u202ey"})
    SessionOrderFactory(session=run, order=Order.PAUSE, text="wait", told_at=clock.now())
    raised = IncidentFactory(source=run.source, session=str(run.pk), kind=Kind.HANDOFF, title="researcher: loops")
    ProposalFactory(incident=raised, role=run.role, action="", args=None)
    SessionAlarmFactory(session=run, incident=raised, step=3)
    return run


@pytest.fixture
def room(ask, chief, colleague, troubles):
    """A room with something of everything in it; returns how to write an address."""
    troubles[0].append("status of 404")
    source = SourceFactory(name="billing-agent")
    pending = ask(
        source=source,
        risk="critical",
        severity="critical",
        category="refund",
        args={"order": 1182, "amount": 250, "currency": "EUR", "to": "anna@example.com", "memo": "x\u202ey"},
        triggers=[{"name": "high_stakes", "why": "much", "where": "args.amount"}, {"name": "irreversible", "why": "gone is gone"}],
        rules=[{"name": "r", "floor": "review", "why": "w", "error": "no such field"}],
        description="The parcel arrived broken.",
        claims={"impact": "a customer leaves", "confidence": 0.4},
        incident_fingerprint="fp",
        incident_context={
            "request": "please " * 400,
            "messages": [{"role": "customer", "content": "It is broken!"}],
            "attempts": [{"tool": "orders.get", "arguments": {"id": 1182}, "result": {"total": 250}}, {"tool": "refund", "error": "no"}],
            "links": [{"label": "the order", "url": "https://shop.example/orders/1182"}],
        },
    )
    ask(source=source, incident_fingerprint="fp", incident_test=True, severity="warning", risk="high")
    lifecycle.claim(ask().pk, person=colleague)
    lifecycle.comment(pending.pk, person=colleague, text="Have a look at the memo.")
    settled = ask(source=source)
    lifecycle.decide(
        settled.pk, person=colleague, type="approve", digest=settled.args_digest, version=settled.version, reason="fine"
    )
    again = ask(source=source, category="refund")
    lifecycle.decide(again.pk, person=colleague, type="reject", digest=again.args_digest, version=again.version, reason="twice")
    look = SecondLook.objects.create(proposal=again, role=again.role, lapses_at=clock.now() + timedelta(days=7))
    VigilanceAlarm.objects.create(person=chief, kind="pace", why="21 of 25 were signed sooner", shared_at=clock.now(), seen_at=clock.now())
    run = watched()
    lane = lane_with(source, "refund", right=30, wrong=2)
    known = {"look": look.pk, "lane": lane.pk, "run": run.pk, "pending": pending.pk, "settled": settled.pk, "story": settled.incident_id, "person": chief.pk}
    known["weekly"] = full_review(chief).pk
    return lambda name: SHOWN[name].format(**known)


def test_every_address_has_its_entry_here():
    rooms = next(one for one in get_resolver().url_patterns if getattr(one, "namespace", None) == "reviews")

    assert {one.name for one in rooms.url_patterns} == set(PAGES)


def violations(page, axe):
    # Their script is injected by the browser's own tool, past the page's policy.
    found = axe.run(page, options=RULES).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(open_browser, room, chief, troubles, scheme):
    page = open_browser(chief, color_scheme=scheme)
    axe = Axe()
    found = {}

    for name in SHOWN:
        page.goto(room(name))
        before = len(troubles[1])
        found[name] = violations(page, axe)
        if name.startswith("administration"):
            del troubles[1][before:]  # there the tool's own script stumbles over sheets it cannot read, and says so
    page.goto("/")
    page.locator(".keys-button").click()
    found["keys"] = violations(page, axe)
    stranger = open_browser(None, color_scheme=scheme)
    stranger.goto("/login/")
    found["sign in"] = violations(stranger, axe)

    # What Django's own administration gets wrong by itself is not ours to hold: a list's empty header, its landmarks.
    theirs = {"empty-table-header", "region", "landmark-unique", "landmark-no-duplicate-main", "heading-order", "landmark-one-main"}
    left = {
        name: [one for one in some if not (name.startswith("administration") and one[0] in theirs)] for name, some in found.items()
    }
    assert not {name: some for name, some in left.items() if some}


SIDEWAYS = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > width + 1)
    .slice(0, 5).map((one) => one.outerHTML.slice(0, 160));
}"""
# WCAG 1.4.12. By a constructed sheet, which the page's policy lets pass.
WIDE_LETTERS = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }"
    + " p { margin-bottom: 2em !important; }");
  document.adoptedStyleSheets = [sheet];
}"""


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 256)])
def test_no_page_scrolls_sideways(open_browser, room, chief, width, height):
    page = open_browser(chief, viewport={"width": width, "height": height})
    found = {}

    for name in SHOWN:
        page.goto(room(name))
        found[name] = page.evaluate(SIDEWAYS)
        page.evaluate(WIDE_LETTERS)
        found[f"{name}, letters apart"] = page.evaluate(SIDEWAYS)

    assert not {name: some for name, some in found.items() if some}


# What has the focus, and whether any of it can be seen.
UNSEEN = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || one.closest("dialog")) return null;
  const box = one.getBoundingClientRect();
  const bottom = Math.min(box.bottom, innerHeight), top = Math.max(box.top, 0);
  const points = [[box.left + 3, top + 2], [box.left + box.width / 2, (top + bottom) / 2], [box.right - 3, bottom - 2]];
  const seen = points.some(([x, y]) => {
    const hit = document.elementFromPoint(x, y);
    return hit && (one.contains(hit) || hit.contains(one) && !hit.matches("nav, header"));
  });
  return seen ? null : one.outerHTML.slice(0, 160);
}"""


@pytest.mark.parametrize(("width", "height"), [(1280, 700), (390, 844), (320, 256)])
def test_what_has_the_focus_is_never_hidden(open_browser, room, chief, width, height):
    page = open_browser(chief, viewport={"width": width, "height": height})
    hidden = []

    for name in ("inbox", "proposal", "settled", "desk"):
        page.goto(room(name))
        for _ in range(60):
            page.keyboard.press("Tab")
            if found := page.evaluate(UNSEEN):
                hidden.append((name, found))

    assert not hidden


SMALL = """(least) => [...document.querySelectorAll(
    "button, .button, select, input:not([type=hidden]), textarea, summary, nav a, .row-link")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".visually-hidden"))
  .filter((one) => {
    const box = (one.matches("[type=checkbox], [type=radio]") ? one.closest("label") || one : one).getBoundingClientRect();
    return box.height && box.height < least;
  }).map((one) => [Math.round(one.getBoundingClientRect().height), one.outerHTML.slice(0, 140)])"""


def test_a_finger_finds_every_control(open_browser, room, chief):
    page = open_browser(chief, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    small = {}

    for name in SHOWN:
        if not name.startswith("administration"):
            page.goto(room(name))
            small[name] = page.evaluate(SMALL, 43.5)

    assert not {name: some for name, some in small.items() if some}


def test_on_paper_a_proposal_is_a_record(open_browser, room, chief):
    page = open_browser(chief)
    page.goto(room("proposal, settled"))

    page.emulate_media(media="print")

    for part in (page.locator("h1"), page.locator("#decision"), page.get_by_role("heading", name="History")):
        expect(part).to_be_visible()
    assert page.locator("button:visible, nav:visible, textarea:visible, header.top:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_forced_colours_keep_the_frame_and_the_focus(open_browser, room, chief):
    page = open_browser(chief, forced_colors="active")
    page.goto("/")

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")

    focused = page.evaluate("(({ outlineStyle, outlineWidth }) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))")
    assert focused == ["solid", "3px"]
    assert page.evaluate("getComputedStyle(document.querySelector('.pill')).borderTopStyle") != "none"
    assert page.evaluate("getComputedStyle(document.querySelector('.top nav a[aria-current]')).outlineStyle") == "solid"


def test_whoever_wants_no_motion_gets_none(open_browser, room, chief):
    page = open_browser(chief, reduced_motion="reduce")
    page.goto("/")

    assert page.evaluate("[...document.querySelectorAll('*')].every((one) => getComputedStyle(one).transitionDuration === '0s')")


WEIGHT = """[...performance.getEntriesByType("resource"), ...performance.getEntriesByType("navigation")]
  .reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def test_no_page_is_heavy_with_its_lists_full(open_browser, room, ask, chief):
    for number in range(50):
        ask(action="restart_service", args={"service": f"api-{number}"}, incident_title=f"Restart api-{number}")
    weights = {}

    for name in SHOWN:
        if not name.startswith("administration"):
            page = open_browser(chief)  # with nothing kept from the page before
            page.goto(room(name))
            weights[name] = page.evaluate(WEIGHT)
            page.context.close()

    assert not {name: weight for name, weight in weights.items() if not 20_000 < weight < HEAVIEST}


def test_the_example_of_an_empty_inbox_works_as_pasted(open_browser, chief):
    source = SourceFactory(name="my-agent")
    key = policies.issue_key(source, env="live", actor=SYSTEM).text
    page = open_browser(chief)
    page.goto("/")
    expect(page.get_by_role("heading", name="Connect a first source")).to_be_visible()

    command = page.locator("#connect-curl").inner_text()
    told = subprocess.run(["sh", "-c", command], input=f"{key}\n", capture_output=True, text=True, timeout=30, check=True)

    answer = json.loads(told.stdout.removeprefix("Key: "))
    assert Incident.objects.get().pk.hex == answer["id"].replace("-", "").removeprefix("inc_")
