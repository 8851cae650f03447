"""A run under watch tells what it does, and does what it is told."""

import asyncio
import json

import httpx
import pytest
from countersign_fakes import Fake, Hurried, HurriedAsync, gone, problem

from countersign import ApiError, RunStopped, Unreachable
from countersign.shown import shown


class Watched(Fake):
    """Countersign with runs. `orders` are given one by one: each is told until a call has `seen` it; a dict with the step it comes after."""

    def __init__(self):
        super().__init__()
        self.runs, self.steps, self.orders, self.ended, self.seen = {}, [], [], [], []

    def answer(self, request):
        parts = request.url.path.removeprefix("/api/v1/").split("/")
        if parts[0] != "sessions":
            return super().answer(request)
        body = json.loads(request.content) if request.content else {}
        if len(parts) == 1:
            key = request.headers["idempotency-key"]
            self.runs.setdefault(key, {"id": f"run-{len(self.runs) + 1}", **body})
            return httpx.Response(201, json={**self.runs[key], "steps": len(self.steps), "directive": self.directive(), "watch_url": "http://w/1/"})
        self.seen.append(body.get("seen", int(request.url.params.get("seen", 0))))
        if parts[2] == "steps":
            known = {step["number"] for step in self.steps}
            self.steps += [step for step in body["steps"] if step["number"] not in known]
            return httpx.Response(200, json={"session": parts[1], "accepted": 1, "steps": len(self.steps), "directive": self.directive()})
        if parts[2] == "end":
            self.ended.append(body)
            return httpx.Response(200, json={"id": parts[1], "state": "ended"})
        if self.directive()["directive"] == "pause":
            self.looks = getattr(self, "looks", 0) + 1
            if self.looks >= 3:
                self.orders.append({"order": "resume"})
        return httpx.Response(200, json=self.directive())

    def directive(self):
        notes, what, reason, number = [], "continue", None, 0
        for number, order in enumerate(self.orders, 1):
            if order.get("after", 0) > len(self.steps):
                number -= 1
                break
            if order["order"] == "note":
                notes.append({"number": number, "text": order["text"], "by": {"kind": "person", "name": "Rosa"}, "at": "2030-01-01T00:00:00Z"})
            else:
                what, reason = {"resume": "continue"}.get(order["order"], order["order"]), order.get("reason")
        return {"directive": what, "number": number, "reason": reason, "by": {"kind": "person", "name": "Rosa"}, "at": None,
                "notes": [note for note in notes if note["number"] > max(self.seen, default=0)]}


@pytest.fixture
def fake():
    return Watched()


@pytest.fixture
def client(fake):
    return Hurried(fake)


def test_a_run_tells_its_steps_and_its_end(fake, client):
    with client.session("researcher", goal="Find it", limits={"steps": 50}, role="operations") as run:
        with run.step("search", {"q": "cats"}) as step:
            step.result, step.tokens, step.cost = ["a cat"], 120, 0.1 + 0.2
        run.report("note", {"text": "found"}, "ok")
    assert run.id == "run-1" and run.watch_url == "http://w/1/"
    (begun,) = fake.runs.values()
    assert begun == {"id": "run-1", "agent": "researcher", "goal": "Find it", "limits": {"steps": 50}, "role": "operations"}
    first, second = fake.steps
    assert first.pop("took_ms") >= 0 and second.pop("took_ms") >= 0
    assert first == {"number": 1, "tool": "search", "args": {"q": "cats"}, "result": ["a cat"], "tokens": 120, "cost": 0.3}
    assert second == {"number": 2, "tool": "note", "args": {"text": "found"}, "result": "ok"}
    assert fake.ended == [{"outcome": "done", "detail": "", "seen": 0}]


def test_a_stop_ends_the_run_before_its_next_step_and_is_confirmed(fake, client):
    fake.orders = [{"order": "stop", "reason": "it loops", "after": 2}]
    made = []
    with pytest.raises(RunStopped) as caught:
        with client.session("researcher") as run:
            for number in range(10):
                with run.step("search", {"n": number}):
                    made.append(number)
    assert made == [0, 1] and len(fake.steps) == 2
    assert (caught.value.reason, caught.value.by["name"]) == ("it loops", "Rosa")
    assert fake.ended == [{"outcome": "stopped", "detail": "RunStopped: stopped: it loops", "seen": 1}]


def test_who_catches_the_stop_cannot_go_on(fake, client):
    fake.orders = [{"order": "stop", "after": 1}]
    made = []
    with client.session("researcher") as run:
        for number in range(5):
            try:
                with run.step("search"):
                    made.append(number)
            except RunStopped:
                continue
    assert made == [0] and len(fake.steps) == 1 and fake.ended[0]["outcome"] == "stopped"


def test_a_pause_waits_where_it_is_until_it_is_resumed(fake, client):
    fake.orders = [{"order": "pause", "reason": "look", "after": 1}]
    paused = []
    with client.session("researcher", on_pause=lambda directive: paused.append((directive["reason"], len(fake.steps)))) as run:
        run.report("one")
        assert fake.looks == 3
        run.report("two")
    assert paused == [("look", 1)] and len(fake.steps) == 2 and fake.ended[0] == {"outcome": "done", "detail": "", "seen": 2}
    assert fake.requests[2].url.params["wait"] == "20" and fake.requests[2].url.params["seen"] == "1"


def test_a_pause_outlasts_a_countersign_that_goes_away(fake, client):
    fake.orders = [{"order": "pause", "after": 1}]
    with client.session("researcher") as run:
        fake.troubles = [None, gone, gone, None, gone]
        run.report("one")
    assert fake.looks == 3 and fake.ended[0]["outcome"] == "done"


def test_notes_are_heard_once_each(fake, client):
    fake.orders = [{"order": "note", "text": "use the old index"}, {"order": "note", "text": "and hurry", "after": 1}]
    heard = []
    with client.session("researcher", on_note=lambda note: heard.append(note["text"])) as run:
        for name in "abc":
            run.report(name)
    assert heard == ["use the old index", "and hurry"] == [note["text"] for note in run.notes]
    assert fake.seen[-1] == 2


def test_an_error_is_told_as_the_steps_and_raised(fake, client):
    with pytest.raises(ZeroDivisionError):
        with client.session("researcher") as run:
            with run.step("divide", {"by": 0}):
                1 / 0  # noqa: B018
    assert fake.steps[0]["error"] == "ZeroDivisionError: division by zero" and "result" not in fake.steps[0]
    assert fake.ended[0]["outcome"] == "failed" and "ZeroDivisionError" in fake.ended[0]["detail"]


def test_a_stop_beside_an_error_does_not_hide_it_and_holds_at_the_next_step(fake, client):
    fake.orders = [{"order": "stop", "after": 1}]
    with pytest.raises(RunStopped):
        with client.session("researcher") as run:
            with pytest.raises(KeyError):
                with run.step("lookup"):
                    raise KeyError("x")
            with run.step("another"):
                pytest.fail("it ran")
    assert [step["tool"] for step in fake.steps] == ["lookup"]


def test_a_run_that_is_stopped_before_it_began_makes_no_step(fake, client):
    fake.orders = [{"order": "stop", "reason": "not today"}]
    with pytest.raises(RunStopped, match="not today"):
        with client.session("researcher"):
            pytest.fail("it ran")
    assert fake.ended[0]["outcome"] == "stopped"


def test_a_long_step_can_ask_whether_to_go_on(fake, client):
    with pytest.raises(RunStopped):
        with client.session("researcher") as run:
            with run.step("crawl"):
                run.check()
                fake.orders = [{"order": "stop", "reason": "enough"}]
                run.check()
                pytest.fail("it went on")
    assert fake.steps == [] and fake.ended[0]["seen"] == 1  # after a stop nothing more is told but the end


def test_tools_of_a_run_are_its_steps(fake, client):
    with client.session("researcher") as run:
        @run.tool
        def search(query, most=3):
            return [query] * most

        assert search("cats", most=2) == ["cats", "cats"]
    assert (fake.steps[0]["tool"], fake.steps[0]["args"], fake.steps[0]["result"]) == ("search", {"query": "cats", "most": 2}, ["cats", "cats"])


def test_what_is_asked_inside_a_run_is_linked_to_it(fake, client):
    fake.decides("approve")
    with client.session("researcher") as run:
        inside = client.approve("refund", {"amount": 1})
    outside = client.approve("refund", {"amount": 2})
    assert fake.incidents[inside.id]["posted"]["session"] == run.id and "session" not in fake.incidents[outside.id]["posted"]


def test_a_run_nobody_can_watch_stops(fake):
    client, made = Hurried(fake, retry_for=0.02), []
    with pytest.raises(Unreachable):
        with client.session("researcher") as run:
            fake.troubles = [gone] * 100_000
            for number in range(3):
                with run.step("search"):
                    made.append(number)
    assert made == [0]


def test_a_run_that_may_go_on_unwatched_tells_everything_later(fake, caplog):
    client = Hurried(fake, retry_for=0.02)
    with client.session("researcher", unwatched="continue") as run:
        fake.troubles = [gone] * 100_000
        for number in range(250):
            run.report("search", {"n": number})
        fake.troubles = []
        run.report("last")
    assert [step["number"] for step in fake.steps] == list(range(1, 252)) and fake.steps[-1]["tool"] == "last"
    assert caplog.text.count("goes on unwatched") == 1


def test_steps_whose_answer_was_lost_are_told_once(fake, client):
    fake.lose = {"/steps"}
    with client.session("researcher") as run:
        run.report("search")
    assert len(fake.steps) == 1


def test_a_refusal_is_raised(fake, client):
    with pytest.raises(ApiError):
        with client.session("researcher") as run:
            fake.troubles = [lambda request: problem(404, "not_found")]
            run.report("search")


def test_with_its_key_a_run_goes_on_where_it_was(fake, client):
    with client.session("researcher", key="run-7") as run:
        run.report("one")
    with client.session("researcher", key="run-7") as run:
        run.report("two")
    assert len(fake.runs) == 1 and [step["number"] for step in fake.steps] == [1, 2]


@pytest.mark.parametrize("result", [object(), float("nan"), {1: {2, 3}}, b"\xff", "x" * 100_000, list(range(5_000)), 2**70])
def test_any_result_can_be_told(fake, client, result):
    with client.session("researcher") as run:
        run.report("odd\nname", {"arg": result}, result)
    assert len(json.dumps(fake.steps[0])) < 100_000 and fake.steps[0]["tool"] == "odd name"


def test_what_is_cut_says_so():
    assert shown("x" * 20_010).endswith("(10 characters more)") and shown(list(range(501)))[-1] == "… 1 more"


def test_an_end_that_cannot_be_told_hides_nothing(fake, caplog):
    client = Hurried(fake)
    with pytest.raises(KeyError):
        with client.session("researcher"):
            fake.troubles = [lambda request: problem(409, "illegal_move")] * 10
            raise KeyError("mine")
    assert "could not be told" in caplog.text


def test_an_asyncio_program_is_watched_the_same(fake):
    heard = []

    async def note(one):
        heard.append(one["text"])

    async def work():
        async with HurriedAsync(fake) as client:
            fake.orders = [{"order": "note", "text": "hello"}, {"order": "pause", "after": 1}]
            async with client.session("researcher", on_note=note) as run:
                @run.tool
                async def search(query):
                    return query

                await search("cats")
                await run.check()
                fake.orders.append({"order": "stop", "reason": "enough"})
                with pytest.raises(RunStopped):
                    async with run.step("more") as step:
                        step.result = 1
                        await run.check()
                with pytest.raises(RunStopped):
                    await run.report("again")

    asyncio.run(work())
    assert heard == ["hello"] and [step["tool"] for step in fake.steps] == ["search"]
    assert fake.looks >= 3 and fake.ended[0]["outcome"] == "stopped"


def test_nonsense_is_refused(client):
    with pytest.raises(ValueError, match="unwatched"):
        client.session("researcher", unwatched="ignore")


@pytest.mark.parametrize("what", ["note", "pause"])
def test_a_listener_that_breaks_lifts_no_order(fake, client, what):
    made = []

    def broken(told):
        raise ValueError("a bug of the host")

    fake.orders = [{"order": "note", "text": "Mind the gap", "after": 1}, {"order": "stop" if what == "note" else "pause", "after": 1}]
    with client.session("researcher", **{f"on_{what}": broken}) as run:
        with pytest.raises(ValueError):
            run.report("first")
        with pytest.raises((RunStopped, ValueError)):
            with run.step("second"):
                made.append("second")
    assert not made


def test_what_is_no_directive_does_not_end_a_pause(fake, client):
    fake.orders = [{"order": "pause", "after": 1}]
    with client.session("researcher") as run:
        fake.troubles = [None, *[lambda request: httpx.Response(200, json={"portal": "Please sign in"})] * 3]
        run.report("search")
        assert fake.looks == 3  # it went on asking until it was told


def test_a_stop_in_the_last_answer_before_the_line_broke_holds(fake):
    client = Hurried(fake, retry_for=0.02)
    with client.session("researcher", unwatched="continue") as run:
        fake.troubles = [gone] * 100_000
        for number in range(250):
            run.report("search", {"n": number})
        fake.orders = [{"order": "stop", "after": 1}]
        fake.troubles = [None, *[gone] * 100_000]
        with pytest.raises(RunStopped):
            run.report("more")
        fake.troubles = []


def test_a_result_that_is_larger_than_any_call_is_told_in_part(fake, client):
    huge = {str(n): "x" * 20_000 for n in range(100)}
    with client.session("researcher") as run:
        run.report("fetch", huge, [huge] * 3)
        run.report("log", error="\ud800" + "x" * 2_000_000)
    assert len(json.dumps(fake.steps).encode()) < 200_000 and "characters more" in fake.steps[0]["result"]


def test_steps_that_were_kept_are_told_in_calls_of_a_size_that_is_taken(fake):
    sizes = []
    client = Hurried(fake, retry_for=0.02)
    with client.session("researcher", unwatched="continue") as run:
        fake.troubles = [gone] * 100_000
        for number in range(30):
            run.report("fetch", {"n": number}, ["x" * 20_000] * 5)
        fake.requests.clear()
        fake.troubles = []
    sizes = [len(request.content) for request in fake.requests]
    assert max(sizes) < 1_000_000 and len(fake.steps) == 30
