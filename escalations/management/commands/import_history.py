"""manage.py import_history FILE --source NAME: labelled cases from before, so that the learned engine starts warm."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DataError, OperationalError

from escalations import audit, clock, feedback
from escalations.api import fields, inputs
from escalations.errors import Invalid
from escalations.management.replaying import GZIP, incident_of, key_of
from escalations.models import Source

from .export_feedback import moment_of

LONGEST_LINE = 4_000_000  # bytes
MOST_FAULTS = 20  # told; after as many nothing more is read


class Faulty(Exception):
    """Lines of the file are no cases; nothing is stored."""


class Command(BaseCommand):
    help = "Store labelled cases (JSON lines, gzipped or plain: records with a label, or our own export). All of a file, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--source", required=True, metavar="NAME", help="whose cases they are; it has to be there")
        parser.add_argument("--at", metavar="WHEN", help="when lines were decided that do not say so: a day, or a moment with its time zone")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read the file line by line, and store what is new of it in one transaction."""
        source = Source.objects.filter(name=options["source"]).first()
        if source is None:
            raise CommandError(f"There is no source {options['source']!r}; manage.py add_source makes one.")
        at = moment_of(options["at"])
        if at is not None and at > clock.now():
            raise CommandError("--at lies in the future.")
        self.faults: list[str] = []
        self.teach_nothing = 0
        try:
            with opened(options["file"]) as lines:
                counts = feedback.take(source, self.cases(lines, source, at), actor=audit.SYSTEM, file=options["file"].name[:200])
        except Faulty:
            for fault in self.faults:
                self.stderr.write(fault)
            raise CommandError(f"Nothing was stored: {options['file']} has lines that are no cases.") from None
        except (OSError, EOFError, gzip.BadGzipFile) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}") from None
        except (DataError, OperationalError) as error:
            raise CommandError(f"Nothing was stored: the database refuses it: {error}") from None
        said = [f"{counts.taken} stored", f"{counts.known} known already"]
        said += [f"{counts.differ} known with another label, kept as they were"] if counts.differ else []
        said += [f"{self.teach_nothing} teach nothing"] if self.teach_nothing else []
        self.stdout.write(", ".join(said) + ".")

    def cases(self, lines: BinaryIO, source: Source, at: datetime | None) -> Iterator[feedback.Case]:
        """Yield the cases of a file; after its end, or too many faults, raise Faulty if there was one."""
        number = 0
        while line := lines.readline(LONGEST_LINE + 1):
            number += 1
            if not line.strip():
                continue
            try:
                yield self.case(line, number, source, at)
            except feedback.TeachesNothing:
                self.teach_nothing += 1
            except feedback.Unfit as why:
                self.faults.append(f"line {number}: {why}")
                if len(self.faults) >= MOST_FAULTS or len(line) > LONGEST_LINE:
                    break
        if self.faults:
            raise Faulty

    def case(self, line: bytes, number: int, source: Source, at: datetime | None) -> feedback.Case:
        """Return what one line tells of, as strictly as if its incident were posted. Raises Unfit, TeachesNothing."""
        if len(line) > LONGEST_LINE:
            raise feedback.Unfit(f"it is longer than {LONGEST_LINE} bytes")
        try:
            record = json.loads(line.decode("utf-8"), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise feedback.Unfit(f"it is no JSON: {error}") from None
        try:
            case = feedback.case_of(record, number=number, posted=incident_of, key_of=key_of, at=at)
        except (KeyError, TypeError, AttributeError) as error:
            raise feedback.Unfit(f"it is no record: {error!r}") from None
        try:
            fields.read(inputs.IncidentIn, dict(case.incident), source=source)
            json.dumps([case.incident, case.key, case.category, case.reason], ensure_ascii=False).encode("utf-8")
        except Invalid as refused:
            told = "; ".join(f"{one['pointer']}: {one['detail']}" for one in refused.errors[:3])
            raise feedback.Unfit(f"its incident would be refused: {told}") from None
        except UnicodeEncodeError:
            raise feedback.Unfit("it holds half of a character") from None
        if "\\u0000" in json.dumps(case.incident):
            raise feedback.Unfit("it holds a NUL, which cannot be stored")
        return case


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def opened(file: Path) -> BinaryIO:
    """Return the file's lines, unzipped where it is zipped. Raises OSError."""
    with file.open("rb") as start:
        zipped = start.read(2) == GZIP
    return cast(BinaryIO, gzip.open(file, "rb")) if zipped else file.open("rb")
