"""What came of it, said at the page; and the file of everything that was decided, taken away there."""

import csv
import io
import json
from datetime import timedelta

import pytest

from escalations import clock
from escalations.models import AuditEntry, OutcomeReport, SecondLook
from tests.factories import IncidentFactory
from tests.tuning import faults_of

from .conftest import decided


def told(client, one, **said):
    return client.post(f"/incidents/{one.incident_id}/outcome/", said)


def file(client, **said):
    answer = client.post("/feedback/", {"format": "jsonl", **said})
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def test_who_reads_it_says_what_came_of_it_and_the_story_tells(page, ask, reviewer):
    one = decided(ask(), reviewer, "fine")
    before = page.get(f"/incidents/{one.incident_id}/").content.decode()
    assert "Nobody has said yet" in before and "that it was right counts for nothing" in before

    answer = told(page, one, outcome="wrong", how="correction", detail="It had been <b>paid</b>.")

    assert (answer.status_code, answer["Location"]) == (303, f"/incidents/{one.incident_id}/#came-of-it")
    said = OutcomeReport.objects.get()
    assert (said.by_kind, said.by_id, said.interactive, said.outcome, said.how) == ("person", "rosa", True, "wrong", "correction")
    shown = page.get(f"/incidents/{one.incident_id}/").content.decode()
    assert "it was wrong" in shown and "&lt;b&gt;paid" in shown and "Told what came of it" in shown
    assert told(page, one, outcome="wrong", how="correction").status_code == 303 and OutcomeReport.objects.count() == 1


def test_what_is_not_decided_has_no_form_and_takes_no_outcome(page, ask):
    one = ask()
    assert "came-of-it" not in page.get(f"/incidents/{one.incident_id}/").content.decode()
    answer = told(page, one, outcome="right")
    assert answer.status_code == 409 and not OutcomeReport.objects.exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "required"), ({"outcome": "right", "how": "complaint"}, "neither complained"), ({"outcome": "wrong", "complaint": "x"}, "valid UUID"),
        ({"outcome": "wrong", "complaint": "00000000-0000-4000-8000-000000000000"}, "no such incident"),
    ],
    ids=["nothing", "contradicts", "no id", "nobody's"],
)
def test_what_was_typed_stays_when_it_is_refused(page, ask, reviewer, said, why):
    one = decided(ask(), reviewer)
    answer = told(page, one, detail="a long story", **said)
    shown = answer.content.decode()
    assert answer.status_code == 422 and why in shown and "a long story" in shown and not OutcomeReport.objects.exists()


def test_a_stranger_may_not_say_anything(ask, reviewer, stranger, signed_in):
    one = decided(ask(), reviewer)
    assert told(signed_in(stranger), one, outcome="wrong").status_code == 404


def test_only_who_sees_everything_takes_the_file_away(page, ask, reviewer, mona, signed_in):
    decided(ask(), reviewer)
    assert page.get("/feedback/").status_code == 404 and page.post("/feedback/", {"format": "jsonl"}).status_code == 404
    assert "feedback/" not in page.get("/settled/").content.decode()

    manager = signed_in(mona)
    assert "/feedback/" in manager.get("/settled/").content.decode() and manager.get("/feedback/").status_code == 200
    assert len(file(manager, redact="on").splitlines()) == 1
    entry = json.loads(AuditEntry.objects.get(action="feedback.exported").body)
    assert entry["actor"]["id"] == "mona" and entry["facts"]["redacted"] is True


def test_each_form_holds_what_was_decided(ask, reviewer, mona, signed_in):
    one = decided(ask(incident_title="Zoë’s turbine"), reviewer, "it spins")
    decided(ask(incident_test=True), reviewer)
    manager = signed_in(mona)
    told(signed_in(reviewer), one, outcome="resolved")

    [row] = [json.loads(line) for line in file(manager, redact="on").splitlines()]
    [cells] = list(csv.DictReader(io.StringIO(file(manager, format="csv").removeprefix("\ufeff"))))
    [lesson] = [json.loads(line) for line in file(manager, format="chat", redact="on").splitlines()]

    assert (row["incident"]["title"], row["decision"]["by"]["name"], row["role"]) == ("Zoë’s turbine", None, "finance")
    assert (cells["reason"], cells["by"], cells["outcomes"], cells["teaches"]) == ("it spins", "Rosa Reviewer", '["resolved (feedback)"]', "true")
    assert faults_of(lesson) == [] and json.loads(lesson["messages"][2]["content"]) == {"decision": "approve", "reason": "it spins"}


def test_days_and_roles_bound_what_is_taken(ask, reviewer, mona, signed_in):
    decided(ask(), reviewer)
    manager = signed_in(mona)
    assert file(manager, until="2020-01-01") == "" and file(manager, role="security") == ""
    assert file(manager, since="2020-01-01", role="finance")
    for wrong in ({"since": "soon"}, {"since": "2020-02-01", "until": "2020-01-01"}, {"role": "nobody"}, {"format": "xml"}):
        assert manager.post("/feedback/", {"format": "jsonl", **wrong}).status_code == 422


def test_without_redaction_the_page_masks_what_one_has_no_clearance_for(ask, reviewer, mona, signed_in):
    decided(ask(args={"card": "4111 1111 1111 1111", "password": "hunter2!x"}), reviewer, "password hunter2!x")
    text = file(signed_in(mona))
    assert "4111 1111 1111 1111" in text, "managers are cleared for cards"
    assert "hunter2" not in text and "a password" in text


def test_who_judges_something_again_is_not_told_what_was_decided(ask, reviewer, mona, signed_in):
    one = decided(ask(incident_title="The one to judge"), reviewer, "a telling reason")
    told(signed_in(reviewer), one, outcome="wrong")
    manager = signed_in(mona)
    assert "telling reason" in file(manager) and "The one to judge" in manager.get("/feedback/").content.decode()

    now = clock.now()
    SecondLook.objects.create(proposal=one, role=one.role, opened_by=mona, opened_at=now, lapses_at=now + timedelta(days=1))

    assert file(manager) == "" and "The one to judge" not in manager.get("/feedback/").content.decode()


def test_the_page_costs_the_same_however_much_was_learned(ask, reviewer, mona, signed_in, django_assert_num_queries):
    manager = signed_in(mona)
    for size in (1, 5):
        for _ in range(size):
            OutcomeReport.objects.create(incident=IncidentFactory(), outcome="wrong", by_kind="source", by_id="a")
        with django_assert_num_queries(8) as counted:
            manager.get("/feedback/")
        assert counted
