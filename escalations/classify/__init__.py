"""Classify: every engine says its word on an incident, and the work goes on to be routed. Nothing here decides anything.

A batch is claimed (lease, token), the engines speak outside any transaction, and what they said is written in one transaction
together with the work's next stage. Whatever fails on the way becomes a word with an error: no item is ever lost, and `route` sends
what nobody could classify to a person.
"""

import logging
from collections.abc import Sequence
from contextlib import closing
from copy import copy

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from escalations import audit, clock, queue
from escalations.floors.facts import facts_of
from escalations.models import Category, Classification, Work
from escalations.states import Stage

from . import breaker, conversation, learned, llm, nearest, prompting, rules
from .conversation import Question
from .learned import Heard
from .llm import Triage
from .nearest import Past
from .prompting import Prompt
from .word import Word

log = logging.getLogger(__name__)

SPOKEN_AT_ONCE = 250  # works of one batch while only rules speak
ASKED_PER_PLACE = 4  # works of one batch for each call in flight: the next is sent the moment one comes back
UNDER_WAY = "being classified alone"  # on a work whose worker may be about to die of it
GAVE_UP = "Classifying this was tried three times and never finished."

Spoken = tuple[Work, list[Word]]
Learned = dict[int, Heard]  # by the work's id


def run_batch(limit: int | None = None) -> int:
    """Classify up to `limit` works that wait for it; returns how many were claimed, 0 when none waits. Never in a transaction."""
    at_once = max(1, settings.LLM_CONCURRENCY) * ASKED_PER_PLACE if conversation.is_on() else SPOKEN_AT_ONCE
    works = queue.claim(Stage.CLASSIFY, limit or at_once)
    # The one during which a worker died comes last and alone, so that its neighbours are done before it can kill this one too.
    suspects = [work for work in works if work.error == UNDER_WAY]
    _classify([work for work in works if work.error != UNDER_WAY])
    for work in suspects:
        _classify([work])
    return len(works)


def run_own(limit: int = SPOKEN_AT_ONCE) -> int:
    """Classify up to `limit` works by our own engines, asking no model, even where one is on; returns how many were claimed."""
    works = queue.claim(Stage.CLASSIFY, limit)
    heard = learned.hear([(work, learned.vector_of(work)) for work in works]) if works else {}
    _finish([(work, [rules.speak(facts_of(work.incident, work.proposal))]) for work in works], heard)
    return len(works)


def _classify(works: Sequence[Work]) -> None:
    """Let every engine speak on each work, and write what they said as soon as it is complete."""
    categories = dict(Category.objects.order_by("name").values_list("name", "description")) if conversation.is_on() else {}
    prompt = prompting.live() if categories else prompting.BUILT_IN
    past = nearest.of_works(works, prompt.examples) if categories else {}
    done: list[Spoken] = []
    asked: list[tuple[Spoken, Question[Triage]]] = []
    vectors: list[tuple[Work, bytes | None]] = []
    with _Watch() as watch:
        for work in works:
            watch.over(work)
            if work.attempts > queue.MAX_ATTEMPTS:
                done.append((work, [Word(engine="rules", error=GAVE_UP)]))
                continue
            vectors.append((work, learned.vector_of(work)))
            spoken, question = _by_rules(work, categories, prompt, past.get(work.pk, []))
            if question is None:
                done.append(spoken)
            else:
                asked.append((spoken, question))
    heard = learned.hear(vectors) if vectors else {}
    _finish(done, heard)
    _by_model(asked, heard)


def _by_rules(
    work: Work, categories: dict[str, str], prompt: Prompt, past: list[Past]
) -> tuple[Spoken, Question[Triage] | None]:
    """Return the rules' word and what the model is to be asked, if there is one. No item's fault is another's: nothing raises."""
    words: list[Word] = []
    try:
        facts = facts_of(work.incident, work.proposal)
        words.append(rules.speak(facts))
    except Exception as error:  # whatever one hostile incident breaks, it goes on to a person with the reason
        log.exception("the rules engine failed", extra={"incident": str(work.incident_id)})
        return (work, [Word(engine="rules", error=f"The rules engine failed ({type(error).__name__}).")]), None
    if not categories:
        if conversation.is_on():
            words.append(Word(engine=llm.ENGINE, error="The model was not asked: there are no categories."))
        return (work, words), None
    try:
        return (work, words), llm.question_for(facts, categories, prompt, past)
    except Exception as error:  # as above; what could not be masked is not sent
        log.exception("preparing a question for the model failed", extra={"incident": str(work.incident_id)})
        return (work, [*words, Word(engine=llm.ENGINE, error=f"The model was not asked ({type(error).__name__}).")]), None


def _by_model(asked: Sequence[tuple[Spoken, Question[Triage]]], learnt: Learned) -> None:
    """Ask the model as far as today's budget goes, write each answer soon after it comes, and put down what was used."""
    if not asked:
        return
    if connection.in_atomic_block:
        raise RuntimeError("A model is never asked inside a transaction: it would hold locks for as long as a stranger likes.")
    estimates = [question.estimate for _, question in asked]
    fits, day = breaker.reserve(estimates, budget=settings.LLM_DAILY_TOKENS)
    spent = Word(engine=llm.ENGINE, error="The model was not asked: today's budget of tokens is spent.")
    _finish([(work, [*words, spent]) for (work, words), _ in asked[fits:]], learnt)
    if not fits:
        return
    heard: list[Word] = []
    try:
        with closing(llm.ask_each([question for _, question in asked[:fits]])) as groups:
            for group in groups:
                heard += [word for _, word in group]
                _finish([(asked[index][0][0], [*asked[index][0][1], word]) for index, word in group], learnt)
    finally:
        breaker.settle(
            day,
            reserved=sum(estimates[:fits]),
            calls=sum(1 for word in heard if word.tokens_in),
            tokens_in=sum(word.tokens_in for word in heard),
            tokens_out=sum(word.tokens_out for word in heard),
        )


def _finish(spoken: Sequence[Spoken], learnt: Learned) -> None:
    """Write what was said of these works and move them on, in one transaction; one by one when a row spoils it for all."""
    if not spoken:
        return
    try:
        with transaction.atomic():
            _write(spoken, learnt)
        return
    except (OperationalError, InterfaceError):
        raise  # the database itself: the leases run out and somebody classifies these again
    except (DatabaseError, ValueError) as error:
        log.exception("writing %d classifications failed", len(spoken))
        if len(spoken) == 1:
            queue.retry(spoken[0][0], 5, f"What was said of it could not be stored ({type(error).__name__}).")
            return
    for one in spoken:
        _finish([one], learnt)


def _write(spoken: Sequence[Spoken], learnt: Learned) -> None:
    """All or nothing, for those whose lease still holds: next stage, words, audit, wake-up, and what was learned from later.

    Six queries whatever the number.
    """
    words = {work.pk: [*said, *_of_learned(learnt, work)] for work, said in spoken}
    # Copies: a transaction that fails must leave the works as they are in the database.
    held = queue.finish_many([copy(work) for work, _ in spoken], Stage.ROUTE)
    if len(held) < len(spoken):
        log.info("%d classifications came too late and were dropped", len(spoken) - len(held))
    if not held:
        return
    Classification.objects.bulk_create([_row(work, word) for work in held for word in words[work.pk]])
    learned.write([learnt[work.pk] for work in held if work.pk in learnt])
    audit.record_many([
        audit.entry(
            "incident.classified", actor=audit.SYSTEM, incident_id=work.incident_id, proposal_id=work.proposal_id,
            words=[_told(word) for word in words[work.pk]],
        )
        for work in held
    ])
    queue.wake("route")


def _of_learned(learnt: Learned, work: Work) -> list[Word]:
    word = learnt[work.pk].word if work.pk in learnt else None
    return [word] if word is not None else []


def _row(work: Work, word: Word) -> Classification:
    return Classification(
        incident_id=work.incident_id, work=work, engine=word.engine, version=_plain(word.version, 80), severity=word.severity,
        category=_plain(word.category, 80), confidence=word.confidence, sure=word.sure,
        triggers=[{name: _plain(value, 1_000) for name, value in trigger.items()} for trigger in word.triggers],
        rationale=_plain(word.rationale, 4_000), error=_plain(word.error, 300), latency_ms=word.latency_ms,
        tokens_in=word.tokens_in, tokens_out=word.tokens_out, created_at=clock.now(),
    )


def _told(word: Word) -> dict[str, object]:
    """What the audit record keeps of a word: names and numbers, no prose that a stranger could have written."""
    if word.error:
        return {"engine": word.engine, "error": word.error[:300]}
    return {
        "engine": word.engine, "severity": word.severity, "category": word.category, "confidence": word.confidence,
        "triggers": [trigger["name"] for trigger in word.triggers],
    }


def _plain(text: str, longest: int) -> str:
    """Return a text that PostgreSQL takes: no NUL, no lone surrogate."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:longest]


class _Watch:
    """Marks the work that is being spoken on, for works that were claimed before: if this worker dies, the next one knows of which.

    One UPDATE a work, and only after a worker died or lost its lease; none on the ordinary way.
    """

    def __init__(self) -> None:
        self._over: Work | None = None

    def __enter__(self) -> "_Watch":
        return self

    def over(self, work: Work) -> None:
        """From here on this one is being spoken on, and the one before it is not any more."""
        self._clear()
        if work.attempts > 1:
            Work.objects.filter(pk=work.pk, token=work.token).update(error=UNDER_WAY)
            self._over = work

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is None:  # a job that was cut off here leaves the mark: this may be why
            self._clear()

    def _clear(self) -> None:
        if self._over is not None:
            Work.objects.filter(pk=self._over.pk, token=self._over.token).update(error="")
            self._over = None

