"""manage.py import_config FILE --by USERNAME [--dry-run]: take a configuration file, all or nothing.

Exit code 0: taken (or nothing to do); 1: refused, nothing was written; 2: with --dry-run, the file would change something.
"""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from escalations import config
from escalations.config.reading import LARGEST
from escalations.models import Person

WOULD_CHANGE = 2


class Command(BaseCommand):
    help = (
        "Take a configuration file written by export_config: all or nothing, in the name of an administrator. What would let the "
        "machine do more, or look at less, waits for a second one. With --dry-run it is only told, and the exit code is 2 when "
        "something would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="- reads standard input")
        parser.add_argument("--by", required=True, metavar="USERNAME", help="the administrator who answers for it")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        parser.add_argument(
            "--archive-missing", action="store_true",
            help="put away the rules, policies, calendars and sources that the file's own sections do not have",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        person = self.administrator(options["by"])
        try:
            done = config.take(
                self.read(options["file"]), person=person, archive_missing=options["archive_missing"], rehearse=options["dry_run"]
            )
        except config.Refused as refused:
            raise CommandError(f"Nothing was changed.\n{refused}") from None
        for one in done:
            for line in one.lines():
                self.stdout.write(line)
        self.stdout.write(self.summary(done, rehearsed=options["dry_run"]))
        if options["dry_run"] and any(one.act != "stays" for one in done):
            sys.exit(WOULD_CHANGE)

    def administrator(self, username: str) -> Person:
        """Return who answers for it. Raises CommandError for anybody who is no active administrator."""
        person = Person.objects.filter(username=username, is_active=True, is_staff=True).first()
        if person is None:
            raise CommandError(f"No active administrator signs in as {username}.")
        return person

    def read(self, name: str) -> bytes:
        """Return the file's bytes, one more than is taken at most. Raises CommandError when it cannot be read."""
        try:
            if name == "-":
                return sys.stdin.buffer.read(LARGEST + 1)
            with Path(name).open("rb") as file:
                return file.read(LARGEST + 1)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.") from None

    def summary(self, done: list[config.Done], *, rehearsed: bool) -> str:
        """Return the last line."""
        acts = [one for one in done if one.act != "stays"]
        if not acts:
            return "Everything stands as the file says."
        waiting = sum(one.waits for one in acts)
        waits = f"; {waiting} of them would wait for a second administrator" if waiting and rehearsed else ""
        waits = waits or (f"; {waiting} of them wait for a second administrator" if waiting else "")
        changes = f"{len(acts)} change{'s' * (len(acts) != 1)}"
        return f"{changes} would be made{waits}. Nothing was changed." if rehearsed else f"{changes} made{waits}."
