"""Every document's files for a tax audit: `export_documents --from 2026-01-01 --through 2026-12-31 --to DIR`."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext, ngettext

from invoicing import archive
from invoicing.models import Invoice
from tenants.errors import OperatorError
from tenants.terminal import add_issuer_argument, issuer_from, language_of_environment, progress_bar


class Command(BaseCommand):
    help = (
        "Write the files (PDF, XML) of all documents issued in some days to a folder, proved by their hashes, and"
        f" index.csv: {';'.join(archive.COLUMNS)}. Exit code 1 if a file is missing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, metavar="DAY")
        parser.add_argument("--through", type=date.fromisoformat, required=True, metavar="DAY")
        parser.add_argument("--to", type=Path, required=True, metavar="DIR")
        add_issuer_argument(parser)

    def handle(self, *, first: date, through: date, to: Path, issuer: str | None = None, **options: Any) -> None:
        with translation.override(language_of_environment()):
            if first > through:
                raise CommandError(gettext("The first day is after the last."))
            only = issuer_from(issuer) if issuer else None
            count = Invoice.objects.issued().filter(issued_on__range=(first, through))
            total = (count.filter(issuer=only) if only else count).count()
            report, shown = archive.Report(), 0
            try:
                with progress_bar(self.stderr, total, gettext("documents")) as advance:
                    for report in archive.write(to, archive.documents(first, through, [only] if only else None)):
                        advance(report.documents - shown)
                        shown = report.documents
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from refusal
            archive.record(getpass.getuser(), "command", first, through, report.documents)
            self.say(report, to)

    def say(self, report: archive.Report, folder: Path) -> None:
        self.stdout.write(
            gettext("%(documents)d documents, %(files)d files: %(index)s")
            % {"documents": report.documents, "files": report.files, "index": folder / "index.csv"}
        )
        for number, reason in report.faults:
            self.stderr.write(f"{number}: {reason}")
        if report.faults:
            count = len(report.faults)
            raise CommandError(
                ngettext("%(count)d file is missing.", "%(count)d files are missing.", count) % {"count": count}
            )
