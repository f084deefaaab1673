"""Prove that nothing issued was changed: `verify`, `verify --against heads.csv`, `verify --write-heads heads.csv`."""

from __future__ import annotations

from argparse import ArgumentParser
from itertools import chain
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext, ngettext

from config import books
from config.books import heads
from invoicing.models import DocumentFile, Invoice
from tenants.errors import OperatorError
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = (
        "Prove documents, their files, postings and the chains of hashes byte by byte; name everything that was"
        " altered (exit code 1). Keep the heads of the chains where nobody who can write the database can reach them,"
        " and compare with them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--against", type=Path, metavar="FILE", action="append", default=[], help="heads kept earlier"
        )
        parser.add_argument("--write-heads", type=Path, metavar="FILE", help="write the heads of today")

    def handle(self, *, against: list[Path], write_heads: Path | None, **options: Any) -> None:
        with translation.override(language_of_environment()):
            try:
                kept = [head for path in against for head in self.read(path)]
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from refusal
            found = 0
            for found, breach in enumerate(chain(heads.heads_hold(kept), books.check()), 1):
                self.stdout.write(str(breach))
            if found:
                raise CommandError(
                    ngettext("%(count)d breach found.", "%(count)d breaches found.", found) % {"count": found}
                )
            self.say(len(kept))
            if write_heads:
                with write_heads.open("w", encoding="utf-8", newline="") as stream:
                    heads.write(stream, heads.heads())

    def read(self, path: Path) -> list[heads.Head]:
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                return heads.read(stream)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                gettext("%(path)s cannot be read: %(reason)s.") % {"path": path, "reason": error}
            ) from error

    def say(self, compared: int) -> None:
        for head in heads.heads():
            self.stdout.write(f"{head.issuer} {head.range} {head.sequence}: {head.number} {head.chain_hash}")
        self.stdout.write(
            gettext("%(documents)d documents and %(files)d files are what they were when they were issued.")
            % {"documents": Invoice.objects.issued().count(), "files": DocumentFile.objects.count()}
        )
        if compared:
            self.stdout.write(
                ngettext(
                    "%(count)d head that was kept is in its place.",
                    "%(count)d heads that were kept are in their places.",
                    compared,
                )
                % {"count": compared}
            )
