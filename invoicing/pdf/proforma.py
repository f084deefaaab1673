"""What the next invoice will be, as a letter that cannot be taken for one: no number, no VAT shown, no demand."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from invoicing.einvoice.facts import DocumentFacts
from invoicing.pdf import paper
from invoicing.pdf.amounts import allowance_label
from invoicing.pdf.letter import heading_context, letter_context, sheet
from invoicing.pdf.lines import lines_table
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording


def render(facts: DocumentFacts, style: Style = PLAIN) -> bytes:
    """A draft as pro forma invoice, in its own language; equal facts and style give equal bytes.

    It shows no amount of VAT by itself: whoever shows it, owes it (§ 14c (2) UStG).
    """
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/proforma.html", _context(facts, wording, style))
        return paper.draw(html, {"lines": lines_table(facts, wording, style.colour)}, sheet(style, _("PRO FORMA")))


def title() -> str:
    return _("Pro forma invoice")


def _context(facts: DocumentFacts, wording: Wording, style: Style) -> dict[str, Any]:
    info = [
        (_("Expected on"), wording.day(facts.issued_on)),
        (_("Customer no."), facts.buyer.reference),
        (_("Your order"), facts.po_number),
        (_("Your project"), facts.project_code),
    ]
    return {
        **letter_context(facts.seller, facts.buyer, wording, style),
        **heading_context(facts.seller, title(), title(), info),
        "opening": _("This is what we expect to invoice on %(day)s as things stand.")
        % {"day": wording.day(facts.issued_on)},
        "allowances": [(allowance_label(one, facts, wording), wording.money(-one.amount)) for one in facts.allowances],
        "net": wording.money(facts.net),
        "gross": wording.money(facts.gross),
    }
