"""manage.py stop --by NAME --reason TEXT: stop everything from the command line, when no page can be reached."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from escalations import audit
from escalations.errors import CountersignError
from escalations.models import Person
from escalations.policies.stop import stop_everything


class Command(BaseCommand):
    help = "Stop everything: no rule says yes, no outcome leaves. Two people release it, signed in, at /stop/."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--by", required=True, metavar="NAME", help="the manager or administrator who answers for it")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="on record, and shown on every page")

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person.objects.filter(username=options["by"]).first()
        if person is None:
            raise CommandError(f"Nobody signs in as {options['by']}.")
        try:
            stop = stop_everything(person=person, reason=options["reason"], actor=audit.SYSTEM)
        except CountersignError as refused:
            raise CommandError(refused.detail) from None
        self.stdout.write(f"Everything is stopped since {stop.at:%Y-%m-%d %H:%M:%S} UTC. Two people release it at /stop/.")
