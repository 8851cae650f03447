"""Law 11: context travels. Whoever opens a proposal sees the request, what was tried, with which arguments and results, why it came to a
person, and what was decided in similar cases.

How each part is drawn is in tests/reviews/test_proposal.py, that nothing of it can harm the page in tests/reviews/test_hostile.py. Here
a real post walks through the queues, and at each stop the next person still sees everything.
"""

import html
import re
from datetime import timedelta

import pytest

from escalations import clock, lifecycle
from escalations.models import Proposal
from tests.factories import PersonFactory, RuleFactory, role

from .conftest import newest, said, shown

pytestmark = pytest.mark.django_db

CONTEXT = {
    "request": "Mrs Jones asks for her money back: the kettle arrived broken.",
    "summary": "Agent summary: two lookups, one failed refund.",
    "why": "The refund tool refuses amounts above its limit.",
    "messages": [{"role": "user", "content": "The kettle leaks from its bottom seam."}, {"role": "assistant", "content": "Let me look that up."}],
    "attempts": [
        {"tool": "lookup_order", "arguments": {"order": 1182, "depth": "full"}, "result": {"carrier": "Postel", "weight": 1420}},
        {"tool": "refund_payment", "arguments": {"amount": 250, "currency": "EUR"}, "error": "LimitExceeded: 100 is the most"},
    ],
    "links": [{"label": "The order", "url": "https://shop.example/orders/1182"}],
}
REFUND = {
    "kind": "action", "title": "Refund $250 for order 1182", "body": "Body: customer since 2019.", "context": CONTEXT,
    "customer": {"id": "cust-77", "tier": "gold"}, "payload": {"warehouse": "Lyon-4"},
    "proposal": {
        "action": "refund", "args": {"order": 1182, "amount": 250}, "description": "Description: full refund.",
        "impact": "Impact: 250 EUR leave the account.",
    },
}
TRAVELS = [
    "Mrs Jones asks for her money back", "two lookups, one failed refund", "refuses amounts above its limit", "leaks from its bottom seam",
    "Let me look that up", "lookup_order", "depth", "full", "Postel", "1420", "refund_payment", "EUR", "LimitExceeded: 100 is the most",
    "shop.example", "customer since 2019", "cust-77", "gold", "Lyon-4", "Description: full refund",
    "Impact: 250 EUR", "1182", "250",
]


def read(client, proposal):
    """Return the page's text as a person reads it."""
    answer = client.get(f"/proposals/{proposal.pk}/")
    assert answer.status_code == 200
    return html.unescape(re.sub(r"<[^>]+>", "", answer.content.decode()))


def assert_travelled(text, proposal):
    missing = [one for one in TRAVELS if one not in text]
    assert not missing
    for trigger in proposal.triggers:
        assert trigger["why"] in text, trigger
    for rule in proposal.rules:
        assert (rule["why"] or rule["name"]) in text, rule


def test_the_first_reviewer_sees_it_all_and_why_it_came_to_a_person(posted, browser, rosa):
    one = posted(REFUND)

    assert one.triggers and one.rules
    assert_travelled(read(browser(rosa), one), one)


def test_so_does_everybody_it_climbs_or_is_handed_to(posted, browser, rosa, mona):
    one = posted(REFUND)
    helper = PersonFactory(roles=["support"])
    lifecycle.hand_over(one.pk, person=rosa, role=role("support"), why="You know this customer, Sam.")
    assert_travelled(read(browser(helper), one), one)
    with clock.frozen_at(clock.now() + timedelta(hours=4, minutes=1)):
        lifecycle.run_out()
        now = Proposal.objects.get()
        text = read(browser(mona), now)

    assert now.role.name == "manager"
    assert_travelled(text, now)
    assert "You know this customer, Sam." in text
    assert_travelled(read(browser(rosa), now), now)


def test_and_whoever_signs_what_a_colleague_made_of_it(posted, browser, rosa):
    RuleFactory(name="Large refunds", why="Large refunds are the process owner's.", condition="proposal.args.amount > 5000",
                role=role("process owner"), priority=10_000)
    one = posted(REFUND)
    browser(rosa).post(f"/proposals/{one.pk}/", shown(one, "edit", args='{"order": 1182, "amount": 6000}'))
    edited = newest(one.incident_id)
    text = read(browser(PersonFactory(roles=["process owner"])), edited)

    assert edited.revision == 2
    assert_travelled(text, edited)
    assert "6000" in text and "250" in text and "Rosa Reviewer" in text


def test_and_whoever_gets_it_back_after_a_no_or_a_failure(agent, posted, browser, token, rosa, carl, run_jobs):
    one = posted(REFUND)
    token(rosa).post(f"/proposals/{one.pk}/decision", said(one, "reject", reason="Ask for a photo first.", retry=True))
    agent.post(f"/incidents/{one.incident_id}/proposals", REFUND["proposal"])
    run_jobs()
    second = newest(one.incident_id)
    text = read(browser(carl), second)
    assert_travelled(text, second)
    assert "Ask for a photo first." in text and "Rosa Reviewer" in text

    token(carl).post(f"/proposals/{second.pk}/decision", said(second))
    agent.post(
        f"/incidents/{one.incident_id}/ack", {"result": "failed", "args_digest": second.args_digest, "detail": "The card has expired."}
    )
    run_jobs()
    third = newest(one.incident_id)
    text = read(browser(rosa), third)
    assert (third.revision, third.state) == (3, "pending")
    assert all(one in text for one in TRAVELS if not one.startswith(("Description", "Impact")))
    assert "The card has expired." in text


def test_what_was_said_later_is_there_too_questions_and_answers(agent, posted, browser, rosa, carl):
    one = posted(REFUND)
    browser(rosa).post(f"/proposals/{one.pk}/acts/", {"act": "ask_back", "text": "Is there a photo of the seam?"})
    answer = {"summary": "Photo attached as img-9.", "attempts": [{"tool": "fetch_photo", "arguments": {"id": 9}, "result": "seam torn"}]}
    assert agent.post(f"/incidents/{one.incident_id}/context", answer).status_code == 200
    browser(rosa).post(f"/proposals/{one.pk}/acts/", {"act": "comment", "text": "I would pay this."})

    text = read(browser(carl), one)

    assert_travelled(text, one)
    for part in ("Is there a photo of the seam?", "Photo attached as img-9.", "fetch_photo", "seam torn", "I would pay this."):
        assert part in text, part


def test_similar_cases_are_shown_with_what_was_decided_and_why(posted, browser, token, rosa, carl):
    for number, verdict in enumerate(("reject", "approve")):
        past = posted(REFUND, fingerprint="kettle", key=f"past-{number}")
        token(rosa).post(f"/proposals/{past.pk}/decision", said(past, verdict, reason=f"Reason number {number}"))
    text = read(browser(carl), posted(REFUND, fingerprint="kettle", key="now"))

    assert "Reason number 0" in text and "Reason number 1" in text and "Rosa Reviewer" in text


def test_nothing_of_a_long_context_is_left_out_in_the_middle(posted, browser, rosa):
    attempts = [
        {"tool": f"tool-{n}", "arguments": {"step": f"argument-{n}"}, "result": "x" * 200 + f"result-{n}"} for n in range(300)
    ]
    text = read(browser(rosa), posted(REFUND, context={**CONTEXT, "attempts": attempts, "request": "y" * 30_000 + " the end of the request"}))

    assert "the end of the request" in text
    assert all(f"argument-{n}" in text and f"result-{n}" in text for n in range(300))


def test_an_incident_without_a_proposal_brings_its_own_context(posted, browser):
    exception = {"type": "KeyError", "message": "order_1182", "stacktrace": 'File "pay.py", line 7, in pay', "retryable": False, "attempts": 4}
    one = posted({"kind": "exception", "title": "Boom", "context": CONTEXT, "payload": {"exception": exception}})
    text = read(browser(PersonFactory(roles=[one.role.name])), one)

    for part in ("KeyError", "order_1182", 'File "pay.py", line 7', "lookup_order", "Postel", "LimitExceeded"):
        assert part in text, part
