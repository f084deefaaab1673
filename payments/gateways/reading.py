"""What all forms of bank files have in common: their limits, their refusals, and amounts that fit their currency."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext as _

from billing.kernel.money import places_of, rounded
from tenants.cells import FIRST_YEAR, LAST_YEAR
from tenants.errors import OperatorError

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_LINES: Final = 200_000


class FileRefused(OperatorError):
    """A file that cannot be read as what it claims to be; the message names the place and the reason."""


def check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise FileRefused(_("The file is larger than %(limit)d MB.") % {"limit": MAX_BYTES // 2**20})


def check_lines(count: int) -> None:
    if count > MAX_LINES:
        raise FileRefused(_("The file has more than %(limit)d lines; divide it.") % {"limit": MAX_LINES})


def in_time(day: date) -> date:
    """The day itself. Raises ``ValueError`` for one from which days cannot be reckoned, such as one of the year 1."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(day)
    return day


def fitting(amount: Decimal, currency: str) -> Decimal:
    """The amount in its currency's own places. Raises ``ValueError`` with the reason, in the active language."""
    try:
        places = places_of(currency)
    except ValueError:
        raise ValueError(_("“%(text)s” is no currency that is known.") % {"text": currency[:10]}) from None
    if rounded(amount, places) != amount:
        raise ValueError(
            _("%(amount)s %(currency)s is finer than its currency.") % {"amount": f"{amount:f}", "currency": currency}
        )
    if abs(amount) >= 10**13:
        raise ValueError(_("%(amount)s is more than can be booked.") % {"amount": f"{amount:f}"})
    return rounded(amount, places)
