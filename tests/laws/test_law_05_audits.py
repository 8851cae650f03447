"""Law 5, of lanes: a source that could tell an audit sample from what its lane leaves to people would behave when it is looked at.

The same item once as a sample and once because it scored too little: whatever is told of it anywhere, to anybody, is the same to the
letter, but for what is its own (ids, its order's number, digests). So too where nobody looks after the lane, and nothing goes alone.
"""

import html
import json
import logging
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.core import serializers

from escalations import clock, lifecycle
from escalations.classify import learned as engine
from escalations.deliver import rows
from escalations.floors import lanes
from escalations.learned import Said
from escalations.models import (
    AuditEntry,
    Delivery,
    Estimate,
    Lane,
    LaneGrant,
    Notice,
    Proposal,
    Trial,
)
from escalations.states import LaneState, TrialMode
from tests.escalations.api.speaking import ACTION
from tests.factories import PersonFactory, SourceFactory
from tests.lanes import live_version
from tests.laws.conftest import shown

pytestmark = pytest.mark.django_db
ORDERS = {"sample": 411, "below": 522, "unwatched": 633}
SMALL = {**ACTION, "title": "Give back 5 for order {order}", "proposal": {"action": "refund", "args": {"order": 0, "amount": 5}}}


class Expecting:
    """A version that expects of an order what a test says; every incident is like those before."""

    def __init__(self):
        self.next = 0.97

    def speak(self, vectors):
        return [Said("", None, "", None, self.next, 0.1) for _ in vectors]


@pytest.fixture
def expecting(monkeypatch):
    model = Expecting()
    monkeypatch.setattr(engine, "_model", lambda pk: model)
    return model


@pytest.fixture
def draws(monkeypatch):
    """What is drawn for which order; everything else goes alone."""
    told = {}
    monkeypatch.setattr(lanes, "draw", lambda what, incident, revision: told.get(incident.key, 0.999))
    return told


@pytest.fixture
def manager():
    return PersonFactory(username="mona", first_name="Mona", last_name="Manager", roles=["manager"])


@pytest.fixture
def source(db):
    return SourceFactory(name="billing-agent", callback_url="https://agent.example/hook")


@pytest.fixture
def granted(source, manager):
    lane = Lane.objects.create(source=source, by="action", subject="refund", state=LaneState.GRANTED, checked_at=clock.now())
    LaneGrant.objects.create(
        lane=lane, version=live_version(), alpha=0.02, delta=0.05, threshold=0.9, audit_share=0.05, evidence={}, terms_digest="sha256:0",
        granted_by=manager, reason="proven", expires_at=clock.now() + timedelta(days=30),
    )
    return lane


@pytest.fixture
def asked(posted, expecting, draws, granted):
    """Post the small refund of this name and let the real jobs run; return its proposal and its trial."""

    def ask(name, score):
        order, expecting.next = ORDERS[name], score
        body = json.loads(json.dumps(SMALL).replace("{order}", str(order)))
        body["proposal"]["args"]["order"] = order
        proposal = posted(body, key=f"small-{name}")
        return proposal, Trial.objects.get(pk=proposal.pk)

    return ask


@pytest.fixture
def three(asked, draws, granted):
    """The same item as an audit sample, below the threshold, and while nobody looks after the lane."""
    draws["small-sample"] = 0.0
    with clock.frozen_at(clock.now()):
        found = {"sample": asked("sample", 0.97), "below": asked("below", 0.41)}
        Lane.objects.filter(pk=granted.pk).update(checked_at=clock.now() - timedelta(minutes=5))
        found["unwatched"] = asked("unwatched", 0.97)
        Lane.objects.filter(pk=granted.pk).update(checked_at=clock.now())
        modes = {name: trial.mode for name, (_, trial) in found.items()}
        assert modes == {"sample": TrialMode.AUDIT, "below": TrialMode.BELOW, "unwatched": TrialMode.WATCHED}
        yield {name: proposal for name, (proposal, _) in found.items()}


OWN = [
    (re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),
    (re.compile(r'(csrfmiddlewaretoken" value="|x-csrftoken": ")[^"]+'), r"\1<token>"),
    (re.compile(r"[\w-]{20,}:[0-9A-Za-z]{6}:[\w-]{43}"), "<signed>"),  # where typed text finds its way back to
    (re.compile(r"small-(sample|below|unwatched)"), "<key>"),
    (re.compile(r"\b(411|522|633)\b"), "<order>"),
]
# Numbers of rows rise with every item; they stand in these fields alone.
ROWS = re.compile(r'((?:name="(?:seen_entry|drawn|after)" value=|"(?:work|pk|id)": ?|(?:seen|entry|after)=)"?)\d+')


def bare(told):
    """Return what is told without what is an item's own."""
    text = html.unescape(told if isinstance(told, str) else json.dumps(told, sort_keys=True, default=str))
    for pattern, name in OWN:
        text = pattern.sub(name, text)
    return ROWS.sub(r"\1<n>", text)


def alike(told):
    """Say that what is told of the sample is told of the others."""
    told = {name: bare(one) for name, one in told.items()}
    assert told["sample"], "nothing was told"
    assert told["sample"] == told["below"]
    assert told["sample"] == told["unwatched"]


def test_what_goes_alone_does_so_at_once(asked):
    proposal, trial = asked("sample", 0.97)

    assert (proposal.state, trial.mode, proposal.decision.by_kind) == ("approved", TrialMode.ALONE, "policy")


def test_the_row_of_a_sample_is_the_row_of_any_other(three):
    fields = ("version", "floor", "triggers", "rules", "risk", "role_id", "asked", "policy", "confidence", "severity", "category", "step",
              "due_at", "expires_at", "claims", "allowed_decisions")

    alike({name: {field: getattr(one, field) for field in fields} for name, one in three.items()})


def test_the_source_is_told_the_same_in_every_way(three, agent, token, manager):
    alike({name: agent.get(f"/incidents/{one.incident_id}").json() for name, one in three.items()})
    listed = {row["id"]: row for row in agent.get("/incidents").json()["items"]}
    alike({name: listed[str(one.incident_id)] for name, one in three.items()})
    alike({name: token(manager).get(f"/incidents/{one.incident_id}").json() for name, one in three.items()})


def test_the_source_is_told_the_same_when_it_is_decided(three, agent, manager, source):
    for one in three.values():
        lifecycle.decide(one.pk, person=manager, type="approve", digest=one.args_digest, version=one.version)

    alike({name: agent.get(f"/incidents/{one.incident_id}").json() for name, one in three.items()})
    rows.claim(20)  # what is sent is frozen when it is taken
    sent = {name: Delivery.objects.filter(incident=one.incident_id).order_by("type", "pk") for name, one in three.items()}
    assert all(len(some) == 2 and all(row.body for row in some) for some in sent.values())
    alike({name: [json.loads(row.body) for row in some] for name, some in sent.items()})


@pytest.mark.parametrize("who", ["manager", "member"])
def test_every_page_shows_the_same(three, browser, manager, who):
    member = PersonFactory(username="mia", first_name="Mia", last_name="Member", roles=[three["sample"].role.name])
    client = browser(manager if who == "manager" else member)

    def row_of(text, one):
        return re.search(rf'<li class="row[^>]*id="row-{one.pk}".*?</li>', text, re.S).group()

    for address in ("/proposals/{0.pk}/raw/", "/incidents/{0.incident_id}/", "/proposals/{0.pk}/strip/", "/rows/{0.pk}/"):
        alike({name: client.get(address.format(one)).content.decode() for name, one in three.items()})
    inbox = client.get("/").content.decode()
    alike({name: row_of(inbox, one) for name, one in three.items()})
    # What stands beside an item is the list of all others, in their order: the same but for whose place is its own.
    alike({name: without_side(client.get(f"/proposals/{one.pk}/").content.decode()) for name, one in three.items()})


def without_side(text):
    """Return the page without the list of what else waits, which is another for each."""
    return re.sub(r'<(aside|nav)[^>]*class="side.*?</\1>', "", text, flags=re.S)


def test_history_and_notices_are_the_same(three):
    def entries(one):
        return [json.loads(body) for body in AuditEntry.objects.filter(incident_id=one.incident_id).order_by("id").values_list("body", flat=True)]

    alike({name: entries(one) for name, one in three.items()})
    alike({
        name: ["a notice", *json.loads(serializers.serialize("json", Notice.objects.filter(proposal=one).order_by("pk")))]
        for name, one in three.items()
    })


def test_the_page_of_the_lane_does_not_move_when_a_sample_comes(asked, draws, browser, manager, granted):
    draws["small-sample"] = 0.0
    with clock.frozen_at(clock.now()):
        client = browser(manager)
        pages = ["/autonomy/", granted.get_absolute_url(), "/desk/"]

        def seen():
            return [re.sub(r'id="inbox-count"[^<]*<', "<", bare(client.get(page).content.decode())) for page in pages[:2]]

        before = seen()
        asked("sample", 0.97)
        drawn = seen()
        asked("below", 0.41)

        assert before == drawn == seen()


def test_nothing_of_it_is_logged(asked, draws, caplog):
    draws["small-sample"] = 0.0
    with caplog.at_level(logging.DEBUG):
        asked("sample", 0.97)
        drawn = [bare(one.getMessage()) for one in caplog.records if one.name.startswith(("escalations", "reviews"))]
        caplog.clear()
        asked("below", 0.41)
        below = [bare(one.getMessage()) for one in caplog.records if one.name.startswith(("escalations", "reviews"))]

    assert drawn == below and not any("0.97" in line or "audit" in line for line in drawn)


def test_the_administration_does_not_show_what_was_expected():
    assert not admin.site.is_registered(Trial) and not admin.site.is_registered(Estimate)


def test_once_it_is_decided_people_are_told_and_the_source_is_not(three, browser, manager, agent):
    one = three["sample"]
    client = browser(manager)
    before = agent.get(f"/incidents/{one.incident_id}").json()
    assert client.post(f"/proposals/{one.pk}/", shown(one)).status_code == 303

    assert "This was an audit sample" in client.get(f"/incidents/{one.incident_id}/").content.decode()
    after = json.dumps(agent.get(f"/incidents/{one.incident_id}").json())
    assert "audit" not in after and set(before) == set(json.loads(after))
    assert Proposal.objects.get(pk=one.pk).state == "approved"
