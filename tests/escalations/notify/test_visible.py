"""A channel that fails is seen where people look: health, figures, the desk; and a receiver that fails is told of early, once."""

from datetime import timedelta

import pytest

from escalations import clock, outbox, vault
from escalations.deliver import rows
from escalations.health import checks
from escalations.health.metrics import exposition
from escalations.models import Channel, Delivery, Notice
from escalations.states import Sending
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def failing():
    since = clock.now() - timedelta(hours=2)
    return Channel.objects.create(
        role=role("finance"), sealed=vault.seal(b"x"), label="ntfy (ntfy.example.com)", failing_since=since, last_error="answered 404"
    )


def test_health_names_it_and_stays_up():
    assert checks.check()["channels"].ok


def test_health_and_figures_say_that_it_fails(failing):
    said = checks.check()["channels"]
    assert (said.ok, said.vital, said.detail) == (False, False, "1 fail")
    page = exposition().decode()
    assert "countersign_channels_failing 1.0" in page
    assert float(next(line for line in page.splitlines() if "channels_failing_seconds " in line and line[0] != "#").split()[-1]) > 7_000


def test_the_desk_says_whom_it_does_not_reach(failing, client):
    client.force_login(PersonFactory(roles=["manager"]))
    text = client.get("/desk/").content.decode()
    assert "Channels that fail" in text and "ntfy (ntfy.example.com)" in text and "answered 404" in text


def test_one_that_was_switched_off_fails_no_more(failing, client):
    Channel.objects.update(disabled_at=clock.now())
    client.force_login(PersonFactory(roles=["manager"]))
    assert checks.check()["channels"].ok and "Channels that fail" not in client.get("/desk/").content.decode()


def test_an_owner_hears_early_and_once_that_outcomes_fail():
    owner = PersonFactory()
    source = SourceFactory(owner=owner, callback_url="https://hooks.example.com/x")
    for _ in range(3):
        proposal = ProposalFactory(incident=IncidentFactory(source=source))
        outbox.open_outcome(proposal, proposal.incident)
    Delivery.objects.update(state=Sending.WAITING, attempts=rows.FAILING - 1, lease_until=clock.now() + timedelta(minutes=1))
    for delivery in Delivery.objects.select_related("source__owner", "incident"):
        parcel = rows.Parcel(delivery, "https://hooks.example.com")
        assert rows._failed(parcel, rows.DeliveryFailed("answered 500", status=500))

    notice = Notice.objects.get(kind="failing")
    assert (notice.person, notice.facts["attempts"], notice.facts["why"]) == (owner, rows.FAILING, "answered 500")
