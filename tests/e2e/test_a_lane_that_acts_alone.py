"""A lane's life on real processes: a manager signs what a week of decisions proved, vouchers go alone, samples go to people, nobody
looking stops it, a refused sample ends it. Real posts, pages' own forms, a worker and timers that are killed and held up.
"""

import concurrent.futures
import json
import os
import re
import signal

import httpx
import pytest

from escalations.demo.vouchers import ACTION, REFUSED, vouchers

from .company import Company, Reviewer, hidden, until

pytestmark = pytest.mark.e2e

LANE = "SELECT id, state FROM escalations_lane WHERE subject = %s"
TRIALS = "SELECT mode, count(*) FROM escalations_trial JOIN escalations_proposal AS p ON p.id = proposal_id WHERE p.incident_id = ANY(%s) GROUP BY mode"
UNLOOKED = 60  # seconds without a look after which nothing goes (`floors.lanes.FRESH`)


@pytest.fixture(scope="module")
def house():
    """The demo company without a language model: its classifier and its lane of vouchers are earned by what its people decided."""
    with Company() as running:
        yield running


@pytest.fixture(scope="module")
def people(house):
    said = json.loads((house.folder / "var" / "demo.json").read_text())
    passwords = {one["username"]: one["password"] for one in said["people"]}
    key = next(one["key"] for one in said["sources"] if one["name"] == "billing-agent")
    return {name: Reviewer(house.url, name, passwords[name]) for name in ("rosa", "milan")}, passwords, key


@pytest.fixture(scope="module")
def agent(house, people):
    with httpx.Client(base_url=f"{house.url}/api/v1", headers={"authorization": f"Bearer {people[2]}"}, timeout=90) as http:
        yield http


def lane(house):
    """Return the lane's number and its state."""
    ((number, state),) = house.sql(LANE, ACTION)
    return number, state


def grant(house, milan, password):
    """Sign what the lane's page shows, through its form."""
    address = f"/autonomy/{lane(house)[0]}/"
    page = milan.http.get(address).text
    form = re.search(r'<form[^>]*action="[^"]*/grant/".*?</form>', page, re.S)
    assert form, re.sub(r"<[^>]+>|\s+", " ", page)[:2000]
    fields = {name: hidden(form[0], name) for name in ("csrfmiddlewaretoken", "digest", "until", "alpha", "delta")}
    threshold = re.search(r'<option value="([^"]+)"', form[0]) or re.search(r'name="threshold" value="([^"]+)"', form[0])
    said = {**fields, "threshold": threshold[1], "days": "30", "reason": "A week of decisions.", "typed": ACTION, "password": password}
    answer = milan.http.post(f"{address}grant/", data=said, headers={"referer": f"{house.url}{address}"}, follow_redirects=False)
    assert answer.status_code == 303, re.sub(r"<[^>]+>|\s+", " ", answer.text)[:2000]


def post(agent, asked):
    """Post these at once; return {incident: what it was} once each waits for a person or is settled."""
    def one(voucher):
        answer = agent.post("/incidents", json=voucher.asks, headers={"idempotency-key": voucher.key})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], voucher

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        posted = dict(pool.map(one, asked))
    for incident in posted:
        until(lambda incident=incident: agent.get(f"/incidents/{incident}").json()["status"] != "received", 120, "routed")
    return posted


def outcomes(agent, posted):
    return {incident: agent.get(f"/incidents/{incident}").json() for incident in posted}


def went_alone(said):
    return [incident for incident, one in said.items() if one["status"] == "settled"]


def test_a_lane_acts_alone_as_long_as_it_is_looked_at_and_right(house, people, agent):
    reviewers, passwords, _ = people
    assert lane(house)[1] == "watching"
    before = outcomes(agent, post(agent, list(vouchers(8, 901, 90_000))))
    assert not went_alone(before)  # it watches

    grant(house, reviewers["milan"], passwords["milan"])
    assert lane(house)[1] == "granted"

    # A worker is killed while they are worked on: each is let go or kept once all the same.
    asked = list(vouchers(60, 902, 91_000))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        posting = pool.submit(post, agent, asked)
        house.kill("qcluster")
        posted = posting.result()
    said = outcomes(agent, posted)
    alone = went_alone(said)
    waiting = [incident for incident in said if incident not in alone]
    assert alone and waiting
    assert not [incident for incident in alone if posted[incident].reason in REFUSED.values()]  # what people refuse, people see
    for incident in alone:
        decision = said[incident]["decision"]
        assert (decision["by"]["kind"], decision["type"], decision["args"]) == ("policy", "approve", posted[incident].asks["proposal"]["args"])
    assert sum(count for _, count in house.sql(TRIALS, list(posted))) == len(posted)
    assert dict(house.sql(TRIALS, list(posted)))["alone"] == len(alone)
    # An audit sample and one that scored too little read alike for the source.
    samples = [one for one in waiting if posted[one].reason not in REFUSED.values()]
    assert samples, "one in five is drawn at first"
    shapes = {json.dumps(sorted(said[one]) + sorted(said[one]["proposal"])) for one in waiting}
    assert len(shapes) == 1

    # Nobody looks: a minute later nothing goes.
    timers = house.processes("manage.py", "timers")
    for one in timers:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        until(
            lambda: house.sql("SELECT checked_at < now() - %s * interval '1 second' FROM escalations_lane WHERE subject = %s", UNLOOKED + 1, ACTION)
            == [(True,)], 120, "a minute without a look",
        )
        unlooked = outcomes(agent, post(agent, list(vouchers(12, 903, 93_000))))
        assert not went_alone(unlooked)
    finally:
        for one in timers:
            os.kill(one.pid, signal.SIGCONT)
    until(
        lambda: house.sql("SELECT checked_at > now() - interval '10 seconds' FROM escalations_lane WHERE subject = %s", ACTION) == [(True,)], 60,
        "looked at again",
    )
    assert lane(house)[1] == "granted"

    # A person who does not know which are samples refuses what waits; the machine's right ends by itself, and its manager is told.
    rosa = reviewers["rosa"]
    for incident in waiting:
        if lane(house)[1] == "watching":
            break
        answer = rosa.decide(said[incident]["proposal"]["id"], "reject", reason="Not this one.")
        assert answer.status_code == 303, answer.text[-500:]
    until(lambda: lane(house)[1] == "watching", 30, "withdrawn")
    ((said_why, end),) = house.sql("SELECT end_why, \"end\" FROM escalations_lanegrant ORDER BY granted_at DESC LIMIT 1")
    assert said_why and end in ("bound", "high_risk")
    until(
        lambda: house.sql("SELECT count(*) FROM escalations_notice WHERE kind = 'lane_withdrawn'")[0][0] > 0, 20, "managers are told",
    )

    # From then on everything goes to people, and the record holds.
    assert not went_alone(outcomes(agent, post(agent, list(vouchers(12, 904, 94_000)))))
    report = until(lambda: (told := house.manage("verify_audit"))["unsealed"] == 0 and told, 30, "everything sealed")
    assert report["ok"], report
