"""Tell how an amount came about: `explain 4711`, `explain RE-2026-00001/3`, `explain RE-2026-00001 --language de`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from invoicing.explanation import charges_of, document_of, told, told_of
from tenants.errors import OperatorError
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Tell in words how a charge, a line of a document or a whole document came about."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("charge", metavar="CHARGE", help="key of a charge, NUMBER of a document, or NUMBER/LINE")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])

    def handle(self, *, charge: str, language: str | None = None, **options: Any) -> None:
        with translation.override(language or language_of_environment()):
            document = document_of(charge)
            try:
                charges = charges_of(charge)
            except OperatorError as refusal:
                if document is None:
                    raise CommandError(str(refusal)) from refusal
                charges = []  # all its lines were given back by hand
            stories = [told(one) for one in charges]
            if document is not None:
                stories.append(told_of(document))
            self.stdout.write("\n\n".join("\n".join(story) for story in stories))
