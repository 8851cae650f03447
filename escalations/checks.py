"""What has to be true before Countersign may start: the clockwork's times, and a database that guards the record."""

import base64
import binascii
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from hitl_site import env

QUESTIONS = """
SELECT current_user,
       EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = current_schema() AND c.relname LIKE 'escalations\\_%%' AND c.relkind = 'r'
                 AND pg_has_role(current_user, c.relowner, 'MEMBER')),
       COALESCE((SELECT bool_or(has_table_privilege(current_user, t.tgrelid, 'UPDATE, DELETE, TRUNCATE'))
                 FROM pg_trigger t WHERE t.tgname = 'append_only'), true),
       current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')
"""


@register()
def times_in_order(**_: Any) -> list[CheckMessage]:
    """Return an error unless each time limit ends before the one that would act on its absence."""
    queue = settings.Q_CLUSTER
    times = {
        "HTTP_CONNECT_SECONDS": settings.HTTP_CONNECT_SECONDS,
        "HTTP_TOTAL_SECONDS": settings.HTTP_TOTAL_SECONDS,
        "Q_CLUSTER timeout": queue["timeout"],
        "LEASE_SECONDS": settings.LEASE_SECONDS,
        "Q_CLUSTER retry": queue["retry"],
    }
    if sorted(set(times.values())) == list(times.values()) and settings.LLM_TIMEOUT_SECONDS < queue["timeout"]:
        return []
    return [
        Error(
            "The time limits are out of order: " + " < ".join(f"{name} {value}" for name, value in times.items()),
            hint="Work must end before its lease, and a lease before the queue tries again; LLM_TIMEOUT_SECONDS < 90.",
            id="countersign.E001",
        )
    ]


@register(Tags.security)
def usable_encryption_keys(**_: Any) -> list[CheckMessage]:
    """Return an error for a key that is none, or that is the signing key too."""
    errors: list[CheckMessage] = []
    for position, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            usable = len(base64.urlsafe_b64decode(key)) == 32 and key != settings.SECRET_KEY
        except (binascii.Error, ValueError):
            usable = False
        if not usable:
            errors.append(
                Error(
                    f"ENCRYPTION_KEYS: key {position} is not 32 bytes in URL-safe base64.",
                    hint="python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
                    id="countersign.E002",
                )
            )
    return errors


@register()
def safe_database(app_configs: Any = None, databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Return what is wrong with the database in production. One query, in processes that serve and where one asks for it."""
    serving = env.PROCESS in {"web", "worker", "timers"}
    if not settings.PRODUCTION or not (serving or "default" in (databases or ())):
        return []
    return unsafe_database()


def unsafe_database() -> list[CheckMessage]:
    """Return an error for each way in which this database login could rewrite the record or lose what was promised."""
    with connection.cursor() as cursor:
        cursor.execute(QUESTIONS)
        user, owns, rewrites, *durable = cursor.fetchone()
    errors: list[CheckMessage] = []
    hint = "Give DATABASE_URL a login of its own and DATABASE_OWNER_URL the owner's, then run: manage.py setup"
    if owns:
        errors.append(Error(f"The database user {user} owns Countersign's tables.", hint=hint, id="countersign.E003"))
    if rewrites:
        errors.append(
            Error(f"The database user {user} may change or delete what is recorded.", hint=hint, id="countersign.E004")
        )
    for name, value in zip(("fsync", "full_page_writes", "synchronous_commit"), durable, strict=True):
        if value == "off":
            errors.append(
                Error(
                    f"PostgreSQL runs with {name} off: what was answered with 2xx could be lost.",
                    hint=f"Switch {name} on.",
                    id="countersign.E005",
                )
            )
    return errors


def refuse_unsafe_database() -> None:
    """End the process with one line a fault when it serves production from a database that does not guard the record."""
    if errors := safe_database():
        raise SystemExit("\n".join(f"countersign: {error.msg} {error.hint}" for error in errors))
