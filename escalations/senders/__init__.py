"""What carries a message out of the house, besides mail. They know neither the record nor each other."""


class SendFailed(Exception):
    """The message was not taken.

    `reason` is in words, without a secret of ours or a line of the other side's HTML. `permanent`: nor will it be, ever.
    `retry_after`: seconds the other side asked us to wait. `unreachable`: nobody was there, so no other message will go either.
    """

    def __init__(
        self, reason: str, *, permanent: bool = False, retry_after: float | None = None, unreachable: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
        self.unreachable = unreachable
