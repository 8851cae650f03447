"""Whoever races over HTTP, one wins and the others are told: twins of a post, deciders of a proposal. Real server, a barrier."""

import itertools
import threading

import httpx
import pytest

from .company import Reviewer, until

pytestmark = pytest.mark.chaos

KEYS, TWINS = 200, 20
PROPOSALS = 200


def refund(number):
    return {
        "kind": "action", "title": f"Refund for order {number}",
        "proposal": {"action": "refund", "args": {"order": number, "amount": 250}},
    }


def race(acts, rounds):
    """Run each act once per round in a thread of its own, all released together; return what each answered, by round."""
    gate = threading.Barrier(len(acts))
    answers = [[None] * len(acts) for _ in range(rounds)]

    def run(index, act):
        for number in range(rounds):
            gate.wait(60)
            try:
                answers[number][index] = act(number)
            except Exception as error:  # noqa: BLE001 - what a racer met is what the test looks at
                answers[number][index] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture(scope="module")
def key(company):
    return company.manage("add_source", "racer")["key"]


def agent(company, key):
    return httpx.Client(base_url=f"{company.url}/api/v1", headers={"authorization": f"Bearer {key}"}, timeout=60)


def test_twenty_twins_on_two_hundred_keys(company, key):
    clients = [agent(company, key) for _ in range(TWINS)]
    acts = [
        lambda number, http=http: http.post("/incidents", json=refund(number), headers={"idempotency-key": f"twin-{number}"})
        for http in clients
    ]
    rounds = race(acts, KEYS)

    answers = list(itertools.chain.from_iterable(rounds))
    assert {answer.status_code for answer in answers} == {201}
    for one in rounds:
        assert len({answer.json()["id"] for answer in one}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in one) == 1
    others = clients[0].post("/incidents", json=refund(-1), headers={"idempotency-key": "twin-0"})
    assert (others.status_code, others.json()["code"]) == (422, "idempotency_mismatch")


def test_eight_deciders_on_two_hundred_proposals(company, key):
    http = agent(company, key)
    items = [{**refund(number), "key": f"race-{number}"} for number in range(1000, 1000 + PROPOSALS)]
    posted = http.post("/incidents/batch", json={"items": items})
    assert posted.status_code == 207
    ids = [item["incident"]["id"] for item in posted.json()["items"]]
    waiting = [
        until(lambda one=one: (found := http.get(f"/incidents/{one}").json())["status"] == "waiting" and found, 90, "routed")["proposal"]
        for one in ids
    ]

    def by_token(name, verdict):
        token = company.manage("add_person", name, "--role", "finance", "--token", "--interactive")["token"]
        person = httpx.Client(base_url=f"{company.url}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=60)

        def decide(number):
            proposal = waiting[number]
            return person.post(f"/proposals/{proposal['id']}/decision", json={
                "type": verdict, "args_digest": proposal["args_digest"], "version": proposal["version"], "reason": name,
                **({"message": name} if verdict == "respond" else {}),
            })

        return decide

    def by_page(name, verdict):
        made = company.manage("add_person", name, "--role", "finance")
        person = Reviewer(company.url, name, made["password"])
        shown = {proposal["id"]: person.read(proposal["id"]) for proposal in waiting}  # all eight read it before anybody signs
        return lambda number: person.sign(
            waiting[number]["id"], verdict, **shown[waiting[number]["id"]], reason=name, message=name
        )

    acts = [by_token(f"t{n}", verdict) for n, verdict in enumerate(["approve", "reject", "respond", "approve", "reject"])]
    acts += [by_page(f"p{n}", verdict) for n, verdict in enumerate(["approve", "reject", "approve"])]
    rounds = race(acts, PROPOSALS)

    for number, answers in enumerate(rounds):
        won = [answer for answer in answers if answer.status_code in (200, 303)]
        lost = [answer for answer in answers if answer.status_code == 409]
        assert (len(won), len(lost)) == (1, 7), [answer.status_code for answer in answers]
        incident = http.get(f"/incidents/{ids[number]}").json()
        assert incident["status"] == "settled"
        name = incident["decision"]["by"]["name"]
        assert all(name in answer.text for answer in lost), "the losers are told who was first"
    assert company.manage("verify_audit")["ok"]
