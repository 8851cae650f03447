"""What the database itself refuses, whoever asks."""

import pytest
from django.db import DatabaseError, connection, transaction

from escalations import audit
from escalations.models import AuditEntry, AuditSeal

STATEMENTS = [
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "DROP TABLE {table} CASCADE",
]
TABLES = {"escalations_auditentry": "actor", "escalations_auditseal": "hash"}


@pytest.fixture
def one_entry(db):
    audit.record("rule.saved", actor=audit.SYSTEM)
    audit.seal()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # so that a refused TRUNCATE is refused for the reason tested


@pytest.fixture
def application_role(one_entry):
    """A role with what the running application needs, and no more: it owns no table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'audit_test_app'")
        if cursor.fetchone():
            cursor.execute("DROP OWNED BY audit_test_app; DROP ROLE audit_test_app")
        cursor.execute(
            "CREATE ROLE audit_test_app; GRANT USAGE ON SCHEMA public TO audit_test_app;"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO audit_test_app;"
            "REVOKE UPDATE, DELETE ON escalations_auditentry, escalations_auditseal FROM audit_test_app;"
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO audit_test_app;"
            "SET LOCAL ROLE audit_test_app"
        )


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", STATEMENTS[:3])
def test_even_the_owner_meets_the_trigger(one_entry, statement, table):
    with pytest.raises(DatabaseError, match="this is the record"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table=table, column=TABLES[table]))

    assert (AuditEntry.objects.count(), AuditSeal.objects.count()) == (1, 1)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_applications_role_is_not_even_allowed_to_try(application_role, statement, table):
    with pytest.raises(DatabaseError, match="permission denied|must be owner"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement.format(table=table, column=TABLES[table]))

    assert (AuditEntry.objects.count(), AuditSeal.objects.count()) == (1, 1)


def test_the_applications_role_writes_seals_anchors_and_verifies(application_role, tmp_path, settings):
    settings.ANCHOR_FILE = str(tmp_path / "anchors.jsonl")

    audit.record("rule.saved", actor=audit.SYSTEM)
    audit.seal()
    audit.anchor()

    assert audit.verify() == audit.Report(True, 2, 0, None, "", 1)
