"""The ledger: the only writer of AuditEntry, and the chain that makes a later change show.

`record` writes an entry in the transaction of the change it tells of. `seal` numbers and chains what was committed, `anchor`
writes the chain's head outside the database, `verify` recomputes it all and names the first link that does not hold.
"""

from .anchors import Anchor, anchor
from .chain import Head, head, seal, sweep, unsealed
from .record import ACTIONS, CLOCK, SYSTEM, Actor, entry, record, record_many
from .verify import Report, verify

__all__ = [
    "ACTIONS", "CLOCK", "SYSTEM", "Actor", "Anchor", "Head", "Report", "anchor", "entry", "head", "record", "record_many", "seal",
    "sweep", "unsealed", "verify",
]
