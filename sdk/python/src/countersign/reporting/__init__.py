"""Exception reporting for hosts: `reporting.configure(url, key)`, then an integration, or `reporting.report(error)` yourself.

Integrations: `reporting.fastapi`, `reporting.django`, `reporting.flask`, `reporting.logging`, `reporting.excepthook`. Each is
imported by its own name, so that none needs a framework that is not there.
"""

from __future__ import annotations

from typing import Any

from .receipt import Receipt
from .reporter import Reporter, configure, current
from .ticket import Ticket

__all__ = ["Receipt", "Reporter", "Ticket", "areport", "configure", "current", "report"]


def report(error: BaseException | None = None, **more: Any) -> Receipt:
    """Report an exception with the reporter in use; see `Reporter.report`."""
    return current().report(error, **more)


async def areport(error: BaseException | None = None, **more: Any) -> Receipt:
    """Report an exception with the reporter in use; other tasks go on meanwhile."""
    return await current().areport(error, **more)
