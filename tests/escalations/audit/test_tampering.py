"""A hundred random tamperings of each sort, by somebody who owns the database: every one is found."""

import os
import random

import pytest
from django.conf import settings
from django.db import connection, transaction

from escalations import audit
from escalations.audit import chain
from escalations.models import AuditEntry, AuditSeal

LENGTH = 40
SORTS = ["edit body", "edit column", "delete middle", "delete tail", "swap", "rewrite everything", "restore old"]

# What comes after an anchor is only as safe as the next one; everything here lies before the last.


@pytest.fixture
def anchored_chain(db, tmp_path, settings):
    settings.ANCHOR_FILE = str(tmp_path / "anchors" / "head.jsonl")
    for _ in range(4):
        with transaction.atomic():
            audit.record_many([
                audit.entry("proposal.decided", actor=audit.Actor("person", "ada", "Ada"), subject=f"refund {number}", n=number)
                for number in range(LENGTH // 4)
            ])
        audit.seal()
        audit.anchor()
    assert audit.verify() == audit.Report(True, LENGTH, 0, None, "", 4)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # an owner switches the triggers off
    return random.Random(20261120)


def tamper(sort, chance):
    """Do it; return the seq at which it must be found at the latest, and whether the chain alone shows it."""
    seq = chance.randint(2, LENGTH - 1)
    seal = AuditSeal.objects.select_related("entry").get(pk=seq)
    entry = AuditEntry.objects.filter(pk=seal.entry_id)
    match sort:
        case "edit body":
            at = chance.randrange(len(seal.entry.body))
            body = seal.entry.body
            entry.update(body=body[:at] + chr(ord(body[at]) ^ 1) + body[at + 1 :])
            return seq, True
        case "edit column":
            column, value = chance.choice([
                ("actor", "eve"), ("actor_kind", "policy"), ("action", "proposal.expired"), ("subject", "another"),
                ("incident_id", "00000000-0000-0000-0000-000000000001"), ("proposal_id", "00000000-0000-0000-0000-000000000002"),
                ("at", "2020-01-01T00:00:00Z"),
            ])
            entry.update(**{column: value})
            return seq, True
        case "delete middle":
            if chance.random() < 0.5:
                AuditSeal.objects.filter(pk=seq)._raw_delete("default")
            entry._raw_delete("default")
            return seq, True
        case "delete tail":
            tail = AuditSeal.objects.filter(pk__gte=seq)
            ids = list(tail.values_list("entry_id", flat=True))
            tail._raw_delete("default")
            AuditEntry.objects.filter(pk__in=ids)._raw_delete("default")
            return seq, False
        case "swap":
            other = AuditSeal.objects.get(pk=chance.choice([number for number in range(1, LENGTH + 1) if number != seq]))
            first, second = seal.entry_id, other.entry_id
            AuditSeal.objects.filter(pk=seq).update(entry_id=-1)  # they are unique
            AuditSeal.objects.filter(pk=other.pk).update(entry_id=first)
            AuditSeal.objects.filter(pk=seq).update(entry_id=second)
            return min(seq, other.pk), True
        case "rewrite everything":
            entry.update(body=seal.entry.body.replace("Ada", "Eve").replace('"n":', '"m":'))
            rehash_from(seq)
            return seq, False
        case "restore old":
            drop_from = seq
            ids = list(AuditSeal.objects.filter(pk__gte=drop_from).values_list("entry_id", flat=True))
            AuditSeal.objects.filter(pk__gte=drop_from)._raw_delete("default")
            AuditEntry.objects.filter(pk__in=ids)._raw_delete("default")
            for number in range(LENGTH - drop_from + 3):  # and life went on from there
                audit.record("proposal.decided", actor=audit.SYSTEM, subject=f"after the restore {number}")
            audit.sweep()
            audit.seal()
            return LENGTH, False
    raise AssertionError(sort)


def rehash_from(seq):
    previous = AuditSeal.objects.get(pk=seq - 1).hash
    for link in AuditSeal.objects.filter(pk__gte=seq).select_related("entry").order_by("pk"):
        digest = chain.link(previous, link.pk, link.entry.body.encode())
        AuditSeal.objects.filter(pk=link.pk).update(previous=previous, hash=digest)
        previous = digest


@pytest.mark.parametrize("sort", SORTS)
def test_a_hundred_tamperings_are_all_found_and_the_link_is_named(anchored_chain, sort):
    for _ in range(100):
        point = transaction.savepoint()

        latest, shows = tamper(sort, anchored_chain)
        report = audit.verify()

        assert not report.ok, sort
        assert report.why
        if shows:
            assert report.first_broken_seq == latest
            assert not audit.verify(anchors=False).ok
        else:
            assert audit.verify(anchors=False).ok, "only the anchors can show this; else the test proves nothing of them"
            assert report.first_broken_seq <= LENGTH
        transaction.savepoint_rollback(point)
    assert audit.verify().ok


def test_what_is_wrong_is_told_by_its_part(anchored_chain):
    entry = AuditSeal.objects.get(pk=7).entry
    AuditEntry.objects.filter(pk=entry.pk).update(actor="eve")

    report = audit.verify()

    assert (report.ok, report.entries, report.first_broken_seq) == (False, 6, 7)
    assert report.why == "column actor: it differs from the sealed body"


def test_anchoring_itself_notices_a_rewritten_chain(anchored_chain, caplog):
    AuditEntry.objects.filter(seal__pk=5).update(body="{}")
    rehash_from(5)

    audit.anchor()

    assert "the audit chain and its anchor disagree: seq 40 has another hash" in caplog.text


def test_an_anchor_is_written_once_per_head_readable_by_its_owner_alone(anchored_chain):
    assert audit.anchor() is None  # nothing new since

    with open(settings.ANCHOR_FILE) as file:
        assert len(file.readlines()) == 4
    assert os.stat(settings.ANCHOR_FILE).st_mode & 0o777 == 0o600


def test_an_unreadable_anchor_is_named_and_a_torn_last_line_is_not_held_against_the_chain(anchored_chain):
    with open(settings.ANCHOR_FILE, "a") as file:
        file.write('{"seq": 41, "ha')
    assert audit.verify().ok

    audit.record("rule.saved", actor=audit.SYSTEM)
    audit.seal()
    audit.anchor()  # goes on a line of its own

    report = audit.verify()
    assert (report.ok, report.why) == (False, "anchors: line 5 of the anchors is not an anchor")
    assert report.anchors_checked == 4


def test_an_anchor_written_by_two_timers_at_once_out_of_order_is_compared_all_the_same(anchored_chain):
    with open(settings.ANCHOR_FILE) as file:
        lines = file.readlines()
    with open(settings.ANCHOR_FILE, "w") as file:
        file.writelines([lines[1], lines[0], *lines[2:]])
    assert audit.verify().ok

    with open(settings.ANCHOR_FILE, "a") as file:
        file.write(lines[0].replace('"hash": "', '"hash": "f', 1).replace('", "at', '", "at', 1)[: len(lines[0])] + "\n")
    assert not audit.verify().ok
