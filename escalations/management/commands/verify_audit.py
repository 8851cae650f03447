"""manage.py verify_audit: is the audit record what was written? Exit 0 when it is, 1 and the first broken link when it is not."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from escalations import audit


class Command(BaseCommand):
    help = "Recompute the audit chain from its exact bytes and compare it with the anchors."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--no-anchors", action="store_true", help="the chain by itself: says nothing of an owner's rewrite")

    def handle(self, *args: Any, **options: Any) -> None:
        report = audit.verify(anchors=not options["no_anchors"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report)))
        elif report.ok:
            self.stdout.write(
                f"ok: {report.entries} entries hold together, {report.anchors_checked} anchors agree, "
                f"{report.unsealed} entries wait for the sealer"
            )
            if report.entries and not report.anchors_checked:
                self.stdout.write(f"No anchor was compared ({settings.ANCHOR_FILE}): an owner's rewrite would not show.")
        else:
            self.stdout.write(f"BROKEN at seq {report.first_broken_seq}: {report.why} ({report.entries} entries before it hold)")
        if not report.ok:
            raise SystemExit(1)
