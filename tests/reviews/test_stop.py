"""The page of the switch, and what every page says while everything is stopped."""

import pytest
from django.db import OperationalError
from django.urls import reverse

from escalations import lifecycle, standstill
from escalations.models import Stop
from escalations.policies import stop as switch
from tests.factories import ProposalFactory, role
from tests.reviews.conftest import at

pytestmark = pytest.mark.django_db
URL = "/stop/"
BANNER = 'aria-label="Everything is stopped"'


@pytest.fixture
def stop(mona):
    return switch.stop_everything(person=mona, reason="Refunds <b>go</b> to \u202estrangers.")


def test_a_reviewer_has_no_switch(client, rosa):
    client = at(client, rosa)
    assert client.get(URL).status_code == client.post(URL, {"act": "stop", "reason": "x", "typed": "stop"}).status_code == 403
    assert not standstill.is_stopped()


def test_a_get_stops_nothing(client, mona):
    answer = at(client, mona).get(URL, {"act": "stop", "reason": "x", "typed": "stop"})
    assert answer.status_code == 200 and not standstill.is_stopped()


@pytest.mark.parametrize("form", [{"reason": "", "typed": "stop"}, {"reason": "x", "typed": "yes"}, {"reason": "x"}, {}])
def test_it_takes_a_reason_and_the_word(client, mona, form):
    answer = at(client, mona).post(URL, {"act": "stop", **form})
    assert answer.status_code == 422 and not standstill.is_stopped()
    page = answer.content.decode()
    assert "Nothing was done" in page and page.count("autofocus") == 1
    assert ">\nx</textarea>" in page or not form.get("reason")  # what was typed is kept


def test_one_stops_and_two_release(client, mona, ada):
    answer = at(client, mona).post(URL, {"act": "stop", "reason": "Something is wrong.", "typed": " STOP "})
    assert (answer.status_code, answer.headers["Location"]) == (303, URL)
    stop = Stop.objects.get()

    client.post(URL, {"act": "ask", "stop": stop.pk, "reason": "It is put right."})
    own = client.get(URL).content.decode()
    assert "You asked for the release" in own and 'value="confirm"' not in own
    stop.refresh_from_db()
    mine = client.post(URL, {"act": "confirm", "stop": stop.pk, "asked_at": stop.release_asked_at.isoformat(), "typed": "release"})
    assert mine.status_code == 403 and standstill.is_stopped()

    page = at(client, ada).get(URL).content.decode()
    assert "Mona Manager asks for the release" in page and "It is put right." in page
    form = {"act": "confirm", "stop": stop.pk, "asked_at": stop.release_asked_at.isoformat()}
    assert f'value="{form["asked_at"]}"' in page
    assert client.post(URL, {**form, "typed": ""}).status_code == 422 and standstill.is_stopped()
    assert client.post(URL, {**form, "typed": "release"}).status_code == 303 and not standstill.is_stopped()
    page = client.get(URL).content.decode()
    assert "Released by Mona Manager and Ada Admin" in page and BANNER not in page


def test_what_was_not_as_shown_is_not_confirmed(client, ada, stop, mona):
    seen = switch.ask_release(stop.pk, person=mona, why="x").release_asked_at.isoformat()
    client = at(client, ada)
    for form, status in [
        ({"stop": stop.pk, "asked_at": "2020-01-01T00:00:00+00:00"}, 409), ({"stop": stop.pk, "asked_at": "yesterday"}, 422),
        ({"stop": stop.pk, "asked_at": "2020-01-01T00:00:00"}, 422), ({"stop": stop.pk, "asked_at": "2020-99-99T00:00:00Z"}, 422),
        ({"stop": stop.pk + 1, "asked_at": seen}, 404), ({"stop": "٣", "asked_at": seen}, 404), ({"asked_at": seen}, 404),
        ({"stop": "9" * 40, "asked_at": seen}, 404),
    ]:
        assert client.post(URL, {"act": "confirm", "typed": "release", **form}).status_code == status, form
    assert client.post(URL, {"act": "nonsense"}).status_code == 400
    assert standstill.is_stopped()
    assert client.post(URL, {"act": "withdraw", "stop": stop.pk}).status_code == 303
    assert Stop.objects.get().release_asked_by is None


@pytest.mark.parametrize(
    "path", ["/", "/desk/", "/settled/", "/you/", "/tokens/", "/stop/", "/admin/", "/admin/escalations/routingrule/", "/nowhere/"]
)
def test_every_page_says_so(client, mona, stop, path):
    mona.is_staff = True
    mona.save()
    page = at(client, mona).get(path).content.decode()
    assert page.count(BANNER) == 1 and "by Mona Manager" in page
    assert "Refunds &lt;b&gt;go&lt;/b&gt;" in page and "\u202e" not in page  # an eye sees what was typed
    assert f'href="{URL}"' in page


def test_a_reviewer_is_told_and_offered_no_switch(client, rosa, stop):
    proposal = ProposalFactory(role=role("finance"))
    for path in (proposal.get_absolute_url(), f"/incidents/{proposal.incident_id}/"):
        page = at(client, rosa).get(path).content.decode()
        assert page.count(BANNER) == 1 and f'href="{URL}"' not in page


def test_what_was_decided_meanwhile_says_that_it_has_not_left(client, rosa, mona, ada, stop):
    proposal = ProposalFactory(role=role("finance"))
    lifecycle.decide(proposal.pk, person=rosa, type="approve", digest=proposal.args_digest, version=proposal.version)
    says = "is told when it is released"
    assert says in at(client, rosa).get(proposal.get_absolute_url()).content.decode()
    asked = switch.ask_release(stop.pk, person=mona, why="x").release_asked_at
    switch.confirm_release(stop.pk, person=ada, asked_at=asked)
    assert says not in client.get(proposal.get_absolute_url()).content.decode()


def test_strangers_are_told_nothing(client, stop):
    assert BANNER not in client.get(reverse("login")).content.decode()


def test_where_something_broke_it_is_said_too(client, mona, stop, monkeypatch):
    client.raise_request_exception = False
    monkeypatch.setattr("reviews.views.desk.desk.now_of", lambda: 1 / 0)
    answer = at(client, mona).get("/desk/")
    assert answer.status_code == 500 and BANNER in answer.content.decode()
    client.logout()
    assert BANNER not in client.get("/login/").content.decode()


def test_the_page_of_what_broke_needs_no_database(client, mona, stop, monkeypatch):
    client.raise_request_exception = False
    at(client, mona)
    monkeypatch.setattr("reviews.views.desk.desk.now_of", lambda: 1 / 0)

    def gone():
        raise OperationalError("gone")

    monkeypatch.setattr(standstill, "standing", gone)
    answer = client.get("/desk/")
    assert answer.status_code == 500 and b"Something broke on our side" in answer.content
