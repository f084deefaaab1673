"""Take mandates for SEPA direct debit in from a CSV file; `--dry-run` says what would change."""

import argparse
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext

from tenants import mandate_import
from tenants.errors import OperatorError
from tenants.import_rows import CHANGED, ERROR, NEW, UNCHANGED
from tenants.management.importing import SHOWN
from tenants.tabular import DATES, ENCODINGS, Declared
from tenants.terminal import add_issuer_argument, issuer_from, language_of_environment
from tenants.transactions import acting


class Command(BaseCommand):
    help = (
        "Enter mandates, all of the file or nothing. Columns: mandate, tenant, holder, iban, bic, signed_on, scheme"
        " (CORE, B2B), sequence (recurring, one_off), original_mandate, original_creditor."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="show what the file would change and change nothing")
        parser.add_argument("--encoding", default="", help=" ".join(ENCODINGS))
        parser.add_argument("--delimiter", default="", help="; , or tab")
        parser.add_argument("--dates", default="", choices=DATES, help="iso: 2026-01-31, dmy: 31.01.2026")
        add_issuer_argument(parser)

    def handle(self, *args: Any, file: Path, dry_run: bool, issuer: str | None, **options: Any) -> None:
        declared = Declared(options["encoding"], options["delimiter"], "", options["dates"])
        with translation.override(language_of_environment()):
            try:
                content = file.read_bytes()
            except OSError as error:
                text = gettext("The file %(file)s cannot be opened: %(reason)s")
                raise CommandError(text % {"file": file, "reason": error.strerror}) from None
            try:
                with acting(actor="", channel="import"):
                    self.take(content, file.name, issuer_from(issuer), declared, dry_run)
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from None

    def take(self, content: bytes, name: str, issuer: Any, declared: Declared, dry_run: bool) -> None:
        today = timezone.localdate()
        taken = mandate_import.look(issuer, content, on=today, declared=declared)
        self.stdout.write(gettext("%(file)s: read as %(reading)s") % {"file": name, "reading": taken.reading})
        for row in [row for row in taken.rows if row.told][:SHOWN]:
            told = gettext("Row %(row)d: new %(reference)s (%(what)s)")
            if row.state == CHANGED:
                told = gettext("Row %(row)d: changed %(reference)s (%(what)s)")
            self.stdout.write(told % {"row": row.number, "reference": row.reference, "what": row.told})
        for error in taken.errors[:SHOWN]:
            self.stdout.write(gettext("Error: %(text)s") % {"text": error})
        self.stdout.write(
            gettext("%(new)d new, %(changed)d changed, %(unchanged)d unchanged, %(error)d in error")
            % {state: taken.count(state) for state in (NEW, CHANGED, UNCHANGED, ERROR)}
        )
        if dry_run:
            self.stdout.write(gettext("Dry run: nothing was changed."))
            return
        mandate_import.take_in(issuer, content, file_name=name, on=today, declared=declared)
        count = taken.count(NEW) + taken.count(CHANGED)
        text = ngettext("%(count)d row was taken in.", "%(count)d rows were taken in.", count)
        self.stdout.write(text % {"count": count})
