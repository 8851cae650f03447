"""How a decided proposal came through its lane, in words. Before it is decided nothing is said: an audit sample must not be told apart."""

from dataclasses import dataclass
from uuid import UUID

from escalations.models import Lane, Proposal, Trial
from escalations.states import TrialMode

from .autonomy_plot import score

CAME_OF_IT = {True: ("People decided as it would have.", "good"), False: ("People decided otherwise.", "bad")}


@dataclass(frozen=True, slots=True)
class Passage:
    """How a decided proposal came through its lane. Only of decided ones: before, nothing may tell an audit sample apart."""

    trial: Trial
    said: str
    tone: str = ""

    @property
    def lane(self) -> Lane:
        return self.trial.lane


def passages_of(proposals: list[Proposal]) -> dict[UUID, Passage]:
    """Return, for those of these that have a decision, what became of them in their lane. One query; none where none is decided."""
    decided = [one.pk for one in proposals if one.settled_at is not None and hasattr(one, "decision")]
    if not decided:
        return {}
    trials = Trial.objects.filter(proposal__in=decided).select_related("lane__source", "grant", "version")
    return {one.pk: passage for one in trials if (passage := passage_of(one)) is not None}


def passage_of(trial: Trial) -> Passage | None:
    """Return what a decided proposal's trial says, in words; None where the lane had nothing to say. Pure."""
    scored = f"it scored {score(trial.score)}" if trial.score is not None else "it had no score"
    needed = f", and {score(trial.grant.threshold)} was needed" if trial.grant else ""
    harmed = " It turned out to be wrong." if trial.mode == TrialMode.ALONE and trial.right is False else ""
    match trial.mode:
        case TrialMode.AUDIT:
            said = f"This was an audit sample: it would have gone alone ({scored}{needed}) and was drawn for a person, who was not told."
            came, tone = CAME_OF_IT.get(trial.right, ("", ""))
            return Passage(trial, f"{said} {came}".strip(), tone)
        case TrialMode.ALONE:
            return Passage(trial, f"It went alone: {scored}{needed}.{harmed}", "bad" if harmed else "")
        case TrialMode.BELOW:
            return Passage(trial, f"The lane acts alone, but left this one to a person: {scored}{needed}.")
        case TrialMode.WATCHED if trial.score is not None:
            return Passage(trial, f"The lane was watching: {scored}, and people decide everything in it.")
        case _:
            return None
