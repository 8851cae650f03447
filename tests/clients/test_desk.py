"""The other end of every client test: a manager who finds what waits, and decides it."""

import subprocess

import httpx


def test_what_a_source_asks_is_found_and_decided(company, new_source, desk):
    source = new_source("asker")
    ask = {"kind": "question", "title": "Which region?"}
    headers = {"authorization": f"Bearer {source['key']}"}
    posted = httpx.post(f"{company.url}/api/v1/incidents", json=ask, headers=headers, timeout=30).json()

    incident = desk.next("asker", title="Which region?")
    desk.decide(incident, "respond", message="eu-west")

    told = httpx.get(f"{company.url}/api/v1/incidents/{posted['id']}?wait=20", headers=headers, timeout=40).json()
    assert (told["status"], told["decision"]["message"]) == ("settled", "eu-west")


def test_an_environment_has_what_was_asked_for_and_nothing_of_ours(environment):
    python = environment("standardwebhooks")

    def has(module):
        return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0

    assert has("standardwebhooks") and not has("django")
