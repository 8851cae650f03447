"""Law 7: a GET never decides. Mail scanners, link previews, prefetching browsers and curious scripts follow every address there is.

The addresses come from the resolver itself, so that a page somebody adds tomorrow is tried too.
"""

import re
from urllib.parse import urlencode

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from escalations.models import (
    Acknowledgement,
    ApiKey,
    AuditEntry,
    Comment,
    ContextItem,
    Decision,
    Delivery,
    EscalationPolicy,
    Incident,
    Person,
    PersonToken,
    Proposal,
    Question,
    RoutingRule,
    Signature,
    Source,
    StepRun,
    Trigger,
    Work,
)
from reviews.groups import Pick
from tests.factories import PersonFactory

from .conftest import said, shown

pytestmark = pytest.mark.django_db

RECORD = [
    Acknowledgement, ApiKey, AuditEntry, Comment, ContextItem, Decision, Delivery, EscalationPolicy, Incident, Person, PersonToken,
    Proposal, Question, RoutingRule, Signature, Source, StepRun, Trigger, Work,
]
USE = {"last_login", "last_used_at"}  # that somebody was here is no decision


def addresses(proposal, rule):
    """Return every address the resolver knows, with this proposal's and rule's ids in it."""

    def walk(patterns, before):
        for one in patterns:
            route = before + str(one.pattern).lstrip("^").rstrip("$").replace(r"\Z", "")
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            elif isinstance(one, URLPattern):
                yield route

    found = set()
    for route in walk(get_resolver().url_patterns, "/"):
        for pk in (proposal.pk, proposal.incident_id, rule.pk):
            path = re.sub(r"<[^>]*>|\(\?P<[^>]*>[^)]*\)", str(pk), route)
            found.add(re.sub(r"\.\*|[\\^$?]", "", path))
    return sorted(found - {"/logout/", "/admin/logout/"})


def fine(answer):
    """No error of ours; that no worker is ready is the truth here."""
    return answer.status_code < 500 or answer.request["PATH_INFO"] == "/readyz"


def everything():
    return {
        model: sorted(
            tuple((name, str(value)) for name, value in row.items() if name not in USE) for row in model.objects.values()
        )
        for model in RECORD
    }


@pytest.fixture
def question(proposal):
    """What a form would post, all of it, in an address."""
    pick = str(Pick(proposal.pk, proposal.version, proposal.args_digest))
    acts = {"act": "claim", "take_over": "1", "pick": pick, "source": proposal.source.name, "fingerprint": proposal.incident.fingerprint}
    return urlencode({**shown(proposal), **said(proposal), **acts, "_method": "POST", "action": "approve", "result": "done", "wait": "0"})


@pytest.fixture
def proposal(posted):
    return posted()


@pytest.fixture
def paths(proposal):
    found = addresses(proposal, RoutingRule.objects.first())
    assert f"/proposals/{proposal.pk}/" in found and f"/api/v1/proposals/{proposal.pk}/decision" in found
    assert f"/proposals/{proposal.pk}/acts/" in found and len(found) > 60
    return found


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_no_address_followed_by_a_reviewer_changes_anything(paths, question, mona, browser, method):
    client = browser(mona)
    before = everything()

    for path in paths:
        assert fine(getattr(client, method)(f"{path}?{question}")), path

    assert everything() == before


def test_nor_by_an_administrator(paths, question, browser):
    client = browser(PersonFactory(username="root", roles=["manager"], is_superuser=True, is_staff=True))
    before = everything()

    answers = [client.get(path + query) for path in paths for query in ("", f"?{question}")]

    assert all(fine(answer) for answer in answers) and sum(answer.status_code == 200 for answer in answers) > 30
    assert everything() == before


@pytest.mark.parametrize("method", ["get", "head"])
def test_nor_with_a_token_or_a_key(paths, question, mona, token, agent, client, method):
    speakers = [agent, token(mona)]
    before = everything()

    for speaker in speakers:
        for path in paths:
            for headers in ({}, {"X-HTTP-Method-Override": "POST"}):
                answer = getattr(client, method)(f"{path}?{question}", headers=speaker.headers(headers))
                assert fine(answer), path

    assert everything() == before


def test_nor_with_htmx_in_front_and_ten_times_over(proposal, question, mona, browser):
    client = browser(mona)
    before = everything()
    for _ in range(10):
        for path in (f"/proposals/{proposal.pk}/", f"/proposals/{proposal.pk}/acts/", "/groups/", "/", "/tokens/"):
            client.get(f"{path}?{question}", headers={"HX-Request": "true", "HX-Boosted": "true", "Purpose": "prefetch"})

    assert everything() == before


def test_a_body_in_a_get_is_not_read(proposal, mona, browser):
    before = everything()

    browser(mona).generic("GET", f"/proposals/{proposal.pk}/", urlencode(shown(proposal)), "application/x-www-form-urlencoded")

    assert everything() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_other_methods_sign_nothing_either(proposal, question, mona, browser, token, client, method):
    before = {model: rows for model, rows in everything().items() if model is not PersonToken}
    speaker = token(mona)
    for path in (f"/proposals/{proposal.pk}/", f"/proposals/{proposal.pk}/acts/", "/groups/"):
        assert getattr(browser(mona), method)(f"{path}?{question}").status_code == 405
    assert getattr(client, method)(f"/api/v1/proposals/{proposal.pk}/decision?{question}", headers=speaker.headers()).status_code == 405

    assert {model: rows for model, rows in everything().items() if model is not PersonToken} == before
