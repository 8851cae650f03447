"""Agents wait while the network is cut, the server restarts and is killed: each gets exactly what was signed, or knows it has nothing.

`CUTS=1000` makes it as many cut points; without it there are enough for every run.
"""

import concurrent.futures
import itertools
import os
import random
import threading
import time
from collections import Counter, defaultdict

import httpx
import pytest
from countersign import Client, errors
from countersign.canonical import digest

from tests.chaos.cutting import Cutter
from tests.e2e.company import until

pytestmark = pytest.mark.chaos

CUTS = int(os.environ.get("CUTS", "150"))
AGENTS = 32  # at once
ENOUGH = 600  # seconds in which an agent that is decided has its answer, whatever breaks
IMPATIENT = 6
ASKED = "cut-"
# What becomes of an agent's wish. Nobody decides some; others are decided about when their agent gives up.
FATES = ("approve", "edit", "reject", "approve", "respond", "late", "edit", "approve", "nobody", "late")
ENDS = {"approve": "ran", "edit": "ran", "reject": "Rejected", "respond": "Answered"}
BY_FATE = {
    "approve": {"type": "approve"}, "late": {"type": "approve"}, "reject": {"type": "reject", "reason": "No."},
    "respond": {"type": "respond", "message": "Done by hand."},
}
DECISIONS = """
SELECT incident.key, decision.type, decision.args_digest, acknowledgement.result,
    (SELECT count(*) FROM escalations_signature AS signature WHERE signature.proposal_id = proposal.id
     AND signature.digest = decision.signed_digest AND signature.type = decision.type),
    (SELECT count(*) FROM escalations_incident AS twin WHERE twin.key = incident.key)
FROM escalations_incident AS incident JOIN escalations_proposal AS proposal ON proposal.incident_id = incident.id
LEFT JOIN escalations_decision AS decision ON decision.proposal_id = proposal.id
LEFT JOIN escalations_acknowledgement AS acknowledgement ON acknowledgement.decision_id = decision.id
WHERE incident.key LIKE 'cut-%%'
"""


class Room:
    """A manager who decides whatever waits, straight at the server, and again when it did not hear."""

    def __init__(self, url, token, chance):
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=20)
        self.chance, self.signed, self.over = chance, {}, threading.Event()

    def work(self):
        while not self.over.wait(0.2):
            try:
                listed = self.http.get("/incidents", params={"status": "waiting", "limit": 100})
                for incident in listed.json()["items"] if listed.is_success else ():
                    if incident["proposal"]["action"] == "write" and self.chance.random() < 0.4:
                        self.decide(incident["proposal"])
            except httpx.TransportError:
                continue

    def decide(self, proposal):
        number = proposal["args"]["number"]
        fate = FATES[number % len(FATES)]
        if fate == "nobody":
            return
        body = BY_FATE.get(fate) or {"type": "edit", "args": {**proposal["args"], "note": "as edited"}}
        answer = self.http.post(
            f"/proposals/{proposal['id']}/decision", headers={"idempotency-key": f"d-{number}"},
            json={**body, "args_digest": proposal["args_digest"], "version": proposal["version"]},
        )
        if answer.is_success:
            self.signed[number] = body["type"]


class Agents:
    """Programs that ask before they write, and do nothing else. Some die while they wait, and are started again."""

    def __init__(self, url, key, chance):
        self.url, self.key, self.chance = url, key, chance
        self.ran, self.ended = defaultdict(list), {}
        self.deaths = 0

    def live(self, number):
        fate = FATES[number % len(FATES)]
        patience = IMPATIENT if fate in ("nobody", "late") else ENOUGH
        dies = self.chance.uniform(0.1, 2.5) if self.chance.random() < 0.15 else None
        try:
            self._live(number, patience, dies)
            self.ended[number] = "ran"
        except errors.NotApproved as refusal:
            self.ended[number] = type(refusal).__name__

    def _live(self, number, patience, dies):
        client = Client(self.url, self.key, timeout=5, retry_for=ENOUGH)
        death = threading.Timer(dies, client.close) if dies else None
        if death:
            death.start()
        try:
            self._asks(client, number, patience)
        except (errors.CountersignError, RuntimeError) as error:  # of a client that was closed under its user
            if isinstance(error, errors.NotApproved) or not client._closed.is_set():
                raise
            self.deaths += 1
            with Client(self.url, self.key, timeout=5, retry_for=ENOUGH) as another:
                self._asks(another, number, patience)
        finally:
            if death:
                death.cancel()
            client.close()

    def _asks(self, client, number, patience):
        @client.requires_approval(key=f"{ASKED}{number}", timeout=patience)
        def write(number, note):
            self.ran[number].append(note)

        write(number, "as asked")


@pytest.fixture(scope="module")
def parties(company):
    key = company.manage("add_source", "waiting-agents")["key"]
    token = company.manage("add_person", "wanda", "--role", "manager", "--token", "--interactive")["token"]
    return key, token


def strike(company, cutter, over, struck, chance):
    """Restart or kill the server now and then, with agents waiting on it; count how many waited that moment."""
    for kind in itertools.cycle(["kill -9", "restart"]):
        if over.wait(chance.uniform(4, 10)):
            return
        web = max(company.processes("hitl_site.web"), key=lambda process: process.create_time(), default=None)
        if web is None:
            continue
        waiting = cutter.open
        web.kill() if kind == "kill -9" else web.terminate()
        struck[kind] += waiting
        struck["times"] += 1
        until(lambda: over.is_set() or answers(company), 300, "the server again")


def answers(company):
    try:
        return httpx.get(f"{company.url}/healthz", timeout=2).is_success
    except httpx.TransportError:
        return False


def test_each_agent_gets_exactly_what_was_signed_or_knows_that_it_has_nothing(company, parties, took):
    key, token = parties
    seed = int(os.environ.get("CUT_SEED", "20261121"))
    chance, struck, over = random.Random(seed), Counter(), threading.Event()
    began = time.monotonic()
    with Cutter(company.port, chance) as cutter:
        room, agents = Room(company.url, token, chance), Agents(cutter.url, key, chance)
        with concurrent.futures.ThreadPoolExecutor(AGENTS + 2) as pool:
            helpers = [pool.submit(room.work), pool.submit(strike, company, cutter, over, struck, chance)]
            numbers = itertools.count()
            try:
                living = set()
                while cuts(cutter, struck, agents) < CUTS or not struck["kill -9"] or not struck["restart"]:
                    assert time.monotonic() - began < 3 * ENOUGH, "too slow to tell anything"
                    assert not any(helper.done() for helper in helpers), [helper for helper in helpers if helper.done()]
                    living |= {pool.submit(agents.live, next(numbers)) for _ in range(AGENTS - len(living))}
                    done, living = concurrent.futures.wait(living, timeout=5, return_when=concurrent.futures.FIRST_COMPLETED)
                    for one in done:
                        one.result()
                cutter.calm()
                over.set()
                for one in concurrent.futures.as_completed(living, timeout=2 * ENOUGH):
                    one.result()
            finally:
                over.set()
                room.over.set()
        for helper in helpers:
            helper.result()
    took(
        f"{cuts(cutter, struck, agents)} cut points under {len(agents.ended)} agents: {dict(cutter.cuts)}, waiting when the server went: "
        f"{dict(struck)}, agents that died: {agents.deaths}, tries in vain: {cutter.vain}", began,
    )

    until(company.is_ready, 300, "ready again")
    check(company, agents, next(numbers))
    assert len(cutter.cuts) == 4, cutter.cuts


def cuts(cutter, struck, agents):
    """Return how often something broke under an agent: its line, the server it waited on, or itself."""
    return sum(cutter.cuts.values()) + struck["kill -9"] + struck["restart"] + agents.deaths


def check(company, agents, asked):
    """Compare what each agent did with what is on record: the one decision of its one incident, and who signed it."""
    record = {int(row[0].removeprefix(ASKED)): row[1:] for row in company.sql(DECISIONS)}
    assert sorted(agents.ended) == list(range(asked)), "every agent came to an end"
    for number, ended in agents.ended.items():
        fate, ran = FATES[number % len(FATES)], agents.ran.get(number, [])
        verdict, may_run, acknowledged, signatures, twins = record.get(number, (None, None, None, 0, 1))
        about = (number, fate, ended, ran, record.get(number))
        assert twins == 1, about
        if ran:
            assert len(ran) == 1 and verdict in ("approve", "edit") and signatures == 1, about
            assert digest("write", {"number": number, "note": ran[0]}) == may_run, about
            assert ended == "ran" and acknowledged in ("done", None), about  # what cannot be said in time stays visibly open
        else:
            assert ended != "ran" and acknowledged is None, about
        assert ended in ("TimedOut", ENDS.get(fate, "TimedOut"), *(["ran"] if fate == "late" else [])), about  # or knows it has none
        assert verdict == {"late": "approve"}.get(fate, fate) or (verdict is None and ended == "TimedOut"), about
    ends = Counter((FATES[number % len(FATES)], ended) for number, ended in agents.ended.items())
    assert {"ran", "Rejected", "Answered", "TimedOut"} <= {ended for _, ended in ends}, ends
    in_vain = sum(count for (fate, ended), count in ends.items() if fate in ENDS and ended == "TimedOut")
    assert in_vain <= len(agents.ended) // 10, ends
