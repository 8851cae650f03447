"""Rows of several tables in one statement: every column, all or none, and nothing a model would have refused."""

import json
import uuid

import pytest
from django.db import DataError, IntegrityError, connection, models, transaction

from escalations import audit, clock, lifecycle, prepared
from escalations.models import AuditEntry, Incident, Proposal, Work
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db
ONCE = ("source_id", "key")


def rows(source, **fields):
    incident = Incident(source=source, kind="action", body_digest="a" * 64, **{"key": "k", "title": "Refund", **fields})
    proposal = lifecycle.new_proposal(incident, {"action": "refund", "args": {"amount": 2.5, "note": "naïve “☃”"}})
    entry = audit.entry("incident.received", actor=audit.SYSTEM, incident_id=incident.pk)
    return [incident], [proposal], [Work(incident=incident, proposal=proposal)], [entry]


def insert(tables, **how):
    return prepared.insert_together(*tables, by="incident_id", **how)


@pytest.mark.parametrize("model", [Incident, Proposal, Work, AuditEntry])
def test_no_column_of_a_model_is_forgotten(model):
    with connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", [model._meta.db_table])
        known = {name for (name,) in cursor.fetchall()}
    generated = {field.column for field in model._meta.fields if isinstance(field, models.AutoField)}

    assert {column for column, _ in prepared._columns(model)} == known - generated


def test_what_was_written_is_what_was_given(db):
    moment = clock.now()
    given = rows(
        SourceFactory(), payload={"deep": [1, None, {"x": "\u2028"}]}, customer={"tier": "gold"}, timeout_seconds=70_000, raw=b"\x00\xff",
        sanitised=True, test=True, received_at=moment, body="a\\b'c\"d%s {}", triggers=["a,b", 'c"d', "NULL"],
    )
    assert insert(given, once=ONCE) == {given[0][0].pk}

    for one in (*given[0], *given[1]):
        stored = type(one).objects.get(pk=one.pk)
        for field in one._meta.concrete_fields:
            was, now = getattr(one, field.attname), getattr(stored, field.attname)
            assert (bytes(now) if isinstance(now, memoryview) else now) == was, field.attname
    assert Work.objects.get().proposal == given[1][0]
    assert json.loads(AuditEntry.objects.get().body)["incident"] == str(given[0][0].pk)


def test_absent_json_is_null_in_the_database_and_not_the_word(db):
    insert(rows(SourceFactory(), payload=None))

    assert Incident.objects.filter(payload__isnull=True).exists()


def test_all_or_none(db):
    given = rows(SourceFactory())
    given[1][0].action = "x" * 201  # longer than its column: refused, not cut

    with pytest.raises(DataError), transaction.atomic():
        insert(given, once=ONCE)
    assert not Incident.objects.exists() and not Work.objects.exists() and not AuditEntry.objects.exists()


def test_the_database_s_constraints_hold(db):
    source = SourceFactory()
    insert(rows(source))

    with pytest.raises(IntegrityError), transaction.atomic():
        insert(rows(source))


def test_what_is_there_once_stays_once(db):
    source = SourceFactory()
    first, again = rows(source), rows(source)
    assert insert(first, once=ONCE) == {first[0][0].pk}
    assert insert(again, once=ONCE) == set()

    assert again[0][0]._state.adding and not first[0][0]._state.adding
    assert Incident.objects.count() == Proposal.objects.count() == Work.objects.count() == AuditEntry.objects.count() == 1


def test_of_many_those_are_written_that_are_new_with_what_belongs_to_them(db):
    source = SourceFactory()
    insert(rows(source, key="old"))
    some = [rows(source, key=key) for key in ("new", "old", "new", None, None)]
    written = insert([[table[0] for table in tables] for tables in zip(*some, strict=True)], once=ONCE)

    assert written == {some[number][0][0].pk for number in (0, 3, 4)}
    for model in (Proposal, Work, AuditEntry):
        assert written < set(model.objects.values_list("incident_id", flat=True))
        assert model.objects.count() == 4


def test_on_a_condition(db):
    source = SourceFactory()
    assert insert(rows(source), only_if="%s::int = 2", params=[1]) is None
    assert not Incident.objects.exists()
    assert insert(rows(source), only_if="%s::int = 2", params=[2])


def test_rows_that_refer_to_nothing_are_refused_at_the_end(transactional_db):
    with pytest.raises(IntegrityError):
        insert([[Work(incident_id=uuid.uuid4())]])
    assert not Work.objects.exists()


def test_a_statement_is_planned_once_a_connection(db):
    for number in range(3):
        insert(rows(SourceFactory(), timeout_seconds=[None, 60, 70_000][number]), once=ONCE)

    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements WHERE statement LIKE '%escalations_work%'")
        assert cursor.fetchone()[0] >= 3
