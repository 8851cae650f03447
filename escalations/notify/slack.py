"""A notice as a Slack message."""

from collections.abc import Sequence

from escalations.models import Channel, Notice
from escalations.senders import SendFailed


def send(notice: Notice, channel: Channel, also: Sequence[Notice] = ()) -> None:
    """Post `notice` to `channel`; `also` are further notices the one message is to tell of (see `words.message`).

    Called outside a transaction, with the notice's person, role and proposal (source, role, incident) loaded. Returning means
    that it was taken. Raises SendFailed.
    """
    raise SendFailed("no Slack app is connected")
