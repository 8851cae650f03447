"""Sensitive values are masked wherever a page says them, for who has no clearance, until they are revealed on purpose."""

from datetime import timedelta

import pytest
from django.urls import reverse

from escalations import audit, clock
from escalations.floors.sensitive import spans
from escalations.states import Sensitive
from reviews import veil
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

CARD = "4111 1111 1111 1111"
IBAN = "DE89 3704 0044 0532 0130 00"


def parts(text):
    return [(text[one.start : one.end], one.name) for one in spans(text)]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"pay with {CARD} please", [CARD]),
        (f"{CARD}, then {IBAN} now", [CARD, IBAN]),
        (f"to {IBAN} please pay today", [IBAN]),
        (f"{CARD} {CARD} 12 27", [f"{CARD} {CARD} 12 27"]),
        ("４１１１ １１１１ １１１１ １１１１ is wide", ["４１１１ １１１１ １１１１ １１１１"]),
        ("411\u200b1 1111 1111 1111 hides a space", ["411\u200b1 1111 1111 1111"]),
        ('{"password": "tr0ub4dor&3"}', ["tr0ub4dor&3"]),
        ('{"password":"tr0ub4dor&3","to":"x"}', ["tr0ub4dor&3"]),
        ("password: tr0ub4dor&3, thanks", ["tr0ub4dor&3,"]),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY----- after", None),
        ("order 1182 for 250.00 on 2026-11-21", []),
    ],
)
def test_a_span_is_exactly_the_value(text, masked):
    found = parts(text)

    if masked is None:
        assert "MIIEow" in found[0][0]
        assert "after" not in found[0][0]
    else:
        assert [value for value, _ in found] == masked


def test_nothing_is_lost_between_the_pieces():
    text = f"a {CARD} b \u202e {IBAN} c"
    over = veil.Veil(frozenset(Sensitive.values))

    pieces = list(over.pieces(text))

    assert "".join(part for part, _ in pieces) == text
    assert CARD not in over.text(text)
    assert "ending in 1111" in over.text(text)


def test_a_password_is_masked_where_it_stands_alone_too():
    over = veil.Veil(frozenset({Sensitive.SECRET})).over(['{"password": "tr0ub4dor&3"}'])

    assert over.text("log in with tr0ub4dor&3 there") == "log in with [a password] there"
    assert veil.Veil(frozenset({Sensitive.FINANCIAL})).over(['{"password": "tr0ub4dor&3"}']).text("tr0ub4dor&3") == "tr0ub4dor&3"


@pytest.fixture
def transfer(reader):
    args = {"account": IBAN, "amount": 20, "card": CARD, "password": "tr0ub4dor&3"}
    incident = IncidentFactory(
        source=SourceFactory(), title=f"Transfer to {IBAN}", payload={"card": CARD}, fingerprint="transfer", body="use tr0ub4dor&3",
        context={"request": f"My card is {CARD}", "attempts": [{"tool": "look_up", "result": f"account {IBAN}"}]},
    )
    return ProposalFactory(incident=incident, action="transfer", args=args, title=incident.title, role=role("finance"))


SECRETS = ("4111 1111", "DE89 3704", "tr0ub4dor&amp;3", "tr0ub4dor&3")


def pages_of(proposal):
    return [
        reverse("reviews:inbox"),
        reverse("reviews:proposal", args=[proposal.pk]),
        reverse("reviews:incident", args=[proposal.incident_id]),
        f"{reverse('reviews:group')}?source={proposal.source.name}&fingerprint=transfer",
    ]


def test_no_page_says_what_its_reader_has_no_clearance_for(client, reader, transfer):
    client.force_login(reader)

    for path in pages_of(transfer):
        said = client.get(path).content.decode()
        assert [secret for secret in SECRETS if secret in said] == [], path
        assert "ending in" in said, path


def test_clearance_is_by_kind(client, reader, transfer):
    finance = role("finance")
    finance.clearance = [Sensitive.FINANCIAL]
    finance.save()
    client.force_login(reader)

    said = client.get(reverse("reviews:proposal", args=[transfer.pk])).content.decode()

    assert "4111 1111" in said
    assert "DE89 3704" in said
    assert "tr0ub4dor" not in said


def test_what_was_revealed_is_read_by_who_revealed_it_for_half_an_hour(client, reader, transfer):
    colleague = PersonFactory(roles=["finance"])
    now = clock.now()
    with clock.frozen_at(now - timedelta(minutes=29)):
        audit.record(
            "proposal.revealed", actor=audit.Actor.of(reader), incident_id=transfer.incident_id, proposal_id=transfer.pk
        )
    path = reverse("reviews:proposal", args=[transfer.pk])

    client.force_login(reader)
    assert "DE89 3704" in client.get(path).content.decode()
    assert not veil.covers(reader, transfer)
    client.force_login(colleague)
    assert "DE89 3704" not in client.get(path).content.decode()
    assert veil.covers(colleague, transfer)
    with clock.frozen_at(now + timedelta(minutes=2)):
        assert veil.covers(reader, transfer)
