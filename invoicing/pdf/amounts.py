"""Totals, notices and what is to be paid, as a document says them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from invoicing.einvoice.facts import (
    AllowanceFacts,
    Collection,
    DocumentFacts,
    Kind,
    VatShareFacts,
)
from invoicing.pdf.letter import bank_lines
from invoicing.pdf.wording import Wording


def totals(facts: DocumentFacts, wording: Wording) -> dict[str, Any]:
    taxed = [share for share in facts.vat if share.vat or share.category == "S"]
    return {
        "lines": wording.money(facts.net + sum((one.amount for one in facts.allowances), Decimal(0))),
        "allowances": [(allowance_label(one, facts, wording), wording.money(-one.amount)) for one in facts.allowances],
        "net": wording.money(facts.net),
        "shares": [(share_label(share, wording), wording.money(share.vat)) for share in taxed],
        "untaxed": [
            (_("Not taxed (see note)"), wording.money(share.base))
            for share in facts.vat
            if share not in taxed and len(facts.vat) > 1
        ],
        "no_vat": not taxed,
        "gross": wording.money(facts.gross),
        "label": _("Invoice total") if facts.kind is Kind.INVOICE else _("Total amount"),
        "in_your_favour": wording.money(-facts.gross) if facts.gross < 0 else "",
    }


def allowance_label(allowance: AllowanceFacts, facts: DocumentFacts, wording: Wording) -> str:
    """Name and percentage; where the document has several rates, also the one whose lines it lowers."""
    label = allowance.reason
    if allowance.percent is not None and (shown := wording.percent(allowance.percent)) not in label:
        label += f" ({shown})"
    if len(facts.vat) > 1:
        label += " · " + _("VAT") + " " + wording.percent(allowance.vat_rate)
    return label


def share_label(share: VatShareFacts, wording: Wording) -> str:
    values = {"rate": wording.percent(share.rate), "base": wording.money(share.base)}
    return _("VAT %(rate)s on %(base)s") % values


def notices(facts: DocumentFacts) -> Iterator[str]:
    """Why no VAT is shown: both languages where the law wants the German words (§ 14a (5) UStG)."""
    for share in facts.vat:
        if share.category == "S":
            continue
        if share.category == "AE":
            yield share.notice or "Steuerschuldnerschaft des Leistungsempfängers / Reverse charge"
            yield _("VAT ID of the supplier: %(seller)s. VAT ID of the recipient: %(buyer)s.") % {
                "seller": facts.seller.vat_id,
                "buyer": facts.buyer.vat_id,
            }
        elif share.category == "O":
            yield share.notice or "Nicht im Inland steuerbare Leistung / Not subject to German VAT"
        else:
            yield share.notice


def in_books(facts: DocumentFacts, wording: Wording) -> Iterator[str]:
    """The VAT of a document in another currency in the issuer's own, and the rate it follows from (§ 16 (6) UStG)."""
    if (kept := facts.in_books) is not None and kept.vat:
        yield _("VAT in %(base)s: %(vat)s (%(rate)s %(currency)s for 1 %(base)s, %(source)s, %(day)s).") % {
            "base": kept.currency,
            "vat": wording.figure(kept.vat, kept.places),
            "rate": wording.number(kept.rate),
            "currency": facts.currency,
            "source": kept.source,
            "day": wording.day(kept.rate_on),
        }


def payment(facts: DocumentFacts, wording: Wording) -> list[str]:
    """What the payer has to do, or need not do."""
    values = {
        "amount": wording.money(facts.gross),
        "day": wording.day(facts.due_on) if facts.due_on else "",
        "days": facts.payment_days,
    }
    if facts.kind is not Kind.INVOICE:
        return [_("We set this amount off against your open invoices. You need not do anything.")]
    if facts.gross == 0:
        return [_("Nothing is to be paid.")]
    match facts.collection:
        case Collection.DIRECT_DEBIT:
            if facts.mandate_reference and facts.debited_iban and facts.collect_on:
                values |= {"day": wording.day(facts.collect_on), "tail": facts.debited_iban[-4:]}
                debit = _("We will collect %(amount)s on %(day)s by SEPA direct debit from your account …%(tail)s.")
            else:
                debit = _("We will collect %(amount)s on %(day)s by SEPA direct debit from your account.")
            said = [debit % values]
            if facts.mandate_reference:
                mandate = {"creditor": facts.creditor_id, "mandate": facts.mandate_reference}
                said.append(_("Creditor identifier %(creditor)s, mandate %(mandate)s.") % mandate)
            return said
        case Collection.CARD:
            return [_("We will charge %(amount)s on %(day)s to the card you have stored with us.") % values]
        case Collection.INVOICE:
            if facts.payment_days:
                term = _("Please pay %(amount)s by %(day)s (%(days)s days net) without deduction.")
            else:
                term = _("Please pay %(amount)s by %(day)s without deduction.")
            return [term % values, *bank_lines(facts.seller, facts.number or "")]
