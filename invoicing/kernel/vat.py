"""Which VAT treatment a supply of services has, and the rate on a day. Issuers established in Germany.

Places of supply: § 3a (2) UStG / Art. 44 and 196 of Directive 2006/112/EC. Categories: EN 16931 (UNTDID 5305).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

EU: Final = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())


class Case(StrEnum):
    """The categories of EN 16931. Documents of ours have one of the first three; the others are reckoned alike."""

    STANDARD = "S"
    REVERSE_CHARGE = "AE"
    OUTSIDE = "O"
    EXEMPT = "E"
    ZERO_RATED = "Z"
    EXPORT = "G"
    WITHIN_EU = "K"  # goods delivered to another member state
    CANARY_ISLANDS = "L"
    CEUTA_AND_MELILLA = "M"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate in percent, from its first day until another one follows."""

    starts_on: date
    percent: Decimal


_STANDARD_BEFORE = Rate(date(2007, 1, 1), Decimal("19"))
_REDUCED_BEFORE = Rate(date(1983, 7, 1), Decimal("7"))
GERMAN_RATES: Final[dict[str, tuple[Rate, ...]]] = {
    # § 12 UStG; § 28 (1), (2) UStG for the second half of 2020
    "standard": (
        _STANDARD_BEFORE,
        Rate(date(2020, 7, 1), Decimal("16")),
        Rate(date(2021, 1, 1), Decimal("19")),
    ),
    "reduced": (
        _REDUCED_BEFORE,
        Rate(date(2020, 7, 1), Decimal("5")),
        Rate(date(2021, 1, 1), Decimal("7")),
    ),
}
NO_RATE: Final = Decimal(0)


def case_of(seller_country: str, buyer_country: str, *, buyer_vat_id_is_valid: bool) -> Case:
    """The treatment by who buys: taxed in Germany and for EU buyers without a valid VAT id; reverse charge for other EU
    buyers with one; not taxable in Germany for all others.

    Raises ``ValueError`` for a seller outside Germany, whose rules are not known here.
    """
    if seller_country != "DE":
        raise ValueError(f"no VAT rules for a seller in {seller_country}")
    if buyer_country == "DE":
        return Case.STANDARD
    if buyer_country in EU:
        return Case.REVERSE_CHARGE if buyer_vat_id_is_valid else Case.STANDARD
    return Case.OUTSIDE


def rate_of(case: Case, tax_category: str, last_day: date) -> Decimal:
    """The rate in percent: by the last day of the service (§ 13 (1) 1a, § 27 (1) UStG); 0 where no German VAT is due.

    Raises ``ValueError`` for a tax category or a day without a rate.
    """
    if case is not Case.STANDARD:
        return NO_RATE
    found = None
    for rate in GERMAN_RATES.get(tax_category, ()):
        if rate.starts_on <= last_day:
            found = rate.percent
    if found is None:
        raise ValueError(f"no German VAT rate for {tax_category!r} on {last_day}")
    return found
