"""Rows by the thousand: keys in one call, rows by COPY. What is written so is checked by the database alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from django.db import connection, models, transaction
from psycopg2 import Error

PORTION: Final = 1 << 16
# "offset 0": asked once, not for each key
SEQUENCE: Final = "(select pg_get_serial_sequence(%s, 'id')::regclass as name offset 0) s"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def new_keys(**counts: int) -> dict[str, list[int]]:
    """Draw that many keys per table from their sequences, in one statement; the keys of one table rise."""
    wanted = {table: count for table, count in counts.items() if count}
    keys: dict[str, list[int]] = {table: [] for table in counts}
    if wanted:
        with connection.cursor() as cursor:
            cursor.execute(
                " union all ".join(
                    f"select '{table}', array(select nextval(s.name) from generate_series(1, %s), {SEQUENCE})"
                    for table in wanted
                ),
                [argument for table, count in wanted.items() for argument in (count, table)],
            )
            keys |= dict(cursor.fetchall())
    return keys


def table_of(model: type[models.Model]) -> str:
    return model._meta.db_table


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """COPY ``rows`` into ``table``: None is null, everything else goes by its ``str``; JSON comes as text.

    Rows are put into text while the database takes in those before, so making them must not ask it anything.
    """
    lines = ("\t".join(map(_cell, row)) + "\n" for row in rows)
    first = next(lines, None)
    if first is None:
        return
    text = _Text(chain([first], lines))
    with connection.cursor() as cursor, connection.wrap_database_errors:  # as for each other statement
        try:
            cursor.copy_expert(f"copy {table} ({', '.join(columns)}) from stdin", text, PORTION)
        except Error:
            if text.error is not None:
                raise text.error from None
            raise


def analyse(*filled: type[models.Model]) -> None:
    """Let the planner know, once the transaction is committed, how many of these records there are by now.

    By the sizes of before, reading a step of a run takes the longer the more came in since. As the owner: for others
    ANALYZE passes the tables over.
    """

    def ask() -> None:
        with connection.cursor() as cursor:
            for model in filled:
                cursor.execute("select kontor_analyse(%s)", [table_of(model)])

    transaction.on_commit(ask)


class _Text:
    """Lines as the file that ``copy_expert`` reads, a portion at a time.

    Of an ``error`` while a line is made the database is told in words, and refuses the rows; the error itself is kept.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.error: BaseException | None = None

    def read(self, size: int) -> str:
        portion, length = [], 0
        try:
            for line in self._lines:
                portion.append(line)
                length += len(line)
                if length >= size:
                    break
        except BaseException as error:
            self.error = error
            raise
        return "".join(portion)


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if type(value) is not str:
        return str(value)
    if value.isprintable() and "\\" not in value:  # neither a tab nor a line end is printable
        return value
    return value.translate(_ESCAPED)
