"""manage.py timers: the clockwork. Run two or more; each may be killed at any moment."""

import json
import os
import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from escalations.timers import Timers

GRACE_SECONDS = 0.8  # for the transaction that runs when the signal comes; after that it is rolled back


class Command(BaseCommand):
    help = "Fire due steps and expiries, wake workers, seal the audit record. Once a second until SIGTERM."
    requires_system_checks: list[str] = []  # the web process and `check` speak of settings; a clock that may not start helps nobody

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one turn, then the outcome of each duty, and end")
        parser.add_argument("--json", action="store_true", help="with --once: print the outcome as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        timers = Timers()
        if options["once"]:
            self._report(timers.turn(), as_json=options["json"])
            timers.join_aside()
            timers.close()
            return

        def give_up(number: int, frame: FrameType | None) -> None:
            os._exit(0)  # whatever runs is rolled back by the database, as after a kill

        def end(number: int, frame: FrameType | None) -> None:
            timers.stop.set()
            signal.signal(signal.SIGALRM, give_up)
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        timers.run()
        timers.close()
        signal.setitimer(signal.ITIMER_REAL, 0)  # it ended by itself; the alarm would only spoil its exit status

    def _report(self, did: dict[str, object], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(did, default=str))
            return
        for name, outcome in did.items():
            if outcome:
                self.stdout.write(f"{name:>10}  {outcome}")
