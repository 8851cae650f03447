"""Two versions of the prompt asked the same of past incidents, beside what people decided. A background job that decides nothing.

It goes from the newest decision backwards, a page a task, behind a lease and a token. Each incident is asked about as it came in, with
only those earlier decisions as examples that were there then. It takes tokens from the same daily budget as the incidents, but never
the second half of a day's.
"""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from escalations import audit, clock, queue
from escalations.errors import Invalid, NotFound
from escalations.floors.facts import facts_of
from escalations.models import Category, Decision, Person, PromptTrial, PromptVersion, Signature
from escalations.states import ReplayState, Verdict

from . import breaker, conversation, llm, nearest
from .agreeing import Case, count, nothing
from .conversation import Question
from .llm import Triage
from .prompting import Prompt
from .word import Word

log = logging.getLogger(__name__)

OPEN = (ReplayState.WAITING, ReplayState.RUNNING)
MOST_OPEN = 5
MOST_WANTED = 1_000
A_PAGE = 12  # incidents asked about together, each twice
LEASE = timedelta(seconds=120)  # longer than a page may take
MAX_ATTEMPTS = 3  # claims without a page in between

_KEY = 0x636F_7573_636D_7072


class Lost(Exception):
    """Somebody else holds it now, or it was cancelled."""


@transaction.atomic
def ask(first: int, second: int, wanted: int, *, person: Person) -> PromptTrial:
    """Write down that two versions are to be compared on the newest `wanted` decisions of people, and wake the job. Six queries.

    Raises Invalid where they are the same, the number makes no sense, five wait already, or there is no model to ask; NotFound.
    """
    versions = PromptVersion.objects.in_bulk([first, second])
    if not {first, second} <= versions.keys():
        raise NotFound("There is no such version.")
    problems = []
    if first == second:
        problems.append(_problem("other", "same", "Two different versions can be compared."))
    if not 1 <= wanted <= MOST_WANTED:
        problems.append(_problem("wanted", "range", f"From 1 to {MOST_WANTED:,} decisions."))
    if not conversation.is_on():
        problems.append(_problem("", "no_model", "No language model is configured: there is nobody to ask."))
    if PromptTrial.objects.filter(state__in=OPEN).count() >= MOST_OPEN:
        problems.append(_problem("", "too_many", f"{MOST_OPEN} comparisons wait already. Cancel one, or wait for one to end."))
    if problems:
        raise Invalid(problems)
    now = clock.now()
    trial = PromptTrial.objects.create(
        first=versions[first], second=versions[second], wanted=wanted, asked_by=person, created_at=now, next_try_at=now, result=nothing()
    )
    _tell(trial, "asked", audit.Actor.of(person))
    queue.wake("compare")
    return trial


@transaction.atomic
def cancel(trial: PromptTrial, *, person: Person) -> bool:
    """Call a comparison off; what was counted so far stays. False when it had ended already."""
    now = clock.now()
    called_off = PromptTrial.objects.filter(pk=trial.pk, state__in=OPEN).update(
        state=ReplayState.CANCELLED, finished_at=now, next_try_at=None, lease_until=None
    )
    if called_off:
        _tell(trial, "cancelled", audit.Actor.of(person))
        trial.refresh_from_db()
    return bool(called_off)


def run_slice() -> bool:
    """Work on the oldest comparison that is due, one page long; True when there is more to do now. Called outside a transaction."""
    if connection.in_atomic_block:
        raise RuntimeError("A model is never asked inside a transaction.")
    trial = _claim()
    if trial is None:
        return False
    try:
        done = _page(trial)
    except Lost:
        return False
    except Exception as error:
        log.exception("a comparison failed", extra={"trial": trial.pk})
        _give_back(trial, f"{type(error).__name__} at {queue.whence(error)}")
        return False
    if done:
        _end(trial, ReplayState.DONE)
    return bool(queue.comparisons_due(clock.now()).exists())


def _claim() -> PromptTrial | None:
    """Lease the oldest due comparison unless one runs somewhere. Four queries."""
    now = clock.now()
    trial: PromptTrial | None = queue.lease_one(queue.comparisons_due(now), _KEY, now + LEASE)
    if trial is None:
        return None
    if trial.attempts > MAX_ATTEMPTS:
        _end(trial, ReplayState.FAILED, trial.error or "Its worker never finished.")
        return None
    return trial


@dataclass(slots=True)
class _Pair:
    """One past decision, and what each version is asked about it."""

    decision: Decision
    first: Question[Triage]
    second: Question[Triage]

    @property
    def estimate(self) -> int:
        return self.first.estimate + self.second.estimate


def _page(trial: PromptTrial) -> bool:
    """Ask about the next page and keep what came of it; True when there is nothing more to ask about. Raises Lost."""
    wanted = min(A_PAGE, max(1, settings.LLM_CONCURRENCY // 2), trial.wanted - trial.done)
    decisions = _decisions(trial.cursor, wanted) if wanted > 0 else []
    if not decisions:
        return True
    if not conversation.is_on():
        _end(trial, ReplayState.FAILED, "No language model is configured any more.")
        raise Lost
    pairs = _pairs(trial, decisions)
    estimates = [pair.estimate for pair in pairs]
    fits, day = breaker.reserve(estimates, budget=settings.LLM_DAILY_TOKENS // 2)
    if pairs and not fits:
        _wait_for_tomorrow(trial, estimates[0] > settings.LLM_DAILY_TOKENS // 2)
        raise Lost
    words: list[Word] = []
    try:
        asked = [question for pair in pairs[:fits] for question in (pair.first, pair.second)]
        words = _answers(asked)
    finally:
        breaker.settle(
            day, reserved=sum(estimates[:fits]), calls=sum(1 for word in words if word.tokens_in),
            tokens_in=sum(word.tokens_in for word in words), tokens_out=sum(word.tokens_out for word in words),
        )
    if words and all(word.error for word in words):  # the server, not the versions: asked again later, and failed in the end
        _give_back(trial, words[0].error)
        raise Lost
    cases = [_case(pair.decision, *said) for pair, said in zip(pairs, zip(words[::2], words[1::2], strict=True), strict=False)]
    count(trial.result, cases)
    went = decisions if fits == len(pairs) else decisions[: decisions.index(pairs[fits].decision)]
    trial.result["skipped"] += len(went) - fits
    trial.done += len(went)
    trial.cursor = {"at": went[-1].decided_at.isoformat(), "id": went[-1].pk}
    _keep(trial)
    return trial.done >= trial.wanted


def _answers(questions: Sequence[Question[Triage]]) -> list[Word]:
    """Ask all and return their words in the order of the questions."""
    words: dict[int, Word] = {}
    if questions:
        with closing(llm.ask_each(questions)) as groups:
            for group in groups:
                words |= dict(group)
    return [words[index] for index in range(len(questions))]


def _decisions(cursor: dict[str, Any] | None, limit: int) -> list[Decision]:
    """Return the next decisions of people, newest first, without test keys' and those of tokens with nobody there. One query."""
    there = Signature.objects.filter(proposal=OuterRef("proposal_id"), person=OuterRef("person_id"), interactive=True)
    rows = Decision.objects.filter(Exists(there), by_kind="person", proposal__test=False, proposal__author__in=["source", "system"])
    if cursor:
        at = datetime.fromisoformat(cursor["at"])
        rows = rows.filter(Q(decided_at__lt=at) | Q(decided_at=at, pk__lt=cursor["id"]), decided_at__lte=at)
    return list(rows.select_related("proposal__incident__source__owner").order_by("-decided_at", "-pk")[:limit])


def _pairs(trial: PromptTrial, decisions: Sequence[Decision]) -> list[_Pair]:
    """Prepare both questions of each. Six queries at most. What cannot be masked is not sent: it is left out, and counted as skipped."""
    first, second = Prompt.of(trial.first), Prompt.of(trial.second)
    categories = dict(Category.objects.order_by("name").values_list("name", "description"))
    wanted = []
    for one in decisions:
        own = None if one.proposal.is_acknowledgement else one.proposal
        wanted.append(nearest.Wanted.of(one.proposal.incident, own, min(one.proposal.created_at, one.proposal.incident.received_at)))
    past = nearest.of_many(wanted, max(first.examples, second.examples))
    pairs = []
    for decision, cases in zip(decisions, past, strict=True):
        proposal = decision.proposal
        try:
            facts = facts_of(proposal.incident, None if proposal.is_acknowledgement else proposal)
            asked = [llm.question_for(facts, categories, prompt, cases[: prompt.examples]) for prompt in (first, second)]
        except (ValueError, TypeError, LookupError, RecursionError):  # what one hostile incident may break
            log.exception("preparing a question for the model failed", extra={"incident": str(proposal.incident_id)})
            continue
        pairs.append(_Pair(decision, *asked))
    return pairs


def _case(decision: Decision, first: Word, second: Word) -> Case:
    proposal = decision.proposal
    signed = nearest.signed_words(decision.args) if proposal.is_acknowledgement and decision.type in (Verdict.APPROVE, Verdict.EDIT) else {}
    return Case(str(proposal.pk), decision.type, signed.get("category", ""), signed.get("severity", ""), first, second)


def _keep(trial: PromptTrial) -> None:
    """Write the counts and the place behind them, and give it back for the next task. Raises Lost."""
    kept = _held(trial).update(
        done=trial.done, result=trial.result, cursor=trial.cursor, lease_until=clock.now() + LEASE, attempts=0, error="",
    )
    if not kept:
        raise Lost
    if trial.done < trial.wanted:
        _held(trial).update(lease_until=None)


def _end(trial: PromptTrial, state: ReplayState, error: str = "") -> None:
    with transaction.atomic():
        ended = _held(trial).update(state=state, finished_at=clock.now(), next_try_at=None, lease_until=None, error=error[:300])
        if ended:
            _tell(trial, str(state), audit.SYSTEM)


def _give_back(trial: PromptTrial, error: str) -> None:
    _held(trial).update(lease_until=None, error=error[:300], next_try_at=clock.now() + timedelta(seconds=30 * trial.attempts))


def _wait_for_tomorrow(trial: PromptTrial, never: bool) -> None:
    """Half of today's tokens are spent: what is left is for incidents. It goes on when the day is over, in UTC."""
    if never:
        _end(trial, ReplayState.FAILED, "One question costs more than half of a day's budget of tokens.")
        return
    midnight = datetime.combine(clock.now().astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
    _held(trial).update(
        state=ReplayState.WAITING, lease_until=None, attempts=0, next_try_at=midnight,
        error="Half of today's budget of tokens is spent; the rest is for incidents. It goes on tomorrow (UTC).",
    )


def _held(trial: PromptTrial) -> Any:
    return PromptTrial.objects.filter(pk=trial.pk, token=trial.token, state__in=OPEN, lease_until__isnull=False)


def _tell(trial: PromptTrial, state: str, actor: audit.Actor) -> None:
    audit.record(
        "prompt.compared", actor=actor, subject=f"PromptTrial {trial.pk}", state=state, first=trial.first.number,
        second=trial.second.number, wanted=trial.wanted, done=trial.done,
    )


def _problem(field: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": f"/{field}" if field else "", "code": code, "detail": detail}
