"""Exchange rates from a file: day, currency and rate, in any order; a rate that stands is replaced."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext_lazy as _

from invoicing.models import ExchangeRate
from tenants.errors import OperatorError
from tenants.transactions import acting

COLUMNS = ("day", "currency", "rate")


class UnreadableRates(OperatorError):
    """A line of the file is no exchange rate."""


@dataclass(frozen=True, slots=True)
class Taken:
    new: int
    changed: int
    unchanged: int


def take_in(lines: Iterable[str], *, source: str, base: str = "EUR", by: str = "", channel: str = "command") -> Taken:
    """Store the rates of a CSV file (``day;currency;rate``, ISO days, decimal point), all or none, in one transaction.

    Raises ``UnreadableRates`` naming the line.
    """
    text = list(lines)
    delimiter = ";" if text and ";" in text[0] else ","
    reader = csv.DictReader(text, delimiter=delimiter)
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise UnreadableRates(_("The file has no column %(columns)s.") % {"columns": ", ".join(missing)})
    rates = {(row.currency, row.day): row for row in (_read(number, row, base) for number, row in enumerate(reader, 2))}
    with acting(actor=by, channel=channel, reason=source):
        known = {
            (rate.currency, rate.day): rate
            for rate in ExchangeRate.objects.select_for_update().filter(
                base=base, currency__in={currency for currency, _day in rates}, day__in={day for _c, day in rates}
            )
        }
        new = [rate for key, rate in rates.items() if key not in known]
        changed = [known[key] for key, rate in rates.items() if key in known and known[key].rate != rate.rate]
        for rate in new:
            rate.source = source
        for rate in changed:
            rate.rate, rate.source = rates[rate.currency, rate.day].rate, source
        ExchangeRate.objects.bulk_create(new)
        ExchangeRate.objects.bulk_update(changed, ["rate", "source"])
    return Taken(len(new), len(changed), len(rates) - len(new) - len(changed))


def _read(number: int, row: dict[str, Any], base: str) -> ExchangeRate:
    try:
        rate = Decimal(str(row["rate"]).strip())
        currency = str(row["currency"]).strip()
        day = date.fromisoformat(str(row["day"]).strip())
    except (InvalidOperation, ValueError) as error:
        raise UnreadableRates(
            _("Line %(number)d: a day such as 2026-01-30 and a rate such as 1.0823 are wanted.") % {"number": number}
        ) from error
    is_code = len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()
    if not (is_code and rate.is_finite() and 0 < rate < 10**11):
        raise UnreadableRates(
            _("Line %(number)d: %(currency)s %(rate)s is no exchange rate.")
            % {"number": number, "currency": currency, "rate": row["rate"]}
        )
    if currency == base:
        raise UnreadableRates(
            _("Line %(number)d: %(currency)s is the base itself.") % {"number": number, "currency": currency}
        )
    return ExchangeRate(base=base, currency=currency, day=day, rate=rate)
