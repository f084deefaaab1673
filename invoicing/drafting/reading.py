"""What the documents of a chunk need beyond their charges: accounts, products, discounts, what is corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging import Proposal, Proposed
from invoicing import allowances, book_vat, former_vat, grouping, parties
from invoicing.models import Invoice, Line
from invoicing.parties import Accounts
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer

INVOICES, LINES = table_of(Invoice), table_of(Line)


class StandsOnADraft(OperatorError):
    """What is to be taken back was never issued: a correction could not name its document."""


class CreditedByHand(OperatorError):
    """What a contract gives back was given back by hand already, in whole or too large a part."""


class Product(NamedTuple):
    name_de: str
    name_en: str
    unit: str
    tax_category: str
    reference: str


@dataclass(slots=True)
class Facts(Accounts):
    """What the documents of a chunk need beyond their charges."""

    products: dict[int, Product] = field(default_factory=dict)
    discounts: dict[str, tuple[str, str]] = field(default_factory=dict)  # names in German and English, by reference
    exchange_rates: dict[str, book_vat.Rate] = field(default_factory=dict)  # of the day, by currency
    # by the charge that is given back
    originals: dict[int, grouping.Original] = field(default_factory=dict)
    former_vat: dict[int, former_vat.Former] = field(default_factory=dict)
    former_rates: dict[int, book_vat.Rate] = field(default_factory=dict)  # where it is not that of the day
    document_discounts: allowances.Discounts = field(default_factory=allowances.Discounts)


def facts_for(issuer: Issuer, charges: Sequence[Proposed], *, issue_on: date) -> Facts:
    """Raises ``StandsOnADraft`` or ``CreditedByHand`` naming the contract that gives something back."""
    corrected = {key: charge for charge in charges if (key := charge.due.corrects or charge.due.reverses)}
    originals, undecided = grouping.read_originals(corrected) if corrected else ({}, [])
    named = grouping.accounts_of(charge.position.contract for charge in charges)
    named |= {key for original in originals.values() for key in (original.recipient, original.payer)}
    known = parties.read_accounts(named)
    facts = Facts(known.accounts, known.vat_checks, known.mandates, originals=originals)
    facts.products = _read_products({charge.position.product for charge in charges})
    discounts = {step[3] for charge in charges for step in charge.due.trace.get("discounts", ())}
    if discounts:
        facts.discounts = _read_discounts(discounts)
    for key in undecided:
        raise StandsOnADraft(
            _("Contract %(contract)s: what is to be taken back stands on a draft of %(day)s; issue or discard it.")
            % {"contract": corrected[key].position.contract.reference, "day": originals[key].issued_on}
        )
    if corrected:
        _refuse_credited_by_hand(charges, list(corrected))
    contracts = {charge.position.contract.key: charge.position.contract for charge in charges}
    payers = {grouping.payer_of(one, facts.accounts[one.tenant]) for one in contracts.values()}
    facts.document_discounts = allowances.read(contracts, payers, corrected)
    facts.exchange_rates = book_vat.rates_of(issuer, {one.currency for one in contracts.values()}, on=issue_on)
    facts.former_vat = former_vat.read(originals)
    foreign = [key for key, charge in corrected.items() if charge.position.contract.currency != issuer.currency]
    facts.former_rates = {
        key: rate
        for key, rate in book_vat.former_rates(foreign).items()
        if rate != facts.exchange_rates.get(corrected[key].position.contract.currency)
    }
    return facts


def payers_of_corrected(proposal: Proposal) -> set[int]:
    """Who pays the documents of which ``proposal`` gives something back; a query only where it does."""
    corrected = [key for charge in proposal.charges if (key := charge.due.corrects or charge.due.reverses)]
    if not corrected:
        return set()
    originals, _undecided = grouping.read_originals(corrected)
    return {original.payer for original in originals.values()}


def _refuse_credited_by_hand(charges: Sequence[Proposed], corrected: Sequence[int]) -> None:
    """Raises ``CreditedByHand`` naming the credit notes that left less of a line than its contract gives back."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select l.charge_id, l.net + kontor_credited(l.id), string_agg(distinct d.number, ', ')
              from {LINES} l join {LINES} c on c.corrects_id = l.id join {INVOICES} d on d.id = c.invoice_id
             where l.charge_id = any(%s) and not kontor_is_cancelled(d.id)
             group by l.id having kontor_credited_by_hand(l.id) <> 0
            """,
            [list(corrected)],
        )
        left = {charge: (net, numbers) for charge, net, numbers in cursor.fetchall()}
    for charge in charges if left else ():
        due = charge.due
        net, numbers = left.get(due.corrects or due.reverses or 0, (None, ""))
        if net is None:
            continue
        if due.reverses is not None or net + due.net < 0:
            raise CreditedByHand(
                _(
                    "Contract %(contract)s: what is to be taken back was credited by hand, by %(numbers)s. Cancel that"
                    " credit note first."
                )
                % {"contract": charge.position.contract.reference, "numbers": numbers}
            )
        left[due.corrects or 0] = (net + due.net, numbers)


def _read_products(keys: set[int]) -> dict[int, Product]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select id, name_de, name_en, unit, tax_category, reference from billing_product where id = any(%s)",
            [list(keys)],
        )
        return {key: Product(*told) for key, *told in cursor.fetchall()}


def _read_discounts(references: set[str]) -> dict[str, tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select reference, name_de, name_en from billing_discount where reference = any(%s)", [list(references)]
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}
