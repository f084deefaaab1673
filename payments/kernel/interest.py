"""Interest on overdue money: points above the base rate (§ 288 BGB), by days of a year of 365."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.kernel.money import rounded

POINTS_BUSINESS: Final = Decimal(9)  # § 288 (2) BGB: no consumer is party to it
POINTS_CONSUMER: Final = Decimal(5)  # § 288 (1) BGB
LUMP_SUM: Final = Decimal(40)  # § 288 (5) BGB: in euros, once per claim, not from consumers


def late_interest(
    amount: Decimal, days: int, base_rate: Decimal, places: int, points: Decimal = POINTS_BUSINESS
) -> Decimal:
    """Interest on ``amount`` for so many days overdue, at ``points`` above the base rate in percent; never below 0."""
    rate = max(Fraction(0), Fraction(base_rate) + Fraction(points))
    return rounded(Fraction(amount) * rate * days / (100 * 365), places)
