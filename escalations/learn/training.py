"""A version of the classifier is trained: decisions in the order of their time, what was known when their incidents came in, numbers.

Restartable: nothing is written before the end but features that were missing, which are the same whoever works them out. Who lost the
lease writes nothing. Loads scikit-learn, so only `manage.py train_classifier` imports it.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from threadpoolctl import threadpool_limits

from escalations import audit, clock, harm, queue
from escalations.floors.lanes import key_of
from escalations.learned import SPEC, Case, Model, of
from escalations.learned.features import named
from escalations.learned.fitting import ENOUGH, Fitted, fit
from escalations.learned.reading import read
from escalations.learned.telling import largest
from escalations.models import ClassifierVersion, Features, History, OutcomeReport, Proposal, Work, acknowledges
from escalations.states import Verdict, VersionState

from .asking import LEASE, fail, held, taught_by

logger = logging.getLogger(__name__)

MOST = 100_000  # decisions that one version is trained on, the newest
BATCH = 500  # rows read or written at once
LEAST_TOLD = 5  # incidents in which a feature has to occur before its name is shown
NAMED = 600  # incidents whose features are named, so that the largest coefficients can be told in words


class Lost(Exception):
    """Somebody else holds it now."""


def train(pk: int, token: int) -> bool:
    """Train a claimed version; True when it is ready. Never raises for what is wrong with the data: the version says so."""
    row = ClassifierVersion.objects.filter(pk=pk, token=token, state=VersionState.TRAINING).defer("weights").first()
    if row is None:
        return False
    try:
        with threadpool_limits(1):  # one core: people are being served on the others
            _train(row)
    except Lost:
        return False
    except TooLittle as refused:
        fail(row, str(refused))
        return False
    except Exception as error:
        logger.exception("training a classifier failed", extra={"classifier": row.number})
        held(row).update(lease_until=None, error=f"{type(error).__name__} at {queue.whence(error)}"[:300])
        return False
    return True


class TooLittle(Exception):
    """There is not enough to learn from; why is its text."""


def _train(row: ClassifierVersion) -> None:
    def tick() -> None:
        if not held(row).update(lease_until=clock.now() + LEASE):
            raise Lost

    cases = sorted([*of_history(tick), *of_decisions(tick)], key=lambda case: case.at)[-MOST:]
    if len(cases) < ENOUGH:
        raise TooLittle(f"Only {len(cases)} decisions teach so far; {ENOUGH} are needed.")
    live = ClassifierVersion.objects.filter(state=VersionState.LIVE).first()
    beside = _read(live)
    fitted = fit(cases, beside=beside, beside_until=live.window_until if live else None, tick=tick)
    if not any((fitted.model.approve, fitted.model.category, fitted.model.severity)):
        raise TooLittle("Of every question too little was decided, or always the same.")
    tick()
    _write(row, cases, fitted, live)


def _write(row: ClassifierVersion, cases: list[Case], fitted: Fitted, live: ClassifierVersion | None) -> None:
    scores = fitted.scores | {"beside_number": live.number if live else None}
    told = {
        "spec": SPEC, "dimensions": len(fitted.model.columns), "largest": largest(fitted.model, _names()),
        "names": ["structure", "texts", "where values come from", "findings"],
    }
    weights = fitted.model.dump()
    with transaction.atomic():
        done = held(row).update(
            state=VersionState.READY, window_from=cases[0].at, window_until=cases[-1].at, rows=len(cases), features=told, weights=weights,
            scores=scores, rungs=fitted.rungs, trained_at=clock.now(), lease_until=None, next_try_at=None, error="",
        )
        if not done:
            raise Lost
        ClassifierVersion.objects.filter(state=VersionState.READY, number__lt=row.number, promoted_at=None).update(
            state=VersionState.RETIRED, retired_at=clock.now()
        )
        audit.record(
            "classifier.trained", actor=audit.SYSTEM, subject=f"ClassifierVersion {row.pk}", number=row.number, decisions=len(cases),
            since=cases[0].at.isoformat(), until=cases[-1].at.isoformat(), scores=scores.get("approve") or {},
        )


def of_decisions(tick: Callable[[], None] = lambda: None) -> Iterator[Case]:
    """Yield a case for each of the newest MOST decisions that teach, in no order. Streams; features that are missing are made.

    Right is what was approved as it was proposed, and not reported wrong, complained of or corrected later, whoever says that: it can
    only make the machine shyer. What failed is as people decided it: why it failed nobody knows, and what they would approve is asked.
    Category and severity are taught only where people signed them, which is an acknowledgement of ours.
    """
    # By its incident, which has few, and in an order that no index has: else PostgreSQL reads all works that name no proposal, or walks
    # them all by their key, for every decision.
    of_incident = Work.objects.filter(incident=OuterRef("proposal__incident"))
    work = of_incident.filter(Q(proposal=OuterRef("proposal")) | Q(proposal=None)).order_by((F("pk") + 0).desc())
    wrong = OutcomeReport.objects.filter(harm.AGAINST, incident=OuterRef("proposal__incident"))
    rows = (
        taught_by().annotate(
            work=Subquery(work.values("pk")[:1]), vector=Subquery(work.filter(features__spec=SPEC).values("features__data")[:1]),
            wrong=Exists(wrong), kind=F("proposal__kind"), source=F("proposal__source_id"), ours=acknowledges("proposal__"),
            proposed=F("proposal__action"), session=F("proposal__incident__session"), grouped=F("proposal__category"),
        )
        .order_by("-decided_at")
        .values_list(
            "proposal_id", "work", "vector", "wrong", "kind", "source", "ours", "proposed", "session", "grouped", "type", "args",
            "decided_at",
        )[:MOST]
    )
    missing: list[tuple[Any, ...]] = []
    for number, each in enumerate(rows.iterator(chunk_size=BATCH)):
        if number % (10 * BATCH) == 0:
            tick()
        if each[2] is None:
            missing.append(each)
            if len(missing) >= BATCH:
                yield from _made(missing)
                missing = []
        else:
            yield _case(each, bytes(each[2]))
    yield from _made(missing)


def _made(missing: list[tuple[Any, ...]]) -> Iterator[Case]:
    """Yield cases whose features were never stored, and store them where there is a work to keep them with. Two queries."""
    proposals = Proposal.objects.select_related("incident").in_bulk([each[0] for each in missing])
    made = []
    for each in missing:
        proposal = proposals[each[0]]
        vector = of(proposal.incident, None if proposal.is_acknowledgement else proposal)
        if each[1] is not None:
            made.append(Features(work_id=each[1], spec=SPEC, data=vector))
        yield _case(each, vector)
    Features.objects.bulk_create(
        made, update_conflicts=True, update_fields=["spec", "data"], unique_fields=["work"], batch_size=BATCH
    )


def _case(each: tuple[Any, ...], vector: bytes) -> Case:
    _, _, _, wrong, kind, source, ours, action, session, category, verdict, args, at = each
    signed = args if ours and verdict in (Verdict.APPROVE, Verdict.EDIT) and isinstance(args, dict) else {}
    by, subject = ("category", category) if ours else ("action", action)
    return Case(
        features=vector, kind=kind, approve=verdict == Verdict.APPROVE and not wrong, category=str(signed.get("category") or ""),
        severity=str(signed.get("severity") or ""), at=at, lane=key_of(source, by, subject) if subject else "",
        group=f"{source}/{session}" if session else "", source=str(source),
    )


def of_history(tick: Callable[[], None] = lambda: None) -> Iterator[Case]:
    """Yield a case for each of the newest MOST imported ones. Streams; their features are worked out once and kept."""
    fresh: list[History] = []
    rows = History.objects.order_by("-decided_at")[:MOST]
    for number, row in enumerate(rows.iterator(chunk_size=BATCH)):
        if number % (10 * BATCH) == 0:
            tick()
        if row.spec != SPEC or row.data is None:
            row.spec, row.data = SPEC, of(*read({**row.incident, "kind": row.kind}, row.source_id))
            fresh.append(row)
            if len(fresh) >= BATCH:
                History.objects.bulk_update(fresh, ["spec", "data"])
                fresh = []
        yield _of_history(row)
    History.objects.bulk_update(fresh, ["spec", "data"])


def _of_history(row: History) -> Case:
    proposal = row.incident.get("proposal") if isinstance(row.incident, dict) else None
    action = str(proposal.get("action") or "") if isinstance(proposal, dict) else ""
    session = str(row.incident.get("session") or "") if isinstance(row.incident, dict) else ""
    return Case(
        features=bytes(row.data), kind=row.kind, approve=row.verdict == Verdict.APPROVE if row.verdict else None, category=row.category,
        severity=row.severity, at=row.decided_at, lane=key_of(row.source_id, "action", action) if action else "",
        group=f"{row.source_id}/{session}" if session else "", source=str(row.source_id),
    )


def _read(version: ClassifierVersion | None) -> Model | None:
    if version is None:
        return None
    try:
        return Model.load(bytes(version.weights or b""))
    except ValueError:
        logger.error("the weights of the live classifier cannot be read", extra={"classifier": version.number})
        return None


def _names() -> dict[int, str]:
    """Return names of features, from the newest decided incidents; a name that stood in one incident alone is nobody's to read."""
    found: dict[int, str] = {}
    times: dict[int, int] = {}
    newest = taught_by().order_by("-decided_at").values("proposal_id")[:NAMED]
    for proposal in Proposal.objects.filter(pk__in=newest).select_related("incident").iterator(chunk_size=BATCH):
        for place, name in named(proposal.incident, None if proposal.is_acknowledgement else proposal).items():
            times[place] = times.get(place, 0) + 1
            found[place] = name
    return {place: name for place, name in found.items() if times[place] >= LEAST_TOLD}

