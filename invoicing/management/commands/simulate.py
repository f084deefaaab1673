"""Print what would be invoiced: `simulate docs/simulations/pause.yaml --language de`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from invoicing import simulation
from tenants.errors import OperatorError
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Play a scenario (docs/simulation.md) by the stations of a live run and print its documents; nothing stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the scenario, YAML or JSON (docs/simulation.schema.json)")
        parser.add_argument("--format", choices=["table", "json"], default="table")
        parser.add_argument(
            "--language", choices=[code for code, _name in settings.LANGUAGES], help="of what is printed"
        )

    def handle(self, *, file: Path, format: str, language: str | None, **options: Any) -> None:
        language = language or language_of_environment()
        with translation.override(language):
            try:
                result = simulation.simulate(simulation.read(file), language=language)
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from refusal
            if format == "json":
                self.stdout.write(simulation.as_json(result))
            else:
                for line in simulation.as_tables(result):
                    self.stdout.write(line)
