"""Rows by the thousand: keys in one call, rows by COPY. What is written so is checked by the database alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from django.db import connection, models

_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def new_keys(**counts: int) -> dict[str, list[int]]:
    """Draw that many keys per table from their sequences, in one statement; the keys of one table rise."""
    wanted = {table: count for table, count in counts.items() if count}
    keys: dict[str, list[int]] = {table: [] for table in counts}
    if wanted:
        with connection.cursor() as cursor:
            cursor.execute(
                " union all ".join(
                    f"select '{table}', nextval(pg_get_serial_sequence('{table}', 'id')) from generate_series(1, %s)"
                    for table in wanted
                ),
                list(wanted.values()),
            )
            for table, key in cursor.fetchall():
                keys[table].append(key)
    return keys


def table_of(model: type[models.Model]) -> str:
    return model._meta.db_table


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """COPY ``rows`` into ``table``: None is null, everything else goes by its ``str``; JSON comes as text."""
    buffer = StringIO()
    write = buffer.write
    for row in rows:
        write("\t".join(map(_cell, row)) + "\n")
    if not buffer.tell():
        return
    buffer.seek(0)
    with connection.cursor() as cursor, connection.wrap_database_errors:  # as for each other statement
        cursor.copy_expert(f"copy {table} ({', '.join(columns)}) from stdin", buffer)


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if type(value) is not str:
        return str(value)
    if value.isprintable() and "\\" not in value:  # neither a tab nor a line end is printable
        return value
    return value.translate(_ESCAPED)
