"""Take exchange rates in: `import_exchange_rates FILE --source "EZB"`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from invoicing import exchange_rates
from tenants.errors import OperatorError


class Command(BaseCommand):
    help = "Take in exchange rates from a CSV file with the columns day, currency and rate (units for one of the base)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--base", default="EUR", help="currency of which one unit costs the rate")
        parser.add_argument("--source", required=True, help="where the rates are from, as documents keep it")

    def handle(self, *, file: Path, base: str, source: str, **options: Any) -> None:
        try:
            taken = exchange_rates.take_in(file.read_text(encoding="utf-8-sig").splitlines(), source=source, base=base)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{taken.new} new, {taken.changed} changed, {taken.unchanged} unchanged.")
