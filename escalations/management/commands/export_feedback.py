"""manage.py export_feedback [--since --until --role --format --no-redact --output]: what was proposed, decided and learned, as a file."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from escalations import audit, clock, feedback
from escalations.classify.mask import Mask
from escalations.models import Role


class Command(BaseCommand):
    help = "Write what people and rules decided, and what came of it, for whoever trains or counts. Streams; redacted unless told otherwise."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", metavar="WHEN", help="decided from then on: a day (UTC), or a moment with its time zone")
        parser.add_argument("--until", metavar="WHEN", help="decided before then; now, when it is left out")
        parser.add_argument("--role", metavar="NAME", help="only what this role decided")
        parser.add_argument("--format", choices=list(feedback.FORMS), default="jsonl")
        redact = parser.add_mutually_exclusive_group()
        redact.add_argument("--redact", action="store_true", default=True, help="personal data and secrets as placeholders (the default)")
        redact.add_argument("--no-redact", action="store_false", dest="redact", help="as it lies in the database")
        parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, a batch at a time."""
        scope = feedback.Scope(
            since=moment_of(options["since"]), until=moment_of(options["until"]) or clock.now(), role=role_of(options["role"])
        )
        try:
            out = Path(options["output"]).open("w", encoding="utf-8", newline="") if options["output"] else None  # noqa: SIM115
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
        file = feedback.begin(
            scope, options["format"], actor=audit.SYSTEM, person=None, placeholders=Mask if options["redact"] else None
        )
        try:
            for part in file.parts:
                if out is not None:
                    out.write(part)
                else:
                    self.stdout.write(part, ending="")
        except BrokenPipeError:  # whoever read it had enough
            sys.stderr.close()
        finally:
            if out is not None:
                out.close()


def moment_of(text: str | None) -> datetime | None:
    """Return the moment a person typed: a day begins at midnight in UTC. Raises CommandError."""
    if not text:
        return None
    try:
        if len(text) == len("2026-11-01") and (day := parse_date(text)):
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1 < found.year < 9999:
        raise CommandError(f"{text!r} is neither a day (2026-11-01) nor a moment with its time zone (2026-11-01T09:00:00Z).")
    return found


def role_of(name: str | None) -> Role | None:
    """Return the role of this name, None for none. Raises CommandError."""
    role = Role.objects.filter(name=name).first() if name else None
    if name and role is None:
        raise CommandError(f"There is no role {name!r}.")
    return role
