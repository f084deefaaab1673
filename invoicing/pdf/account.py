"""An account statement as a letter: what was booked between two days, from the customer's side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from invoicing.einvoice.facts import PartyFacts
from invoicing.pdf import paper
from invoicing.pdf.letter import heading_context, letter_context, sheet
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording


@dataclass(frozen=True, slots=True)
class MovementFacts:
    """A booking as it is printed; ``account`` is whose, where the statement is of several."""

    day: date
    text: str
    account: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """A whole statement of one currency; ``first`` is ``None`` where it begins with the account."""

    first: date | None
    last: date
    language: str
    currency: str
    places: int
    seller: PartyFacts
    customer: PartyFacts
    opening: Decimal
    movements: tuple[MovementFacts, ...]
    closing: Decimal
    is_of_several: bool


def render(facts: AccountFacts, style: Style = PLAIN) -> bytes:
    """The statement in the customer's language; equal facts and style give equal bytes."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/account_statement.html", context_of(facts, wording, style))
        return paper.draw(html, {"movements": movements_table(facts, wording, style.colour)}, sheet(style))


def title() -> str:
    return _("Account statement")


def context_of(facts: AccountFacts, wording: Wording, style: Style) -> dict[str, Any]:
    count = len(facts.movements)
    days = {"last": wording.day(facts.last)}
    if facts.first is None:
        span = _("until %(last)s") % days
    else:
        span = wording.days(facts.first, facts.last)
    counted = ngettext("%(count)s movement", "%(count)s movements", count) % {"count": count}
    info = [(_("Period"), span), (_("Currency"), facts.currency), (_("Customer no."), facts.customer.reference)]
    return {
        **letter_context(facts.seller, facts.customer, wording, style),
        **heading_context(facts.seller, title(), title(), info),
        "opening": wording.money(facts.opening),
        "closing": wording.money(facts.closing),
        "total": wording.money(facts.closing - facts.opening),
        "counted": counted,
    }


def movements_table(facts: AccountFacts, wording: Wording, colour: str) -> list[Flowable]:
    amount = _("Amount") + " " + facts.currency
    if facts.is_of_several:
        grid = paper.Grid(
            [_("Date"), _("Text"), _("Account"), amount],
            [22 * mm, 74 * mm, 39 * mm, 30 * mm],
            right_from=3,
            colour=colour,
        )
    else:
        grid = paper.Grid([_("Date"), _("Text"), amount], [22 * mm, 113 * mm, 30 * mm], right_from=2, colour=colour)
    for one in facts.movements:
        account = [paper.plain(one.account, 37 * mm)] if facts.is_of_several else []
        width = 72 * mm if facts.is_of_several else 111 * mm
        grid.add([wording.day(one.day), paper.plain(one.text, width), *account, wording.amount(one.amount)])
    return [grid.table()] if facts.movements else []
