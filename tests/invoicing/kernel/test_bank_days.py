"""Bank days: neither weekends nor the days on which TARGET is closed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.kernel.bank_days import bank_day_from, bank_days_after, is_bank_day


@pytest.mark.parametrize(
    ("day", "is_one"),
    [
        (date(2026, 12, 24), True),
        (date(2026, 12, 25), False),
        (date(2026, 12, 26), False),
        (date(2026, 12, 31), True),
        (date(2027, 1, 1), False),
        (date(2026, 4, 3), False),  # Good Friday
        (date(2026, 4, 6), False),  # Easter Monday
        (date(2026, 5, 1), False),
        (date(2026, 5, 14), True),  # Ascension: closed in Germany, not with TARGET
        (date(2026, 10, 3), False),  # a Saturday, whatever Germany celebrates
        (date(2025, 10, 3), True),  # a Friday
        (date(2026, 11, 28), False),
    ],
)
def test_banks_work_by_the_calendar_of_target(day, is_one):
    assert is_bank_day(day) is is_one


@pytest.mark.parametrize(
    ("day", "count", "found"),
    [
        (date(2026, 11, 27), 0, date(2026, 11, 27)),
        (date(2026, 11, 28), 0, date(2026, 11, 30)),
        (date(2026, 11, 27), 1, date(2026, 11, 30)),
        (date(2026, 11, 28), 1, date(2026, 11, 30)),
        (date(2026, 12, 24), 1, date(2026, 12, 28)),
        (date(2026, 4, 2), 1, date(2026, 4, 7)),
        (date(2026, 12, 23), 5, date(2026, 12, 31)),
        (date(2026, 12, 23), 6, date(2027, 1, 4)),
    ],
)
def test_days_after(day, count, found):
    assert bank_days_after(day, count) == found


@given(st.dates(date(2000, 1, 1), date(2099, 1, 1)), st.integers(1, 12), st.integers(1, 12))
def test_counting_on_is_counting_both(day, first, second):
    found = bank_days_after(day, first)
    assert is_bank_day(found)
    assert bank_days_after(found, second) == bank_days_after(day, first + second)
    between = [day + timedelta(days=n) for n in range(1, (found - day).days + 1)]
    assert sum(is_bank_day(one) for one in between) == first
    assert bank_day_from(found) == found
