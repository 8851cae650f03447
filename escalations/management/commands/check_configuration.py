"""manage.py check_configuration: what was set up and does not do what somebody believes it does.

Exit code 0: nothing grave; 1: something grave, so work waits, or will, with nobody who acts on it.
"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from escalations import upkeep


class Command(BaseCommand):
    help = "Name policies without people, rules that never match, roles nobody can be told about, and whatever else does nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = upkeep.findings()
        if options["json"]:
            self.stdout.write(json.dumps([one.as_json() for one in findings], ensure_ascii=False))
        else:
            for one in findings:
                self.stdout.write(f"{'!' if one.grave else '-'} {one.name}: {one.what}")
                self.stdout.write(f"    {one.fix}")
            grave = sum(one.grave for one in findings)
            self.stdout.write(f"{len(findings)} found, {grave} of them grave." if findings else "Nothing found.")
        if any(one.grave for one in findings):
            sys.exit(1)
