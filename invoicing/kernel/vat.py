"""The VAT categories of EN 16931 (UNTDID 5305), and the member states. How supplies are taxed: ``kernel.taxation``."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

EU: Final = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())


class Case(StrEnum):
    """The categories of EN 16931."""

    STANDARD = "S"
    REVERSE_CHARGE = "AE"
    OUTSIDE = "O"
    EXEMPT = "E"
    ZERO_RATED = "Z"
    EXPORT = "G"
    WITHIN_EU = "K"  # goods delivered to another member state
    CANARY_ISLANDS = "L"
    CEUTA_AND_MELILLA = "M"


NO_RATE: Final = Decimal(0)


def case_of(seller_country: str, buyer_country: str, *, buyer_vat_id_is_valid: bool) -> Case:
    """The treatment of documents that arose before tax rules were records, by who buys: taxed in Germany and for EU
    buyers without a valid VAT id; reverse charge for other EU buyers with one; not taxable in Germany for all others.

    Raises ``ValueError`` for a seller outside Germany, whose rules are not known here.
    """
    if seller_country != "DE":
        raise ValueError(f"no VAT rules for a seller in {seller_country}")
    if buyer_country == "DE":
        return Case.STANDARD
    if buyer_country in EU:
        return Case.REVERSE_CHARGE if buyer_vat_id_is_valid else Case.STANDARD
    return Case.OUTSIDE
