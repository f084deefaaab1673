"""A collective statement as a letter: what a payer has to pay for documents that went to several recipients."""

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

from invoicing.einvoice.facts import Collection, PartyFacts
from invoicing.pdf import paper
from invoicing.pdf.letter import bank_lines, heading_context, letter_context, sheet
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording

KIND = "statement"  # of LetterText


@dataclass(frozen=True, slots=True)
class CollectedFacts:
    """A document on the statement. ``recipient`` is whom it went to."""

    number: str
    recipient: str
    issued_on: date
    due_on: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """A whole statement; ``total`` is the sum of its entries, in favour of the payer if negative."""

    reference: str
    issued_on: date
    due_on: date
    language: str
    currency: str
    places: int
    collection: Collection
    seller: PartyFacts
    payer: PartyFacts
    entries: tuple[CollectedFacts, ...]
    total: Decimal


def render(facts: StatementFacts, style: Style = PLAIN) -> bytes:
    """The statement in the payer's language; equal facts and style give equal bytes."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/statement.html", context_of(facts, wording, style))
        return paper.draw(html, {"entries": entries_table(facts, wording, style.colour)}, sheet(style))


def cover_note(facts: StatementFacts, style: Style = PLAIN) -> tuple[str, str]:
    """Subject and plain text of the e-mail that brings the statement, in the payer's language."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        said = {
            "facts": facts,
            "title": title(),
            "on": wording.day(facts.issued_on),
            "total": wording.money(facts.total),
            "payment": payment(facts, wording),
        }
        subject = render_to_string("invoicing/mail/statement_subject.txt", said)
        body = render_to_string("invoicing/mail/statement_body.txt", said)
        return style.said(KIND, facts.language).mail(values_of(facts, wording), subject, body)


def values_of(facts: StatementFacts, wording: Wording) -> dict[str, str]:
    """What stands for the placeholders of the issuer's own texts."""
    return {
        "customer": facts.payer.name,
        "issuer": facts.seller.name,
        "issued_on": wording.day(facts.issued_on),
        "number": facts.reference,
        "due_on": wording.day(facts.due_on),
        "total": wording.money(facts.total),
    }


def title() -> str:
    return _("Collective statement")


def context_of(facts: StatementFacts, wording: Wording, style: Style) -> dict[str, Any]:
    heading = f"{title()} {facts.reference}"
    count = len(facts.entries)
    opening = ngettext(
        "You pay for the following document. It went to its recipient; this statement is no invoice.",
        "You pay for the following %(count)s documents. They went to their recipients; this statement is no invoice.",
        count,
    )
    info = [
        (_("Number"), facts.reference),
        (_("Date"), wording.day(facts.issued_on)),
        (_("Due on"), wording.day(facts.due_on)),
        (_("Customer no."), facts.payer.reference),
    ]
    return {
        **letter_context(facts.seller, facts.payer, wording, style),
        **style.said(KIND, facts.language).paragraphs(values_of(facts, wording)),
        **heading_context(facts.seller, heading, heading, info),
        "opening": opening % {"count": count},
        "total": wording.money(facts.total),
        "payment": payment(facts, wording),
    }


def payment(facts: StatementFacts, wording: Wording) -> list[str]:
    """What the payer has to do: one amount for all."""
    values = {"amount": wording.money(facts.total), "day": wording.day(facts.due_on)}
    if facts.total <= 0:
        return [_("Nothing is to be paid: the documents are set off against each other.")]
    match facts.collection:
        case Collection.DIRECT_DEBIT:
            return [_("We will collect %(amount)s on %(day)s by SEPA direct debit from your account.") % values]
        case Collection.CARD:
            return [_("We will charge %(amount)s on %(day)s to the card you have stored with us.") % values]
        case Collection.INVOICE:
            term = _("Please pay %(amount)s in one amount by %(day)s without deduction.") % values
            return [term, *bank_lines(facts.seller, facts.reference)]


def entries_table(facts: StatementFacts, wording: Wording, colour: str) -> list[Flowable]:
    head = [
        _("Pos."),
        _("Document"),
        _("Recipient"),
        _("Date"),
        _("Due on"),
        _("Amount") + " " + facts.currency,
    ]
    grid = paper.Grid(head, [11 * mm, 34 * mm, 53 * mm, 21 * mm, 21 * mm, 25 * mm], right_from=3, colour=colour)
    for position, entry in enumerate(facts.entries, 1):
        grid.add(
            [
                str(position),
                paper.plain(entry.number, 32 * mm),
                paper.plain(entry.recipient, 51 * mm),
                wording.day(entry.issued_on),
                wording.day(entry.due_on),
                wording.amount(entry.amount),
            ]
        )
    return [grid.table()]
