"""A letter about new prices: its facts in, the bytes of a PDF and the text of its e-mail out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from billing.kernel.repricing import places_of
from invoicing.einvoice.facts import PartyFacts
from invoicing.pdf import paper
from invoicing.pdf.letter import heading_context, letter_context, sheet
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording

WIDTHS = (28 * mm, 45 * mm, 20 * mm, 24 * mm, 24 * mm, 24 * mm)


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """A price of one contract that changes, a tier of it per entry; ``up_to``: the quantity the tier ends with.

    ``package``: how many units are sold together, where they are; the figures are then those of a package.
    """

    contract: str
    product: str
    interval: str  # in words: monthly
    is_per_unit: bool
    up_to: str
    effective_on: date
    currency: str
    places: int
    before: Decimal
    after: Decimal
    package: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """One letter about one account. With ``may_terminate`` it grants the right to terminate by the day of the change.

    ``account`` names whose contracts they are, where the letter goes to somebody else.
    """

    written_on: date
    language: str
    seller: PartyFacts
    customer: PartyFacts
    reason: str
    may_terminate: bool
    prices: tuple[PriceFacts, ...]
    account: str = ""


def render(facts: NoticeFacts, style: Style = PLAIN) -> bytes:
    """The letter in the customer's language; equal facts and style give equal bytes."""
    with translation.override(facts.language):
        wording = _wording(facts)
        html = render_to_string("invoicing/price_notice.html", _context(facts, wording, style))
        return paper.draw(html, {"prices": _table(facts, style.colour)}, sheet(style))


def cover_note(facts: NoticeFacts) -> tuple[str, str]:
    """Subject and plain text of the e-mail that brings the letter, in the customer's language."""
    with translation.override(facts.language):
        said = _sentences(facts, _wording(facts))
        subject = render_to_string("invoicing/mail/price_notice_subject.txt", said)
        return " ".join(subject.split()), render_to_string("invoicing/mail/price_notice_body.txt", said)


def file_title(facts: NoticeFacts) -> str:
    """What the attachment is called, without its ending."""
    with translation.override(facts.language):
        return _("New prices")


def _wording(facts: NoticeFacts) -> Wording:
    first = facts.prices[0]
    return Wording(facts.language, first.currency, first.places)


def _context(facts: NoticeFacts, wording: Wording, style: Style) -> dict[str, Any]:
    said = _sentences(facts, wording)
    info = [(_("Date"), wording.day(facts.written_on)), (_("Customer no."), facts.customer.reference)]
    if facts.account:
        info.append((_("Contracts of"), facts.account))
    return {
        **letter_context(facts.seller, facts.customer, wording, style),
        **heading_context(facts.seller, said["title"], said["title"], info),
        **said,
    }


def _sentences(facts: NoticeFacts, wording: Wording) -> dict[str, Any]:
    first = min(price.effective_on for price in facts.prices)
    is_one_day = all(price.effective_on == first for price in facts.prices)
    title = (
        _("New prices from %(day)s") % {"day": wording.day(first)} if is_one_day else _("New prices for your contracts")
    )
    return {
        "facts": facts,
        "title": title,
        "reason": facts.reason,
        "prices": [
            {
                "contract": price.contract,
                "name": _name(facts, price),
                "day": wording.day(price.effective_on),
                "before": _money(facts, price, price.before),
                "after": _money(facts, price, price.after),
            }
            for price in facts.prices
        ],
        "termination": _termination(facts, wording, first) if facts.may_terminate else "",
    }


def _termination(facts: NoticeFacts, wording: Wording, first: date) -> str:
    if all(price.effective_on == first for price in facts.prices):
        return _(
            "If you do not agree with the new prices, you may terminate the contracts concerned with effect from the"
            " end of %(day)s, without any other notice. Please write to us by that day."
        ) % {"day": wording.day(first - timedelta(days=1))}
    return _(
        "If you do not agree with a new price, you may terminate the contract concerned with effect from the end of the"
        " day before the change, without any other notice. Please write to us by that day."
    )


def _name(facts: NoticeFacts, price: PriceFacts) -> str:
    parts = [price.product, price.interval]
    wording = Wording(facts.language, price.currency, price.places)
    if price.is_per_unit and price.package:
        parts.append(_("per package of %(quantity)s") % {"quantity": wording.number(price.package)})
    elif price.is_per_unit:
        parts.append(_("per unit"))
    if price.up_to:
        bound = wording.number(Decimal(price.up_to))
        parts.append(_("up to %(quantity)s") % {"quantity": bound})
    return ", ".join(parts)


def _figure(facts: NoticeFacts, price: PriceFacts, figure: Decimal) -> str:
    places = max(price.places, places_of(price.before), places_of(price.after))
    return Wording(facts.language, price.currency, places).amount(figure)


def _money(facts: NoticeFacts, price: PriceFacts, figure: Decimal) -> str:
    return f"{_figure(facts, price, figure)}\N{NO-BREAK SPACE}{price.currency}"


def _table(facts: NoticeFacts, colour: str) -> list[Flowable]:
    head = [
        _("Contract"),
        _("Product"),
        _("New price from"),
        _("Price so far"),
        _("New price"),
        _("Difference"),
    ]
    wording = _wording(facts)
    grid = paper.Grid(head, list(WIDTHS), right_from=3, colour=colour)
    for price in facts.prices:
        grid.add(
            [
                paper.plain(price.contract, WIDTHS[0] - 2 * mm),
                paper.plain(_name(facts, price), WIDTHS[1] - 2 * mm),
                wording.day(price.effective_on),
                _money(facts, price, price.before),
                _money(facts, price, price.after),
                _money(facts, price, price.after - price.before),
            ]
        )
    return [grid.table()]
