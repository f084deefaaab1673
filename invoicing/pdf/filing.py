"""Issued documents -> their PDF and, of an e-invoice, its XML, made once and kept together."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from invoicing.einvoice.facts import DocumentFacts
from invoicing.einvoice.reading import facts_of
from invoicing.einvoice.writing import written
from invoicing.models import DocumentFile, Invoice, JournalEntry, Verdict
from invoicing.models.invoice import InvoiceQuerySet
from invoicing.pdf import troubles
from invoicing.pdf.document import render
from invoicing.pdf.pdfa import with_einvoice
from invoicing.pdf.style import Style, style_of, styles_of
from tenants import files
from tenants.errors import OperatorError
from tenants.models import File, Tenant

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)  # after which a document without a PDF is no longer just waiting for a worker
CHUNK = 20  # documents of one transaction: what a killed worker has to do again


def render_document(invoice_id: int) -> File:
    """The PDF of an issued document: made now, or the one that was made before.

    Raises ``UnprintableText`` if a text has a character that the fonts lack, ``Invoice.DoesNotExist`` for a draft.
    """
    with transaction.atomic():
        invoice = Invoice.objects.issued().select_for_update(no_key=True, of=("self",)).get(pk=invoice_id)
        made = DocumentFile.objects.filter(invoice=invoice, kind=DocumentFile.Kind.PDF).select_related("file").first()
        if made:
            return made.file
        (facts,) = facts_of([invoice.pk])
        return keep(invoice, facts, style_of(invoice.issuer_id))


def preview(invoice_id: int) -> bytes:
    """The PDF of a document in any state, for looking at; a draft has no number and is marked as one. Keeps nothing."""
    issuer = Invoice.objects.values_list("issuer", flat=True).get(pk=invoice_id)
    (facts,) = facts_of([invoice_id])
    return render(facts, style_of(issuer))


def render_pending(limit: int) -> int:
    """Make at most ``limit`` PDFs of issued documents that have none; returns how many. Any number may do so at once.

    One document's trouble stops no other: it is logged, stays without a file, and rests before it is tried again;
    ``render_document`` does so at once.
    """
    made = after = 0
    while made < limit:
        with transaction.atomic():
            claimed = list(pending().filter(pk__gt=after)[: min(CHUNK, limit - made)])
            if not claimed:
                break
            after = claimed[-1].pk
            claimed = unmade(claimed)
            styles = styles_of(invoice.issuer_id for invoice in claimed)
            for invoice, facts in zip(claimed, facts_of([invoice.pk for invoice in claimed]), strict=True):
                made += made_or_logged(invoice, facts, styles[invoice.issuer_id])
    return made


def overdue(now: datetime) -> InvoiceQuerySet:
    """Issued documents that should have had their PDF by ``now``: something is in the way, and somebody has to look."""
    booked = JournalEntry.objects.filter(
        invoice=OuterRef("pk"), kind=JournalEntry.Kind.ISSUE, created_at__lt=now - PATIENCE
    )
    return Invoice.objects.issued().unprinted().filter(Exists(booked))


def waiting() -> QuerySet[Invoice]:
    """The in-tray: issued documents without a PDF, but for those that failed a short while ago."""
    return troubles.rested(Invoice.objects.issued().unprinted())


def pending() -> QuerySet[Invoice]:
    """Those of them that no other worker holds, until the transaction ends."""
    return waiting().select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("pk")


def unmade(claimed: Sequence[Invoice]) -> list[Invoice]:
    """Those that still have no PDF now that they are ours: another worker may have made it while we chose."""
    made = DocumentFile.objects.filter(invoice__in=claimed, kind=DocumentFile.Kind.PDF)
    done = set(made.values_list("invoice_id", flat=True))
    return [invoice for invoice in claimed if invoice.pk not in done]


def made_or_logged(invoice: Invoice, facts: DocumentFacts, style: Style) -> bool:
    try:
        with transaction.atomic():
            keep(invoice, facts, style)
    except OperatorError as refusal:
        logger.error("A document cannot be printed.", extra={"invoice": invoice.pk, "reason": str(refusal)})
        troubles.note(invoice, str(refusal))
    except OSError:  # no fault of the document's: the next one would find the disk just as full
        raise
    except Exception as error:
        logger.exception("Printing a document failed.", extra={"invoice": invoice.pk})
        troubles.note(invoice, type(error).__name__)
    else:
        return True
    return False


def keep(invoice: Invoice, facts: DocumentFacts, style: Style) -> File:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", facts.number or "")
    path = f"documents/{invoice.issuer_id}/{facts.issued_on:%Y}/{name}.pdf"
    paper = render(facts, style)
    if invoice.format != Tenant.DocumentFormat.PDF:
        xml = written(facts)
        if invoice.format == Tenant.DocumentFormat.ZUGFERD:
            paper = with_einvoice(paper, xml, language=facts.language, on=facts.issued_on)
        kept = files.store(path.removesuffix("pdf") + "xml", xml, content_type="application/xml")
        verdict = Verdict.objects.filter(content_hash=invoice.content_hash, passed=True).order_by("pk").first()
        DocumentFile.objects.create(invoice=invoice, kind=DocumentFile.Kind.XML, file=kept, verdict=verdict)
    file = files.store(path, paper, content_type="application/pdf")
    DocumentFile.objects.create(invoice=invoice, kind=DocumentFile.Kind.PDF, file=file)
    return file
