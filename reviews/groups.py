"""Twins: pending proposals of one source and fingerprint, decided together and settled one by one."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from escalations import lifecycle
from escalations.errors import AlreadySettled, ChangedSinceSeen, CountersignError, NotFound
from escalations.models import Incident, Person, Proposal
from escalations.states import Verdict

from . import access, values

MOST = 200  # rows of one form
DECIDED = 50  # of a settled group that are shown
NEEDS_EQUAL = (Verdict.APPROVE, Verdict.EDIT)


@dataclass(frozen=True)
class Pick:
    """One row as it was shown: which proposal, at which version, with which digest."""

    pk: UUID
    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.pk}|{self.version}|{self.digest}"

    @classmethod
    def parse(cls, text: str) -> "Pick | None":
        """Return what a checkbox posted; None for anything that no page of ours wrote."""
        pk, _, rest = text.partition("|")
        version, _, digest = rest.partition("|")
        try:
            return cls(UUID(pk), int(version), digest[:71])
        except ValueError:
            return None


@dataclass
class Twin:
    proposal: Proposal
    pick: Pick
    cells: list[tuple[str, bool]]  # text, and whether it differs from what most say


@dataclass
class Group:
    twins: list[Twin]
    columns: list[str]
    equal: bool  # one digest for all
    more: bool
    alike: list[tuple[Proposal, int]]  # one of each kind that asks for exactly the same, and how many do; the most first


@dataclass
class Result:
    """What became of one row: 200, or 409 and the like with the reason."""

    proposal: Proposal | None
    status: int
    said: str
    held: bool = False  # signed, and can still be taken back


def group_of(person: Person, source: str, fingerprint: str, digest: str = "") -> Group:
    """Return the pending twins this person may read, due soonest first, with the values in which they differ. Three queries.

    With a digest, only those that ask for exactly this.
    """
    pending = access.proposals_for(person).open().filter(incident_id__in=_newest(source, fingerprint))
    if digest:
        pending = pending.filter(args_digest=digest)
    found = list(pending.select_related("source", "incident", "role", "claimed_by").order_by("due_at", "id")[: MOST + 1])
    rows = found[:MOST]
    flat = [
        {row.path: row.value for row in values.leaves({name: part for name, part in values.signed(one).items() if part is not None})}
        for one in rows
    ]
    paths = list(dict.fromkeys(path for one in flat for path in one))
    differing = [path for path in paths if len({one.get(path) for one in flat}) > 1]
    usual = {path: _usual([one.get(path, "") for one in flat]) for path in paths}
    columns = (differing or paths)[:8]
    twins = [
        Twin(
            one,
            Pick(one.pk, one.version, one.args_digest),
            [(leaf.get(path, ""), leaf.get(path, "") != usual[path]) for path in columns],
        )
        for one, leaf in zip(rows, flat, strict=True)
    ]
    counted = Counter(one.args_digest for one in rows)
    one_of_each = {one.args_digest: one for one in reversed(rows)}
    alike = [(one_of_each[same], number) for same, number in counted.most_common()]
    named = [path.removeprefix("args.") for path in columns]
    return Group(twins, named, len(counted) <= 1, len(found) > MOST, alike)


def decided(person: Person, source: str, fingerprint: str) -> list[Proposal]:
    """Return the last that were settled of these twins, newest first, with their decisions. Three queries."""
    settled = access.unspoiled(access.proposals_for(person), person)
    settled = settled.filter(incident_id__in=_newest(source, fingerprint), settled_at__isnull=False)
    return list(settled.select_related("decision", "source", "incident").order_by("-settled_at")[:DECIDED])


def _newest(source: str, fingerprint: str) -> list[UUID]:
    newest = Incident.objects.filter(source__name=source, fingerprint=fingerprint).order_by("-id")
    return list(newest.values_list("id", flat=True)[: MOST * 5]) if fingerprint else []


def _usual(texts: list[str]) -> str | None:
    """Return what more than half of the rows say; None when no value is usual, and every one is worth a look."""
    most = max(set(texts), key=texts.count)
    return most if texts.count(most) * 2 > len(texts) else None


def picked(person: Person, source: str, fingerprint: str, picks: list[Pick]) -> dict[UUID, Proposal]:
    """Return what was ticked, by id, settled meanwhile or not; what is of no group, or of another one, is not in it. Two queries."""
    of_group = access.proposals_for(person).filter(incident__source__name=source, incident__fingerprint=fingerprint)
    return of_group.select_related("source", "incident").in_bulk([pick.pk for pick in picks])


def decide(person: Person, picks: list[Pick], signature: dict[str, object]) -> list[Result]:
    """Sign each picked row as it was shown; one that moved on does not hold up the others. One transaction each."""
    named = access.proposals_for(person).select_related("source").in_bulk([pick.pk for pick in picks])
    results = []
    for pick in picks:
        proposal = named.get(pick.pk)
        try:
            if proposal is None:
                raise NotFound
            settled = lifecycle.decide(
                pick.pk,
                person=person,
                digest=pick.digest,
                version=pick.version,
                method="group",
                **signature,  # type: ignore[arg-type]
            )
        except CountersignError as error:
            conflict = isinstance(error, (AlreadySettled, ChangedSinceSeen))
            results.append(Result(proposal, 409 if conflict else error.status, error.detail))
        else:
            held = settled.held is not None
            said = "Signed; it can still be taken back." if held else "Signed."
            if settled.signed:
                said = f"Signed by {settled.signed} of {settled.needed}: it waits for the others."
            elif settled.decision is None and not held:
                said = "Your change needs somebody else: it waits there as a new revision."
            results.append(Result(proposal, 200, said, held))
    return results
