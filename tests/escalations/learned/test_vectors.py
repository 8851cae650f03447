"""Incidents as numbers: the same for the same, nothing that was not posted, nothing a stranger can break."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.learned import features, of
from escalations.learned.reading import PlainIncident, read
from escalations.learned.text import words
from tests.factories import IncidentFactory, ProposalFactory
from tests.teaching import posted

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4), max_leaves=15,
)


def places(vector):
    return set(features.unpacked(vector)[0].tolist())


def test_a_vector_is_sorted_and_holds_each_feature_once_with_how_often_it_occurs():
    found, counts = features.unpacked(of(*read({"kind": "alert", "title": "disk disk disk full"})))

    assert len(found) == len(set(found.tolist()))
    assert counts.min() >= 1 and counts.max() >= 3
    assert np.all((found >= 0) & (found < 1 << features.PLACES))


@pytest.mark.parametrize("text, place", [("refund", 290813), ("größe", 268103)], ids=["plain", "beyond ASCII"])
def test_a_word_has_the_same_place_for_ever(text, place):
    assert features.place(text) == place, "stored vectors mean nothing any more when this moves: raise SPEC"


@pytest.mark.django_db
def test_a_row_and_what_was_posted_have_the_same_features():
    said = posted(7, right=True)
    incident = IncidentFactory(title=said["title"], context=said["context"])
    proposal = ProposalFactory(incident=incident, action="refund", args=said["proposal"]["args"])

    assert of(incident, proposal) == of(*read(said, incident.source_id))


@pytest.mark.django_db
def test_nothing_that_came_after_the_post_is_read(django_assert_num_queries):
    said = posted(7, right=True)
    incident = IncidentFactory(title=said["title"], context=said["context"])
    proposal = ProposalFactory(incident=incident, action="refund", args=said["proposal"]["args"])
    before = of(incident, proposal)
    incident.status, incident.severity, incident.category, incident.triggers = "settled", "critical", "fraud", ["high_stakes"]
    proposal.state, proposal.confidence, proposal.risk, proposal.category = "rejected", 0.1, "critical", "fraud"

    with django_assert_num_queries(0):
        assert of(incident, proposal) == before


def test_size_and_origin_of_an_argument_are_features():
    small, large = (features.named(*read(posted(1, right=right))) for right in (True, False))

    assert "arg amount is about 2^4.5" in small.values()
    assert "amount comes from nowhere" in small.values()
    assert {name for name in small.values() if "amount" in name} != {name for name in large.values() if "amount" in name}


def test_features_that_are_named_are_those_of_the_vector():
    said = read(posted(3, right=True))

    assert set(features.named(*said)) == places(of(*said))


def test_words_are_cut_alike_however_they_are_written():
    assert words("refundOrder REFUND_order Refund-Order") == ["refund", "order"] * 3
    assert words("order 118211 of 7") == ["order", "#6", "of", "7"]


@given(payload=JSON, context=JSON, args=JSON, draft=JSON, claims=JSON)
@settings(max_examples=60, deadline=None)
def test_whatever_json_a_stranger_posts_becomes_numbers(payload, context, args, draft, claims):
    incident, proposal = read({
        "kind": "action", "title": "x", "payload": payload, "context": context, "customer": claims, "severity": claims,
        "proposal": {"action": "do", "args": args, "draft": draft, "claims": claims, "confidence": claims},
    })

    assert len(of(incident, proposal)) % 4 == 0


@pytest.mark.parametrize("number", [0, -1, 1e308, 10**400, math.inf, -math.inf, math.nan, 0.0001], ids=str)
def test_every_number_has_a_size(number):
    assert len(of(PlainIncident("alert", payload={"value": number}))) > 0


def test_a_flood_is_cut_off():
    flood = of(*read({"kind": "alert", "title": "x", "payload": {f"key{n}": "word " * 2_000 + str(n) for n in range(2_000)}}))

    assert len(flood) < 20_000
