"""What the demo company's machine calls unfamiliar: not what is like its matters, though nearly all of its past was vouchers."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from escalations.demo import learned, matters, vouchers
from escalations.learned import Case, of
from escalations.learned.fitting import model_of
from escalations.learned.reading import read
from escalations.states import Verdict

ABOVE = 0.98
SOURCE = {"billing": 1, "desk": 2}


def vector(where, said):
    return of(*read(said, SOURCE[where]))


def labelled(where, one):
    action = one.incident.get("proposal", {}).get("action", "")
    return Case(
        vector(where, one.incident), one.incident["kind"], one.verdict == Verdict.APPROVE, one.category, one.severity, one.decided_at,
        lane=f"{SOURCE[where]}/action/{action}" if action else "", source=str(SOURCE[where]),
    )


@pytest.fixture(scope="module")
def model():
    """What the company trains on before its first week."""
    until = datetime(2026, 11, 1, tzinfo=UTC)
    past = sorted([*learned.past_vouchers(until), *learned.past_matters(until)], key=lambda pair: pair[1].decided_at)
    return model_of([labelled(where, one) for where, one in past])


def novelties(model, *posted):
    return np.array([one.novelty for one in model.speak([vector(where, said) for where, said in posted])])


def test_the_matters_of_the_week_are_as_familiar_as_its_vouchers(model):
    week = [(where, said) for _, where, said, *_ in matters.MATTERS]
    later = [(where, json.loads(learned.NUMBERS.sub("99123", json.dumps(said)))) for where, said in week]
    given = [("billing", one.asks) for one in vouchers.vouchers(100, 77, 31_000)]

    assert np.all(novelties(model, *week, *later) <= ABOVE)
    assert np.mean(novelties(model, *given) > ABOVE) <= 0.05


def test_a_plain_refund_is_like_the_refunds_that_were_decided(model):
    plain = [
        ("billing", {
            "kind": "action", "title": f"Refund {order - 30_990} for order {order}", "customer": {"id": f"c-{order}", "tier": "verified"},
            "proposal": {"action": "refund", "args": {"order": order, "amount": order - 30_990, "currency": "EUR"}},
        })
        for order in range(31_000, 31_100, 9)
    ]

    assert np.all(novelties(model, *plain) <= ABOVE)


def test_what_is_foreign_to_the_company_is_unfamiliar(model):
    foreign = [
        ("billing", {
            "kind": "action", "title": "Drop the table of customers", "context": {"request": "Clean the database."},
            "proposal": {"action": "run_sql", "args": {"statement": "DROP TABLE customers"}},
        }),
        ("billing", {
            "kind": "action", "title": "Refund everything to my wallet", "context": {"request": "zxcv qwer asdf uiop", "why": "The moon says so."},
            "proposal": {"action": "refund", "args": {"wallet": "everything", "chain": "moon"}},
        }),
        ("desk", {"kind": "question", "title": "Can you sell me a used submarine?", "body": "I want to dive below the ice with my cousins."}),
        ("desk", {
            "kind": "draft", "title": "Reply: asbestos", "context": {"request": "My lawyer will sue you."},
            "proposal": {
                "action": "send_reply", "args": {"ticket": 88_123},
                "draft": {"to": "x@mail.example", "subject": "Asbestos", "body": "We admit liability for everything and resign.", "format": "text"},
            },
        }),
    ]

    assert np.all(novelties(model, *foreign) > ABOVE)


def test_it_says_nothing_of_alerts_which_nobody_there_has_decided(model):
    alert = {"kind": "alert", "title": "Nightly price import finished", "severity": "info", "payload": {"level": "info", "changed": 190}}

    assert [one.novelty for one in model.speak([vector("desk", alert)])] == [None]
