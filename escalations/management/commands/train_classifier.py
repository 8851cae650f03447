"""Train a version of the classifier: one that the queue claimed, or one asked for now."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from escalations.learn import asking, training
from escalations.models import ClassifierVersion
from escalations.states import VersionState


class Command(BaseCommand):
    """Started by the queue's job with a version and its token; without them by whoever runs the machine. Safe to kill: it begins again."""

    help = __doc__

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("version", nargs="?", type=int, help="the id of a claimed version; without it a new one is asked for")
        parser.add_argument("--token", type=int, default=0)

    def handle(self, *args: Any, version: int | None, token: int, **options: Any) -> None:
        """Train it, and say what came of it."""
        os.nice(10)  # people and incidents come first
        if version is None:
            asking.ask()
            row = asking.claim()
            if row is None:
                raise CommandError("Somebody trains one already.")
            version, token = row.pk, row.token
        training.train(version, token)
        done = ClassifierVersion.objects.defer("weights").get(pk=version)
        if done.state == VersionState.FAILED:
            raise CommandError(f"Classifier {done.number} failed: {done.error}")
        self.stdout.write(f"Classifier {done.number} is {done.state}: {done.rows} decisions, {done.scores.get('approve') or 'no approvals'}.")
