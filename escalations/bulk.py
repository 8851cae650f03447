"""Many rows at once, by COPY: what the ledgers and outboxes write when hundreds of proposals move together."""

from collections.abc import Sequence

from django.db import connection, models

FEW = 8  # fewer than this are one INSERT: COPY costs a round trip more


def insert_many(rows: Sequence[models.Model]) -> None:
    """Write unsaved rows of one model in the caller's transaction. Their generated keys are not read back, no signal is sent.

    Several times as fast as `bulk_create`; the database's constraints and triggers hold as ever.
    """
    if not rows:
        return
    model = type(rows[0])
    if len(rows) < FEW:
        model._default_manager.bulk_create(rows)
        return
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    # Only JSON needs Django's preparation here; ids, texts, numbers and moments go to PostgreSQL as they are.
    readers = [(field.attname, field if isinstance(field, models.JSONField) else None) for field in fields]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([
                getattr(row, name) if field is None else field.get_db_prep_save(getattr(row, name), connection)
                for name, field in readers
            ])
