"""A company with office hours: what the tests of calendars and absences have in common."""

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from escalations import ingest, route
from escalations.models import Absence, AuditEntry, Calendar, EscalationPolicy, Proposal, Work
from tests.factories import SourceFactory, role

HOUR = timedelta(hours=1)
VIENNA = ZoneInfo("Europe/Vienna")
WEEK = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
OFFICE = {"name": "Office", "version": 1, "time_zone": "Europe/Vienna", "hours": WEEK, "holidays": []}
FRIDAY = datetime(2026, 11, 20, 17, 30, tzinfo=VIENNA)
SATURDAY = datetime(2026, 11, 21, 3, 0, tzinfo=VIENNA)
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=VIENNA)


def steps(*names, after=1.5):
    return [{"role": role(name).pk, "name": name, "after": after * 3600} for name in names]


def posted(**data):
    """Take an incident in and route it, as the pipeline would."""
    incident, _ = ingest.receive(
        source=SourceFactory(), key_env="live", body_digest="a" * 64, key=None,
        data={"kind": "question", "title": "May I?", **data},
    )
    Work.objects.filter(incident=incident).update(stage="route")
    route.run_batch()
    return Proposal.objects.select_related("role").get(incident=incident)


def goes_by_the_office(**more):
    """Make the default policy go by office hours."""
    office = Calendar.objects.create(name="Office", time_zone="Europe/Vienna", hours=WEEK)
    EscalationPolicy.objects.filter(is_default=True).update(calendar=office, **more)
    return office


def away(person, since, until, deputy=None):
    return Absence.objects.create(person=person, since=since, until=until, deputy=deputy)


def entries(action):
    return [json.loads(entry.body) for entry in AuditEntry.objects.filter(action=action).order_by("pk")]
