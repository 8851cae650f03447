"""The application's database login adds to the record and can never rewrite it; production starts with no other."""

import os
import secrets

import psycopg
import pytest
from django.db import connection

from .test_settings import SAFE, manage

TABLES = [
    "auditentry", "auditseal", "signature", "decision", "acknowledgement", "steprun", "ruleversion", "shadowverdict", "sessionstep",
    "estimate", "outcomereport",
]

pytestmark = pytest.mark.django_db  # else this file alone would find the tests' database not made


@pytest.fixture(scope="module")
def house(django_db_setup, django_db_blocker, tmp_path_factory):
    """A database of its own beside the tests', set up as on a server: one login that owns, one that serves."""
    name = f"countersign_rights_{os.getpid()}_{secrets.token_hex(3)}"
    login = f"{name}_app"
    with django_db_blocker.unblock():
        at = {key: connection.get_connection_params()[key] for key in ("host", "port", "user", "password") if key in connection.get_connection_params()}
    server = f"postgresql:///{{}}?host={at.get('host', '')}&port={at.get('port', '') or 5432}"
    owner_url = server.format(name) + f"&user={at.get('user', 'postgres')}" + (f"&password={at['password']}" if at.get("password") else "")
    with psycopg.connect(**at, dbname="postgres", autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    settings = {
        **SAFE, "DATABASE_URL": server.format(name).replace("postgresql:///", f"postgresql://{login}@/"),
        "DATABASE_OWNER_URL": owner_url.replace("postgresql:///", f"postgresql://{at.get('user', 'postgres')}@/").split("&user=")[0],
        "COUNTERSIGN_DATA": str(tmp_path_factory.mktemp("data")),
    }  # fmt: skip
    yield {"settings": settings, "made": manage("setup", "--json", **settings), "at": at, "name": name, "login": login}
    with psycopg.connect(**at, dbname="postgres", autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.execute(f'DROP ROLE IF EXISTS "{login}"')


def serve(house):
    return psycopg.connect(**{**house["at"], "user": house["login"]}, dbname=house["name"])


def test_setup_makes_a_database_ready_and_a_second_time_has_nothing_to_do(house):
    assert house["made"].returncode == 0, house["made"].stderr
    assert '"migrated": true' in house["made"].stdout

    again = manage("setup", "--json", **house["settings"])

    assert again.returncode == 0, again.stderr
    assert '"migrated": false' in again.stdout


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE escalations_{} SET id = id", "DELETE FROM escalations_{}", "TRUNCATE escalations_{} CASCADE"])
def test_the_applications_login_cannot_rewrite_the_record(house, table, statement):
    if table == "auditseal":
        statement = statement.replace("id = id", "seq = seq")

    with serve(house) as application, pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE escalations_auditentry DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON escalations_decision",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (id int)",
        "DELETE FROM django_migrations",
    ],
)
def test_the_applications_login_cannot_take_the_guards_away(house, statement):
    with serve(house) as application, pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement)


def test_every_guarded_table_is_checked_here(house):
    with serve(house) as application:
        guarded = application.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only'").fetchall()

    assert {name for (name,) in guarded} == {f"escalations_{table}" for table in TABLES}


def test_production_starts_with_that_login(house):
    told = manage("check", "--deploy", "--fail-level", "WARNING", "--database", "default", **house["settings"])

    assert told.returncode == 0 or "E005" in told.stderr, told.stderr  # the tests' server may trade durability for speed
    assert "E003" not in told.stderr and "E004" not in told.stderr


def test_production_refuses_a_login_that_could_rewrite_the_record(house):
    settings = {**house["settings"], "DATABASE_URL": house["settings"]["DATABASE_OWNER_URL"], "COUNTERSIGN_PROCESS": "timers"}

    told = manage("timers", "--once", **settings)

    assert told.returncode != 0
    assert "owns Countersign's tables" in told.stderr
    assert "may change or delete what is recorded" in told.stderr
