"""The rows of an offered file: laid down, judged, read back. And what an import must know to do so, its ``Recipe``."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

from django.db import connection, models
from django.utils.formats import date_format, get_format
from django.utils.translation import gettext

from tenants import tabular
from tenants.cells import Column, Day, Instant, Number, Value, Whole
from tenants.copying import copy_rows, table_of
from tenants.models import ImportBatch, ImportRow
from tenants.tabular import RowError

Thing = TypeVar("Thing")
CHUNK = 2_000
NEW, CHANGED, UNCHANGED, ERROR = ImportRow.State.values


@dataclass(frozen=True, slots=True)
class Staged:
    """A row of the file as it was laid down."""

    number: int
    reference: str
    values: dict[str, Any]  # of the types of their columns


@dataclass(slots=True)
class Verdict:
    """What a row would do. ``difference`` maps a column to its old and new value as text; it is empty for a new row."""

    state: str
    difference: dict[str, list[str]] = field(default_factory=dict)
    errors: list[RowError] = field(default_factory=list)
    warnings: list[RowError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one kind of import knows.

    ``judge`` gets the rows of a chunk that are sound in themselves and returns a verdict for each, by number. ``write``
    gets the rows of a chunk whose verdict is "new" or "changed". ``laid`` prepares for judging once all rows are down;
    ``judged`` looks at all rows together once each has its verdict; ``begin`` takes the locks of ``apply``; ``finish``
    closes the writing. ``whole``: records stretch over rows, so that the file is judged and written in one piece.
    ``fills``: of which records there may be many more afterwards.
    """

    kind: str
    columns: tuple[Column, ...]
    key: str
    judge: Callable[[ImportBatch, Sequence[Staged]], Mapping[int, Verdict]]
    write: Callable[[ImportBatch, Sequence[tuple[Staged, Verdict]]], None]
    begin: Callable[[ImportBatch], None] = lambda batch: None
    laid: Callable[[ImportBatch], None] = lambda batch: None
    judged: Callable[[ImportBatch], None] = lambda batch: None
    finish: Callable[[ImportBatch], None] = lambda batch: None
    unique: bool = True
    whole: bool = False
    fills: tuple[type[models.Model], ...] = ()


def laid_down(batch: ImportBatch, recipe: Recipe, row: tabular.Row) -> ImportRow:
    return ImportRow(
        batch=batch,
        number=row.number,
        reference=str(row.values.get(recipe.key) or "")[:60],
        cells={name: as_text(value) for name, value in row.values.items()},
        state=ERROR if row.errors else "",
        errors=[[error.column, error.reason] for error in row.errors],
        difference={},
        warnings=[],
    )


def refuse_repeated(recipe: Recipe, batch: ImportBatch) -> None:
    """A key stands in one row of a file; each further row with it is in error."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select number, first from (select number, min(number) over (partition by reference) as first"
            " from tenants_importrow where batch_id = %s and reference <> '') as rows where number > first",
            [batch.pk],
        )
        for found in iter(lambda: cursor.fetchmany(CHUNK), []):
            add_errors(
                batch,
                [
                    RowError(number, recipe.key, gettext("stands in row %(row)d already") % {"row": first})
                    for number, first in found
                ],
            )


def add_errors(batch: ImportBatch, errors: Sequence[RowError]) -> None:
    """Put rows that were laid down in error."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update tenants_importrow as row set state = %s, difference = '{}', errors = row.errors || found.errors"
            " from (select number, jsonb_agg(jsonb_build_array(col, reason)) as errors"
            " from unnest(%s::int[], %s::text[], %s::text[]) as t(number, col, reason) group by number) as found"
            " where row.batch_id = %s and row.number = found.number",
            [
                ERROR,
                [error.row for error in errors],
                [error.column for error in errors],
                [error.reason for error in errors],
                batch.pk,
            ],
        )


def staged_chunks(recipe: Recipe, batch: ImportBatch) -> Iterator[list[Staged]]:
    """The rows that are sound in themselves, in the file's order."""
    size = tabular.MAX_ROWS if recipe.whole else CHUNK
    after = 0
    while True:
        found = batch.rows.filter(number__gt=after).exclude(state=ERROR).order_by("number")[:size]
        chunk = [staged(recipe, row) for row in found]
        if not chunk:
            return
        yield chunk
        after = chunk[-1].number


def sound_rows(recipe: Recipe, batch: ImportBatch) -> Iterator[Staged]:
    for chunk in staged_chunks(recipe, batch):
        yield from chunk


def staged(recipe: Recipe, row: ImportRow) -> Staged:
    values = {
        column.name: from_text(column, row.cells[column.name]) for column in recipe.columns if column.name in row.cells
    }
    return Staged(row.number, row.reference, values)


def store_verdicts(batch: ImportBatch, verdicts: Mapping[int, Verdict]) -> None:
    def pairs(errors: Sequence[RowError]) -> str:
        return json.dumps([[error.column, error.reason] for error in errors])

    with connection.cursor() as cursor:
        cursor.execute(
            "update tenants_importrow as row set state = found.state, difference = found.difference,"
            " errors = found.errors, warnings = found.warnings"
            " from unnest(%s::int[], %s::text[], %s::jsonb[], %s::jsonb[], %s::jsonb[])"
            " as found(number, state, difference, errors, warnings)"
            " where row.batch_id = %s and row.number = found.number",
            [
                list(verdicts),
                [ERROR if verdict.errors else verdict.state for verdict in verdicts.values()],
                [json.dumps({} if verdict.errors else verdict.difference) for verdict in verdicts.values()],
                [pairs(verdict.errors) for verdict in verdicts.values()],
                [pairs(verdict.warnings) for verdict in verdicts.values()],
                batch.pk,
            ],
        )


def counted(batch: ImportBatch) -> dict[str, int]:
    counts = dict.fromkeys((NEW, CHANGED, UNCHANGED, ERROR), 0)
    counts |= dict(batch.rows.order_by().values_list("state").annotate(count=models.Count("pk")))
    warned = batch.rows.exclude(warnings=[]).count()
    return {"rows": sum(counts.values()), "warnings": warned, **counts}


def insert(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """COPY ``rows`` past ``save``, with their keys if they have them; the database fills its own defaults."""
    if rows:
        fields: list[Any] = [
            field
            for field in model._meta.concrete_fields
            if not (field.generated or field.has_db_default() or (field.primary_key and rows[0].pk is None))
        ]
        dumped = [isinstance(field, models.JSONField) for field in fields]
        names = [field.attname for field in fields]
        copy_rows(
            table_of(model),
            [connection.ops.quote_name(field.column) for field in fields],
            (
                [
                    json.dumps(getattr(row, name)) if dump else getattr(row, name)
                    for name, dump in zip(names, dumped, strict=True)
                ]
                for row in rows
            ),
        )


def errors_of(row: ImportRow) -> list[RowError]:
    return [RowError(row.number, column, reason) for column, reason in row.errors]


def warnings_of(row: ImportRow) -> list[RowError]:
    return [RowError(row.number, column, reason) for column, reason in row.warnings]


# --- values as text, texts as values ---


def as_text(value: Any) -> str | None:
    """A value in the one form in which rows and differences keep it: 2026-01-31, 12.5."""
    match value:
        case None:
            return None
        case Decimal():
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case date():
            return value.isoformat()
        case _:
            return str(value)


def from_text(column: Column, text: str | None) -> Value:
    if text is None:
        return None
    if isinstance(column, Number):
        return Decimal(text)
    if isinstance(column, Day):
        return date.fromisoformat(text)
    if isinstance(column, Instant):
        return datetime.fromisoformat(text)
    return int(text) if isinstance(column, Whole) else text


def displayed(column: Column, text: str | None) -> str:
    """A kept value as the active language writes it, a dash for nothing."""
    if not text:
        return "–"
    try:
        value = from_text(column, text)
    except (ValueError, ArithmeticError):
        return text  # such as the bound of an open tier
    if isinstance(value, datetime):
        return text  # with its offset: nothing else is exact
    if isinstance(value, date):
        return str(date_format(value, "SHORT_DATE_FORMAT"))
    if isinstance(value, Decimal):
        return text.replace(".", str(get_format("DECIMAL_SEPARATOR")))
    return text


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[str]]:
    """The columns in which ``new`` says something else than ``old``, with both values as text."""
    texts = ((name, as_text(old.get(name)) or "", as_text(value) or "") for name, value in new.items())
    return {name: [before, after] for name, before, after in texts if before != after}


def chunked(things: Iterator[Thing], size: int) -> Iterator[list[Thing]]:
    while chunk := list(islice(things, size)):
        yield chunk
