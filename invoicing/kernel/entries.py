"""A business event -> a balanced journal entry, as (role of the account, amount): debits positive, credits negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.kernel.money import rounded, split
from invoicing.kernel.totals import Share
from invoicing.kernel.vat import Case

RECEIVABLES: Final = "receivables"
BANK: Final = "bank"
CASH: Final = "cash"
DEBITS_IN_TRANSIT: Final = "debits_in_transit"  # direct debits that the bank has not credited yet
PROVIDER_CLEARING: Final = "provider_clearing"  # money that a payment provider holds for us
REFUNDS_IN_TRANSIT: Final = "refunds_in_transit"  # refunds that the bank has not carried out yet
BANK_CHARGES: Final = "bank_charges"


@dataclass(frozen=True, slots=True)
class Side:
    """One posting to be: which account, by its role, and how much."""

    role: str
    amount: Decimal


def revenue_role(case: Case, rate: Decimal, ledger_role: str = "") -> str:
    if ledger_role:
        return f"revenue_{ledger_role}"
    return f"revenue_{case.value}_{rate.normalize():f}" if case is Case.STANDARD else f"revenue_{case.value}"


def vat_role(rate: Decimal, ledger_role: str = "") -> str:
    return f"vat_{ledger_role or format(rate.normalize(), 'f')}"


def document_issued(shares: Sequence[Share]) -> list[Side]:
    """Receivables against revenue and output VAT; a credit note turns all signs. Sides of 0 are left out.

    The receivables side always stands, and first: the open item hangs on it.
    """
    gross = sum((share.base + share.vat for share in shares), Decimal(0))
    sides = [Side(RECEIVABLES, gross)]
    for share in shares:
        if share.base:
            sides.append(Side(revenue_role(share.case, share.rate, share.ledger_role), -share.base))
        if share.vat:
            sides.append(Side(vat_role(share.rate, share.ledger_role), -share.vat))
    return sides


def item_taken_over(left: Decimal) -> tuple[Side, Side]:
    """Another payer takes over what is open: the receivable of the new item, and the old one without it."""
    return Side(RECEIVABLES, left), Side(RECEIVABLES, -left)


def claim_reduced(amount: Decimal, shares: Sequence[Share], kind: str, places: int) -> list[Side]:
    """A claim is waived in part (``kind``: ``discount`` or ``write_off``): its share of each rate's net and VAT.

    The VAT goes down with the consideration (§ 17 UStG). ``amount`` is above zero; receivables come first.
    """
    sides = [Side(RECEIVABLES, -amount)]
    for share, gross in zip(shares, split(amount, [one.base + one.vat for one in shares], places), strict=True):
        vat = (
            rounded(Fraction(gross) * Fraction(share.vat) / Fraction(share.base + share.vat), places)
            if gross
            else gross
        )
        taxed = share.case is Case.STANDARD and not share.ledger_role
        role = f"{kind}_S_{share.rate.normalize():f}" if taxed else f"{kind}_free"
        if gross - vat:
            sides.append(Side(role, gross - vat))
        if vat:
            sides.append(Side(vat_role(share.rate, share.ledger_role), vat))
    return sides
