"""One press: taken once, decided as the person whom its Slack user is here, answered in words, and the messages follow.

The press is taken in a transaction of its own before anything is decided: if this process dies in between, it has decided nothing, and
whoever pressed presses again. A request that comes a second time does nothing, whatever became of the first.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from escalations import audit, clock, lifecycle, queue
from escalations.errors import CountersignError, Invalid, NotAllowed, NotFound, NotYourQueue
from escalations.floors import chatting
from escalations.models import Person, Proposal, SlackAccount, SlackMessage, SlackPress, SlackWorkspace
from escalations.states import Verdict

from .payload import Pressed

NOT_LINKED = (
    "Nothing was decided: nobody here is linked to your Slack account ({user}). Ask an administrator of people to link it, or decide on "
    "the page."
)
NOT_OURS = "Nothing was decided: this button is not as Countersign made it. Open the page."
SAID = {Verdict.APPROVE: "approved", Verdict.REJECT: "rejected"}


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a press: a word for the log, what to tell whoever pressed, and whether the messages may be out of date."""

    outcome: str
    reply: str = ""
    follow: bool = False


def press(workspace: SlackWorkspace, pressed: Pressed, request: str) -> str:
    """Deal with one verified press; return a word for what came of it. About thirty queries, no call to anybody.

    `request` is what makes this request unlike any other: its signature, in hex.
    """
    row = SlackPress(workspace=workspace, request=request, user_id=pressed.user, channel_id=pressed.channel, at=clock.now())
    if not _taken(row):
        return "replayed"
    button = chatting.read_button(pressed.value)
    came = _came_of(workspace, pressed, button)
    with transaction.atomic():
        _answer(row, came, button)
        if button is not None and came.follow:
            _have_it_follow(workspace, pressed, button)
        queue.wake("notify")
    return came.outcome


def _taken(row: SlackPress) -> bool:
    """Store the press; False when this very request was stored before."""
    SlackPress.objects.bulk_create([row], ignore_conflicts=True)
    return bool(SlackPress.objects.filter(pk=row.pk).exists())


def _came_of(workspace: SlackWorkspace, pressed: Pressed, button: chatting.Button | None) -> Came:
    if button is None or button.workspace != workspace.pk or str(button.verdict) != pressed.action:
        _refused(None, None, workspace=workspace.name, user_id=pressed.user, why="not our button")
        return Came("not_ours", NOT_OURS)
    account = SlackAccount.objects.select_related("person").filter(workspace=workspace, user_id=pressed.user).first()
    if account is None:
        _refused(button, None, workspace=workspace.name, user_id=pressed.user, why="not linked")
        return Came("not_linked", NOT_LINKED.format(user=pressed.user))
    try:
        outcome = lifecycle.decide(
            button.proposal_id, person=account.person, type=str(button.verdict), digest=button.digest, version=button.version,
            reason=pressed.reason, method="chat", interactive=True,
        )
    except CountersignError as error:
        problem = NotYourQueue() if isinstance(error, NotFound) else error  # they see the message; they are told why, not more
        if isinstance(problem, NotAllowed):
            _refused(button, account.person, workspace=workspace.name, user_id=pressed.user, why=problem.code)
        return Came(problem.code, f"Nothing was decided: {_words(problem)}", follow=True)
    return Came(str(button.verdict), _told(outcome, button.verdict), follow=True)


def _told(outcome: lifecycle.Outcome, verdict: Verdict) -> str:
    """Return what only the signer is told; "" where the message itself says it all."""
    if outcome.held is not None:
        until = f"{outcome.held.settles_at:%H:%M:%S} UTC"
        return f"You {SAID[verdict]} this. You can take it back on the page until {until}; then it settles."
    if outcome.decision is None and outcome.needed:
        more = outcome.needed - outcome.signed
        return f"Signed. {more} more {'person' if more == 1 else 'people'} must say yes before it settles."
    return ""


def _words(error: CountersignError) -> str:
    return " ".join(one["detail"] for one in error.errors) if isinstance(error, Invalid) and error.errors else error.detail


def _answer(row: SlackPress, came: Came, button: chatting.Button | None) -> None:
    """Store what came of it; the reply is sent by a worker."""
    page = f"{settings.PUBLIC_URL.rstrip('/')}/proposals/{button.proposal_id}/" if button else f"{settings.PUBLIC_URL.rstrip('/')}/"
    reply = f"{came.reply}\n{page}" if came.reply and row.channel_id and row.user_id else ""
    SlackPress.objects.filter(pk=row.pk).update(
        outcome=came.outcome[:40], reply=reply, next_try_at=clock.now() if reply else None
    )


def _have_it_follow(workspace: SlackWorkspace, pressed: Pressed, button: chatting.Button) -> None:
    """Have every message about this proposal written anew; one that was posted and not remembered (we died then) is ours again."""
    now = clock.now()
    if pressed.channel and pressed.ts:
        SlackMessage.objects.bulk_create(
            [SlackMessage(
                workspace=workspace, proposal_id=button.proposal_id, channel_id=pressed.channel, ts=pressed.ts, digest=button.digest,
                version=button.version, told_version=button.version, written_at=now, created_at=now,
            )],
            ignore_conflicts=True,
        )
    SlackMessage.objects.filter(proposal_id=button.proposal_id, closed_at=None).update(next_try_at=now)


def _refused(button: chatting.Button | None, person: Person | None, **facts: Any) -> None:
    """Put on the record that somebody pressed who may not, or something that is not ours."""
    proposal = Proposal.objects.only("pk", "incident_id").filter(pk=button.proposal_id).first() if button else None
    with transaction.atomic():
        audit.record(
            "chat.refused", actor=audit.Actor.of(person) if person else audit.SYSTEM,
            incident_id=proposal.incident_id if proposal else None, proposal_id=proposal.pk if proposal else None, **facts,
        )
