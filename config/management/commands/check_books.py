"""Prove the invariants of the books: `check_books`. Exit code 1 and one line per breach if one does not hold."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext, ngettext

from config import books
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Prove from the rows that the books are sound; name every breach, exit code 1 if there is one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=100, help="at most so many breaches per rule (default: 100)")
        parser.add_argument("--without-files", action="store_true", help="do not read and hash the kept files")

    def handle(self, *, limit: int, without_files: bool, **options: Any) -> None:
        with translation.override(language_of_environment()):
            found = 0
            for found, breach in enumerate(books.check(limit=limit, with_files=not without_files), 1):
                self.stdout.write(str(breach))
            if found:
                raise CommandError(
                    ngettext("%(count)d breach found.", "%(count)d breaches found.", found) % {"count": found}
                )
            self.stdout.write(gettext("The books are sound."))
