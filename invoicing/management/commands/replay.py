"""Reckon issued documents again and compare: `replay RE-2026-00001`, `replay --all`. Exit code 1 at a difference."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext

from invoicing import replay
from invoicing.models import Invoice
from tenants.terminal import add_issuer_argument, language_of_environment, progress_bar


class Command(BaseCommand):
    help = "Reckon issued documents again from traces, contracts and prices; print every figure that differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="numbers of documents")
        parser.add_argument("--all", action="store_true", help="every issued document")
        add_issuer_argument(parser)

    def handle(self, *, numbers: list[str], issuer: str | None = None, **options: Any) -> None:
        with translation.override(language_of_environment()):
            if bool(numbers) == options["all"]:
                raise CommandError(gettext("Name documents by their numbers, or say --all."))
            documents = Invoice.objects.issued()
            if issuer:
                documents = documents.filter(issuer__reference=issuer)
            keys = None
            if numbers or issuer:
                documents = documents.filter(number__in=numbers) if numbers else documents
                found = dict(documents.values_list("pk", "number"))
                if missing := sorted(set(numbers) - {str(number) for number in found.values()}):
                    raise CommandError(gettext("There is no document %s.") % ", ".join(missing))
                keys = list(found)
            self.replay(keys, len(keys) if keys is not None else documents.count())

    def replay(self, keys: list[int] | None, count: int) -> None:
        replayed = different = 0
        with progress_bar(self.stderr, count, "documents") as advance:
            for document in replay.replay(keys):
                replayed += 1
                different += bool(document.differences)
                for difference in document.differences:
                    self.stdout.write(str(difference))
                advance(1)
        told = gettext("%(replayed)d documents replayed, %(different)d with differences.") % {
            "replayed": replayed,
            "different": different,
        }
        if different:
            raise CommandError(told)
        self.stdout.write(told)
