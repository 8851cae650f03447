"""Channels besides mail, and what a person wants to be told: who may name which address, and that nothing of it is seen again."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import Any

from django.db import transaction

from escalations import audit, clock, outbox, queue, vault
from escalations.errors import IllegalMove, Invalid
from escalations.models import Channel, Notice, NoticeWishes, Person, Role
from escalations.senders import SendFailed, apprise
from escalations.states import Digest

from .changes import changes, problem, stored, subject_of

MOST_OF_ONE = 8
WISHES = ("unwanted", "by_mail", "digest", "digest_at", "quiet_from", "quiet_until")


def check_channel(url: str, *, own: bool = False) -> str:
    """Return what a channel at this address is called. Raises Invalid with words for whoever typed it. Half a second."""
    try:
        return apprise.check(url.strip(), own=own)
    except SendFailed as refused:
        raise Invalid([problem("url", "refused", refused.reason)]) from refused


def add_channel(
    url: str, *, actor: audit.Actor, person: Person | None = None, role: Role | None = None, notices: Iterable[str] = (),
    own: bool = False,
) -> Channel:
    """Reach a person or a role at an address as Apprise has them. Raises Invalid.

    The address is sealed and never shown again; what stands on pages is a label without its secrets. `own`: the person adds it for
    themselves, so only services made for that are taken. Asks a process of its own to read the address (half a second) before it
    opens a transaction. Nothing is sent: `try_channel` does.
    """
    if (person is None) == (role is None):
        raise Invalid([problem("role", "one", "A channel is one person's or one role's.")])
    url, label = url.strip(), check_channel(url, own=own)
    channel = Channel(person=person, role=role, kind="apprise", sealed=vault.seal(url.encode()), label=label[:200], notices=list(notices))
    with transaction.atomic():
        _lock(person, role)
        _check_notices(channel.notices)
        mine = Channel.objects.filter(person=person, role=role, disabled_at=None)
        if mine.count() >= MOST_OF_ONE:
            raise Invalid([problem("url", "too_many", f"{MOST_OF_ONE} channels at most. Switch one off first.")])
        channel.save(force_insert=True)
        _record("channel.saved", channel, actor, notices=channel.notices)
    return channel


@transaction.atomic
def save_channel(channel: Channel, *, actor: audit.Actor, notices: Iterable[str]) -> Channel:
    """Say which notices go to a channel; none means all. Raises Invalid."""
    old = stored(channel)
    channel.notices = list(notices)
    _check_notices(channel.notices)
    if changed := changes(old, channel, ("notices",)):
        channel.save(update_fields=["notices"])
        _record("channel.saved", channel, actor, changed=changed)
    return channel


@transaction.atomic
def disable_channel(channel: Channel, *, actor: audit.Actor) -> None:
    """Send nothing there any more. What waits for it is told by mail to whom nothing else would reach."""
    locked = Channel.objects.select_for_update(of=("self",)).get(pk=channel.pk)
    if locked.disabled_at is not None:
        return
    locked.disabled_at, locked.failing_since, locked.last_error, locked.retry_at = clock.now(), None, "", None
    locked.save(update_fields=["disabled_at", "failing_since", "last_error", "retry_at"])
    _record("channel.disabled", locked, actor)
    channel.disabled_at = locked.disabled_at


@transaction.atomic
def enable_channel(channel: Channel, *, actor: audit.Actor) -> None:
    """Send there again, from the next notice on."""
    locked = Channel.objects.select_for_update(of=("self",)).get(pk=channel.pk)
    if locked.disabled_at is None:
        return
    locked.disabled_at = None
    locked.save(update_fields=["disabled_at"])
    _record("channel.saved", locked, actor, changed={"disabled": {"old": True, "new": False}})
    channel.disabled_at = None


@transaction.atomic
def try_channel(channel: Channel, *, actor: audit.Actor) -> Notice:
    """Send a word to a channel, at once and by the way everything else goes. Raises IllegalMove for one that is switched off."""
    if channel.disabled_at is not None:
        raise IllegalMove("It is switched off.")
    Channel.objects.filter(pk=channel.pk).update(retry_at=None)  # whoever mends a channel wants to see it now
    notice = Notice.objects.create(
        kind="channel_test", person=channel.person, role=channel.role, channel=channel, facts={"by": actor.name}
    )
    queue.wake("notify")
    return notice


def wishes_of(person: Person) -> NoticeWishes:
    """Return what a person wants to be told; what everybody gets who never said anything. One query."""
    return NoticeWishes.objects.filter(pk=person.pk).first() or NoticeWishes(person=person)


@transaction.atomic
def save_wishes(wishes: NoticeWishes, *, actor: audit.Actor) -> NoticeWishes:
    """Save what a person wants to be told, by which way and when not. Raises Invalid. What waits is judged anew by it."""
    old = NoticeWishes.objects.select_for_update(of=("self",)).filter(pk=wishes.person_id).first()
    wishes.unwanted = [kind for kind in outbox.OPTIONAL if kind in set(wishes.unwanted)]
    errors = []
    if wishes.digest and wishes.digest not in Digest.values:
        errors.append(problem("digest", "invalid", "At once, hourly or daily."))
    if (wishes.quiet_from is None) != (wishes.quiet_until is None):
        errors.append(problem("quiet_until", "one_of_two", "Quiet hours have a beginning and an end."))
    elif wishes.quiet_from is not None and wishes.quiet_from == wishes.quiet_until:
        errors.append(problem("quiet_until", "always", "That would be all day. Leave both empty for none."))
    if errors:
        raise Invalid(errors)
    if changed := changes(old or NoticeWishes(person=wishes.person), wishes, WISHES):
        wishes.save(force_insert=old is None, force_update=old is not None)
        audit.record("wishes.saved", actor=actor, subject=subject_of(wishes.person), username=wishes.person.username, changed=changed)
        waiting = Notice.objects.filter(person=wishes.person_id, state="waiting", lease_until=None, attempts=0)
        waiting.update(next_try_at=clock.now())
    return wishes


def quiet(text: str) -> time | None:
    """Return a local time as a form has it, "22:30"; None for nothing. Raises Invalid."""
    try:
        return datetime.strptime(text.strip()[:5], "%H:%M").time() if text.strip() else None  # noqa: DTZ007 - a time of day, of no day
    except ValueError as error:
        raise Invalid([problem("quiet_from", "invalid", "A time is written as 22:30.")]) from error


def _lock(person: Person | None, role: Role | None) -> None:
    """Have two who add a channel for the same come one after the other."""
    if person is not None:
        Person.objects.select_for_update(of=("self",)).get(pk=person.pk)
    if role is not None:
        Role.objects.select_for_update(of=("self",)).get(pk=role.pk)


def _check_notices(notices: list[str]) -> None:
    if unknown := [kind for kind in notices if kind not in outbox.NOTICES]:
        raise Invalid([problem("notices", "unknown", f"No such notice: {', '.join(unknown)[:200]}.")])


def _record(action: str, channel: Channel, actor: audit.Actor, **facts: Any) -> None:
    of = channel.person.username if channel.person else channel.role.name if channel.role else ""
    audit.record(action, actor=actor, subject=subject_of(channel), label=channel.label, of=of, **facts)
