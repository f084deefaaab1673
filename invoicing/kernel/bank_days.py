"""Days on which banks move money in euros: those of TARGET, the settlement system of the central banks."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import holidays

ONE_DAY: Final = timedelta(days=1)
SATURDAY: Final = 5


@lru_cache(maxsize=64)
def closing_days(year: int) -> frozenset[date]:
    """The days of a year, besides weekends, on which TARGET is closed."""
    return frozenset(holidays.financial_holidays("ECB", years=year))


def is_bank_day(day: date) -> bool:
    """Neither a weekend nor a day on which TARGET is closed; regional holidays do not matter."""
    return day.weekday() < SATURDAY and day not in closing_days(day.year)


def bank_day_from(day: date) -> date:
    """``day``, or the first bank day after it."""
    while not is_bank_day(day):
        day += ONE_DAY
    return day


def bank_days_after(day: date, count: int) -> date:
    """The bank day that lies ``count`` bank days after ``day``; after 0, the first from ``day`` on."""
    found = bank_day_from(day) if count == 0 else day
    for _each in range(count):
        found = bank_day_from(found + ONE_DAY)
    return found
