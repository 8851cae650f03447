"""Labelled cases from before: strict, whole or not at all, each once."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from escalations import clock, lifecycle
from escalations.models import AuditEntry, History, OutcomeReport
from tests.factories import IncidentFactory, ProposalFactory, SourceFactory

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def source(db):
    return SourceFactory(name="bank")


def record(number=1, **facts):
    return {
        "id": f"case-{number}", "source": "elsewhere", "kind": "action", "title": "send_money", "payload": {"suite": "banking", "model": "m"},
        "context": {"request": "pay the bill"}, "proposal": {"action": "send_money", "arguments": {"amount": number}},
        "label": {"should_approve": True, "reason": "it was asked for"}, "ts": "2026-03-01T10:00:00", "group": "g", **facts,
    }


def imported(tmp_path, lines, *more, name="old.jsonl"):
    file = tmp_path / name
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines).encode("utf-8", "surrogatepass")
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    call_command("import_history", str(file), "--source", "bank", *more)


@pytest.mark.parametrize("name", ["old.jsonl", "old.jsonl.gz"])
def test_what_was_decided_before_is_stored_without_what_gives_the_answer_away(source, tmp_path, name, capsys):
    imported(tmp_path, [record(), record(2, label={"should_approve": False}, ts=1772359200)], name=name)

    first, second = History.objects.order_by("key")
    assert (first.key, first.kind, first.verdict, first.reason) == ("case-1", "action", "approve", "it was asked for")
    assert first.decided_at == datetime(2026, 3, 1, 10, tzinfo=UTC) and second.decided_at == first.decided_at
    assert first.incident == {
        "kind": "action", "title": "send_money", "payload": {"suite": "banking"}, "context": {"request": "pay the bill"},
        "proposal": {"action": "send_money", "args": {"amount": 1}},
    }
    assert (second.verdict, second.reason) == ("reject", "")
    assert "2 stored" in capsys.readouterr().out
    facts = json.loads(AuditEntry.objects.get(action="history.imported").body)["facts"]
    assert facts == {"source": "bank", "file": name, "taken": 2, "known": 0, "differ": 0}


def test_twice_is_once_and_another_label_changes_nothing(source, tmp_path, capsys):
    imported(tmp_path, [record(), record(2), record(2)])
    imported(tmp_path, [record(), record(2, label={"should_approve": False}), record(3)])

    assert list(History.objects.order_by("key").values_list("key", "verdict")) == [(f"case-{n}", "approve") for n in (1, 2, 3)]
    assert "1 stored, 1 known already, 1 known with another label, kept as they were." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "no JSON"), ("[]", "no object"), ('{"a": NaN}', "no JSON"), (json.dumps({"id": "x"}), "no id and label"),
        (record(label={"alert": True}), "nothing that is learned"), (record(label={"severity": "fatal"}), "severity is none"),
        (record(label={"category": "c" * 81}), "more than 80"), (record(ts=None), "no moment"), (record(ts="soon"), "no moment"),
        (record(ts="2999-01-01T00:00:00"), "no moment"), (record(kind="poem"), "would be refused: /kind"),
        (record(title="a\x00b"), "NUL"), ('{"id": "x", "kind": "log", "title": "\\ud800", "label": {"severity": "info"}, "ts": 1772359200}', "half"),
        (record(label={"should_approve": True, "reason": "half \ud83d of it"}), "half"), (record(label={"category": "half \ud83d"}), "half"),
        ({"v": 1, "decision": {"type": "approve"}, "incident": "abc", "outcomes": [], "acknowledged": None, "teaches": True, "proposal": "p",
          "category": "", "severity": "info", "decided_at": "2026-03-01"}, "no whole line"),
        (json.dumps(record()).replace('"amount": 1', '"amount": 1e999'), "line 2"),
        ({k: v for k, v in record().items() if k != "kind"}, "no record"), ({"v": 1, "decision": {}}, "no whole line"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "line",
)
def test_a_line_that_is_no_case_is_named_and_nothing_is_stored(source, tmp_path, line, why, capsys):
    with pytest.raises(CommandError, match="Nothing was stored"):
        imported(tmp_path, [record(7), line, record(8)])

    told = capsys.readouterr().err
    assert "line 2: " in told and why in told
    assert not History.objects.exists() and not AuditEntry.objects.filter(action="history.imported").exists()


def test_lines_that_do_not_say_when_keep_their_order(source, tmp_path):
    imported(tmp_path, [record(n, ts=None) for n in range(5)], "--at", "2026-01-02")
    assert list(History.objects.order_by("decided_at").values_list("key", flat=True)) == [f"case-{n}" for n in range(5)]
    with pytest.raises(CommandError, match="future"):
        imported(tmp_path, [record()], "--at", f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")


def test_who_is_not_there_has_no_history(source, tmp_path):
    with pytest.raises(CommandError, match="no source"):
        call_command("import_history", str(tmp_path / "none"), "--source", "nobody")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_history", str(tmp_path / "none"), "--source", "bank")


@pytest.fixture
def decided(rosa):
    def decided(type_, signed=None, **facts):
        facts.setdefault("role", rosa.roles().get())
        one = ProposalFactory(incident=IncidentFactory(**{k.removeprefix("incident_"): facts.pop(k) for k in list(facts) if k.startswith("incident_")}), **facts)
        interactive = facts.get("description") != "unattended"
        lifecycle.decide(
            one.pk, person=rosa, type=type_, digest=one.args_digest, version=one.version, reason=f"{type_}!", interactive=interactive,
            method="page" if interactive else "api", args=(signed or {"order": 1182, "amount": 100}) if type_ == "edit" else None,
        )
        return one

    return decided


def exported(tmp_path, *, elsewhere=True, without=()):
    """Export all; `elsewhere` as if from another database, `without` members that older exports did not have."""
    file = tmp_path / "export.jsonl"
    call_command("export_feedback", "--no-redact", "--output", str(file))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [{name: value for name, value in row.items() if name not in without} for row in rows]
    rows = [row | {"incident_id": str(uuid4())} for row in rows] if elsewhere else rows
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_what_was_exported_is_taken_in_elsewhere_but_for_what_teaches_nothing(source, tmp_path, decided, capsys):
    yes, no, edited = decided("approve", category="refund"), decided("reject"), decided("edit")
    decided("approve", description="unattended")
    alert = decided(
        "approve", incident_kind="alert", incident_title="Disk full", action="acknowledge", args={"severity": "info", "category": None}, author="system"
    )
    wrong = decided("approve")
    OutcomeReport.objects.create(incident=wrong.incident, outcome="wrong", by_kind="source", by_id="x")

    call_command("import_history", exported(tmp_path), "--source", "bank")

    assert "4 stored" in (told := capsys.readouterr().out) and "2 teach nothing" in told
    stored = {one.key: one for one in History.objects.all()}
    assert {one.key: one.verdict for one in stored.values()} == {
        str(yes.pk): "approve", str(no.pk): "reject", str(edited.pk): "edit", str(alert.pk): "approve"
    }
    assert stored[str(yes.pk)].incident["proposal"]["args"] == {"order": 1182, "amount": 250}
    assert (stored[str(yes.pk)].category, stored[str(yes.pk)].severity) == ("", ""), "routing's, and nobody's word"
    assert "proposal" not in stored[str(alert.pk)].incident and stored[str(no.pk)].reason == "reject!"


@pytest.mark.parametrize("without", [(), ("labels",)], ids=["now", "before there were labels"])
def test_of_an_export_only_labels_that_people_signed_are_taken(source, tmp_path, decided, without):
    guessed = {"category": "crash", "severity": "critical"}
    alert = {"incident_kind": "alert", "action": "acknowledge", "author": "system", "args": dict(guessed), **guessed}
    fixed = decided("edit", signed={"category": "outage", "severity": "warning"}, **alert)
    plain, no = decided("approve", **alert), decided("reject", **alert)
    theirs = decided("approve", **(alert | {"author": "source", "args": {"category": "pwned", "severity": "info"}}))

    call_command("import_history", exported(tmp_path, without=without), "--source", "bank")

    assert {one.key: (one.category, one.severity) for one in History.objects.all()} == {
        str(fixed.pk): ("outage", "warning"), str(plain.pk): ("crash", "critical"), str(no.pk): ("", ""), str(theirs.pk): ("", ""),
    }
    assert {one.key for one in History.objects.all() if "proposal" in one.incident} == {str(theirs.pk)}


def test_what_was_decided_here_is_not_stored_a_second_time(source, tmp_path, decided, capsys):
    decided("approve")
    decided("reject")

    call_command("import_history", exported(tmp_path, elsewhere=False), "--source", "bank")

    assert "0 stored, 2 known already." in capsys.readouterr().out and not History.objects.exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="the labelled sets do not lie beside this checkout (../shared/data)")
def test_a_labelled_set_is_taken_whole(source, capsys):
    call_command("import_history", str(DATA / "taubench_airline_actions.jsonl.gz"), "--source", "bank", "--at", "2026-01-01")
    assert History.objects.filter(verdict="approve").count() + History.objects.filter(verdict="reject").count() == 155
