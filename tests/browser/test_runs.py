"""A run while it is watched: what the agent does appears by itself, what it is told is told from here, and nothing moves under a hand."""

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from escalations import clock, lifecycle, oversight
from escalations.models import OversightSession, SessionOrder
from escalations.states import Order, RunState
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory

from .conftest import PASSWORD
from .test_live import opened
from .test_look import RULES

SOON = 20_000  # ms: a second is what it takes


@pytest.fixture
def watcher(transactional_db):
    return PersonFactory(username="vera", first_name="Vera", last_name="Watcher", roles=["supervisor"], password=PASSWORD)


@pytest.fixture
def agent(transactional_db):
    """An agent of a source of its own, as the API drives it."""
    return Agent()


class Agent:
    def __init__(self):
        self.source, self.number = SourceFactory(name="travel-agents"), 0
        self.run = self.begin("researcher")

    def begin(self, name):
        self.number += 1
        data = {"agent": name, "goal": "Find a flight", "limits": {"steps": 50}, "role": "supervisor"}
        run, _ = oversight.start(source=self.source, key_env="live", data=data, key=f"run-{self.number}", body_digest="0" * 64)
        return run

    def does(self, tool, seen=None, **step):
        step = {"tool": tool, "args": {"query": f"{tool} {self.number}"}, "result": {"found": self.number}, **step}
        self.number += 1
        return oversight.take_steps(self.run.pk, source=self.source, steps=[step], seen=seen)

    @property
    def url(self):
        return f"/oversight/{self.run.pk}/"


def state_of(run):
    return OversightSession.objects.get(pk=run.pk).state


def test_steps_appear_as_they_are_done_and_figures_with_them(open_browser, agent, watcher):
    agent.does("search")
    page = opened(open_browser(watcher), agent.url)
    expect(page.locator("#steps > .step")).to_have_count(1)

    agent.does("open_page", error="HTTP 404")

    expect(page.locator("#steps > .step")).to_have_count(2, timeout=SOON)
    expect(page.locator("#steps > .step").first).to_contain_text("open_page")
    expect(page.locator("#steps > .step").first).to_contain_text("HTTP 404")
    expect(page.locator('#run-now [data-fact="steps"]').first).to_have_text("2", timeout=SOON)
    expect(page.locator('#run-more [data-fact="tool"]')).to_have_text("open_page", timeout=SOON)


def test_what_is_new_waits_while_somebody_reads_the_steps(open_browser, agent, watcher):
    agent.does("search")
    page = opened(open_browser(watcher), agent.url)
    page.locator("#step-1 .step-number").focus()

    agent.does("open_page")

    expect(page.get_by_role("button", name="New steps show")).to_be_visible(timeout=SOON)
    expect(page.locator("#steps > .step")).to_have_count(1)
    page.get_by_role("button", name="New steps show").click()
    expect(page.locator("#steps > .step")).to_have_count(2, timeout=SOON)


def test_a_stop_takes_two_acts_by_keyboard_and_shows_when_the_agent_knows(open_browser, agent, watcher):
    agent.does("search")
    page = opened(open_browser(watcher), agent.url)

    page.keyboard.press("x")
    assert state_of(agent.run) == RunState.RUNNING
    page.keyboard.press("Enter")
    page.get_by_label("Why (the agent is told)").fill("too dear")
    page.get_by_role("button", name="Stop this run").click()

    expect(page.locator("#flash")).to_contain_text("Stop asked for")
    expect(page.locator("#run-now")).to_contain_text("it does not know yet")
    answer = agent.does("search")
    assert answer.directive["directive"] == "stop"
    oversight.end(agent.run.pk, source=agent.source, outcome="stopped", seen=answer.directive["number"])
    expect(page.locator("#run-now")).to_contain_text("stopped", timeout=SOON)
    expect(page.locator("#run-more .told-stop")).to_contain_text(re.compile(r"told after .+confirmed after"), timeout=SOON)
    expect(page.locator("#run-acts")).to_be_hidden()


def test_a_colleagues_pause_shows_at_once_and_takes_nothing_that_is_typed(open_browser, agent, watcher, mona):
    page = opened(open_browser(watcher), agent.url)
    page.get_by_label("In words, which the agent reads").fill("half a no")

    oversight.order(agent.run.pk, Order.PAUSE, person=mona, text="wait for me")

    expect(page.locator("#run-now")).to_contain_text("pause asked for", timeout=SOON)
    expect(page.locator("#run-more")).to_contain_text("wait for me", timeout=SOON)
    expect(page.get_by_label("In words, which the agent reads")).to_have_value("half a no")
    expect(page.get_by_label("In words, which the agent reads")).to_be_focused()


def test_what_it_asked_people_follows_what_they_decide(open_browser, agent, watcher, mona):
    incident = IncidentFactory(source=agent.source, session=str(agent.run.pk))
    proposal = ProposalFactory(incident=incident, role=agent.run.role)
    page = opened(open_browser(watcher), agent.url)
    expect(page.locator("#run-more")).to_contain_text("pending")

    lifecycle.decide(proposal.pk, person=mona, type="approve", digest=proposal.args_digest, version=proposal.version)

    expect(page.locator("#run-more")).to_contain_text("approved", timeout=SOON)


def test_the_list_follows_and_many_are_stopped_from_it(open_browser, agent, watcher):
    others = [agent.begin("researcher") for _ in range(2)]
    page = opened(open_browser(watcher), "/oversight/")
    row = page.locator(f"#run-{agent.run.pk}")

    agent.does("search")
    expect(row.locator('[data-fact="steps"]').first).to_have_text("1", timeout=SOON)
    oversight.order(agent.run.pk, Order.PAUSE, person=watcher)
    expect(row).to_contain_text("pause asked for", timeout=SOON)
    for run in others:
        page.locator(f"#run-{run.pk}").get_by_role("checkbox").check()
    page.get_by_role("button", name="Stop those chosen…").click()
    expect(page.get_by_role("heading", name="Stop 2 runs")).to_be_visible()
    page.get_by_label("Reason").fill("gone wrong")
    page.get_by_label("Type 2").fill("2")
    page.get_by_role("button", name="Stop all 2").click()

    expect(page.get_by_role("heading", name="2 of 2 told to stop")).to_be_visible()
    assert [state_of(run) for run in [agent.run, *others]] == [RunState.PAUSING, RunState.STOPPING, RunState.STOPPING]


def test_a_run_that_begins_is_announced_and_moves_nothing(open_browser, agent, watcher):
    page = opened(open_browser(watcher), "/oversight/")

    agent.begin("newcomer")

    expect(page.locator("#run-arrivals")).to_contain_text("1 new", timeout=SOON)
    expect(page.locator("[data-row]")).to_have_count(1)
    page.get_by_role("link", name="1 new show").click()
    expect(page.locator("[data-row]")).to_have_count(2)


def test_the_replay_goes_by_slider_and_by_key(open_browser, agent, watcher):
    for tool in ("search", "open_page", "hold_seat"):
        agent.does(tool)
    page = open_browser(watcher)
    page.goto(f"{agent.url}replay/?step=1")

    page.keyboard.press("n")
    expect(page.get_by_text("Step 2 of 3")).to_be_visible()
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Step 3 of 3")).to_be_visible()
    expect(page).to_have_url(re.compile(r"step=3"))


def test_everything_works_without_scripts(open_browser, agent, watcher):
    agent.does("search")
    page = open_browser(watcher, java_script_enabled=False)
    page.goto(agent.url)
    expect(page.locator("#steps > .step")).to_have_count(1)

    page.get_by_label("In words, which the agent reads").fill("only direct ones")
    page.get_by_role("button", name="Send a note").click()
    expect(page.locator("#run-more")).to_contain_text("only direct ones")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#run-now")).to_contain_text("pause asked for")
    page.locator("summary", has_text="Stop it").click()
    page.get_by_label("Why (the agent is told)").fill("enough")
    page.get_by_role("button", name="Stop this run").click()
    expect(page.locator("#run-now")).to_contain_text("stop asked for")
    page.get_by_role("link", name="Replay from the start").click()
    expect(page.get_by_text("Step 1 of 1")).to_be_visible()
    assert SessionOrder.objects.count() == 3


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_on_the_pages_of_runs(open_browser, agent, watcher, width, scheme):
    agent.does("search")
    agent.does("open_page", error="HTTP 404")
    oversight.order(agent.run.pk, Order.NOTE, person=watcher, text="hello")
    ended = agent.begin("gone")
    OversightSession.objects.filter(pk=ended.pk).update(state=RunState.ENDED, ended_at=clock.now() + timedelta(seconds=1), outcome="done")
    page = open_browser(watcher, viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = {}

    for url in ("/oversight/", "/oversight/?show=over", "/oversight/?agent=zebra", agent.url, f"{agent.url}replay/?step=2",
                "/oversight/stop/?agent=researcher&all=yes"):  # fmt: skip
        page.goto(url)
        report = Axe().run(page, options=RULES).response["violations"]
        found[url] = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in report]
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url

    assert not {url: some for url, some in found.items() if some}
