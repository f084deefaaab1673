"""A reminder as a letter: its facts in, the bytes of a PDF and the text of its e-mail out."""

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
from invoicing.pdf.letter import bank_lines, heading_context, letter_context, listed, sheet
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording


@dataclass(frozen=True, slots=True)
class OverdueFacts:
    """A document whose due day has passed. ``open`` is what is still to be paid of ``total``."""

    number: str
    issued_on: date
    due_on: date
    days_overdue: int
    total: Decimal
    open: Decimal


@dataclass(frozen=True, slots=True)
class ReminderFacts:
    """One letter to one payer, in one currency. Level 0 is a friendly reminder; no further one follows the last."""

    level: int
    is_last: bool
    written_on: date
    pay_by: date
    currency: str
    places: int
    language: str
    seller: PartyFacts
    payer: PartyFacts
    items: tuple[OverdueFacts, ...]
    fee: Decimal = Decimal(0)

    @property
    def overdue(self) -> Decimal:
        """Sum of what is open."""
        return sum((item.open for item in self.items), Decimal(0))

    @property
    def total(self) -> Decimal:
        """What the letter asks for: everything open and the fee."""
        return self.overdue + self.fee


def render(facts: ReminderFacts, style: Style = PLAIN) -> bytes:
    """The letter in the payer's language; equal facts and style give equal bytes."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("payments/reminder.html", context_of(facts, wording, style))
        return paper.draw(html, {"items": items_table(facts, wording, style.colour)}, sheet(style))


def cover_note(facts: ReminderFacts, style: Style = PLAIN) -> tuple[str, str]:
    """Subject and plain text of the e-mail that brings the letter, in the payer's language."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        said = sentences(facts, wording)
        subject = render_to_string("payments/mail/reminder_subject.txt", said)
        body = render_to_string("payments/mail/reminder_body.txt", said)
        return style.said(kind_of(facts), facts.language).mail(values_of(facts, wording), subject, body)


def kind_of(facts: ReminderFacts) -> str:
    """Of ``LetterText``."""
    if facts.level == 0:
        return "first_reminder"
    return "last_reminder" if facts.is_last else "reminder"


def values_of(facts: ReminderFacts, wording: Wording) -> dict[str, str]:
    """What stands for the placeholders of the issuer's own texts."""
    return {
        "customer": facts.payer.name,
        "issuer": facts.seller.name,
        "issued_on": wording.day(facts.written_on),
        "number": listed([item.number for item in facts.items]),
        "due_on": wording.day(facts.pay_by),
        "total": wording.money(facts.total),
        "level": str(facts.level),
    }


def title_of(level: int, *, is_last: bool) -> str:
    if level == 0:
        return _("Payment reminder")
    if is_last:
        return _("Final reminder")
    return _("Reminder no. %(level)s") % {"level": level}


def context_of(facts: ReminderFacts, wording: Wording, style: Style) -> dict[str, Any]:
    said = sentences(facts, wording)
    info = [
        (_("Date"), wording.day(facts.written_on)),
        (_("Customer no."), facts.payer.reference),
        (_("Pay by"), wording.day(facts.pay_by)),
    ]
    return {
        **letter_context(facts.seller, facts.payer, wording, style),
        **style.said(kind_of(facts), facts.language).paragraphs(values_of(facts, wording)),
        **heading_context(facts.seller, said["title"], said["title"], info),
        **said,
    }


def sentences(facts: ReminderFacts, wording: Wording) -> dict[str, Any]:
    numbers = listed([item.number for item in facts.items])
    demand = {"amount": wording.money(facts.total), "day": wording.day(facts.pay_by)}
    return {
        "facts": facts,
        "title": title_of(facts.level, is_last=facts.is_last),
        "opening": opening(facts),
        "items": [
            {
                "number": item.number,
                "due_on": wording.day(item.due_on),
                "days": item.days_overdue,
                "open": wording.money(item.open),
            }
            for item in facts.items
        ],
        "overdue": wording.money(facts.overdue),
        "fee": wording.money(facts.fee) if facts.fee else "",
        "total": wording.money(facts.total),
        "demand": _("Please pay %(amount)s by %(day)s.") % demand,
        "bank": bank_lines(facts.seller, numbers),
        "warning": warning(facts),
    }


def opening(facts: ReminderFacts) -> str:
    if facts.level == 0:
        return _("You may have overlooked that the following invoices are due.")
    if facts.is_last:
        return _("In spite of our earlier reminders we have not received payment of the following invoices.")
    return _("We have not yet received payment of the following invoices, although they are overdue.")


def warning(facts: ReminderFacts) -> str:
    if facts.is_last:
        return _("If we do not receive your payment by then, we will pursue our claim in court without further notice.")
    return ""


def items_table(facts: ReminderFacts, wording: Wording, colour: str) -> list[Flowable]:
    head = [
        _("Invoice"),
        _("Invoice date"),
        _("Due on"),
        _("Days overdue"),
        _("Invoice total"),
        _("Open %(currency)s") % {"currency": facts.currency},
    ]
    grid = paper.Grid(head, [36 * mm, 28 * mm, 26 * mm, 20 * mm, 30 * mm, 25 * mm], right_from=3, colour=colour)
    for item in facts.items:
        grid.add(
            [
                paper.plain(item.number, 34 * mm),
                wording.day(item.issued_on),
                wording.day(item.due_on),
                str(item.days_overdue),
                wording.amount(item.total),
                wording.amount(item.open),
            ]
        )
    return [grid.table()]
