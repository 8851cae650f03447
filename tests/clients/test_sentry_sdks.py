"""Sentry's SDKs as published: a program that changes its DSN and nothing else is read here by people."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from tests.clients.conftest import run
from tests.e2e.company import Reviewer, until

HERE = Path(__file__).parent
NODE = ("@sentry/node@latest", "@sentry/node@11.8.0", "@sentry/node@10", "@sentry/node@9")  # the newest that can be installed here


@pytest.fixture(scope="module")
def node(node_environment):
    """Return the folder of the newest @sentry/node there is to have."""
    last = None
    for package in NODE:
        try:
            return node_environment(package)
        except pytest.skip.Exception as skipped:
            last = skipped
    raise last


@pytest.fixture(scope="module")
def reader(company):
    made = company.manage("add_person", "rhea", "--role", "manager")
    return Reviewer(company.url, made["person"], made["password"])


@pytest.fixture
def reported(company, new_source, request):
    """Return (the DSN of a source of its own, a function that returns its incidents by title once there are so many)."""
    source = new_source("sentry-" + re.sub(r"[^a-z]+", "-", request.node.name.lower())[5:60].strip("-"), "--dsn")

    def incidents(many):
        def found():
            rows = company.sql(
                "SELECT i.title, i.kind, i.claimed_severity, i.severity, i.environment, i.fingerprint, i.payload, i.context, i.status, p.id, i.external_id"
                " FROM escalations_incident i JOIN escalations_source s ON s.id = i.source_id"
                " LEFT JOIN escalations_proposal p ON p.incident_id = i.id WHERE s.name = %s", source["source"],
            )
            names = ("title", "kind", "claimed", "severity", "environment", "fingerprint", "payload", "context", "status", "proposal", "external_id")
            return [dict(zip(names, row, strict=True)) for row in rows if row[8] == "waiting"]

        until(lambda: len(found()) >= many, 60, f"{many} incidents of {source['source']}")
        return found()

    return source["dsn"], incidents


def titled(incidents, words):
    return [one for one in incidents if words in one["title"]]


def words_of(page):
    return unescape(re.sub(r"<[^>]+>", "", page))


@pytest.mark.parametrize("packages", [("sentry-sdk",), ("sentry-sdk", "brotli")], ids=["gzip", "brotli"])
def test_a_python_program_is_heard(environment, reported, reader, packages):
    dsn, incidents = reported
    steps = ("exception", "again", "message", "logged", "attachment", "transaction", "fatal", "huge")
    done = run(environment(*packages), HERE / "sentry_program.py", *steps, SENTRY_DSN=dsn)
    assert done.returncode == 0, done.stderr
    ids = {said["step"]: said["id"] for said in map(json.loads, done.stdout.splitlines())}

    found = incidents(8)

    assert len(found) == 8
    assert {one["kind"] for one in found} == {"exception"} and {one["environment"] for one in found} == {"prod"}
    [declined] = titled(found, "ValueError: card declined for A-1")
    assert declined["fingerprint"] == "card-declined" and declined["external_id"] == ids["exception"]
    raised, sentry = declined["payload"]["exception"], declined["payload"]["sentry"]
    assert raised["type"] == "ValueError" and raised["message"] == "card declined for A-1"
    assert "KeyError: 'A-1'" in raised["stacktrace"] and "This led to:" in raised["stacktrace"] and "in pay" in raised["stacktrace"]
    assert sentry["release"] == "billing@1.2.3" and sentry["tags"]["team"] == "billing" and sentry["contexts"]["order"] == {"id": "A-1"}
    assert sentry["frames"][0]["variables"]["order"] == "text of 3 characters"
    assert any("calling gateway" in line for line in sentry["breadcrumbs"])
    stored = json.dumps([declined["payload"], declined["context"]])
    assert not [one for one in ("hunter2", "nobody else should read", "abc123def", "anna@shop") if one in stored]

    one, two = titled(found, "card declined for A-2"), titled(found, "card declined for A-3")
    assert one[0]["fingerprint"] == two[0]["fingerprint"] != "card-declined"
    assert titled(found, "payment A-4 failed") and titled(found, "with attachment")
    assert [(row["claimed"], row["severity"]) for row in titled(found, "the disk is gone")] == [("critical", "critical")]
    [huge] = titled(found, "a huge one")
    assert len(json.dumps(huge["payload"])) < 50_000

    page = words_of(reader.http.get(f"/proposals/{declined['proposal']}/").text)
    for words in ("ValueError: card declined for A-1", "Raised in pay", "Caused by KeyError", "calling gateway", "billing@1.2.3"):
        assert words in page, words
    assert "hunter2" not in page


def test_what_nothing_caught_is_heard_and_the_program_ends_as_it_would(environment, reported):
    dsn, incidents = reported
    done = run(environment("sentry-sdk"), HERE / "sentry_program.py", "uncaught", SENTRY_DSN=dsn)

    assert done.returncode == 1 and "ValueError: card declined for A-5" in done.stderr
    [found] = incidents(1)
    assert found["title"] == "ValueError: card declined for A-5"
    assert "Nothing in the program caught it." in found["context"]["summary"]
    assert "hunter2" not in json.dumps([found["payload"], found["context"]])


def test_a_node_program_is_heard(node, reported, reader):
    dsn, incidents = reported
    program = node / "program.mjs"  # beside node_modules, where Node looks for them
    program.write_text((HERE / "sentry_program.mjs").read_text(encoding="utf-8"), encoding="utf-8")
    done = run("node", program, "exception", "message", "huge", SENTRY_DSN=dsn)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert said[-1] == {"step": "flush", "id": True}

    found = incidents(3)

    assert len(found) == 3
    [failed] = titled(found, "Error: checkout failed")
    assert failed["external_id"] == said[0]["id"]
    raised, sentry = failed["payload"]["exception"], failed["payload"]["sentry"]
    assert "TypeError: no card on file for A-1" in raised["stacktrace"] and "charge" in raised["stacktrace"]
    assert sentry["platform"] == "node" and sentry["release"] == "shop@2.0.0" and sentry["sdk"].startswith("sentry.javascript.node")
    assert sentry["caused_by"][0]["type"] == "TypeError"
    assert "nobody else should read" not in json.dumps(failed["payload"])
    assert titled(found, "manual message")[0]["claimed"] == "info"
    page = words_of(reader.http.get(f"/proposals/{failed['proposal']}/").text)
    assert "Error: checkout failed" in page and "calling gateway" in page


def test_a_person_settles_what_an_sdk_reported(environment, reported, desk, company):
    dsn, incidents = reported
    run(environment("sentry-sdk"), HERE / "sentry_program.py", "message", SENTRY_DSN=dsn)
    [found] = incidents(1)
    [(source,)] = company.sql("SELECT s.name FROM escalations_source s JOIN escalations_incident i ON i.source_id = s.id WHERE i.external_id = %s", found["external_id"])

    waiting = desk.next(source, title="manual message")
    settled = desk.decide(waiting, "approve")

    assert settled["status"] == "settled" and settled["decision"]["action"] == "acknowledge"
