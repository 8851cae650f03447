"""Runs in the live stream: to each how those stand that they watch and may read, soon, and with one query for all."""

import asyncio
import json
from uuid import uuid4

import pytest

from escalations import oversight
from escalations.states import Order
from reviews import live, run_facts, run_watch
from tests.factories import OversightSessionFactory, PersonFactory, SourceFactory, role

from .streaming import do, session_of, streams, until
from .test_live import application  # noqa: F401  a fixture

pytestmark = pytest.mark.django_db(transaction=True)
LONG = 30


def told(stream):
    """Return what a stream was told of runs, by run, in order."""
    found = {}
    for event, data in stream.events:
        for one in json.loads(data) if event == "runs" else []:
            found.setdefault(one["id"], []).append(one)
    return found


def step(run, **facts):
    return oversight.take_steps(run.pk, source=run.source, steps=[{"tool": "search", "args": {}, **facts}])


async def quiet():
    for task in (live.feed().task, live.feed().watching):
        if task:
            await task


def test_a_step_is_told_to_who_watches_and_to_nobody_else(application):  # noqa: F811
    watcher, stranger, auditor = (PersonFactory(roles=[name]) for name in ("supervisor", "finance", "auditor"))
    run, other = OversightSessionFactory(), OversightSessionFactory()
    keys = [session_of(one) for one in (watcher, stranger, auditor)]

    async def story():
        async with streams(application, *keys, query=f"runs={run.pk}") as opened:
            mine, strangers, theirs = opened
            await until(lambda: told(mine) and told(theirs), LONG)
            await do(step, run, error="HTTP 404")
            await do(step, other)
            await until(lambda: all(told(one)[str(run.pk)][-1]["number"] == 1 for one in (mine, theirs)), LONG)
            return told(mine), told(strangers), told(theirs)

    mine, strangers, theirs = asyncio.run(story())

    assert set(mine) == set(theirs) == {str(run.pk)} and not strangers
    assert mine[str(run.pk)][-1]["texts"] | {"tool": "search", "errors": "1"} == mine[str(run.pk)][-1]["texts"]


def test_what_did_not_change_is_not_told_again_and_an_order_changes_the_stamp(application):  # noqa: F811
    watcher = PersonFactory(roles=["supervisor"])
    run, key = OversightSessionFactory(), session_of(watcher)

    async def story():
        async with streams(application, key, query=f"runs={run.pk}") as (stream,):
            await until(lambda: told(stream), LONG)
            await do(step, run)
            await until(lambda: told(stream)[str(run.pk)][-1]["number"] == 1, LONG)
            await do(oversight.order, run.pk, Order.PAUSE, person=watcher)
            await until(lambda: "pausing" in told(stream)[str(run.pk)][-1]["stamp"], LONG)
            return told(stream)[str(run.pk)]

    said = asyncio.run(story())

    assert len(said) == len({json.dumps(one, sort_keys=True) for one in said})
    assert said[0]["stamp"] == said[1]["stamp"] != said[-1]["stamp"]


def test_nobody_watches_nobody_looks(application, monkeypatch):  # noqa: F811
    looked = []
    real = run_facts.facts_of
    monkeypatch.setattr(run_facts, "facts_of", lambda runs: looked.append(len(runs)) or real(runs))
    run, key = OversightSessionFactory(), session_of(PersonFactory(roles=["supervisor"]))

    async def story():
        async with streams(application, key):
            await do(step, run)
        before = len(looked)
        async with streams(application, *[key] * 3, query=f"runs={run.pk}") as opened:
            await until(lambda: all(told(one) for one in opened), LONG)
        await quiet()
        return before, set(looked)

    assert asyncio.run(story()) == (0, {1})


def test_a_look_that_fails_is_tried_again(application, monkeypatch):  # noqa: F811
    real, failing = run_facts.facts_of, [True]

    def sometimes(runs):
        if failing:
            failing.pop()
            raise OSError("gone")
        return real(runs)

    monkeypatch.setattr(run_facts, "facts_of", sometimes)
    run, key = OversightSessionFactory(), session_of(PersonFactory(roles=["supervisor"]))

    async def story():
        async with streams(application, key, query=f"runs={run.pk}") as (stream,):
            await until(lambda: told(stream), LONG)

    asyncio.run(story())
    assert not failing


@pytest.mark.parametrize("text", ["x", "1,2", ",".join(str(uuid4()) for _ in range(run_watch.MOST_WATCHED + 1)), ""])
def test_what_is_no_list_of_runs_is_none(text):
    assert run_watch.asked_for(text) == ()


def test_all_runs_are_looked_for_by_one_query_and_a_name_gives_nothing_away(django_assert_num_queries):
    runs = [OversightSessionFactory(last_tool="say 4111111111111111 \u202e", source=SourceFactory(), role=role("finance")) for _ in range(20)]

    with django_assert_num_queries(1):
        found = run_facts.facts_of([run.pk for run in runs])

    assert len(found) == 20
    tool = found[runs[0].pk].said["texts"]["tool"]
    assert "4111" not in tool.split("ending")[0] and "\u202e" not in tool
