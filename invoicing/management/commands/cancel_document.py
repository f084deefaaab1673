"""Cancel an issued document: `cancel_document RE-2026-00001 --reason "Falsche Menge" --on 2026-02-10`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from invoicing import correction
from invoicing.models import Invoice
from tenants.errors import OperatorError
from tenants.terminal import add_issuer_argument, issuer_from, language_of_environment


class Command(BaseCommand):
    help = "Cancel an issued document by a document of its own; its days are due again for the next bill run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", metavar="NUMBER")
        parser.add_argument("--reason", required=True, help="why; it is printed on the cancellation")
        parser.add_argument("--on", type=date.fromisoformat, required=True, metavar="DAY", help="date of the document")
        parser.add_argument("--bill-again", action="store_true", help="propose its days anew at once, as a draft")
        parser.add_argument("--dry-run", action="store_true", help="say what would be issued, and write nothing")
        add_issuer_argument(parser)

    def handle(
        self, *, number: str, reason: str, on: date, bill_again: bool, dry_run: bool, issuer: str | None, **options: Any
    ) -> None:
        with translation.override(language_of_environment()):
            try:
                document = issued_document(number, issuer)
                correction.refuse_ahead(document.issued_on or on, on, today=timezone.localdate())
                if dry_run:
                    preview = correction.preview_cancellation(document.pk, on=on, reason=reason)
                    self.stdout.write(told(preview, document))
                    return
                if bill_again:
                    run = correction.bill_again(document, on=on, reason=reason)
                    self.stdout.write(_("%(document)s is cancelled.") % {"document": document})
                    for draft in run.invoices.order_by("pk"):
                        self.stdout.write(f"{draft} {draft.net.amount:.2f} {draft.currency}")
                    return
                made = Invoice.objects.get(pk=correction.cancel([document.pk], on=on, reason=reason)[0])
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from refusal
            self.stdout.write(_("%(made)s is issued; it corrects %(document)s.") % {"made": made, "document": document})


def issued_document(number: str, issuer: str | None) -> Invoice:
    """The document with that number, of the issuer named or the only one. Raises ``OperatorError`` if there is none."""
    found = Invoice.objects.filter(issuer=issuer_from(issuer), number=number).select_related("issuer", "payer", "run")
    document = found.first()
    if document is None:
        raise OperatorError(_("There is no document %s.") % number)
    return document


def told(preview: correction.Preview, document: Invoice) -> str:
    """What would be issued, in a line."""
    facts = preview.facts
    words = {"net": facts.net, "vat": facts.vat_total, "gross": facts.gross, "currency": facts.currency}
    line = _("%(document)s would be corrected by: net %(net)s, VAT %(vat)s, gross %(gross)s %(currency)s.") % {
        **words,
        "document": document,
    }
    return f"{line} {_('Another person must approve it.')}" if preview.needs_approval else line
