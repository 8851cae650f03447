"""manage.py replay_file FILE --source NAME: post a file of recorded incidents to a running server, as a service would."""

import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from escalations import audit, policies, vault
from escalations.errors import CountersignError
from escalations.management.replaying import Unreadable, incident_of, key_of, post_all, read_records
from escalations.models import ApiKey, Source

BAR = 30


class Command(BaseCommand):
    help = "Post a file of JSON lines (gzipped or plain) over HTTP. Running it twice posts nothing twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--source", required=True, metavar="NAME", help="in whose name; made when there is none")
        parser.add_argument("--url", default=settings.PUBLIC_URL or "http://127.0.0.1:8000", help="the running server")
        parser.add_argument("--key", help="the source's key; without one a key is issued, and revoked afterwards")
        parser.add_argument("--limit", type=int, metavar="N", help="only the first N records")
        parser.add_argument("--rate", type=float, metavar="N", help="at most so many a second")
        parser.add_argument("--json", action="store_true", help='print {"posted", "created", "replayed", "failed"} and nothing else')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            records = read_records(options["file"], options["limit"])
        except Unreadable as error:
            raise CommandError(str(error)) from None
        if not records:
            raise CommandError(f"{options['file']} has no records.")
        posts = [(key_of(record), incident_of(record)) for record in records if "kind" in record]
        if not posts:
            raise CommandError(f"{options['file']} holds no incidents: its records have no kind.")
        source = self.source(options["source"])
        issued = None if options["key"] else self.issue(source)
        try:
            totals, troubles = post_all(
                posts, url=options["url"], key=issued.text if issued else options["key"], rate=options["rate"],
                progress=None if options["json"] else self.progress,
            )
        except ConnectionError as error:
            raise CommandError(f"{options['url']} does not answer: {error}. Is the server running?") from None
        finally:
            if issued is not None:
                key = ApiKey.objects.get(key_id=issued.key_id)
                policies.revoke_key(key, actor=audit.SYSTEM)
        if options["json"]:
            self.stdout.write(json.dumps(totals))
        else:
            self.stderr.write("")
            self.stdout.write(", ".join(f"{count} {name}" for name, count in totals.items()))
        for trouble in troubles[:10]:
            self.stderr.write(trouble)
        if totals["failed"]:
            raise SystemExit(1)

    def source(self, name: str) -> Source:
        source = Source.objects.filter(name=name).first()
        if source is None:
            source = Source(name=name, description="Replayed from a file.")
            try:
                source.clean_fields()
                policies.save_source(source, actor=audit.SYSTEM)
            except CountersignError as refused:
                raise CommandError(refused.detail) from None
            except ValidationError as refused:
                raise CommandError("; ".join(refused.messages)) from None
        return source

    def issue(self, source: Source) -> vault.Minted:
        try:
            return policies.issue_key(source, env=ApiKey.LIVE, actor=audit.SYSTEM)
        except CountersignError as refused:
            raise CommandError(f"{refused.detail} Or give one with --key.") from None

    def progress(self, done: int, total: int) -> None:
        """Draw the bar, on a terminal only."""
        if sys.stderr.isatty() or done == total:
            filled = BAR * done // total
            self.stderr.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}", ending="")
