"""Line nets -> VAT per category and rate -> totals (EN 16931 BR-CO-10 to BR-CO-17)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.kernel.money import exact, rounded
from invoicing.kernel.vat import Case

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Share:
    """VAT of one category and rate: rounded once, on the sum of its rounded line nets (BR-CO-17)."""

    case: Case
    rate: Decimal
    base: Decimal
    vat: Decimal
    ledger_role: str = ""  # where it is not booked by category and rate


@dataclass(frozen=True, slots=True)
class Totals:
    """``shares`` in falling order of their rates; ``net + vat == gross``."""

    shares: tuple[Share, ...]
    net: Decimal
    vat: Decimal
    gross: Decimal


def totals(lines: Iterable[tuple[Case, Decimal, Decimal]], places: int) -> Totals:
    """Total a document's lines, given as (category, rate in percent, rounded net)."""
    bases: dict[tuple[Case, Decimal], Decimal] = {}
    for case, rate, net in lines:
        key = (case, rate)
        bases[key] = bases.get(key, ZERO) + net
    shares = tuple(
        Share(case, rate, base, vat_of(base, rate, places))
        for (case, rate), base in sorted(bases.items(), key=lambda entry: (-entry[0][1], entry[0][0].value))
    )
    return total_of(shares)


def total_of(shares: Sequence[Share]) -> Totals:
    """Add up shares whose VAT is known (BR-CO-14, BR-CO-15)."""
    net = sum((share.base for share in shares), ZERO)
    vat = sum((share.vat for share in shares), ZERO)
    return Totals(tuple(shares), net, vat, net + vat)


@dataclass(frozen=True, slots=True)
class LineAllowance:
    """An allowance on a line or, added to it, a charge; ``amount`` as printed."""

    amount: Decimal
    is_charge: bool = False


def line_net(
    quantity: Decimal,
    unit_price: Decimal,
    places: int,
    *,
    price_base_quantity: Decimal = Decimal(1),
    allowances: Iterable[LineAllowance] = (),
) -> Decimal:
    """Net of a line: quantity times the price of so many units, plus charges, less allowances; rounded once.

    EN 16931 BT-131. Raises ``ValueError`` for a price of no units.
    """
    if price_base_quantity <= 0:
        raise ValueError(f"a price for {price_base_quantity} units is none")
    amount = Fraction(quantity) * Fraction(unit_price) / Fraction(price_base_quantity)
    for one in allowances:
        amount += Fraction(one.amount) if one.is_charge else -Fraction(one.amount)
    return rounded(amount, places)


def contained_vat(gross: Decimal, rate: Decimal, places: int) -> Decimal:
    """VAT contained in a gross amount at ``rate`` percent: what its net, rounded, leaves of it."""
    with exact():
        return gross - rounded(Fraction(gross) * 100 / (100 + Fraction(rate)), places)


def average_rate(shares: Iterable[Share]) -> Fraction:
    """The rate in percent that all shares come to together, exact; 0 where nothing is due."""
    found = list(shares)
    base = sum((Fraction(share.base) for share in found), Fraction(0))
    return sum((Fraction(share.base) * Fraction(share.rate) for share in found), Fraction(0)) / base if base else base


def vat_of(base: Decimal, rate: Decimal, places: int) -> Decimal:
    """VAT on ``base`` at ``rate`` percent, rounded to the currency's places."""
    if not rate:
        return ZERO
    with exact():
        return rounded((base * rate).scaleb(-2), places)
