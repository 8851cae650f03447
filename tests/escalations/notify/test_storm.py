"""A storm of alike incidents: one group, one line in the queue, one notice per person; routing pays nothing for it."""

import re

import pytest
from django.core import mail
from django.db import connection

from escalations import audit, canonical, clock, jobs, notify, policies
from escalations.bulk import insert_many
from escalations.models import Incident, Notice, Proposal, Role
from escalations.states import DEFAULT_DECISIONS, Kind, Status
from reviews import groups
from tests.factories import STANDARD, PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    manager = role()
    manager.user_set.clear()
    manager.notify_email = ""
    manager.save()
    return [PersonFactory(roles=[manager.name]) for _ in range(3)]


def post(client, key, number):
    items = [
        {
            "kind": "action", "title": f"Retry payment {n}", "key": f"storm-{n}", "fingerprint": "gateway-timeout",
            "proposal": {"action": "retry_payment", "args": {"attempt": 1}},
        }
        for n in range(number)
    ]  # fmt: skip
    answer = client.post(
        "/api/v1/incidents/batch", {"items": items}, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 207


def test_as_it_comes_through_the_door(client, people):
    for person in people:
        person.groups.add(*Role.objects.all())
    key = policies.issue_key(SourceFactory(), env="live", actor=audit.SYSTEM).text
    notify.tell()
    post(client, key, 40)
    jobs.classify()
    jobs.route()
    assert Proposal.objects.open().count() == 40
    assert not Notice.objects.filter(kind="new_work").exists(), "routing writes none"

    asked = Proposal.objects.first().role
    members = {person.email for person in asked.user_set.all() if person.is_active and person.email}
    assert notify.tell() == len(members) + bool(asked.notify_email)
    jobs.notify()

    new = [message for message in mail.outbox if message.subject.startswith("New for")]
    assert members <= {message.to[0] for message in new} and len(new) == len({message.to[0] for message in new})
    assert all("(and 39 alike)" in message.subject for message in new)


def test_five_thousand(client, people):
    """Written as routing leaves them: what is tried here is the group, the line and the notices."""
    source, now, asked = SourceFactory(name="gateway"), clock.now(), role()
    notify.tell()
    incidents = [
        Incident(
            source=source, key=f"k{n}", body_digest="0" * 64, kind=Kind.ACTION, title=f"Retry payment {n}", fingerprint="gateway-timeout",
            status=Status.WAITING,
        )
        for n in range(5_000)
    ]  # fmt: skip
    insert_many(incidents)
    content = canonical.content_text("retry_payment", {"attempt": 1}, None)
    insert_many([
        Proposal(
            incident=one, source=source, kind=one.kind, title=one.title, action="retry_payment", args={"attempt": 1}, content=content,
            args_digest=canonical.digest_of(content), allowed_decisions=[str(each) for each in DEFAULT_DECISIONS[Kind.ACTION]],
            policy=dict(STANDARD), role=asked, asked=[asked.pk], routed_at=now, due_at=now, expires_at=now,
        )
        for one in incidents
    ])  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE escalations_proposal; ANALYZE escalations_incident")

    assert notify.tell() == len(people) and notify.tell() == 0
    while notify.run_batch():
        pass
    assert sorted(message.to[0] for message in mail.outbox) == sorted(person.email for person in people)
    assert "(and 4999 alike)" in mail.outbox[0].subject

    client.force_login(people[0])
    text = client.get("/").content.decode()
    assert len(re.findall(r'<li class="row ', text)) == 1
    group = groups.group_of(people[0], "gateway", "gateway-timeout")
    assert len(group.alike) == 1 and group.more
