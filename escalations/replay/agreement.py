"""What a rule in shadow has said of real traffic, beside what people said."""

from dataclasses import dataclass
from typing import Any

from escalations.models import Proposal, RoutingRule, ShadowVerdict
from escalations.states import Floor, Verdict

from . import counting, reading

MOST = 5_000  # of the newest verdicts that are gone through
LISTED = 10


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the newest 5,000 verdicts of a rule's current version. `figures` as a replay's; `agreed` people approved as proposed."""

    verdicts: int
    more: bool  # there are older ones
    errors: int
    figures: counting.Figures
    agreed: int
    would_ask: int  # went without a person then, would come to one
    otherwise: list[ShadowVerdict]  # the newest ten that would have been settled otherwise than a person did


def agreement(rule: RoutingRule) -> Agreement:
    """Return how a rule's verdicts compare with what people decided. Five queries at most, whatever its age."""
    newest = ShadowVerdict.objects.filter(rule=rule, version=rule.version).order_by("-at")
    rows = list(newest.values("pk", "proposal_id", "floor", "was", "would_settle", "error")[: MOST + 1])
    more, rows = len(rows) > MOST, rows[:MOST]
    wanted = [row["proposal_id"] for row in rows if row["floor"] != row["was"] and (row["would_settle"] or row["floor"] == Floor.BLOCK)]
    said = reading.said_of(list(Proposal.objects.filter(pk__in=wanted).only("incident_id", "revision", "state")))
    result: dict[str, Any] = counting.nothing()
    wrong = []
    for row in rows:
        word = said.get(row["proposal_id"])
        if row["floor"] == row["was"]:
            continue
        if word is None:
            result["asked"] += row["was"] in (Floor.AUTO, Floor.BLOCK)
            continue
        result["alone" if row["would_settle"] else "refused"][word] += 1
        if word in (counting.NOT_AS_PROPOSED if row["would_settle"] else (Verdict.APPROVE, Verdict.EDIT)):
            wrong.append(row["pk"])
    result["seconds"], result["timed"], result["untimed"] = reading.pace(
        row["proposal_id"] for row in rows if row["would_settle"] and said.get(row["proposal_id"]) in set(Verdict)
    )
    listed = ShadowVerdict.objects.filter(pk__in=wrong[:LISTED]).select_related("proposal", "role").order_by("-at")
    figures = counting.figures(result)
    return Agreement(
        verdicts=len(rows), more=more, errors=sum(1 for row in rows if row["error"]), figures=figures,
        agreed=figures.decided - figures.otherwise, would_ask=result["asked"], otherwise=list(listed) if wrong else [],
    )
