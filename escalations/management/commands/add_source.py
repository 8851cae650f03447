"""manage.py add_source NAME: register a service, and print its key once."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from escalations import audit, policies
from escalations.errors import CountersignError
from escalations.models import Person, Source


class Command(BaseCommand):
    help = "Register a service or an agent. Its key and its signing secret are printed now and never again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="letters, digits, hyphens and underscores")
        parser.add_argument("--callback", default="", metavar="URL", help="where outcomes are sent; without one it polls")
        parser.add_argument("--owner", metavar="PERSON", help="who answers for it, by the name they sign in with")
        parser.add_argument("--env", choices=["live", "test"], default="live")
        parser.add_argument("--dsn", action="store_true", help="issue a DSN for Sentry's SDKs too")
        parser.add_argument(
            "--json", action="store_true", help='print {"source", "key", "signing_secret", "dsn" if asked for} and nothing else'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        if Source.objects.filter(name__iexact=name).exists():
            raise CommandError(f"There is a source called {name} already; the admin issues it another key.")
        owner = None
        if options["owner"]:
            owner = Person.objects.filter(username=options["owner"]).first()
            if owner is None:
                raise CommandError(f"Nobody signs in as {options['owner']}.")
        source = Source(name=name, callback_url=options["callback"], owner=owner)
        try:
            source.clean_fields()
        except ValidationError as refused:
            raise CommandError("; ".join(refused.messages)) from None
        try:
            with transaction.atomic():
                secret = policies.save_source(source, actor=audit.SYSTEM)
                minted = policies.issue_key(source, env=options["env"], actor=audit.SYSTEM)
                dsn = policies.issue_dsn(source, env=options["env"], actor=audit.SYSTEM) if options["dsn"] else None
        except CountersignError as refused:
            raise CommandError(refused.detail) from None
        if options["json"]:
            told = {"source": source.name, "key": minted.text, "signing_secret": secret}
            self.stdout.write(json.dumps(told | ({"dsn": dsn} if dsn else {})))
            return
        self.stdout.write(f"Source {source.name} is registered. These are shown once:")
        self.stdout.write(f"  key             {minted.text}")
        self.stdout.write(f"  signing secret  {secret}")
        if dsn:
            self.stdout.write(f"  Sentry DSN      {dsn}")
