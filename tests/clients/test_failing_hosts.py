"""Services that fail in each framework, in an environment with nothing else: their caller hears the level that was found."""

import json
import os
from pathlib import Path

import pytest

from .conftest import run

HERE = Path(__file__).parent
SDK = HERE.parents[1] / "sdk" / "python" / "src"


@pytest.fixture(scope="module")
def source(new_source):
    return new_source("shop")


@pytest.fixture
def python(environment):
    return environment("fastapi", "flask", "django", "httpx>=0.27", "pytest")


@pytest.fixture
def service(python, company, source, tmp_path):

    def fail(host, url=company.url, **more):
        return run(
            python, HERE / "reporting_program.py", host, PYTHONPATH=str(SDK), COUNTERSIGN_URL=url, COUNTERSIGN_KEY=source["key"],
            COUNTERSIGN_ENVIRONMENT="production", TMPDIR=str(tmp_path), timeout=200, **more,
        )

    return fail


@pytest.mark.parametrize("host", ["fastapi", "flask", "django"])
def test_the_caller_of_a_service_that_failed_is_told_the_level_and_who_has_it(service, desk, host):
    done = service(host)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    told = said["told"]
    assert said["status"] == 500 and told["error"] == "Internal Server Error"
    assert told["level"] in ("critical", "warning") and told["message"] in ("escalated automatically", "routed for human review")

    incident = desk.http.get(f"/incidents/{told['incident']}").json()
    assert incident["kind"] == "exception" and incident["title"].startswith("CardDeclined: card declined for A-1")
    assert incident["severity"] == told["level"] and "abcdef123456" not in json.dumps(incident)


def test_the_same_failure_twice_is_one_group(service, company):
    ids = [json.loads(service("flask").stdout.splitlines()[-1])["told"]["incident"] for _ in range(2)]
    rows = company.sql("SELECT DISTINCT fingerprint FROM escalations_incident WHERE id = ANY(%s::uuid[])", ids)
    assert len(set(ids)) == 2 and len(rows) == 1


def test_a_script_that_ends_says_where_it_went(service):
    done = service("script")
    assert done.returncode == 1 and "CardDeclined: card declined for A-1" in done.stderr
    assert "countersign: incident " in done.stderr


def test_with_countersign_away_the_service_answers_all_the_same_and_keeps_the_report(service, tmp_path):
    done = service("fastapi", url="http://127.0.0.1:9", WAIT="0.3")
    told = json.loads(done.stdout.splitlines()[-1])["told"]
    assert told["message"] == "recorded here, will be reported" and told["incident"] is None
    (kept,) = tmp_path.glob("countersign-*/*.report.json")
    assert json.loads(kept.read_bytes())["report"]["external_id"] == told["reference"]


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_the_integrations_pass_their_own_tests_with_the_newest_of_each(python, tmp_path, framework):
    """Where this checkout is developed not every framework is installed, and those that are may be older."""
    tests = SDK.parent / "tests"
    done = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tests),
        str(tests / f"test_reporting_{framework}.py"), PYTHONPATH=str(SDK), TMPDIR=str(tmp_path), timeout=200,
    )
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout[-3000:]
