"""An invoice, credit note or cancellation as a letter: its facts in, the bytes of a PDF out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from invoicing.einvoice.facts import (
    DocumentFacts,
    Kind,
)
from invoicing.pdf import paper
from invoicing.pdf.amounts import in_books, notices, payment, totals
from invoicing.pdf.contracts import contracts_table
from invoicing.pdf.letter import address, heading_context, letter_context, listed, sheet
from invoicing.pdf.lines import lines_table
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.usage import usage_statements
from invoicing.pdf.wording import Wording


def render(facts: DocumentFacts, style: Style = PLAIN) -> bytes:
    """The document in its own language; equal facts and style give equal bytes. Without a number it is a draft."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/document.html", context_of(facts, wording, style))
        slots = {
            "lines": lines_table(facts, wording, style.colour),
            "contracts": contracts_table(facts, wording, style.colour),
            "usage": usage_statements(facts, wording, style.colour),
        }
        return paper.draw(html, slots, sheet(style, "" if facts.number else _("DRAFT")))


def cover_note(facts: DocumentFacts, style: Style = PLAIN) -> tuple[str, str]:
    """Subject and plain text of the e-mail that brings the document, in its language."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        said = {
            "facts": facts,
            "title": title_of(facts.kind),
            "on": wording.day(facts.issued_on),
            "gross": wording.money(facts.gross),
            "payment": payment(facts, wording),
            "original": facts.original
            and {"number": facts.original.number, "on": wording.day(facts.original.issued_on)},
        }
        subject = render_to_string("invoicing/mail/document_subject.txt", said)
        body = render_to_string("invoicing/mail/document_body.txt", said)
        return style.said(facts.kind, facts.language).mail(values_of(facts, wording), subject, body)


def values_of(facts: DocumentFacts, wording: Wording) -> dict[str, str]:
    """What stands for the placeholders of the issuer's own texts (``kernel.letter_texts``)."""
    contracts = list(dict.fromkeys(line.contract for line in facts.lines if line.contract))
    return {
        "customer": facts.buyer.name,
        "issuer": facts.seller.name,
        "issued_on": wording.day(facts.issued_on),
        "number": facts.number or _("draft"),
        "due_on": wording.day(facts.due_on) if facts.due_on else "",
        "net": wording.money(facts.net),
        "gross": wording.money(facts.gross),
        "contract": listed(contracts),
        "original": facts.original.number if facts.original else "",
    }


def title_of(kind: Kind) -> str:
    """The document's title in the active language; never "Gutschrift", which in VAT law is self-billing."""
    match kind:
        case Kind.INVOICE:
            return _("Invoice")
        case Kind.CREDIT_NOTE:
            return _("Credit note")
        case Kind.CANCELLATION:
            return _("Cancellation invoice")


def context_of(facts: DocumentFacts, wording: Wording, style: Style) -> dict[str, Any]:
    title = title_of(facts.kind)
    heading, running = (f"{title} {facts.number}",) * 2 if facts.number else (title, f"{title} ({_('draft')})")
    return {
        **letter_context(facts.seller, facts.buyer, wording, style),
        **style.said(facts.kind, facts.language).paragraphs(values_of(facts, wording)),
        **heading_context(facts.seller, heading, running, info(facts, wording)),
        "facts": facts,
        "original": original(facts, wording),
        "totals": totals(facts, wording),
        "notices": [*notices(facts), *in_books(facts, wording)],
        "payment": payment(facts, wording),
        "payer": facts.payer and ", ".join(address(facts.payer, facts.seller, wording)),
    }


def original(facts: DocumentFacts, wording: Wording) -> dict[str, str] | None:
    if facts.original is None:
        return None
    return {"number": facts.original.number, "on": wording.day(facts.original.issued_on)}


def info(facts: DocumentFacts, wording: Wording) -> Iterator[tuple[str, str]]:
    """The block beside the address: label and value."""
    lines = list(facts.lines)
    yield (_("Number"), facts.number or _("draft"))
    yield (_("Date"), wording.day(facts.issued_on))
    if lines:
        first, last = min(line.starts_on for line in lines), max(line.last_day for line in lines)
        yield (_("Service period"), wording.days(first, last))
    if facts.kind is Kind.INVOICE and facts.due_on:
        yield (_("Due on"), wording.day(facts.due_on))
    yield (_("Customer no."), facts.buyer.reference)
    yield (_("Your VAT ID"), facts.buyer.vat_id)
    yield (_("Your order"), facts.po_number)
    yield (_("Your project"), facts.project_code)
