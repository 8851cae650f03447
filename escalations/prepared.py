"""Statements that run with every POST: planned once a connection, and rows of several tables in one of them.

A statement of Django's is compiled, has every value quoted into its text and is planned by PostgreSQL anew each time it is sent.
What runs hundreds of times a second goes this way instead; everything else has no reason to. Measured on one POST: planning alone
was 0.7 of 1.05 ms of PostgreSQL's CPU (0.71 to 0.32 ms for the insert, 0.34 to 0.06 ms for the key).
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connection, models


class _PreparedCursor(psycopg.RawCursor[Any]):
    """Takes Django's placeholders, but reads them once: psycopg reads a statement of more than 4 KB or 50 values
    anew each time, which was 14% of the interpreter's time of a POST.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PreparedCursor":
        return super().execute(_numbered(query), params, prepare=True, **options)


@lru_cache(maxsize=256)
def _numbered(sql: str) -> bytes:
    """Return the statement with $1, $2 … for each %s, as PostgreSQL takes it."""
    first, *others = sql.split("%s")
    return (first + "".join(f"${number}{text}" for number, text in enumerate(others, 1))).encode()


def run(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one statement with its values sent beside it, planned once a connection; return its rows. Errors are Django's.

    Outside a transaction it is one of its own: durable when this returns, in one round trip. `sql` must be one of a few texts,
    never made up from what somebody sent. JSON comes back as text.
    """
    connection.ensure_connection()
    if connection.connection.prepare_threshold is None:  # Django's own cursors cannot prepare, and so it forbids it
        connection.connection.prepare_threshold = 0
    raw = _PreparedCursor(connection.connection)
    with connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw) as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def insert_together(
    rows: Sequence[models.Model], *, once: Sequence[str] = (), only_if: str = "true", params: Sequence[Any] = ()
) -> bool | None:
    """Write unsaved rows of several tables with one statement: all or none.

    True when they are written; False when there was a row with the same `once` columns as the first (a twin that is just being
    written is waited for); None when the condition `only_if` did not hold. Nothing is written in the last two cases. Generated
    keys are not read back, no signal is sent; the database's constraints, defaults and triggers hold as ever.
    """
    values: list[Any] = list(params)
    for row in rows:
        for name, is_json in _columns(type(row))[1]:  # type: ignore[arg-type]
            value = getattr(row, name)
            values.append(json.dumps(value) if is_json and value is not None else value)
    [(wanted, written)] = run(_insert(tuple(map(type, rows)), tuple(once), only_if), values)
    if not wanted:
        return None
    for row in rows if written else ():
        row._state.adding = False
    return bool(written)


@lru_cache(maxsize=64)
def _insert(kinds: tuple[type[models.Model], ...], once: tuple[str, ...], only_if: str) -> str:
    """Return the statement for rows of these models, in this order; foreign keys between them are checked when it ends."""
    parts = [f"wanted AS MATERIALIZED (SELECT ({only_if}) AS yes)"]
    for number, kind in enumerate(kinds):
        columns, readers = _columns(kind)  # type: ignore[arg-type]
        first = number == 0
        conflict = f" ON CONFLICT ({', '.join(once)}) DO NOTHING" if first and once else ""
        parts.append(
            f"row{number} AS (INSERT INTO {connection.ops.quote_name(kind._meta.db_table)} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM {'wanted WHERE yes' if first else 'row0'}{conflict} RETURNING 1)"
        )
    return f"WITH {', '.join(parts)} SELECT yes, EXISTS (SELECT FROM row0) FROM wanted"


@lru_cache(maxsize=64)
def _columns(kind: type[models.Model]) -> tuple[dict[str, str], list[tuple[str, bool]]]:
    """Return a model's columns with the placeholder of each, and the attributes they are read from (and whether it is JSON).

    Taken from the model itself, so that a new field cannot be forgotten here.
    """
    fields = [field for field in kind._meta.concrete_fields if not isinstance(field, models.AutoField)]
    columns = {
        # A type without its length: a cast to varchar(80) would cut what is too long where an INSERT refuses it.
        connection.ops.quote_name(field.column): f"%s::{re.sub(r'[(][0-9]+[)]', '', field.db_type(connection))}"
        for field in fields
    }
    return columns, [(field.attname, isinstance(field, models.JSONField)) for field in fields]
