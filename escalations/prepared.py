"""Statements that run with every POST: planned once a connection, and rows of several tables in one of them.

A statement of Django's is compiled, has every value quoted into its text and is planned by PostgreSQL anew each time it is sent.
What runs hundreds of times a second goes this way instead; everything else has no reason to. Measured on one POST: planning alone
was 0.7 of 1.05 ms of PostgreSQL's CPU (0.71 to 0.32 ms for the insert, 0.34 to 0.06 ms for the key).
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connection, models


class _PreparedCursor(psycopg.RawCursor[Any]):
    """Takes Django's placeholders, but reads them once.

    psycopg reads a statement of more than 4 KB anew each time, which was 14% of the interpreter's time of a POST.
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
    rows: Sequence[models.Model], *others: Sequence[models.Model], by: str,
    once: Sequence[str] = (), only_if: str = "true", params: Sequence[Any] = (),
) -> set[Any] | None:
    """Write unsaved rows of several tables with one statement, all or none; return the ids of those in `rows` that were written.

    Of `rows` those are left out that have the same `once` columns as one that is there already (a twin that is just being written
    is waited for) or that came before; of each of the `others` those are written whose attribute `by` names a row that was.
    None: the condition `only_if` does not hold, and nothing was written. Generated keys are not read back, no signal is sent;
    the database's constraints, defaults and triggers hold as ever.
    """
    tables = [rows, *filter(None, others)]
    statement = _insert(tuple(type(table[0]) for table in tables), by, tuple(once), only_if)
    [(wanted, ids)] = run(statement, [*params, *map(_as_json, tables)])
    if not wanted:
        return None
    written = set(ids)
    for row in rows:
        row._state.adding = row.pk not in written
    return written


@lru_cache(maxsize=64)
def _insert(kinds: tuple[type[models.Model], ...], by: str, once: tuple[str, ...], only_if: str) -> str:
    """Return the statement for rows of these models. Foreign keys between them are checked when it ends.

    One value for each table, the rows as JSON, which PostgreSQL reads by the columns' types: one text of the statement for one row
    and for 500. Measured: a batch costs the web process 0.4 ms of CPU for each incident instead of 1.1 through `bulk_create`; for
    one row a value for each column is no faster.
    """
    quote = connection.ops.quote_name
    parts = [f"wanted AS MATERIALIZED (SELECT ({only_if}) AS yes)"]
    for number, kind in enumerate(kinds):
        table, columns = quote(kind._meta.db_table), ", ".join(quote(column) for column, _ in _columns(kind))  # type: ignore[arg-type]
        insert = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s::json)"
        if number == 0:
            conflict = f" ON CONFLICT ({', '.join(map(quote, once))}) DO NOTHING" if once else ""
            parts.append(f"new AS ({insert}, wanted WHERE yes{conflict} RETURNING {quote(kind._meta.pk.column)} AS id)")
        else:
            parts.append(f"with{number} AS ({insert} WHERE {quote(kind._meta.get_field(by).column)} IN (SELECT id FROM new))")
    return f"WITH {', '.join(parts)} SELECT yes, ARRAY(SELECT id FROM new) FROM wanted"


@lru_cache(maxsize=64)
def _columns(kind: type[models.Model]) -> list[tuple[str, str]]:
    """Return a model's columns and the attributes they are read from; taken from the model, so that none can be forgotten."""
    return [(field.column, field.attname) for field in kind._meta.concrete_fields if not isinstance(field, models.AutoField)]


def _as_json(rows: Sequence[models.Model]) -> str:
    columns = _columns(type(rows[0]))  # type: ignore[arg-type]
    return json.dumps([{column: getattr(row, name) for column, name in columns} for row in rows], default=_plain, ensure_ascii=False)


def _plain(value: Any) -> str:
    """Return the text PostgreSQL reads an id, a moment or bytes from."""
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)
