"""The one way a sending fails."""


class DeliveryFailed(Exception):
    """It did not arrive, or nobody said that it did.

    `permanent`: trying again cannot help until somebody changes something. `retry_after`: seconds the receiver asked
    for. `disable`: the receiver said that this endpoint is gone for good. `status`: the HTTP status, where there was
    one.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        disable: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
        self.disable = disable
        self.status = status
