"""Give parts of lines back: `credit RE-2026-00001 --line 1 --amount 50.00 --reason Kulanz --on 2026-02-10`."""

from __future__ import annotations

from argparse import Action, ArgumentParser
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from invoicing import correction
from invoicing.correction import Wanted
from invoicing.management.commands.cancel_document import issued_document, told
from invoicing.models import Invoice
from tenants.errors import OperatorError
from tenants.terminal import add_issuer_argument, language_of_environment


def figure(text: str) -> Decimal:
    """A figure with a decimal point. Raises ``ValueError``, as argparse wants it."""
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not found.is_finite():
        raise ValueError(text)
    return found


class OfTheLine(Action):
    """Says how much of the line named before it is given back."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option_string: str | None = None) -> None:
        if not namespace.lines:
            parser.error(f"{option_string}: name the line first, by --line")
        namespace.lines[-1][self.dest] = value


class ALine(Action):
    """Another line."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option_string: str | None = None) -> None:
        namespace.lines = [*(namespace.lines or []), {"position": value}]


class Command(BaseCommand):
    help = "Write a credit note for parts of lines of an issued invoice; the charges stay as they are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", metavar="NUMBER")
        parser.add_argument(
            "--line", dest="lines", type=int, action=ALine, metavar="N", help="may be repeated; alone: all that is left"
        )
        parser.add_argument("--amount", type=figure, action=OfTheLine, help="net amount of the line before")
        parser.add_argument("--quantity", type=figure, action=OfTheLine, help="quantity of the line before")
        parser.add_argument("--percent", type=figure, action=OfTheLine, help="percentage of the line before")
        parser.add_argument("--reason", required=True, help="why; it is printed on the credit note")
        parser.add_argument("--on", type=date.fromisoformat, required=True, metavar="DAY", help="date of the document")
        parser.add_argument("--dry-run", action="store_true", help="say what would be issued, and write nothing")
        add_issuer_argument(parser)

    def handle(
        self,
        *,
        number: str,
        lines: list[dict[str, Any]] | None,
        reason: str,
        on: date,
        dry_run: bool,
        issuer: str | None,
        **options: Any,
    ) -> None:
        with translation.override(language_of_environment()):
            try:
                document = issued_document(number, issuer)
                correction.refuse_ahead(document.issued_on or on, on, today=timezone.localdate())
                wanted = [Wanted(**line) for line in lines or ()]
                if dry_run:
                    preview = correction.preview_credit(document.pk, wanted, on=on, reason=reason)
                    self.stdout.write(told(preview, document))
                    return
                made = Invoice.objects.get(pk=correction.credit(document.pk, wanted, on=on, reason=reason))
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from refusal
            self.stdout.write(_("%(made)s is issued; it corrects %(document)s.") % {"made": made, "document": document})
