"""What floors hand on: a named reason why a person must look."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`trigger` is a name of states.TRIGGERS, `why` one sentence for the reviewer, `where` the field (proposal.args.amount)."""

    trigger: str
    why: str
    where: str = ""

    def as_json(self) -> dict[str, str]:
        """Return it as classifications keep triggers: {"name", "why", "where"}."""
        return {"name": self.trigger, "why": self.why, "where": self.where}
