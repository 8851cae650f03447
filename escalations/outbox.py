"""The two outboxes: rows that say something has to leave, written in the transaction that caused it.

Nothing is sent here. Each `open_…` costs one INSERT (a role's fan-out one SELECT more) and a wake-up; both commit or
roll back with the caller. `deliver` and `notify` send what these rows say, at least once, with the row's id as the
stable message id.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F

from escalations import clock, queue, standstill, vault
from escalations.bulk import insert_many
from escalations.models import (
    Decision,
    Delivery,
    Incident,
    Notice,
    Person,
    Proposal,
    Question,
    Role,
    SigningSecret,
    Source,
)
from escalations.states import Sending, Verdict

NOTICES = frozenset(
    {"escalated", "critical", "expiring", "given_up", "endpoint_disabled", "token_minted", "parked", "mentioned", "hold_fell"}
)
ABOUT_OPEN = ("escalated", "critical", "expiring", "parked")  # say nothing true any more once the proposal is settled


# -- outcomes


def open_outcome(proposal: Proposal, incident: Incident) -> Delivery:
    """Open the one outcome of a proposal that was just settled.

    `nothing_to_send` where no callback is known: the caller polls.
    """
    return open_outcomes([(proposal, incident)])[0]


def open_outcomes(pairs: Iterable[tuple[Proposal, Incident]]) -> list[Delivery]:
    """Open the outcomes of many settled proposals with one INSERT. Reads `incident.source`: select it beforehand.

    While everything is stopped none has left, not even one that its caller would only poll: it waits, without a moment to be sent.
    """
    outcomes = [_delivery("proposal.settled", incident, proposal) for proposal, incident in pairs]
    if standstill.enter():
        for outcome in outcomes:
            if outcome.state == Sending.NOTHING_TO_SEND:
                outcome.state, outcome.finished_at = Sending.WAITING, None
    return _open(outcomes)


def open_incident_settled(incident: Incident) -> Delivery:
    """Say that nothing of this incident is open any more."""
    return _open([_delivery("incident.settled", incident)])[0]


def open_incidents_settled(incidents: Iterable[Incident]) -> list[Delivery]:
    """The same for many, with one INSERT."""
    return _open([_delivery("incident.settled", incident) for incident in incidents])


def open_question(incident: Incident, question: Question) -> Delivery:
    """Tell the source that a reviewer asked something back.

    `question` is saved, and the body shows all that are open.
    """
    if question.pk is None:
        raise ValueError("save the question before it is sent")
    return _open([_delivery("incident.question", incident)])[0]


def open_mail(proposal: Proposal, decision: Decision) -> Delivery | None:
    """Open the mail of an approved draft to the address that was signed; None where there is nothing to mail.

    Mailed are live drafts whose decision was a yes, of sources whose administrator allowed it. An address that is no
    single valid address is found out when it is sent, so that it ends as given up with its reason and not in silence.
    """
    source = proposal.source
    if (
        decision.type not in (Verdict.APPROVE, Verdict.EDIT)
        or not decision.draft
        or proposal.test
        or not source.may_email
    ):
        return None
    now = clock.now()
    return _open(
        [
            Delivery(
                source=source,
                incident_id=proposal.incident_id,
                proposal=proposal,
                type="draft.send",
                channel="email",
                next_try_at=now,
                created_at=now,
            )
        ]
    )[0]


def _delivery(kind: str, incident: Incident, proposal: Proposal | None = None) -> Delivery:
    now = clock.now()
    url = incident.callback_url or incident.source.callback_url
    delivery = Delivery(
        source_id=incident.source_id, incident=incident, proposal=proposal, type=kind, url=url, created_at=now
    )
    if url:
        delivery.next_try_at = now
    else:
        delivery.state, delivery.next_try_at, delivery.finished_at = Sending.NOTHING_TO_SEND, None, now
    return delivery


def _open(deliveries: Sequence[Delivery]) -> list[Delivery]:
    created = Delivery.objects.bulk_create(deliveries)
    if any(delivery.state == Sending.WAITING for delivery in created):
        queue.wake("deliver")
    return created


# -- notices


@dataclass(frozen=True)
class Wanted:
    """Who should be told what. A role stands for its active members and its shared mailbox."""

    kind: str
    proposal: Proposal | None = None
    step: int | None = None
    person: Person | None = None
    role: Role | None = None
    address: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def open_notice(
    kind: str,
    *,
    proposal: Proposal | None = None,
    step: int | None = None,
    person: Person | None = None,
    role: Role | None = None,
    address: str = "",
    **facts: Any,
) -> list[Notice]:
    """Open one notice per person to be told; `facts` (JSON) are for the template. Nothing for a test key's items.

    Who cannot be told (no address) leaves a row `nothing_to_send`, so that the record says that nobody was.
    """
    return open_notices([Wanted(kind, proposal, step, person, role, address, facts)])


def open_notices(wanted: Iterable[Wanted]) -> list[Notice]:
    """Open many: one SELECT for the members of all the roles named, one INSERT, one wake-up."""
    items = [item for item in wanted if not (item.proposal and item.proposal.test)]
    for item in items:
        if item.kind not in NOTICES:
            raise ValueError(f"unknown notice {item.kind!r}")
    members = _members({item.role.pk for item in items if item.role})
    notices = [notice for item in items for notice in _notices(item, members)]
    insert_many(notices)
    if any(notice.state == Sending.WAITING for notice in notices):
        queue.wake("notify")
    return notices


def drop_notices(proposals: Iterable[Proposal]) -> int:
    """Drop what was not sent yet and is no longer true because these proposals were settled.

    Return how many. One UPDATE.
    """
    return Notice.objects.filter(
        proposal__in=[proposal.pk for proposal in proposals], kind__in=ABOUT_OPEN, state=Sending.WAITING
    ).update(state=Sending.NOTHING_TO_SEND, next_try_at=None, finished_at=clock.now(), token=F("token") + 1)


def _members(role_ids: set[int]) -> dict[int, list[Person]]:
    """Return the active people with an address, per role. One query, none for no roles."""
    found: dict[int, list[Person]] = defaultdict(list)
    if role_ids:
        people = Person.objects.filter(is_active=True, groups__in=role_ids).exclude(email="")
        for person in people.annotate(of_role=F("groups")).order_by("pk"):
            found[person.of_role].append(person)
    return found


def _notices(item: Wanted, members: dict[int, list[Person]]) -> list[Notice]:
    """Return the unsaved rows, one per address: who sits in the shared mailbox too is not told twice at one address."""
    to: dict[str, Person | None] = {}
    if item.role:
        for member in members.get(item.role.pk, []):
            to.setdefault(member.email.lower(), member)
        if item.role.notify_email:
            to.setdefault(item.role.notify_email.lower(), None)
    if item.person and item.person.email and item.person.is_active:
        to.setdefault(item.person.email.lower(), item.person)
    if item.address:
        to.setdefault(item.address.lower(), None)
    now = clock.now()
    common = {
        "kind": item.kind,
        "role": item.role,
        "proposal": item.proposal,
        "step": item.step,
        "facts": item.facts,
        "created_at": now,
    }
    if not to:
        return [
            Notice(
                person=item.person,
                state=Sending.NOTHING_TO_SEND,
                next_try_at=None,
                finished_at=now,
                error="nobody with an address",
                **common,
            )
        ]
    return [Notice(person=person, address=address, next_try_at=now, **common) for address, person in to.items()]


# -- signing secrets


def ensure_secret(source: Source) -> str | None:
    """Give `source` a secret to sign its outcomes with if it has none.

    Return the new one (to be shown once), None if it has one.
    """
    if SigningSecret.objects.filter(source=source, retired_at=None).exists():
        return None
    return add_secret(source)


def add_secret(source: Source) -> str:
    """Give `source` one more signing secret and return it.

    All that are not retired sign: receivers change over at leisure.
    """
    text = vault.new_signing_secret()
    SigningSecret.objects.create(source=source, sealed=vault.seal(text.encode()))
    return text
