"""The term in force, counted from its first day."""

from __future__ import annotations

from datetime import date

import pytest

from billing.kernel.term import Term, term_on


@pytest.mark.parametrize(
    ("day", "renews_on", "notice_by"),
    [
        (date(2026, 6, 1), date(2027, 1, 15), date(2026, 12, 15)),
        (date(2027, 1, 15), date(2028, 1, 15), date(2027, 12, 15)),
    ],
)
def test_terms_are_counted_from_the_first_day_of_the_first_one(day, renews_on, notice_by):
    assert term_on(day, date(2026, 1, 15), 12, 12, 30) == Term(renews_on, notice_by)


def test_days_of_pauses_make_each_end_later_and_a_month_end_stays_one():
    first = date(2026, 1, 31)
    assert term_on(date(2026, 3, 4), first, 1, 1, 10, extended_days=5) == Term(date(2026, 3, 5), date(2026, 2, 22))
    assert term_on(date(2026, 3, 5), first, 1, 1, 10, extended_days=5) == Term(date(2026, 4, 5), date(2026, 3, 25))


def test_after_its_only_term_a_contract_has_none():
    assert term_on(date(2027, 1, 14), date(2026, 1, 15), 12, None, None) == Term(date(2027, 1, 15), date(2027, 1, 14))
    assert term_on(date(2027, 1, 15), date(2026, 1, 15), 12, None, None) is None
