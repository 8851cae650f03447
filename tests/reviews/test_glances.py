"""What is remembered of a reading."""

import logging
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from escalations import clock
from escalations.models import Proposal
from reviews import glances
from reviews.models import Glance
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory

pytestmark = pytest.mark.django_db


def test_a_glance_says_who_was_shown_which_version_how_long_and_when(django_assert_num_queries):
    person, proposal = PersonFactory(), ProposalFactory(version=3)
    moment = clock.now() - timedelta(days=2)

    with clock.frozen_at(moment), django_assert_num_queries(1):  # the INSERT
        glances.note(person, proposal, 1_234)

    kept = Glance.objects.get()
    assert (kept.proposal, kept.person, kept.version, kept.length, kept.at) == (proposal, person, 3, 1_234, moment)


def test_each_opening_is_a_glance_of_its_own():
    person, proposal = PersonFactory(), ProposalFactory()

    glances.note(person, proposal, 10)
    glances.note(person, proposal, 10)

    assert Glance.objects.count() == 2


def test_what_a_test_key_posted_is_noted_too():
    glances.note(PersonFactory(), ProposalFactory(incident=IncidentFactory(test=True)), 10)

    assert Glance.objects.count() == 1


@pytest.mark.parametrize(("said", "kept"), [(-1, 0), (2**40, 2**31 - 1)])
def test_a_length_beyond_the_column_is_cut(said, kept):
    glances.note(PersonFactory(), ProposalFactory(), said)

    assert Glance.objects.get().length == kept


@pytest.mark.django_db(transaction=True)
def test_a_page_opens_while_a_colleague_holds_the_row(caplog):
    person, proposal = PersonFactory(), ProposalFactory()
    held, over = threading.Event(), threading.Event()

    def hold():
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT 1 FROM escalations_proposal WHERE id = %s FOR UPDATE", [proposal.pk])
                held.set()
                over.wait(20)
                cursor.execute("ROLLBACK")
        finally:
            connections.close_all()

    colleague = threading.Thread(target=hold)
    colleague.start()
    assert held.wait(20)
    with caplog.at_level(logging.WARNING, logger="reviews.glances"):
        glances.note(person, proposal, 10)
    over.set()
    colleague.join(20)

    assert not Glance.objects.exists()
    assert caplog.records[-1].why == "OperationalError"  # the lock, not a mistake of ours
    assert "a glance was not noted" in caplog.text
    assert Proposal.objects.filter(pk=proposal.pk).exists()  # the connection is as good as before


@pytest.mark.django_db(transaction=True)
def test_waiting_less_for_the_disk_ends_with_the_glance():
    glances.note(PersonFactory(), ProposalFactory(), 10)

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit'), current_setting('lock_timeout')")
        commit, lock = cursor.fetchone()
    assert lock != "250ms"
    with connection.cursor() as cursor:
        cursor.execute("SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'")
        assert commit == cursor.fetchone()[0]
