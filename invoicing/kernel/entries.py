"""A business event -> a balanced journal entry, as (role of the account, amount): debits positive, credits negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from invoicing.kernel.totals import Share
from invoicing.kernel.vat import Case

RECEIVABLES: Final = "receivables"
BANK: Final = "bank"
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
