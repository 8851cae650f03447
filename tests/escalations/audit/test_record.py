import json
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from escalations import audit, clock
from escalations.models import AuditEntry, Person, Source


class Rollback(Exception):
    pass


@pytest.mark.django_db(transaction=True)
def test_an_entry_goes_when_its_change_is_rolled_back():
    with pytest.raises(Rollback), transaction.atomic():
        audit.record("rule.saved", actor=audit.SYSTEM, subject="RoutingRule 1")
        assert AuditEntry.objects.count() == 1
        raise Rollback

    assert AuditEntry.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_an_entry_outside_a_transaction_is_refused():
    with pytest.raises(TransactionManagementError):
        audit.record("rule.saved", actor=audit.SYSTEM)

    assert AuditEntry.objects.count() == 0


def test_a_name_nobody_registered_is_refused():
    with pytest.raises(ValueError, match="proposal.aproved"):
        audit.entry("proposal.aproved", actor=audit.CLOCK)


@pytest.mark.django_db
def test_the_body_holds_what_the_columns_hold():
    incident, proposal = uuid4(), uuid4()

    audit.record(
        "proposal.decided", actor=audit.Actor("person", "ada", "Ada L."), incident_id=incident, proposal_id=proposal,
        subject="Refund", type="approve", amount=Decimal("1.50"), waited=timedelta(seconds=90), roles={"b", "a"},
    )

    row = AuditEntry.objects.get()
    body = json.loads(row.body)
    assert body == {
        "v": 1, "action": "proposal.decided", "actor": {"kind": "person", "id": "ada", "name": "Ada L."},
        "at": row.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "incident": str(incident), "proposal": str(proposal), "subject": "Refund",
        "facts": {"type": "approve", "amount": "1.50", "waited": 90.0, "roles": ["a", "b"]},
    }
    assert (row.action, row.actor_kind, row.actor, row.subject) == ("proposal.decided", "person", "ada", "Refund")
    assert (row.incident_id, row.proposal_id) == (incident, proposal)
    assert row.body == json.dumps(body, sort_keys=True, separators=(",", ":"))


def circle():
    loop = []
    loop.append(loop)
    return loop


@pytest.mark.django_db
@pytest.mark.parametrize(
    "odd",
    [
        float("nan"), float("inf"), 10**400, "\x00", "\ud800 alone", {1: "a", "b": 2}, {("a", 1): 2}, object(), b"\xff", circle(),
        {"deep": {1, "x", None}}, clock, "🙂" * 3,
    ],
    ids=lambda odd: type(odd).__name__,
)
def test_odd_facts_never_lose_an_entry(odd):
    audit.record("rule.saved", actor=audit.SYSTEM, subject="a\x00b", odd=odd)
    audit.seal()

    row = AuditEntry.objects.get()
    assert "odd" in json.loads(row.body)["facts"]
    assert audit.verify(anchors=False).ok


@pytest.mark.django_db
def test_many_entries_are_one_insert(django_assert_num_queries):
    entries = [audit.entry("incident.received", actor=audit.SYSTEM, number=number) for number in range(300)]

    with django_assert_num_queries(1):
        audit.record_many(entries)

    assert AuditEntry.objects.count() == 300


@pytest.mark.django_db
def test_actors_are_named_by_what_is_unique_in_their_kind():
    person = Person(username="ada", first_name="Ada", last_name="L.")

    assert audit.Actor.of(person) == audit.Actor("person", "ada", "Ada L.")
    assert audit.Actor.source(Source(name="billing")) == audit.Actor("source", "billing", "billing")
    assert audit.Actor.policy("demo noise").kind == "policy"
    assert audit.CLOCK.kind == "clock"
