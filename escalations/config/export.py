"""Writing the configuration that stands as one file: stable in its order, so that two exports differ where the configuration does."""

from django.db import connection, transaction

from escalations import audit
from escalations.models import Source

from . import shape
from .writing import written

HEAD = """\
# Countersign: roles, calendars, policies, categories, triggers, sources and rules.
# Written by `manage.py export_config`, read by `manage.py import_config`. Secrets, keys, people and what is archived stand elsewhere.
"""


def export(*, actor: audit.Actor = audit.SYSTEM) -> str:
    """Return the file, and leave an audit entry. Thirteen queries, in one snapshot: nothing names what is not in it."""
    alone = not connection.in_atomic_block
    with transaction.atomic():
        if alone:  # within somebody's transaction it is theirs to say
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        text = as_it_stands()
        audit.record("config.exported", actor=actor, characters=len(text))
    return text


def as_it_stands() -> str:
    """Return the file without a word in the record. Ten queries."""
    document: dict[str, object] = {shape.FORMAT_KEY: shape.FORMAT}
    for section in shape.SECTIONS:
        document[section.name] = {getattr(row, section.key): section.written(row) for row in section.rows()}
    urls = Source.objects.exclude(callback_url="").order_by("name").values_list("name", "callback_url")
    kept = [name for name, url in urls if shape.may_hold_a_secret(url)]
    left_out = f"# Left out, because its query may hold a secret: the callback_url of {', '.join(kept)}.\n" if kept else ""
    return HEAD + left_out + "\n" + written(document)
