"""What the four import commands have in common: their options, what they print, when they refuse."""

import argparse
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation
from django.utils.translation import gettext, ngettext

from tenants import import_rows, staging
from tenants.errors import OperatorError
from tenants.import_rows import CHANGED, ERROR, NEW, UNCHANGED, Recipe
from tenants.models import ImportBatch, ImportRow
from tenants.tabular import DATES, DECIMALS, ENCODINGS, Declared
from tenants.terminal import add_issuer_argument, issuer_from, language_of_environment
from tenants.transactions import rehearsal

SHOWN, SHOWN_IN_A_REHEARSAL = 50, 2_000


class ImportCommand(BaseCommand):
    recipe: ClassVar[Recipe]
    needs_issuer = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="show what the file would change and change nothing")
        parser.add_argument("--encoding", default="", help=" ".join(ENCODINGS))
        parser.add_argument("--delimiter", default="", help="; , or tab")
        parser.add_argument("--decimal", default="", choices=DECIMALS, help="the decimal sign of the whole file")
        parser.add_argument("--dates", default="", choices=DATES, help="iso: 2026-01-31, dmy: 31.01.2026")
        parser.add_argument("--skip-bad", action="store_true", help="take the good rows if others are in error")
        parser.add_argument("--show", type=int, metavar="ROWS", help="how many rows of the difference to print")
        parser.add_argument(
            "--language", choices=[code for code, _name in settings.LANGUAGES], help="of what is printed"
        )
        if self.needs_issuer:
            add_issuer_argument(parser)

    def handle(self, *args: Any, file: Path, dry_run: bool, language: str | None, **options: Any) -> None:
        with (
            translation.override(language or language_of_environment()),
            rehearsal() if dry_run else staging.alone(),
        ):
            try:
                self.take(file, dry_run, options)
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from None

    def take(self, file: Path, dry_run: bool, options: dict[str, Any]) -> None:
        issuer = issuer_from(options["issuer"]) if self.needs_issuer else None
        declared = Declared(*(options[name] for name in ("encoding", "delimiter", "decimal", "dates")))
        try:
            opened = file.open("rb")
        except OSError as error:
            raise CommandError(
                gettext("The file %(file)s cannot be opened: %(reason)s") % {"file": file, "reason": error.strerror}
            ) from None
        with opened:
            batch = staging.offer(
                self.recipe, opened, file_name=file.name, declared=declared, issuer=issuer, skip_bad=options["skip_bad"]
            )
        limit = options["show"] if options["show"] is not None else SHOWN_IN_A_REHEARSAL if dry_run else SHOWN
        for line in report(self.recipe, batch, limit):
            self.stdout.write(line)
        if dry_run:
            staging.forget(batch)
            if batch.counts[ERROR] and not batch.skip_bad:
                raise CommandError(staging.refusal(batch).splitlines()[0])
            self.stdout.write(gettext("Dry run: nothing was changed."))
            return
        staging.apply(self.recipe, batch, actor=getpass.getuser(), channel="import")
        taken = batch.counts[NEW] + batch.counts[CHANGED]
        text = ngettext("%(count)d row was taken in.", "%(count)d rows were taken in.", taken)
        self.stdout.write(text % {"count": taken})


def report(recipe: Recipe, batch: ImportBatch, limit: int) -> Iterator[str]:
    """How the file was read, what its rows would change, what is wrong with them; at most ``limit`` rows of each."""
    yield gettext("%(file)s: read as %(reading)s") % {
        "file": batch.file_name,
        "reading": staging.reading_of(batch).described(),
    }
    if batch.reading["unknown_columns"]:
        yield gettext("Columns that are not known and not read: %(columns)s") % {
            "columns": ", ".join(batch.reading["unknown_columns"])
        }
    changes = batch.rows.filter(state__in=[NEW, CHANGED]).order_by("number")
    for row in changes[:limit]:
        yield described(recipe, row)
    yield from rest(batch.counts[NEW] + batch.counts[CHANGED], limit)
    for row in batch.rows.exclude(warnings=[]).order_by("number")[:limit]:
        for warning in import_rows.warnings_of(row):
            yield gettext("Warning: %(text)s") % {"text": warning}
    yield from rest(batch.counts["warnings"], limit)
    for row in batch.rows.filter(state=ERROR).order_by("number")[:limit]:
        for error in import_rows.errors_of(row):
            yield gettext("Error: %(text)s") % {"text": error}
    yield from rest(batch.counts[ERROR], limit)
    yield gettext("%(new)d new, %(changed)d changed, %(unchanged)d unchanged, %(error)d in error") % {
        name: batch.counts[name] for name in (NEW, CHANGED, UNCHANGED, ERROR)
    }


def rest(count: int, limit: int) -> Iterator[str]:
    if count > limit:
        yield ngettext("… and %(count)d more row", "… and %(count)d more rows", count - limit) % {
            "count": count - limit
        }


def described(recipe: Recipe, row: ImportRow) -> str:
    """One row of the difference: what is new about it, or old and new value of each column."""
    if row.state == NEW:
        what = ", ".join(
            f"{column.name} {import_rows.displayed(column, row.cells[column.name])}"
            for column in recipe.columns
            if column.name != recipe.key and row.cells.get(column.name)
        )
        return gettext("Row %(row)d: new %(reference)s (%(what)s)") % {
            "row": row.number,
            "reference": row.reference,
            "what": what,
        }
    columns = {column.name: column for column in recipe.columns}
    what = ", ".join(
        f"{name} {import_rows.displayed(columns[name], old)} → {import_rows.displayed(columns[name], new)}"
        for name, (old, new) in row.difference.items()
    )
    return gettext("Row %(row)d: changed %(reference)s (%(what)s)") % {
        "row": row.number,
        "reference": row.reference,
        "what": what,
    }
