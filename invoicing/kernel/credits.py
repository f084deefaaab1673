"""Credit notes: how much of a line or document can be given back, what VAT goes with it, and what the credit pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.kernel.money import exact, rounded
from invoicing.kernel.totals import vat_of

ZERO: Final = Decimal(0)


def creditable(net: Decimal, credited: Decimal, wanted: Decimal) -> Decimal:
    """What of ``wanted`` can be given back on a line of ``net``, of which ``credited`` went back before; all >= 0."""
    with exact():
        return min(wanted, max(ZERO, net - credited))


@dataclass(frozen=True, slots=True)
class Creditable:
    """Lines of one VAT rate on an issued document: their sum, the document's discount on them, and the VAT it shows."""

    lines: Decimal
    rate: Decimal
    vat: Decimal
    discount: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return self.lines - self.discount


@dataclass(frozen=True, slots=True)
class Credit:
    """Part of the lines given back: the discount goes with it in proportion, VAT at the rate of then."""

    lines: Decimal
    discount: Decimal
    net: Decimal
    vat: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.vat


def credit(of: Creditable, wanted: Decimal, earlier: Sequence[Credit], places: int) -> Credit:
    """Give ``wanted`` of the lines back; the credit that leaves nothing takes all rests of rounding.

    However often credits before were rounded up, no more VAT goes back than the document shows. Raises ``ValueError``
    for more than is left.
    """
    with exact():
        left = of.lines - sum((one.lines for one in earlier), ZERO)
        if not 0 <= wanted <= left:
            raise ValueError(f"of {of.lines} only {left} are left to credit, not {wanted}")
        vat = of.vat - sum((one.vat for one in earlier), ZERO)
        if wanted == left:
            discount = of.discount - sum((one.discount for one in earlier), ZERO)
            return Credit(wanted, discount, wanted - discount, vat)
        discount = rounded(Fraction(of.discount) * Fraction(wanted) / Fraction(of.lines), places)
        return Credit(wanted, discount, wanted - discount, min(vat, vat_of(wanted - discount, of.rate, places)))


@dataclass(frozen=True, slots=True)
class Use:
    """What a credit pays of each claim, in order, and what is left of it."""

    used: tuple[Decimal, ...]
    left: Decimal


def offset(claims: Sequence[Decimal], amount: Decimal) -> Use:
    """Set a credit off against claims, one after the other."""
    used = []
    with exact():
        for claim in claims:
            part = min(max(ZERO, claim), amount)
            amount -= part
            used.append(part)
    return Use(tuple(used), amount)


def refundable(credit_gross: Decimal, invoice_open: Decimal) -> Decimal:
    """What of a credit can be paid out: it pays first what is open of its own invoice."""
    with exact():
        return max(ZERO, credit_gross - max(ZERO, invoice_open))


def amount_due(gross: Decimal, *, prepaid: Decimal = ZERO, payable_rounding: Decimal = ZERO) -> Decimal:
    """What is to be paid of a document (EN 16931 BR-CO-16): total less prepaid plus the amount of rounding."""
    with exact():
        return gross - prepaid + payable_rounding
