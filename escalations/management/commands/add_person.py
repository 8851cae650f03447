"""manage.py add_person NAME --role ROLE: make somebody who can sign in and decide."""

import json
import secrets
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from escalations import audit, policies
from escalations.errors import CountersignError
from escalations.models import Person, Role


class Command(BaseCommand):
    help = "Make a person. Without --password one is made up and printed, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the name to sign in with")
        parser.add_argument("--role", nargs="+", action="extend", default=[], metavar="ROLE", help="whose queues they sit at")
        parser.add_argument("--password", metavar="-", help="- reads one line from standard input")
        parser.add_argument("--email", default="")
        parser.add_argument("--full-name", default="", metavar="TEXT", help="what colleagues read")
        parser.add_argument("--admin", action="store_true", help="may use the administration, people and roles included")
        parser.add_argument("--token", action="store_true", help="mint a token that lets them decide over the API")
        parser.add_argument(
            "--interactive", action="store_true", help="the token has a person at its other end (chat bridges, tests)"
        )
        parser.add_argument("--days", type=int, default=policies.TOKEN_DAYS, help="how long the token lives")
        parser.add_argument("--json", action="store_true", help='print {"person", "password", "token"} and nothing else')

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        if Person.objects.filter(username__iexact=name).exists():
            raise CommandError(f"Somebody signs in as {name} already. Roles, passwords and tokens are changed in the admin.")
        if options["interactive"] and not options["token"]:
            raise CommandError("--interactive says something of a token: add --token.")
        roles = self.roles(options["role"])
        first, _, last = options["full_name"].partition(" ")
        person = Person(
            username=name, email=options["email"], first_name=first, last_name=last,
            is_staff=options["admin"], is_superuser=options["admin"],
        )
        made_up = options["password"] is None
        password = secrets.token_urlsafe(15) if made_up else self.read_password(options["password"])
        token = None
        try:
            person.clean_fields(exclude=["password"])
            validate_password(password, person)
            with transaction.atomic():
                policies.save_person(person, actor=audit.SYSTEM, roles=roles, password=password)
                if options["token"]:
                    minted = policies.mint_token(
                        person, actor=audit.SYSTEM, interactive=options["interactive"], days=options["days"]
                    )
                    token = minted.text
        except ValidationError as refused:
            raise CommandError("; ".join(refused.messages)) from None
        except CountersignError as refused:
            raise CommandError(refused.detail) from None
        self.tell(person, roles, password if made_up else None, token, as_json=options["json"])

    def roles(self, names: list[str]) -> list[Role]:
        """Return the roles called so. Raises CommandError that names those there are."""
        found = {role.name: role for role in Role.objects.all()}
        unknown = [name for name in names if name not in found]
        if unknown:
            raise CommandError(f"No role called {', '.join(unknown)}. There are: {', '.join(sorted(found))}.")
        return [found[name] for name in names]

    def read_password(self, given: str) -> str:
        """Return the password from standard input; never from the command line, which other users of the machine can read."""
        if given != "-":
            raise CommandError("--password takes only -, and reads the password from standard input.")
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise CommandError("No password came on standard input.")
        return password

    def tell(self, person: Person, roles: list[Role], password: str | None, token: str | None, *, as_json: bool) -> None:
        if as_json:
            said = {"person": person.username, "roles": [role.name for role in roles]}
            said |= {"password": password} if password else {}
            said |= {"token": token} if token else {}
            self.stdout.write(json.dumps(said))
            return
        self.stdout.write(f"{person.username} sits at: {', '.join(role.name for role in roles) or 'no queue'}")
        if password:
            self.stdout.write(f"  password  {password}   (shown once)")
        if token:
            self.stdout.write(f"  token     {token}   (shown once)")
