"""The two outboxes: rows that say something has to leave, written in the transaction that caused it.

Nothing is sent here. Each `open_…` costs one INSERT (a role's fan-out one SELECT more) and a wake-up; both commit or
roll back with the caller. `deliver` and `notify` send what these rows say, at least once, with the row's id as the
stable message id.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Q

from escalations import clock, queue, standstill, vault
from escalations.bulk import insert_many
from escalations.models import (
    Channel,
    Decision,
    Delivery,
    Incident,
    Notice,
    NoticeWishes,
    Person,
    Proposal,
    Question,
    Role,
    SigningSecret,
    Source,
)
from escalations.models.calendars import people_here
from escalations.states import Sending, Verdict

# What people are told, and how it is called where they choose.
NOTICES = {
    "new_work": "new work in a queue of mine",
    "escalated": "work that came up to my role, or was passed on to it",
    "critical": "critical work",
    "expiring": "work about to run out of time",
    "breaching": "work that will run out before anybody is at work",
    "parked": "work that waits without a clock",
    "mentioned": "a comment that names me, or a colleague I stand in for",
    "passed_on": "what a colleague who is away held, and is mine now",
    "decided": "a decision by others about what I had a hand in",
    "hold_fell": "a signature of mine that fell",
    "failing": "outcomes of my source that cannot be delivered yet",
    "given_up": "outcomes of my source that were given up",
    "endpoint_disabled": "a callback of my source that is gone",
    "change_waits": "a change that waits for a second administrator",
    "lane_granted": "a lane that may act alone from now on",
    "lane_withdrawn": "a lane that lost the right to act alone",
    "weekly_review": "the weekly review of my team",
    "token_minted": "a token somebody minted in my name",
    "chat_linked": "a chat account somebody linked to me",
    "channel_test": "a test of a channel",
}
# A person may not want these.
OPTIONAL = ("new_work", "decided", "expiring", "breaching", "mentioned", "failing", "change_waits", "weekly_review")
UNHURRIED = ("new_work", "decided", "failing", "change_waits", "weekly_review")  # these wait for a digest where one is wanted
ABOUT_OPEN = ("escalated", "critical", "expiring", "breaching", "parked", "passed_on")  # say nothing true any more once the proposal is settled


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
    """Who should be told what. A role stands for its active members who are not away, its shared mailbox and its channels."""

    kind: str
    proposal: Proposal | None = None
    step: int | None = None
    person: Person | None = None
    role: Role | None = None
    address: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    group_key: str = ""  # alike ones have the same


def open_notice(
    kind: str,
    *,
    proposal: Proposal | None = None,
    step: int | None = None,
    person: Person | None = None,
    role: Role | None = None,
    address: str = "",
    group_key: str = "",
    **facts: Any,
) -> list[Notice]:
    """Open one notice per person to be told; `facts` (JSON) are for the template. Nothing for a test key's items.

    Who cannot be told (no address) leaves a row `nothing_to_send`, so that the record says that nobody was.
    """
    return open_notices([Wanted(kind, proposal, step, person, role, address, facts, group_key)])


def open_notices(wanted: Iterable[Wanted]) -> list[Notice]:
    """Open many: one SELECT for the members of all the roles named, two for how people want to be told, one INSERT, one wake-up."""
    items = [item for item in wanted if not (item.proposal and item.proposal.test)]
    for item in items:
        if item.kind not in NOTICES:
            raise ValueError(f"unknown notice {item.kind!r}")
    if not items:
        return []
    ways = _Ways.of(items)
    notices = [notice for item in items for notice in _notices(item, ways)]
    insert_many(notices)
    if any(notice.state == Sending.WAITING for notice in notices):
        queue.wake("notify")
    return notices


def open_notice_by_mail(failed: Notice) -> None:
    """Open by mail what could not be told to a person by a channel of theirs. One INSERT and a wake-up."""
    told = {name: getattr(failed, name) for name in ("kind", "person", "role", "proposal", "step", "facts", "group_key")}
    Notice.objects.create(address=failed.person.email.lower(), **told)
    queue.wake("notify")


def drop_notices(proposals: Iterable[Proposal]) -> int:
    """Drop what was not sent yet and is no longer true because these proposals were settled.

    Return how many. One UPDATE.
    """
    return Notice.objects.filter(
        proposal__in=[proposal.pk for proposal in proposals], kind__in=ABOUT_OPEN, state=Sending.WAITING
    ).update(state=Sending.NOTHING_TO_SEND, next_try_at=None, finished_at=clock.now(), token=F("token") + 1)


def _members(role_ids: set[int]) -> dict[int, list[Person]]:
    """Return the active people who are not away, per role. One query, none for no roles."""
    found: dict[int, list[Person]] = defaultdict(list)
    if role_ids:
        people = people_here(clock.now()).filter(groups__in=role_ids)
        for person in people.annotate(of_role=F("groups")).order_by("pk"):
            found[person.of_role].append(person)
    return found


@dataclass(frozen=True)
class _Ways:
    """How everybody concerned is reached, read once for many notices."""

    members: dict[int, list[Person]]
    wishes: dict[int, NoticeWishes]
    of_person: dict[int, list[Channel]]
    of_role: dict[int, list[Channel]]

    @classmethod
    def of(cls, items: Sequence[Wanted]) -> "_Ways":
        """Read what these need: the members, their wishes, the channels. Three queries, fewer where there is nobody."""
        roles = {item.role.pk for item in items if item.role}
        members = _members(roles)
        people = {person.pk for found in members.values() for person in found} | {item.person.pk for item in items if item.person}
        of_person: dict[int, list[Channel]] = defaultdict(list)
        of_role: dict[int, list[Channel]] = defaultdict(list)
        if people or roles:
            channels = Channel.objects.filter(Q(person__in=people) | Q(role__in=roles), disabled_at=None)
            for channel in channels.defer("sealed").order_by("pk"):
                (of_person[channel.person_id] if channel.person_id else of_role[channel.role_id]).append(channel)
        wishes = NoticeWishes.objects.in_bulk(people) if people else {}
        return cls(members, wishes, of_person, of_role)

    def to(self, person: Person, kind: str) -> tuple[str, list[Channel]] | None:
        """Return a person's address ("" for none by mail) and channels for a kind of notice; None for one they do not want.

        Who wants no mail and has no channel for this kind is told by mail after all: nobody makes themselves unreachable.
        """
        wishes = self.wishes.get(person.pk)
        if wishes is not None and kind in wishes.unwanted and kind in OPTIONAL:
            return None
        channels = [one for one in self.of_person.get(person.pk, ()) if not one.notices or kind in one.notices]
        return person.email if wishes is None or wishes.by_mail or not channels else "", channels


def _notices(item: Wanted, ways: _Ways) -> list[Notice]:
    """Return the unsaved rows, one per address and channel: who sits in the shared mailbox too is not told twice at one address."""
    mails: dict[str, Person | None] = {}
    posts: dict[int, tuple[Person | None, Channel]] = {}
    people = ways.members.get(item.role.pk, []) if item.role else []
    people = [*people, item.person] if item.person and item.person.is_active else people
    for person in people:
        if (way := ways.to(person, item.kind)) is None:
            continue
        address, channels = way
        if address:
            mails.setdefault(address.lower(), person)
        posts |= {channel.pk: (person, channel) for channel in channels}
    for shared in (item.role.notify_email if item.role else "", item.address):
        if shared:
            mails.setdefault(shared.lower(), None)
    for channel in ways.of_role.get(item.role.pk, ()) if item.role else ():
        if not channel.notices or item.kind in channel.notices:
            posts[channel.pk] = (None, channel)
    now = clock.now()
    common = {
        "kind": item.kind, "role": item.role, "proposal": item.proposal, "step": item.step, "facts": item.facts,
        "group_key": item.group_key, "created_at": now,
    }  # fmt: skip
    if mails or posts:
        return [Notice(person=person, address=address, next_try_at=now, **common) for address, person in mails.items()] + [
            Notice(person=person, channel=channel, next_try_at=now, **common) for person, channel in posts.values()
        ]
    unwanted = any(ways.to(person, item.kind) is None for person in people)
    error = "nobody who wants to be told" if unwanted else "nobody with an address"
    return [Notice(person=item.person, state=Sending.NOTHING_TO_SEND, next_try_at=None, finished_at=now, error=error, **common)]


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
