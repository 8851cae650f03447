"""Bringing a run to people: an incident with the steps as its context."""

from escalations.models import OversightSession, Person


def withdraw_open(session: OversightSession, *, person: Person) -> int:
    """Take back the alarms of a run that a person has just dealt with; return how many. In the transaction that holds the run."""
    raise NotImplementedError
