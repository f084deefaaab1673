"""Line nets -> VAT per category and rate -> totals (EN 16931 BR-CO-10 to BR-CO-17)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
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
    net = sum((share.base for share in shares), ZERO)
    vat = sum((share.vat for share in shares), ZERO)
    return Totals(shares, net, vat, net + vat)


def vat_of(base: Decimal, rate: Decimal, places: int) -> Decimal:
    """VAT on ``base`` at ``rate`` percent, rounded to the currency's places."""
    if not rate:
        return ZERO
    with exact():
        return rounded((base * rate).scaleb(-2), places)
