"""manage.py export_config [--output FILE]: the configuration as one YAML file, without secrets."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from escalations import config


class Command(BaseCommand):
    help = "Write roles, calendars, policies, categories, triggers, sources and rules as YAML: always in the same order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        text = config.export()
        if not options["output"]:
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
