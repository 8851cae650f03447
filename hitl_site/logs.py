"""Logs: one JSON object a line, with the ids of what is being worked on. Never a payload, never a secret."""

import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
incident_id: ContextVar[str] = ContextVar("incident_id", default="")
proposal_id: ContextVar[str] = ContextVar("proposal_id", default="")

# What a caller may add with `extra=`: counts, names and times. Anything else stays out, so that no payload slips in.
EXTRAS = ("method", "path", "status", "ms", "source", "person", "stage", "kind", "count", "attempt", "seconds", "engine", "code")


@contextmanager
def about(*, incident: object = "", proposal: object = "") -> Iterator[None]:
    """Name the incident and the proposal in every line logged inside."""
    first = incident_id.set(str(incident or incident_id.get()))
    second = proposal_id.set(str(proposal or proposal_id.get()))
    try:
        yield
    finally:
        proposal_id.reset(second)
        incident_id.reset(first)


def _ids() -> dict[str, str]:
    named = {"request": request_id.get(), "incident": incident_id.get(), "proposal": proposal_id.get()}
    return {name: value for name, value in named.items() if value}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. `at` is this host's clock, for reading only; the record's own times come from the database."""
        line: dict[str, object] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "process": self.process,
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(),
        }
        for name in EXTRAS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Readable(logging.Formatter):
    """The same for a person at a terminal."""

    def __init__(self, process: str = "") -> None:
        super().__init__(f"%(asctime)s {process or 'command':8} %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with the ids behind it."""
        ids = " ".join(f"{name}={value}" for name, value in _ids().items())
        return super().format(record) + (f"  [{ids}]" if ids else "")


def configure(level: str, form: str, process: str) -> None:
    """Send everything to stderr. `form` is json or text; quiet what says nothing new."""
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": Readable if form == "text" else JsonLines, "process": process}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Bodies and addresses pass through these at INFO; the outcome is in our own lines.
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "openai": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
            "django-q": {"level": "WARNING"},
        },
    })
