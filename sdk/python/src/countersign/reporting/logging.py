"""The standard library's logging: `install()` reports what is logged as an error, with its exception or without.

A handler never waits: what is logged is not an answer to anybody. Records of this package and of the HTTP client it uses are left out.
"""

from __future__ import annotations

import logging
from typing import Any

from .reporter import Reporter, current

OURS = ("countersign", "httpx", "httpcore")


class CountersignHandler(logging.Handler):
    """Reports records of its level and above. With an exception it is that exception's report; without, an alert."""

    def __init__(self, reporter: Reporter | None = None, *, level: int = logging.ERROR) -> None:
        super().__init__(level)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record in. Never raises, never waits."""
        if record.name.split(".")[0] in OURS:
            return
        try:
            reporter = self._reporter or current()
            error = record.exc_info[1] if record.exc_info else None
            # CRITICAL is a claim that raises the severity; below that triage says how bad it is.
            severity = "critical" if record.levelno >= logging.CRITICAL else None
            where: dict[str, Any] = {
                "logger": record.name, "level": record.levelname.lower(), "function": record.funcName, "line": record.lineno,
                "module": record.module,
            }
            said = record.getMessage()
            if error is not None:
                reporter.report(error, wait=0, severity=severity, payload={"log": {**where, "message": said}})
            else:
                template = f"{record.name}: {record.msg}"
                reporter.message(said, template=template, wait=0, severity=severity, payload={"log": where, "level": where["level"]})
        except Exception:  # noqa: BLE001 - a message that does not fit its arguments is logging's own to complain of
            self.handleError(record)


def install(reporter: Reporter | None = None, *, level: int = logging.ERROR, logger: str | None = None) -> CountersignHandler:
    """Add a handler to the root logger, or to the one named; return it, for `removeHandler`."""
    handler = CountersignHandler(reporter, level=level)
    logging.getLogger(logger).addHandler(handler)
    return handler
