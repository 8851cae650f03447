"""What every test may lean on. The database is real PostgreSQL; the network is closed but for this machine."""

from contextlib import contextmanager

import pytest
import pytest_socket
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from pytest_django.plugin import blocking_manager_key

from escalations import clock, defaults
from tests.factories import PersonFactory

plain_flush = DatabaseOperations.sql_flush


def flush_past_the_triggers(self, style, tables, **kwargs):
    """The record refuses TRUNCATE, even from its owner. Between tests it has to go: only a superuser may say this."""
    statements = plain_flush(self, style, tables, **kwargs)
    if not statements:
        return statements
    return ["SET session_replication_role = replica", *statements, "SET session_replication_role = origin"]


DatabaseOperations.sql_flush = flush_past_the_triggers


def pytest_runtest_setup(item):
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


def install_defaults():
    """Put the default rows there, and begin the record empty: what a test counts is its own."""
    defaults.install()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM escalations_auditseal; DELETE FROM escalations_auditentry; DELETE FROM django_q_ormq")
        cursor.execute("SET session_replication_role = origin")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The default roles, triggers, policies and wake-ups are always there, as `setup` puts them into a new database."""
    with django_db_blocker.unblock():
        install_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """A test that commits ends with empty tables; whoever comes next finds the defaults again."""
    try:
        return (yield)
    finally:  # also where its own end complained: the next one is not to suffer for it
        marker = item.get_closest_marker("django_db")
        commits = bool(marker and marker.kwargs.get("transaction")) or bool(
            {"transactional_db", "live_server", "django_db_reset_sequences"} & set(item.fixturenames)
        )
        if commits and nextitem is not None:  # after the last one the database itself is gone
            with item.config.stash[blocking_manager_key].unblock():
                install_defaults()


@pytest.fixture(name="defaults")
def the_defaults(db):
    """For a test that wants to say that it leans on the default rows, which are there anyway."""


@pytest.fixture
def rosa(db):
    """A reviewer of finance."""
    return PersonFactory(username="rosa", first_name="Rosa", last_name="Reviewer", roles=["finance"])


@pytest.fixture
def carl(db):
    """Her colleague."""
    return PersonFactory(username="carl", first_name="Carl", last_name="Colleague", roles=["finance"])


@pytest.fixture
def mona(db):
    """The manager."""
    return PersonFactory(username="mona", first_name="Mona", last_name="Manager", roles=["manager"])


@pytest.fixture
def ada(db):
    """An administrator."""
    return PersonFactory(username="ada", first_name="Ada", last_name="Admin", is_staff=True)


@pytest.fixture
def run_jobs(db):
    """Run what is in the real queue, in order, each outside the transaction that queued it. Returns how many ran."""

    def drain(at_most=200):
        ran = 0
        while ran < at_most and (row := OrmQ.objects.order_by("pk").first()):
            task = row.task
            row.delete()
            import_string(task["func"])(*task["args"])
            ran += 1
        return ran

    return drain


def standing_still(counting):
    """Return the counter with the clock standing still: a process asks the database for the time now and then, and who counts
    may be asked just then."""

    @contextmanager
    def counted(*args, **options):
        with clock.frozen_at(clock.now()), counting(*args, **options) as context:
            yield context

    return counted


@pytest.fixture
def django_assert_num_queries(django_assert_num_queries):
    return standing_still(django_assert_num_queries)


@pytest.fixture
def django_assert_max_num_queries(django_assert_max_num_queries):
    return standing_still(django_assert_max_num_queries)
