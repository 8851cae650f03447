"""Agents' consequential tool calls, some of them under attack, posted through the package as a real agent would.

Each recorded run becomes a run under watch: its agent reports what it read, asks before it acts, and acts with what was signed and
nothing else. A reviewer signs on the pages what the records call right, and refuses the rest. AGENTDOJO=1465 takes all of them.
"""

import concurrent.futures
import os
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import countersign
import pytest

from escalations.management.replaying import incident_of, key_of, read_records

from .company import Reviewer, until
from .test_the_main_job import DATA

pytestmark = pytest.mark.e2e

TAKEN = int(os.environ.get("AGENTDOJO", "120"))
AGENTS = 6  # at once
PATIENCE = 600  # seconds in which all of it is over; it takes one or two minutes
WAITING = "SELECT id, key, kind FROM escalations_incident WHERE source_id = %s AND status = 'waiting'"
PENDING = "SELECT id FROM escalations_proposal WHERE incident_id = %s AND state = 'pending'"


@dataclass
class Book:
    """What was really done, by whom with what, and what was refused. Safe to share between the agents' threads."""

    done: list[tuple[str, str, str, dict]] = field(default_factory=list)  # record, incident, digest as run, args as run
    refused: list[tuple[str, str]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    steps: int = 0


@pytest.fixture(scope="module")
def runs():
    """The records, each run's in order; a run is what one agent did for one request."""
    file = DATA / "agentdojo_actions.jsonl.gz"
    if not file.exists():
        pytest.skip(f"THE EVALUATION DATA IS NOT AT {DATA}: no agent acted")
    every = read_records(file)
    found = defaultdict(list)
    for record in every:
        found[record["id"].rpartition("-")[0]].append(record)
    wanted = list(found.values())
    step = max(1, len(every) // TAKEN)
    return wanted[::step] if TAKEN < len(every) else wanted


@pytest.fixture(scope="module")
def dojo(company):
    return company.manage("add_source", "dojo")


@pytest.fixture(scope="module")
def manager(company):
    made = company.manage("add_person", "dora", "--role", "manager")
    return Reviewer(company.url, "dora", made["password"])


def act(client, records, book):
    """Do what the agent of one run did: read, ask, act as signed."""
    wishes = [incident_of(record) for record in records]
    known = 0
    with client.session("assistant", goal=str(wishes[0].get("context", {}).get("request", ""))[:500], limits={"repeats": 40}) as run:
        for record, wish in zip(records, wishes, strict=True):
            context = wish.get("context", {})
            attempts = context.get("attempts", [])
            for read in attempts[known:]:
                run.report(read.get("tool", "tool"), read.get("arguments"), str(read.get("result"))[:2000])
            known = max(known, len(attempts))
            proposal = wish["proposal"]
            try:
                with client.approve(
                    proposal["action"], proposal["args"], title=wish["title"], context=context, key=key_of(record),
                    payload=wish.get("payload"), timeout=PATIENCE, on_timeout="withdraw",
                ) as yes:
                    about_to_run = countersign.digest(yes.action, yes.args)
                    yes.check(yes.action, yes.args)
                    with run.step(yes.action, yes.args) as step:
                        step.result = "done"
                        book.done.append((record["id"], yes.id, about_to_run, yes.args))
            except (countersign.Rejected, countersign.Answered) as no:
                book.refused.append((record["id"], str(no)))
        book.steps += known + len(records)


def review(company, manager, source_id, labels, over, book):
    """Sign what the records call right, refuse the rest, until it is over. A run that goes in circles is told to go on."""
    seen = set()
    while not over.is_set():
        for incident, key, kind in company.sql(WAITING, source_id):
            for (proposal,) in company.sql(PENDING, incident):
                if proposal in seen:
                    continue
                seen.add(proposal)
                said = verdict(labels, key, kind)
                answer = manager.decide(str(proposal), **said)
                if answer.status_code != 303:
                    book.trouble.append(f"{key}: {answer.status_code}")
        over.wait(0.2)


def verdict(labels, key, kind):
    if kind != "action":
        return {"verdict": "respond", "message": "Go on."}
    if labels[key]["should_approve"]:
        return {"verdict": "approve"}
    return {"verdict": "reject", "reason": "This is not what was asked for."}


def test_agents_act_on_what_was_signed_and_on_nothing_else(company, manager, dojo, runs):
    records = {key_of(record): record for run in runs for record in run}
    labels = {key: record["label"] for key, record in records.items()}
    [(source_id,)] = company.sql("SELECT id FROM escalations_source WHERE name = %s", "dojo")
    book, over = Book(), threading.Event()
    began = time.monotonic()

    reviewer = threading.Thread(target=review, args=(company, manager, source_id, labels, over, book))
    reviewer.start()
    try:
        with countersign.Client(company.url, dojo["key"]) as client, concurrent.futures.ThreadPoolExecutor(AGENTS) as pool:
            for ended in [pool.submit(act, client, run, book) for run in runs]:
                ended.result(PATIENCE)
    finally:
        over.set()
        reviewer.join(60)
    took = time.monotonic() - began

    right = {record["id"] for key, record in records.items() if labels[key]["should_approve"]}
    done = Counter(record for record, *_ in book.done)
    assert not book.trouble
    assert done == Counter(right), "each that was signed, once, and no other"
    assert {record for record, _ in book.refused} == {record["id"] for record in records.values()} - right

    signed = {str(incident): (digest, action, args, by) for incident, digest, action, args, by in company.sql(
        "SELECT p.incident_id, d.args_digest, d.action, d.args, d.by_kind FROM escalations_decision d "
        "JOIN escalations_proposal p ON p.id = d.proposal_id WHERE p.source_id = %s AND d.args_digest IS NOT NULL", source_id,
    )}
    for _, incident, digest, args in book.done:
        assert signed[incident][0] == digest and signed[incident][2] == args and signed[incident][3] == "person"
    told = company.sql("SELECT count(*) FROM escalations_acknowledgement WHERE result = 'done'")[0][0]
    assert told >= len(book.done)
    [(linked,)] = company.sql(
        "SELECT count(*) FROM escalations_incident i JOIN escalations_oversightsession s ON s.id::text = i.session "
        "WHERE i.source_id = %s AND i.kind = 'action'", source_id,
    )
    assert linked == len(records), "every question is linked to the run it was asked in"
    ends = dict(company.sql("SELECT outcome, count(*) FROM escalations_oversightsession WHERE source_id = %s GROUP BY 1", source_id))
    assert ends == {"done": len(runs)}
    report = until(lambda: (said := company.manage("verify_audit"))["unsealed"] == 0 and said, 60, "everything sealed")
    assert report["ok"], report
    say(f"{len(runs)} runs, {book.steps} steps, {len(records)} asked, {len(book.done)} done, {len(book.refused)} refused, {took:.0f} s")


def say(text):
    """Tell the figures where `pytest -s` shows them."""
    os.write(1, f"\n{text}\n".encode())
