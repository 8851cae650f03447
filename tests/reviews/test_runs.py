"""The list of agents' runs, one run, its steps and its replay: to each what is theirs to read, at a constant cost."""

from datetime import timedelta
from decimal import Decimal

import pytest

from escalations import authority, clock
from escalations.states import Kind, Order, RunState, State
from reviews import live_rows, run_facts, run_steps, runs
from tests.factories import (
    IncidentFactory,
    OversightSessionFactory,
    PersonFactory,
    ProposalFactory,
    SessionAlarmFactory,
    SessionOrderFactory,
    SessionStepFactory,
    SourceFactory,
    role,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def watcher(db):
    """Somebody of the role that watches, with every clearance."""
    found = role("supervisor")
    found.clearance = ["financial", "identity", "secret"]
    found.save()
    return PersonFactory(username="vera", first_name="Vera", last_name="Watcher", roles=["supervisor"])


@pytest.fixture
def page(watcher, signed_in):
    return signed_in(watcher)


def stepped(run, number=3, **facts):
    """Give a run so many steps, as they are after one another."""
    for one in range(run.steps + 1, run.steps + number + 1):
        step = SessionStepFactory(session=run, number=one, at=run.started_at + timedelta(seconds=one), **facts)
        run.steps, run.last_tool, run.last_step_at = one, step.tool, step.at
        run.errors += bool(step.error)
    run.save(update_fields=["steps", "errors", "last_tool", "last_step_at"])
    return run


def text_of(answer):
    return answer.content.decode()


def test_the_list_shows_how_each_run_stands(page):
    run = stepped(OversightSessionFactory(max_steps=10, cost=Decimal("0.42"), max_cost=Decimal(5)))

    text = text_of(page.get("/oversight/"))

    assert "researcher" in text and "Find the cheapest flight to Oslo" in text and ">running</span>" in text
    assert '<span data-fact="steps">3</span> of 10' in text and "0.42" in text
    assert f'data-stamp="{run_facts.facts_of([run.pk])[run.pk].stamp}"' in text


def test_what_is_over_is_not_among_the_live_ones(page):
    OversightSessionFactory(agent="living")
    OversightSessionFactory(agent="gone", state=RunState.ENDED, ended_at=clock.now(), outcome="failed")

    live, over, every = (text_of(page.get("/oversight/", {"show": show})) for show in ("", "over", "all"))

    assert ">living</a>" in live and ">gone</a>" not in live
    assert ">gone</a>" in over and "ended: failed" in over and ">living</a>" not in over
    assert ">gone</a>" in every and ">living</a>" in every


def test_a_run_that_waits_for_somebody_stands_first_and_is_counted_on_every_page(page, watcher, signed_in):
    halted = OversightSessionFactory(agent="halted", state=RunState.PAUSED)
    OversightSessionFactory(agent="newer")
    alarmed = OversightSessionFactory(agent="alarmed")
    SessionAlarmFactory(session=alarmed)
    OversightSessionFactory(agent="with a colleague", state=RunState.PAUSED, person=PersonFactory())

    listed = text_of(page.get("/oversight/"))
    waiting = text_of(page.get("/oversight/", {"show": "waiting"}))

    assert listed.index(">halted</a>") < listed.index(">newer</a>")
    assert ">halted</a>" in waiting and ">alarmed</a>" in waiting and "search was called 5 times" in waiting
    assert ">newer</a>" not in waiting and ">with a colleague</a>" not in waiting
    assert 'class="count">2<' in listed and 'class="count">2<' in text_of(page.get("/settled/"))
    assert set(runs.waiting_for(watcher)) == {halted, alarmed}


def test_filters_narrow_by_agent_and_by_who_watches(page, mona, signed_in):
    OversightSessionFactory(agent="one")
    OversightSessionFactory(agent="two", role=role("finance"))

    assert ">one</a>" in text_of(page.get("/oversight/", {"agent": "one"}))
    assert "No such runs" in text_of(page.get("/oversight/", {"agent": "nobody"}))
    all_of_it = signed_in(mona)
    assert ">two</a>" in text_of(all_of_it.get("/oversight/"))
    assert ">two</a>" not in text_of(all_of_it.get("/oversight/", {"mine": "yes"}))
    assert ">two</a>" in text_of(all_of_it.get("/oversight/", {"agent": "two", "show": "all"}))


@pytest.mark.parametrize("path", ["", "acts/", "now/", "steps/", "replay/", "row/"])
def test_a_stranger_does_not_learn_that_a_run_exists(stranger, signed_in, path):
    run = OversightSessionFactory()

    assert signed_in(stranger).get(f"/oversight/{run.pk}/{path}").status_code == 404
    assert "researcher" not in text_of(signed_in(stranger).get("/oversight/"))


def test_the_owner_of_the_service_reads_its_runs(signed_in):
    owner = PersonFactory()
    run = OversightSessionFactory(source=SourceFactory(owner=owner))

    text = text_of(signed_in(owner).get(f"/oversight/{run.pk}/"))

    assert 'value="pause"' in text and 'value="stop"' in text
    assert 'value="note"' not in text and 'value="hand_over"' not in text


def test_an_auditor_reads_along(signed_in):
    run = stepped(OversightSessionFactory())

    text = text_of(signed_in(PersonFactory(roles=["auditor"])).get(f"/oversight/{run.pk}/"))

    assert "You read along" in text and 'name="act"' not in text and "flights to Oslo" in text


def test_one_run_shows_its_steps_the_newest_first(page):
    run = stepped(OversightSessionFactory())
    SessionStepFactory(session=run, number=4, tool="book", args={"flight": "SK 1465"}, result=None, error="no seats left", took_ms=420)
    run.steps, run.errors = 4, 1
    run.save(update_fields=["steps", "errors", "last_tool", "last_step_at"])

    text = text_of(page.get(f"/oversight/{run.pk}/"))

    assert text.index('id="step-4"') < text.index('id="step-3"') < text.index('id="step-1"')
    assert "SK 1465" in text and "no seats left" in text and "took 420 ms" in text
    only = text_of(page.get(f"/oversight/{run.pk}/", {"errors": "yes"}))
    assert 'id="step-4"' in only and 'id="step-3"' not in only
    tool = text_of(page.get(f"/oversight/{run.pk}/", {"tool": "search"}))
    assert 'id="step-4"' not in tool and 'id="step-3"' in tool


def test_older_steps_stand_a_page_further_down(page):
    run = stepped(OversightSessionFactory(), number=run_steps.PAGE + 5)

    first = text_of(page.get(f"/oversight/{run.pk}/"))
    older = text_of(page.get(f"/oversight/{run.pk}/", {"before": 6}))

    assert "before=6" in first and 'id="step-6"' in first and 'id="step-5"' not in first
    assert 'id="step-5"' in older and 'id="step-1"' in older and 'id="step-6"' not in older


def test_an_open_page_gets_what_is_new_and_only_that(page):
    run = stepped(OversightSessionFactory())

    new = text_of(page.get(f"/oversight/{run.pk}/steps/", {"after": 1}))

    assert new.index('id="newer"') < new.index('id="step-3"') < new.index('id="step-2"') and 'id="step-1"' not in new
    assert "after=3" in new and "<html" not in new
    assert page.get(f"/oversight/{run.pk}/steps/", {"after": 3}).status_code == 204


def test_a_flood_of_steps_is_cut_and_says_so(page):
    run = stepped(OversightSessionFactory(), number=run_steps.MOST_NEW + 30)

    new = text_of(page.get(f"/oversight/{run.pk}/steps/", {"after": 10}))

    assert new.count('class="step"') == run_steps.MOST_NEW
    assert "20 more steps between" in new and "before=31" in new


def test_how_soon_it_knew_is_said(page, watcher):
    asked = clock.now() - timedelta(minutes=1)
    run = OversightSessionFactory(state=RunState.STOPPED, orders=1, told=1, seen=1, reason="too dear")
    SessionOrderFactory(
        session=run, order=Order.STOP, person=watcher, text="too dear", asked_at=asked,
        told_at=asked + timedelta(milliseconds=180), confirmed_at=asked + timedelta(milliseconds=2500),
    )

    text = text_of(page.get(f"/oversight/{run.pk}/"))

    assert "told after <b>180 ms</b>" in text and "confirmed after <b>2.5 s</b>" in text and "Vera Watcher" in text


def test_what_was_asked_and_is_not_confirmed_is_said_plainly(page, watcher):
    run = OversightSessionFactory(state=RunState.STOPPING, orders=1, reason="too dear")
    order = SessionOrderFactory(session=run, order=Order.STOP, person=watcher)

    assert "it does not know yet" in text_of(page.get(f"/oversight/{run.pk}/now/"))
    order.told_at = order.asked_at + timedelta(milliseconds=90)
    order.save(update_fields=["told_at"])
    assert "The agent had it after 90 ms" in text_of(page.get(f"/oversight/{run.pk}/now/"))


def test_what_a_run_asked_people_is_linked_with_its_state(page):
    run = OversightSessionFactory()
    facts = {"source": run.source, "session": str(run.pk)}
    mine = ProposalFactory(incident=IncidentFactory(**facts), role=role("supervisor"), state=State.PENDING)
    others = ProposalFactory(incident=IncidentFactory(**facts), role=role("finance"), args={"secretly": 1})
    raised = IncidentFactory(**facts, kind=Kind.HANDOFF, title="researcher: loops")
    alarm = ProposalFactory(incident=raised, role=role("supervisor"), action="", args=None)
    SessionAlarmFactory(session=run, incident=raised, step=5)

    text = text_of(page.get(f"/oversight/{run.pk}/"))

    assert f'href="{mine.get_absolute_url()}"' in text and f'href="{alarm.get_absolute_url()}">Answer it' in text
    assert "The same again and again" in text and "after step 5" in text
    assert others.get_absolute_url() not in text and "secretly" not in text and "not yours to read" in text


def test_an_item_leads_to_the_run_it_belongs_to(page):
    run = OversightSessionFactory(state=RunState.PAUSED)
    raised = IncidentFactory(source=run.source, session=str(run.pk), kind=Kind.HANDOFF, title="researcher: loops")
    proposal = ProposalFactory(incident=raised, role=role("supervisor"), action="", args=None)
    SessionAlarmFactory(session=run, incident=raised)

    text = text_of(page.get(proposal.get_absolute_url()))

    assert f'href="/oversight/{run.pk}/"' in text and "Answering lets it go on" in text
    assert f'href="/oversight/{run.pk}/"' in text_of(page.get(f"/incidents/{raised.pk}/"))


def test_a_session_of_somebody_elses_making_leads_nowhere(page):
    run = OversightSessionFactory()
    forged = ProposalFactory(incident=IncidentFactory(session=str(run.pk)), role=role("supervisor"))
    named = ProposalFactory(incident=IncidentFactory(session="chat-7"), role=role("supervisor"))

    for proposal in (forged, named):
        assert "/oversight/" + str(run.pk) not in text_of(page.get(proposal.get_absolute_url()))


def test_the_replay_shows_the_run_as_it_stood(page, watcher):
    run = stepped(OversightSessionFactory(max_steps=10), number=5, cost=Decimal("0.5"), tokens=100)
    SessionOrderFactory(session=run, number=1, order=Order.NOTE, text="only direct ones", asked_at=run.started_at + timedelta(seconds=1.5))

    early, late = (text_of(page.get(f"/oversight/{run.pk}/replay/", {"step": step})) for step in (1, 3))

    assert "Step 1 of 5" in early and "only direct ones" not in early and "rel=\"prev\"" not in early
    assert "Step 3 of 5" in late and "only direct ones" in late and "cost 1.50" in late and "300 tokens" in late
    assert "3</span> of 10" in late and "?step=2" in late and "?step=4" in late


@pytest.mark.parametrize("step", ["", "0", "99", "-1", "x", "9" * 30])
def test_a_replay_answers_whatever_is_asked_of_it(page, step):
    run = stepped(OversightSessionFactory())

    assert page.get(f"/oversight/{run.pk}/replay/", {"step": step}).status_code == 200
    assert "It never took a step" in text_of(page.get(f"/oversight/{OversightSessionFactory().pk}/replay/", {"step": step}))


def test_what_is_sensitive_is_masked_for_who_has_no_clearance(signed_in, page):
    reader = PersonFactory(roles=["finance"])
    finance = role("finance")
    finance.clearance = []
    finance.save()
    run = OversightSessionFactory(role=finance)
    SessionStepFactory(session=run, number=1, args={"card": "4111 1111 1111 1111", "password": "hunter2hunter2"})
    SessionStepFactory(session=run, number=2, tool="say", args={"text": "it is hunter2hunter2"}, result="charged 4111111111111111")
    run.steps = 2
    run.save(update_fields=["steps", "errors", "last_tool", "last_step_at"])

    for path in ("", "replay/?step=2"):
        text = text_of(signed_in(reader).get(f"/oversight/{run.pk}/{path}"))
        assert "4111 1111" not in text and "4111111111111111" not in text and "a payment card number" in text
        assert "hunter2hunter2" not in text
    new = text_of(signed_in(reader).get(f"/oversight/{run.pk}/steps/?after=1"))
    assert "hunter2hunter2" not in new


@pytest.mark.parametrize("size", [1, 25])
def test_the_pages_cost_the_same_whatever_their_length(page, size, django_assert_num_queries):
    for _ in range(size):
        run = stepped(OversightSessionFactory(max_steps=90), number=2)
        SessionAlarmFactory(session=run)
    stepped(run, number=size)
    for number in range(size):
        incident = IncidentFactory(source=run.source, session=str(run.pk))
        ProposalFactory(incident=incident, role=role("supervisor"))
        SessionOrderFactory(session=run, number=number + 1)

    # session, person, roles, preferences, the stop, the counts of what waits, held signatures; then the runs, their alarms, how they
    # stand for the stream, and the agents to choose from
    with django_assert_num_queries(10):
        page.get("/oversight/")
    with django_assert_num_queries(16):  # and how the queue of what waits went
        page.get(f"/oversight/{run.pk}/")
    with django_assert_num_queries(5):
        page.get(f"/oversight/{run.pk}/steps/", {"after": 1})
    with django_assert_num_queries(12):
        page.get(f"/oversight/{run.pk}/replay/", {"step": 2})


def test_what_the_stream_tells_is_for_whom_the_page_is_for(db):
    people = [PersonFactory(roles=names) for names in (["supervisor"], ["finance"], ["manager"], ["auditor"], [])]
    owner = PersonFactory()
    run = OversightSessionFactory(source=SourceFactory(owner=owner))
    brought = OversightSessionFactory()
    raised = IncidentFactory(source=brought.source, kind=Kind.HANDOFF)
    ProposalFactory(incident=raised, role=role("finance"))
    SessionAlarmFactory(session=brought, incident=raised)
    found = run_facts.facts_of([run.pk, brought.pk])

    for person in [*people, owner]:
        rights = live_rows.rights_of([person.pk])[person.pk]
        told = {pk for pk, facts in found.items() if facts.is_for(person.pk, rights.everything, rights.roles)}
        assert told == set(authority.runs_readable_by(person).values_list("pk", flat=True))
