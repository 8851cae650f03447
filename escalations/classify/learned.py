"""The engine `learned` at work: a word from the live version, and apart from it what each version that matters expects of a person.

The word is about category and severity. What a version expects of a person (`Estimate`) is in no word, no confidence and no page: whoever
knew it could tell an audit sample from other work. Without a live version there is no word, and nobody waits for one.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Q

from escalations.floors.triggers import effective_settings
from escalations.learned import SPEC, Model, Said, of
from escalations.models import ClassifierVersion, Estimate, Features, Trigger, Work
from escalations.states import Severity, VersionState

from .word import Word

log = logging.getLogger(__name__)

ENGINE = "learned"
SAYS_FROM = 0.5  # the chance from which on it names a category or a severity; below it says that it does not know
SURE_FROM = 0.8  # the chance from which on the category is its own to decide
KEPT = 6  # models in memory: live, newest, those that grants are pinned to

_models: dict[int, Model | None] = {}  # by version; weights never change, so what was read once is right for ever
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Heard:
    """What is to be written of one work: a word or none, its features, and what each version expects."""

    word: Word | None = None
    features: Features | None = None
    estimates: list[Estimate] = field(default_factory=list)


def vector_of(work: Work) -> bytes | None:
    """Return the features of a work's incident, None where that broke: nobody else waits for it. No query."""
    try:
        return of(work.incident, work.proposal)
    except Exception as error:  # noqa: BLE001 - whatever one hostile incident breaks, it goes on to a person
        log.error("the features of an incident were not made: %s", type(error).__name__, extra={"incident": str(work.incident_id)})
        return None


def hear(works: Sequence[tuple[Work, bytes | None]]) -> dict[int, Heard]:
    """Return what is to be written of each work, by its id. Two queries; one more for each version that was never read here."""
    try:
        return _heard(works)
    except Exception as error:
        log.exception("the learned engine failed")
        word = Word(engine=ENGINE, error=f"The learned engine failed ({type(error).__name__}).") if _is_live() else None
        return {work.pk: Heard(word=word) for work, _ in works}


def _heard(works: Sequence[tuple[Work, bytes | None]]) -> dict[int, Heard]:
    found = [(work, vector) for work, vector in works if vector is not None]
    versions = _speaking()
    live = next((version for version in versions if version.state == VersionState.LIVE), None)
    above = _above() if live else 1.0
    vectors = [vector for _, vector in found]
    started = time.perf_counter()
    said = {version.pk: spoke for version in versions if (spoke := _spoken(version.pk, vectors)) is not None}
    each_ms = round(1000 * (time.perf_counter() - started) / max(len(found), 1))
    heard = {work.pk: Heard(word=_failed(live, "What was posted could not be read.") if live else None) for work, _ in works}
    for at, (work, vector) in enumerate(found):
        word = None
        if live is not None:
            spoke = said.get(live.pk)
            word = _word(live, spoke[at], above, each_ms) if spoke else _failed(live, "Its weights could not be read.")
        heard[work.pk] = Heard(
            word=word, features=Features(work_id=work.pk, spec=SPEC, data=vector),
            estimates=[
                Estimate(work_id=work.pk, version_id=pk, approve=spoke[at].approve, novelty=spoke[at].novelty)
                for pk, spoke in said.items()
            ],
        )
    return heard


def _spoken(pk: int, vectors: list[bytes]) -> list[Said] | None:
    """Return what one version says, None where it cannot: a version that breaks must not silence the others."""
    try:
        model = _model(pk)
        return model.speak(vectors) if model is not None else None
    except (OperationalError, InterfaceError):
        raise  # the database itself: nobody speaks
    except Exception:
        log.exception("a version of the learned engine broke", extra={"version": pk})
        return None


def write(heard: Sequence[Heard]) -> None:
    """Write features and estimates, inside the transaction of the words. Two queries; what a work had before stays as it was."""
    Features.objects.bulk_create([one.features for one in heard if one.features is not None], ignore_conflicts=True)
    if estimates := [estimate for one in heard for estimate in one.estimates]:
        Estimate.objects.bulk_create(estimates, ignore_conflicts=True)


def _word(version: ClassifierVersion, said: Said, above: float, each_ms: int) -> Word:
    """Return the live version's word: what it is likelier than not to be right about, and whether it knows such incidents at all."""
    named = [
        (chance, name) for name, chance in ((said.category, said.category_p), (said.severity, said.severity_p))
        if chance is not None and chance >= SAYS_FROM
    ]
    category = said.category if (said.category_p or 0) >= SAYS_FROM else ""
    severity = said.severity if (said.severity_p or 0) >= SAYS_FROM and said.severity in Severity.values else ""
    strange = said.novelty is not None and said.novelty > above
    triggers = [{"name": "unfamiliar", "why": "It is unlike what was decided before.", "where": ENGINE}] if strange else []
    told = " and ".join(name for name in (category, severity) if name)
    return Word(
        engine=ENGINE, version=str(version.number), severity=severity, category=category,
        confidence=round(min(chance for chance, _ in named), 3) if named and not strange else None,
        sure=bool(category) and (said.category_p or 0) >= SURE_FROM and not strange, triggers=triggers,
        rationale=f"Decisions of the past say {told}." if told else "People signed no category or severity of such work that it could go by.",
        latency_ms=each_ms,
    )


def _failed(version: ClassifierVersion | None, why: str) -> Word:
    return Word(engine=ENGINE, version=str(version.number) if version else "", error=f"The learned engine did not speak. {why}")


def _speaking() -> list[ClassifierVersion]:
    """Return the versions that speak: the live one, those that open grants are pinned to, the newest ready one. One query."""
    newest = ClassifierVersion.objects.filter(state=VersionState.READY).order_by("-number").values("pk")[:1]
    wanted = Q(state=VersionState.LIVE) | Q(pk__in=newest) | Q(grants__isnull=False, grants__ended_at=None)
    return list(ClassifierVersion.objects.filter(wanted).only("pk", "number", "state").distinct().order_by("number"))


def _model(pk: int) -> Model | None:
    """Return a version's model, None where its weights cannot be read. One query the first time."""
    with _lock:
        if pk in _models:
            return _models[pk]
    weights: Any = ClassifierVersion.objects.values_list("weights", flat=True).get(pk=pk)
    try:
        model = Model.load(bytes(weights or b""))
    except ValueError as error:
        log.error("the weights of a version cannot be read: %s", error, extra={"version": pk})
        model = None
    with _lock:
        while len(_models) >= KEPT:
            _models.pop(next(iter(_models)))
        _models[pk] = model
    return model


def _above() -> float:
    """Return the novelty above which an incident is unfamiliar: one minus the share of known traffic that may be. One query."""
    row = Trigger.objects.filter(name="unfamiliar").values_list("settings", flat=True).first()
    return float(effective_settings("unfamiliar", row or {})["above"])


def _is_live() -> bool:
    return bool(ClassifierVersion.objects.filter(state=VersionState.LIVE).exists())


def forget() -> None:
    """Forget every model that was read. For tests, whose versions come and go."""
    with _lock:
        _models.clear()
