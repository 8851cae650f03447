"""What was proposed and decided as a file: complete, in order, redacted, in bounded pieces, and lessons that a trainer takes."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from escalations import audit, clock, feedback, lifecycle
from escalations.classify.mask import Mask
from escalations.feedback import chat, export, rows
from escalations.floors import lanes
from escalations.models import AuditEntry, Decision, Lane, LaneGrant, OutcomeReport, Person, Proposal
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role
from tests.lanes import live_version
from tests.tuning import faults_of

CARD, MAIL, KEY = "4111 1111 1111 1111", "anna@shop.example", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8)


@pytest.fixture
def settle(rosa):
    def make(type_="approve", reason="fine", method="page", interactive=True, person=rosa, **facts):
        said = {name: facts.pop(name) for name in ("edit", "message") if name in facts}
        incident = {name.removeprefix("incident_"): facts.pop(name) for name in list(facts) if name.startswith("incident_")}
        facts.setdefault("role", role("finance"))
        one = ProposalFactory(incident=IncidentFactory(**incident), **facts)
        lifecycle.decide(
            one.pk, person=person, type=type_, digest=one.args_digest, version=one.version, reason=reason, method=method,
            interactive=interactive, args=said.get("edit"), message=said.get("message"),
        )
        return one

    return make


def taken(form="jsonl", redact=None, **scope):
    whole = "".join(export.stream(rows.Scope(until=scope.pop("until", clock.now()), **scope), form, redact or (lambda row: row)))
    if form == "csv":
        return list(csv.DictReader(io.StringIO(whole.removeprefix("\ufeff"))))
    return [json.loads(line) for line in whole.splitlines()]


def test_a_row_says_what_was_proposed_decided_changed_and_learned(settle):
    one = settle("edit", "too much", edit={"order": 1182, "amount": 100}, description="It broke.", claims={"confidence": 0.9}, category="refund")
    OutcomeReport.objects.create(incident=one.incident, outcome="resolved", detail="paid", by_kind="source", by_id="agent")

    [row] = taken()

    assert row["incident"]["proposal"] == {"action": "refund", "args": {"order": 1182, "amount": 250}, "description": "It broke.", "confidence": 0.9}
    assert row["decision"] | {"args": None} == {
        "type": "edit", "by": {"kind": "person", "name": "Rosa Reviewer"}, "method": "page", "reason": "too much", "action": "refund",
        "args": None, "draft": None, "message": None, "retry": False,
    }
    assert row["changes"] == [{"path": "/args/amount", "from": 250, "to": 100}]
    assert [(said["outcome"], said["detail"], said["by"], said["interactive"]) for said in row["outcomes"]] == [("resolved", "paid", "source", False)]
    assert (row["role"], row["category"], row["teaches"], row["acknowledged"]) == ("finance", "refund", True, None)


def test_rules_clocks_and_unattended_tokens_teach_nothing(settle, mona):
    settle()
    settle(method="api", interactive=False)
    expired = ProposalFactory(role=role("finance"))
    with clock.frozen_at(expired.expires_at + timedelta(seconds=1)):
        assert lifecycle.run_out(only=expired.pk)
        told = taken(until=clock.now() + timedelta(days=1))
        lessons = taken("chat", until=clock.now() + timedelta(days=1))

    assert [(row["decision"]["by"]["kind"], row["decision"]["method"], row["teaches"]) for row in told] == [
        ("person", "page", True), ("person", "api", False), ("clock", "", False)
    ]
    assert len(lessons) == 1


def test_a_model_does_not_learn_what_failed_or_was_wrong(settle):
    right, wrong, failed, complained, put_right = (settle() for _ in range(5))
    for one, how in ((complained, "complaint"), (put_right, "correction")):
        OutcomeReport.objects.create(incident=one.incident, outcome="resolved", how=how, by_kind="source", by_id="a")
    OutcomeReport.objects.create(incident=right.incident, outcome="right", by_kind="source", by_id="a")
    OutcomeReport.objects.create(incident=wrong.incident, outcome="wrong", by_kind="source", by_id="a")
    row = {row["proposal"]: row for row in taken()}
    assert chat.is_lesson(row[str(right.pk)]) and not chat.is_lesson(row[str(wrong.pk)])
    assert not chat.is_lesson(row[str(failed.pk)] | {"acknowledged": {"result": "failed"}})
    assert not chat.is_lesson(row[str(complained.pk)]) and not chat.is_lesson(row[str(put_right.pk)])


@pytest.mark.parametrize("batch", [1, 2, 3, 500])
@pytest.mark.parametrize("heaviest", [0, 10**9])
def test_every_decision_is_there_once_in_order_however_it_is_read(settle, monkeypatch, batch, heaviest):
    monkeypatch.setattr(rows, "BATCH", batch)
    monkeypatch.setattr(rows, "HEAVIEST", heaviest)
    now = clock.now()
    made = []
    for n in (0, 0, 0, 1, 2, 2):  # several in one moment
        with clock.frozen_at(now + timedelta(seconds=n)):
            made.append(settle())
    settle(incident_test=True)
    ProposalFactory()

    told = [row["proposal"] for row in taken(until=now + timedelta(seconds=3))]

    expected = list(Proposal.objects.filter(pk__in=[one.pk for one in made]).order_by("settled_at", "id").values_list("pk", flat=True))
    assert told == [str(pk) for pk in expected]
    some = taken(since=now + timedelta(seconds=1), until=now + timedelta(seconds=2))
    assert [row["proposal"] for row in some] == [str(made[3].pk)]
    assert taken(role=role("security")) == []


def test_large_incidents_are_read_a_few_at_a_time(settle, monkeypatch):
    monkeypatch.setattr(rows, "HEAVIEST", 200_000)
    for n in range(4):
        settle(incident_payload={"log": "".join(f"{n}{k:x}" for k in range(40_000))})
    sizes = [len(batch) for batch in rows.batches(rows.Scope(until=clock.now()))]
    assert sum(sizes) == 4 and max(sizes) < 4


@pytest.mark.parametrize("size", [1, 8])
def test_a_batch_costs_the_same_however_many_rows_it_has(settle, size, django_assert_num_queries):
    for _ in range(size):
        settle()
    with django_assert_num_queries(4):  # which rows, the rows, who signed, what was learned
        assert len(taken()) == size


@pytest.mark.parametrize("form", list(feedback.FORMS))
def test_redacted_tells_nobodys_name_mail_card_or_key(settle, form):
    settle(
        reason=f"told {MAIL}", args={"card": CARD, "to": MAIL, "password": "hunter2!x", MAIL: [KEY]}, description=f"key {KEY}",
        incident_title=f"Pay to {CARD}", incident_body=f"I am at {MAIL}", incident_on_behalf_of="Anna Kunde", incident_external_id="EXT-77",
        incident_customer={"id": "cust-9", "tier": "gold"}, incident_payload={"iban": "DE89 3704 0044 0532 0130 00"},
        incident_context={"messages": [{"role": "customer", "content": f"call +49 151 23456789 or {MAIL}"}]},
    )

    told = json.dumps(taken(form, export.redacted_by(Mask)), ensure_ascii=False)

    for secret in (CARD, "4111", MAIL, KEY, "hunter2", "Anna Kunde", "EXT-77", "cust-9", "Rosa", "3704", "23456789"):
        assert secret not in told, secret
    assert "EMAIL_1" in told and ("gold" in told or form == "csv")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("renamed", [False, True])
def test_redacted_does_not_tell_who_granted_a_lane(db, form, renamed):
    milan = PersonFactory(username="milan", first_name="Milan", last_name="Okafor")
    source = SourceFactory()
    lane = Lane.objects.create(source=source, by="action", subject="refund")
    grant = LaneGrant.objects.create(
        lane=lane, version=live_version(), alpha=0.1, delta=0.05, threshold=0.9, audit_share=0.1, granted_by=milan, evidence={},
        terms_digest="sha256:0", expires_at=clock.now() + timedelta(days=1), reason="It has shown it.",
    )
    with transaction.atomic():
        audit.record("lane.granted", actor=audit.Actor.of(milan), subject=f"Lane {lane.pk}", grant=grant.pk)
    one = ProposalFactory(incident=IncidentFactory(source=source), state="approved", settled_at=clock.now(), due_at=None)
    Decision.objects.create(
        proposal=one, type="approve", by_kind="policy", by_id="lane", by_name=lanes.title_of(lane), reason=lanes.why_of(grant),
        signed_digest=one.args_digest, args_digest=one.args_digest, valid_until=clock.now(),
    )
    if renamed:
        Person.objects.filter(pk=milan.pk).update(first_name="Mila", last_name="Okonkwo")

    told = json.dumps(taken(form, export.redacted_by(Mask)), ensure_ascii=False)

    assert "Okafor" in json.dumps(taken(form)) and "Okafor" not in told and "Milan" not in told
    assert "has earned this: <PERSON_1> signed on" in told


def test_within_a_row_the_same_value_is_the_same_placeholder(settle):
    settle(reason=f"{MAIL} asked", args={"to": MAIL, "cc": "other@shop.example"})
    [row] = taken(redact=export.redacted_by(Mask))
    args = row["incident"]["proposal"]["args"]
    assert args["to"] in row["decision"]["reason"] and args["cc"] != args["to"]


def test_a_lesson_is_what_the_trainer_takes(settle, capsys):
    settle("edit", "too much", edit={"order": 1182, "amount": 100}, incident_context={"request": "please " * 50_000, "messages": [{"role": "x", "content": "y"}] * 500})
    settle("respond", "asked", message="Use the other account.")
    settle("reject", "no")

    call_command("export_feedback", "--format", "chat")

    lessons = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [faults_of(one) for one in lessons] == [[], [], []]
    assert [[said["role"] for said in one["messages"]] for one in lessons] == [["system", "user", "assistant"]] * 3
    assert all(len(one["messages"][1]["content"]) <= chat.LONGEST for one in lessons)
    answers = [json.loads(one["messages"][2]["content"]) for one in lessons]
    assert answers == [
        {"decision": "edit", "reason": "too much", "args": {"order": 1182, "amount": 100}},
        {"decision": "respond", "reason": "asked", "message": "Use the other account."}, {"decision": "reject", "reason": "no"},
    ]
    asked = json.loads(lessons[1]["messages"][1]["content"])
    assert asked["proposal"]["args"] == {"order": 1182, "amount": 250} and asked["kind"] == "action"


@pytest.mark.parametrize(
    "example",
    [
        None, {}, {"messages": []}, {"messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "robot", "content": "y"}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]},
        {"messages": [{"role": "system", "content": "x"}, {"role": "assistant", "content": "y"}]},
        {"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}, {"role": "assistant", "content": "y"}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "prompt": "z"},
    ],
    ids=["none", "empty", "no messages", "one message", "no such role", "blank", "nobody asks", "asks last", "system late", "more members"],
)
def test_what_the_trainer_refuses_is_known(example):
    assert faults_of(example)


@given(st.dictionaries(st.sampled_from(["title", "body", "payload", "context", "proposal"]), VALUES))
def test_whatever_was_sent_makes_a_lesson(asked):
    row = {"incident": asked, "triggers": [], "role": None, "decision": {"type": "approve", "reason": ""}}
    assert faults_of(chat.example_of(row)) == []


def applied(value, changes):
    """Apply what `differences` told; the way back, to see that nothing was left out."""
    out = json.loads(json.dumps({"": value}))
    for one in changes:
        *way, last = ["", *(part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:])]
        at = out
        for part in way:
            at = at[int(part) if isinstance(at, list) else part]
        last = int(last) if isinstance(at, list) else last
        if "to" in one:
            at[last] = one["to"]
        else:
            del at[last]
    return out[""]


@given(VALUES, VALUES)
def test_what_an_edit_changed_is_all_that_it_changed(before, after):
    changes = list(rows.differences(before, after))
    made = applied(before, changes)
    assert json.dumps(made, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert bool(changes) == (json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True))


def test_the_command_writes_a_file_and_the_record_says_so(settle, tmp_path):
    settle()
    out = tmp_path / "out.csv"
    call_command("export_feedback", "--format", "csv", "--since", "2020-01-01", "--role", "finance", "--no-redact", "--output", str(out))

    [cells] = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8").removeprefix("\ufeff"), newline="")))
    assert (cells["decision"], cells["by"], cells["role"], cells["action"]) == ("approve", "Rosa Reviewer", "finance", "refund")
    facts = json.loads(AuditEntry.objects.get(action="feedback.exported").body)["facts"]
    assert (facts["format"], facts["redacted"], facts["scope"]["role"]) == ("csv", False, "finance")
    for wrong in (["--since", "soon"], ["--role", "nobody"], ["--output", str(tmp_path / "no" / "where")]):
        with pytest.raises(CommandError):
            call_command("export_feedback", *wrong)


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "a;=1+1", "＝1+1"])
def test_no_cell_is_a_formula(settle, text):
    settle(reason=text, incident_title=text)
    [cells] = taken("csv")
    assert cells["reason"] != text and "'" in cells["reason"] and cells["title"] == cells["reason"]
