"""Durable before the answer; the same key never makes a second incident."""

import pytest
from django.db import IntegrityError, transaction
from django_q.models import OrmQ

from escalations import errors, ingest, queue
from escalations.models import AuditEntry, Incident, Proposal, Work
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db

REFUND = {
    "kind": "action", "title": "Refund $250 for order 1182",
    "proposal": {"action": "refund", "args": {"order": 1182, "amount": 250}, "confidence": 0.62},
}


@pytest.fixture(params=["asleep", "awake"], autouse=True)
def classifier(request, db):
    """Whatever is posted is stored alike, whether a wake-up waits in the queue already or this post has to queue one."""
    if request.param == "awake":
        queue.wake("classify")


@pytest.fixture
def source():
    return SourceFactory()


def receive(source, data=REFUND, key="k", digest="a" * 64, **more):
    return ingest.receive(source=source, key_env=more.pop("env", "live"), data=data, key=key, body_digest=digest, **more)


def test_an_incident_comes_with_its_proposal_its_work_and_its_audit_entry(source):
    incident, replayed = receive(source)

    proposal = Proposal.objects.get()
    assert not replayed and incident.status == "received"
    assert proposal.state == "pending" and proposal.routed_at is None
    assert proposal.claims == {"confidence": 0.62}
    assert Work.objects.get().proposal == proposal
    assert AuditEntry.objects.get().action == "incident.received"


def test_there_is_a_wake_up_for_it_and_only_one(source):
    receive(source, key="1")
    receive(source, key="2")

    assert [row.task["func"] for row in OrmQ.objects.all()] == [queue.JOBS["classify"]]


def test_a_handoff_has_no_proposal_of_its_own_yet(source):
    receive(source, {"kind": "handoff", "title": "The customer wants a person"})

    assert not Proposal.objects.exists() and Work.objects.count() == 1


def test_the_same_key_and_body_is_the_same_incident(source):
    first, _ = receive(source)
    second, replayed = receive(source)

    assert replayed and second == first
    assert Incident.objects.count() == Work.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(source):
    receive(source)

    with pytest.raises(errors.IdempotencyMismatch):
        receive(source, digest="b" * 64)
    assert Incident.objects.count() == 1


def test_keys_are_a_source_s_own(source):
    receive(source)
    receive(SourceFactory())

    assert Incident.objects.count() == 2


def test_without_a_key_each_post_is_its_own(source):
    receive(source, key=None)
    receive(source, key=None)

    assert Incident.objects.count() == 2


def test_a_batch_answers_each_item_for_itself(source):
    receive(source, key="old")
    items = [
        ingest.Item(REFUND, "new", "a" * 64),
        ingest.Item(REFUND, "old", "a" * 64),
        ingest.Item(REFUND, "old", "b" * 64),
        ingest.Item(REFUND, "new", "a" * 64),
        ingest.Item(REFUND, None, "a" * 64),
    ]
    results = ingest.receive_many(source=source, key_env="live", items=items)

    assert [one.replayed for one in results] == [False, True, False, True, False]
    assert isinstance(results[2].problem, errors.IdempotencyMismatch)
    assert results[0].incident == results[3].incident
    assert Incident.objects.count() == Work.objects.count() == Proposal.objects.count() == AuditEntry.objects.count() == 3


def test_what_a_test_key_posts_is_marked(source):
    incident, _ = receive(source, env="test")

    assert incident.test and Proposal.objects.get().test


def test_raw_bytes_are_kept_where_the_row_is_not_faithful(source):
    plain, _ = receive(source, key="1", raw=b"{}")
    mended, _ = receive(source, key="2", raw=b'{"body": "\\u0000"}', sanitised=True)

    assert Incident.objects.get(pk=plain.pk).raw is None
    assert bytes(Incident.objects.get(pk=mended.pk).raw) == b'{"body": "\\u0000"}'


def test_an_incident_does_not_change_even_by_sql(source):
    receive(source)

    with pytest.raises(IntegrityError), transaction.atomic():
        Incident.objects.update(title="Refund $2.50")
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.all().delete()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"title": "timeout after 30 s on node 7"}, {"title": "timeout after 31 s on node 9"}, True),
        ({"title": "timeout"}, {"title": "refused"}, False),
        ({"title": "a", "fingerprint": "x"}, {"title": "b", "fingerprint": "x"}, True),
        (
            {"title": "a", "payload": {"exception": {"type": "KeyError", "message": "user 12"}}},
            {"title": "b", "payload": {"exception": {"type": "KeyError", "message": "user 99"}}},
            True,
        ),
    ],
)
def test_the_same_failure_has_the_same_fingerprint(one, other, same):
    kind = {"kind": "exception"}
    assert (ingest.fingerprint_of({**kind, **one}) == ingest.fingerprint_of({**kind, **other})) is same
