"""Make a database ready: tables, the application's own login, the default rows, and on request the demo company."""

import contextlib
import json
import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError, ProgrammingError

from escalations import clock, defaults, demo, search
from escalations.models import AuditEntry, Person, Proposal, Source
from hitl_site.databases import APP_ROLE

ONE_AT_A_TIME = 731_001  # an advisory lock: two setups would update the same rights

APPEND_ONLY = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only' ORDER BY 1"


class Command(BaseCommand):
    """Safe to run at every start, and while Countersign runs."""

    help = __doc__
    requires_system_checks = ()  # they look at tables this command makes

    def add_arguments(self, parser: CommandParser) -> None:
        """--demo and --json."""
        parser.add_argument("--demo", action="store_true", help="Fill a new database with a demo company.")
        parser.add_argument("--json", action="store_true", help="Print what was made as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; print what a person needs to sign in when the demo company was made."""
        try:
            migrated = self.prepare(options["verbosity"])
        except OperationalError as error:
            raise CommandError(f"The database cannot be reached: {str(error).strip().splitlines()[0]}") from error
        new = options["demo"] and not Source.objects.exists() and not Person.objects.exists()
        # A demo company has a past, and what it began with was there before: the record's entries stand in the order of time.
        with clock.frozen_at(demo.begins()) if new and not AuditEntry.objects.exists() else contextlib.nullcontext():
            defaults.install()
        if migrated:  # what is settled already can wait: manage.py make_searchable
            search.remember_missing(Proposal.objects.open())
        made: dict[str, Any] = {}
        if new:
            with transaction.atomic():  # stopped half-way, the next start begins anew: passwords are told only once
                made = dict(demo.install())
                self.keep(made)
        if options["json"]:
            self.stdout.write(json.dumps({"migrated": migrated, **made}, default=str))
        elif made:
            self.stdout.write(f"A demo company was made; who is who stands in {settings.DATA_DIR / 'demo.json'}.")

    def prepare(self, verbosity: int) -> bool:
        """Migrate when needed and give the application its rights; return whether anything was migrated."""
        owner = connections["owner"]
        with owner.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")  # waiting for another setup is no trouble; waiting for a table is
            cursor.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
            cursor.execute("SET lock_timeout = '2s'")
        try:
            executor = MigrationExecutor(owner)
            due = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
            if due:
                call_command("migrate", database="owner", interactive=False, verbosity=max(0, verbosity - 1))
            self.grant(owner)
        finally:
            owner.close()  # and with the session its lock
        return due

    def grant(self, owner: Any) -> None:
        """Let the application read and write, but not rewrite the record and not own anything."""
        quote = owner.ops.quote_name
        user = connections["default"].settings_dict["USER"]
        shared = user == owner.settings_dict["USER"]
        role = quote(APP_ROLE if shared else user)
        with owner.cursor() as cursor:
            self.make_role(cursor, APP_ROLE if shared else user, shared)
            cursor.execute("SELECT current_schema()")
            schema = quote(cursor.fetchone()[0])
            cursor.execute(APPEND_ONLY)
            record = [table for (table,) in cursor.fetchall()]
            statements = [
                f"GRANT USAGE ON SCHEMA {schema} TO {role}",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
                f"REVOKE UPDATE, DELETE, TRUNCATE ON {', '.join(record)} FROM {role}, PUBLIC",
                f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON django_migrations FROM {role}",
                f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {role}",
            ]
            cursor.execute("BEGIN; " + "; ".join(statements) + "; COMMIT")

    def make_role(self, cursor: Any, name: str, shared: bool) -> None:
        """Make the application's role when it is not there. One login for both: the owner's login may take the role on."""
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [name])
        found = cursor.fetchone()
        if found and found[0]:
            raise CommandError(f"The application's database role {name} is a superuser; it could rewrite the record.")
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER'))", [name])
        member = cursor.fetchone()[0]
        try:
            if not found:
                cursor.execute(f'CREATE ROLE "{name}" LOGIN')
            if shared and not member:
                cursor.execute(f'GRANT "{name}" TO CURRENT_USER')
        except ProgrammingError as error:
            raise CommandError(
                f"The owner's login may not make the application's role. As an administrator of the database: "
                f'CREATE ROLE "{name}" LOGIN; GRANT "{name}" TO the owner\'s login; then run setup again.'
            ) from error

    def keep(self, made: dict[str, Any]) -> None:
        """Keep the demo company's passwords and keys where only this user reads them."""
        path = settings.DATA_DIR / "demo.json"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(made, file, indent=1, default=str, ensure_ascii=False)
