"""How long documents must be kept."""

from datetime import date
from typing import Final

YEARS: Final = 8  # vouchers and invoices: § 147 (3) AO, § 14b (1) UStG, since 1 January 2025


def kept_through(issued_on: date) -> date:
    """The last day through which a document must be kept: the years count from the end of its calendar year."""
    return date(issued_on.year + YEARS, 12, 31)
