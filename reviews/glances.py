"""Notes that somebody opened a proposal, and how much there was to read: what the time to a signature is measured against."""

import logging

from django.db import InternalError, OperationalError, connection

from escalations import clock
from escalations.models import Person, Proposal

logger = logging.getLogger(__name__)

LONGEST = 2**31 - 1  # what the column holds

# One statement, its own transaction: a glance lost in a crash is no loss, so nobody waits for the disk, nor for a colleague
# who is signing the same row at this moment (the foreign key asks for a share of it).
_NOTE = """
INSERT INTO reviews_glance (proposal_id, person_id, version, length, at)
SELECT %s, %s, %s, %s, %s FROM set_config('synchronous_commit', 'off', true) AS disk, set_config('lock_timeout', '250ms', true) AS patience
"""


def note(person: Person, proposal: Proposal, length: int) -> None:
    """Remember that `person` was shown this version of `proposal`, `length` characters long, now. One INSERT.

    What a test key posted is noted too: the incident's story tells it, the figures leave it out. A glance that cannot be written
    (the database is read-only, the row is locked) is logged and forgotten: nobody is kept from reading by it.
    """
    written = [proposal.pk, person.pk, proposal.version, min(max(length, 0), LONGEST), clock.now()]
    try:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE, written)
    except (OperationalError, InternalError) as error:
        if connection.in_atomic_block:  # the transaction is lost anyway: say so rather than fail at its end
            raise
        logger.warning("a glance was not noted", extra={"proposal": str(proposal.pk), "why": type(error).__name__})
