"""What people tell runs from the pages: one at a time, and many at once. A GET does nothing, a refusal keeps what was typed."""

import pytest

from escalations import oversight
from escalations.models import OversightSession, SessionOrder
from escalations.states import Order, RunState
from tests.factories import OversightSessionFactory, PersonFactory, SourceFactory, role

from .hostile import Reader

pytestmark = pytest.mark.django_db


@pytest.fixture
def watcher(db):
    return PersonFactory(username="vera", first_name="Vera", last_name="Watcher", roles=["supervisor"])


@pytest.fixture
def page(watcher, signed_in):
    return signed_in(watcher)


@pytest.fixture
def run(db):
    return OversightSessionFactory()


def told(page, run, act, **said):
    return page.post(f"/oversight/{run.pk}/acts/", {"act": act, **said})


def state_of(run):
    return OversightSession.objects.get(pk=run.pk).state


def test_pause_and_resume_and_a_note(page, run, watcher):
    for act, text, state in (("pause", "", RunState.PAUSING), ("note", "only direct ones", RunState.PAUSING), ("resume", "", RunState.RUNNING)):
        answer = told(page, run, act, text=text)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/oversight/{run.pk}/")
        assert state_of(run) == state

    given = SessionOrder.objects.filter(session=run).order_by("number")
    assert [(one.order, one.person) for one in given] == [(act, watcher) for act in (Order.PAUSE, Order.NOTE, Order.RESUME)]
    assert "only direct ones" in page.get(f"/oversight/{run.pk}/").content.decode()


def test_a_page_drawn_before_another_pause_does_not_lift_it(page, run, watcher):
    told(page, run, "pause", text="Lunch")
    assert 'name="seen" value="1"' in page.get(f"/oversight/{run.pk}/").content.decode()
    colleague = PersonFactory(roles=["supervisor"])
    for order, text in ((Order.RESUME, ""), (Order.PAUSE, "It writes to customers")):
        oversight.order(run.pk, order, person=colleague, text=text)

    refused = told(page, run, "resume", seen="1")
    assert refused.status_code == 409 and state_of(run) == RunState.PAUSING
    again = refused.content.decode()
    assert "paused again since you saw it" in again and "It writes to customers" in again and 'name="seen" value="3"' in again
    assert told(page, run, "resume", seen="3").status_code == 303
    assert state_of(run) == RunState.RUNNING


def test_a_stop_takes_a_reason(page, run):
    refused = told(page, run, "stop", text="  ")
    assert refused.status_code == 422 and state_of(run) == RunState.RUNNING
    text = refused.content.decode()
    assert "Nothing was done" in text and text.count("autofocus") == 1 and "<details class=\"stop-run\" open>" in text

    assert told(page, run, "stop", text="too dear").status_code == 303
    assert state_of(run) == RunState.STOPPING
    assert "too dear" in page.get(f"/oversight/{run.pk}/now/?part=more").content.decode()


def test_a_get_tells_it_nothing(page, run):
    answer = page.get(f"/oversight/{run.pk}/acts/", {"act": "stop", "text": "x"})

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/oversight/{run.pk}/")
    assert not SessionOrder.objects.exists() and state_of(run) == RunState.RUNNING


def test_what_came_too_late_is_refused_and_keeps_what_was_typed(page, run, mona):
    oversight.order(run.pk, Order.STOP, person=mona, text="enough")

    answer = told(page, run, "note", text="one more thing")

    assert answer.status_code == 409 and "one more thing" in answer.content.decode()
    assert SessionOrder.objects.filter(session=run).count() == 1


def test_an_act_that_there_is_not_does_nothing(page, run):
    assert told(page, run, "explode").status_code == 400
    assert page.put(f"/oversight/{run.pk}/acts/").status_code == 405
    assert not SessionOrder.objects.exists()


def test_who_reads_along_may_tell_it_nothing(signed_in, run, stranger):
    auditor = signed_in(PersonFactory(roles=["auditor"]))
    for act in ("pause", "stop", "note"):
        assert told(auditor, run, act, text="x").status_code == 403
        assert told(signed_in(stranger), run, act, text="x").status_code == 404
    assert not SessionOrder.objects.exists()


def test_the_owner_may_stop_their_services_runs_and_never_let_them_go_on(signed_in):
    owner = PersonFactory(roles=["supervisor"])
    run = OversightSessionFactory(source=SourceFactory(owner=owner))
    own = signed_in(owner)

    assert told(own, run, "pause").status_code == 303
    assert told(own, run, "resume").status_code == told(own, run, "note", text="go on").status_code == 403
    assert told(own, run, "stop", text="mine").status_code == 303
    assert state_of(run) == RunState.STOPPING


def test_handing_over_takes_a_colleague_who_may(page, run, stranger):
    colleague = PersonFactory(first_name="Carla", roles=["supervisor"])
    shown = page.get(f"/oversight/{run.pk}/").content.decode()
    assert f'value="{colleague.pk}">Carla' in shown and f'value="{stranger.pk}"' not in shown

    assert told(page, run, "hand_over", to="").status_code == 422
    assert told(page, run, "hand_over", to=stranger.pk, text="x").status_code == 403
    assert told(page, run, "hand_over", to=colleague.pk, text="my shift ends").status_code == 303

    assert OversightSession.objects.get(pk=run.pk).person == colleague
    assert "with Carla" in page.get(f"/oversight/{run.pk}/").content.decode()


def test_what_was_typed_when_a_session_ended_comes_back(page, run, watcher):
    shown = page.get(f"/oversight/{run.pk}/").content.decode()
    drawn_for = shown.split('name="drawn_for" value="')[1].split('"')[0]
    page.logout()

    kept = page.post(f"/oversight/{run.pk}/acts/", {"act": "stop", "text": "half an ess", "drawn_for": drawn_for})
    assert kept.status_code == 303 and "/login/" in kept.headers["Location"]
    page.force_login(watcher, backend="django.contrib.auth.backends.ModelBackend")

    assert "half an ess" in page.get(f"/oversight/{run.pk}/").content.decode()
    assert not SessionOrder.objects.exists()


def test_many_are_stopped_by_their_number_typed(page, run, watcher):
    other, left = OversightSessionFactory(), OversightSessionFactory()
    asked = page.get("/oversight/stop/", {"run": [run.pk, other.pk]}).content.decode()
    assert "Stop 2 runs" in asked and str(left.pk) not in asked
    form = {"run": [run.pk, other.pk], "reason": "gone wrong everywhere"}

    for typed in ("", "1", "3", "all"):
        refused = page.post("/oversight/stop/", {**form, "typed": typed})
        assert refused.status_code == 422 and "gone wrong everywhere" in refused.content.decode()
    assert page.post("/oversight/stop/", {**form, "reason": "", "typed": "2"}).status_code == 422
    assert not SessionOrder.objects.exists()

    done = page.post("/oversight/stop/", {**form, "typed": " 2 "}).content.decode()
    assert "2 of 2 told to stop" in done and "1 other run of the same agent still runs" in done
    assert {state_of(one) for one in (run, other)} == {RunState.STOPPING} and state_of(left) == RunState.RUNNING
    assert set(SessionOrder.objects.values_list("text", "person")) == {("gone wrong everywhere", watcher.pk)}


def test_all_of_one_agent_are_those_that_live_and_are_yours_to_stop(page):
    mine = [OversightSessionFactory(agent="mad") for _ in range(3)]
    OversightSessionFactory(agent="mad", role=role("finance"))
    OversightSessionFactory(agent="mad", state=RunState.STOPPING)
    OversightSessionFactory(agent="sane")

    text = page.get("/oversight/stop/", {"agent": "mad", "all": "yes"}).content.decode()

    assert "Stop 3 runs of mad" in text
    assert all(f'name="run" value="{run.pk}"' in text for run in mine) and text.count('name="run"') == 3


def test_what_is_over_meanwhile_is_said_and_the_others_are_stopped(page, run, mona):
    other = OversightSessionFactory()
    oversight.order(other.pk, Order.STOP, person=mona, text="first")

    done = page.post("/oversight/stop/", {"run": [run.pk, other.pk], "reason": "x", "typed": "2"}).content.decode()

    assert "1 of 2 told to stop" in done and "not stopped" in done
    assert state_of(run) == RunState.STOPPING


def test_who_may_not_stop_them_stops_none(signed_in, run, stranger):
    for person in (stranger, PersonFactory(roles=["auditor"])):
        client = signed_in(person)
        assert "Nothing to stop" in client.get("/oversight/stop/", {"run": run.pk}).content.decode()
        client.post("/oversight/stop/", {"run": run.pk, "reason": "x", "typed": "1"})
    assert not SessionOrder.objects.exists() and state_of(run) == RunState.RUNNING


@pytest.mark.parametrize("query", [{"run": "x"}, {"run": ["00000000-0000-4000-8000-000000000000"] * 2}, {}, {"agent": "\0"}])
def test_a_page_of_nothing_stops_nothing(page, query):
    assert page.get("/oversight/stop/", query).status_code in (200, 404)
    assert page.post("/oversight/stop/", {**query, "reason": "x", "typed": "0"}).status_code in (404, 422)


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</textarea><script>alert(1)</script>", "{{ 7|add:7 }}{% debug %}",
    "pay \u202e001$\u202c now\u200b\u2066x\u2069", "W" * 3_000, "\r\n\r\n<b>HTTP/1.1 200</b>", "javascript:alert(1)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_whatever_an_agent_says_is_shown_as_text(page, watcher, mona, text):
    source = SourceFactory()
    run, _ = oversight.start(
        source=source, key_env="live", data={"agent": text[:200], "goal": text, "role": "supervisor"}, key="k", body_digest="0" * 64
    )
    steps = [{"tool": text[:200], "args": {text[:200]: text}, "result": {"a": [text]}, "error": text}, {"tool": "t", "args": {"x": text}}]
    oversight.take_steps(run.pk, source=source, steps=steps)
    oversight.order(run.pk, Order.PAUSE, person=mona, text=text)

    urls = ["", "?errors=yes", "now/", "now/?part=acts", "now/?part=more", "steps/?after=0", "replay/?step=2", "row/"]
    answers = [page.get(f"/oversight/{run.pk}/{url}") for url in urls]
    answers += [page.get("/oversight/"), page.get("/oversight/", {"agent": text}), page.get("/oversight/stop/", {"run": run.pk})]
    answers.append(told(page, run, "hand_over", to="", text=text))
    answers.append(page.post("/oversight/stop/", {"run": run.pk, "reason": text[:2_000], "typed": text[:20]}))

    for answer in answers:
        assert answer.status_code in (200, 422)
        reader = Reader(answer.content.decode())
        assert not reader.bad, (answer.wsgi_request.get_full_path(), reader.bad)


def test_an_open_page_stays_when_its_session_has_ended(page, run):
    page.logout()

    for url in (f"{run.pk}/now/", f"{run.pk}/steps/?after=0", f"{run.pk}/row/", "arrivals/"):
        answer = page.get(f"/oversight/{url}", headers={"HX-Request": "true"})
        assert answer.status_code == 286 and answer.headers["HX-Retarget"] == "#flash"
