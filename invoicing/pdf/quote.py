"""An offer to change a contract, as a letter: what changes, what it costs, until when it can be accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from invoicing.einvoice.facts import PartyFacts
from invoicing.pdf import paper
from invoicing.pdf.letter import heading_context, letter_context, sheet
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording


@dataclass(frozen=True, slots=True)
class QuotedFacts:
    """A line that the change adds to the next invoice."""

    text: str
    quantity: Decimal
    unit: str
    first: date
    last: date
    net: Decimal


@dataclass(frozen=True, slots=True)
class QuoteFacts:
    """A whole offer; money is net, in ``currency``. The total value of a contract without an end is ``None``."""

    written_on: date
    valid_until: date
    language: str
    currency: str
    places: int
    seller: PartyFacts
    customer: PartyFacts
    contract: str
    change: tuple[str, ...]  # lines, in the language of the offer
    effective_on: date
    lines: tuple[QuotedFacts, ...]
    billed_through: date
    difference: Decimal  # of what is billed through that day, with the change less without
    monthly: tuple[Decimal, Decimal]  # before, afterwards
    total_value: tuple[Decimal, Decimal] | None


def render(facts: QuoteFacts, style: Style = PLAIN) -> bytes:
    """The offer in the customer's language; equal facts and style give equal bytes."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/quote.html", _context(facts, wording, style))
        slots = {"lines": _lines(facts, wording, style.colour), "values": _values(facts, wording, style.colour)}
        return paper.draw(html, slots, sheet(style))


def _context(facts: QuoteFacts, wording: Wording, style: Style) -> dict[str, Any]:
    heading = _("Quote for contract %(contract)s") % {"contract": facts.contract}
    info = [
        (_("Date"), wording.day(facts.written_on)),
        (_("Valid until"), wording.day(facts.valid_until)),
        (_("Contract"), facts.contract),
        (_("Customer no."), facts.customer.reference),
    ]
    days = {"day": wording.day(facts.effective_on)}
    return {
        **letter_context(facts.seller, facts.customer, wording, style),
        **heading_context(facts.seller, heading, heading, info),
        "opening": _("We gladly offer you to change your contract as follows, with effect from %(day)s:") % days,
        "change": facts.change,
        "difference": wording.money(facts.difference),
        "through": wording.day(facts.billed_through),
        "until": wording.day(facts.valid_until),
    }


def _lines(facts: QuoteFacts, wording: Wording, colour: str) -> list[Flowable]:
    if not facts.lines:
        return []
    head = [_("Service"), _("Service period"), _("Quantity"), _("Amount") + " " + facts.currency]
    grid = paper.Grid(head, [72 * mm, 43 * mm, 24 * mm, 26 * mm], right_from=2, colour=colour)
    for line in facts.lines:
        days = wording.days(line.first, line.last)
        quantity = wording.quantity(line.quantity, line.unit)
        grid.add([paper.plain(line.text, 70 * mm), days, quantity, wording.amount(line.net)])
    return [grid.table()]


def _values(facts: QuoteFacts, wording: Wording, colour: str) -> list[Flowable]:
    head = [_("Value of the contract, net"), _("so far"), _("afterwards"), _("Difference")]
    grid = paper.Grid(head, [66 * mm, 33 * mm, 33 * mm, 33 * mm], right_from=1, colour=colour)
    rows = [(_("per month"), facts.monthly)]
    if facts.total_value:
        rows.append((_("over the whole term"), facts.total_value))
    for label, (before, after) in rows:
        grid.add([label, *(wording.money(figure) for figure in (before, after, after - before))])
    return [grid.table()]
