from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import dates, integers, lists, tuples

from billing.kernel.period import Period, months_after

from .builders import day, days


def test_a_period_holds_its_first_day_and_not_its_end():
    january = days("01-01 to 02-01")
    assert (january.days, january.last_day) == (31, day("01-31"))
    assert day("01-01") in january
    assert day("02-01") not in january
    assert not days("01-05 to 01-05")
    assert days("01-05 to 01-01").days == 0
    assert days("01-20 to 02-10").share_of(january) == Fraction(12, 31)


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        pytest.param("01-10 to 01-20", ["01-01 to 01-10", "01-20 to 02-01"], id="from the middle"),
        pytest.param("12-01 to 01-15", ["01-01 to 02-01"], id="a period that ends before it starts takes nothing"),
        pytest.param("01-15 to 03-01", ["01-01 to 01-15"], id="from the end"),
        pytest.param("01-01 to 02-01", [], id="all"),
        pytest.param("02-01 to 03-01", ["01-01 to 02-01"], id="neighbours share no day"),
    ],
)
def test_what_is_left_without_some_days(taken, left):
    assert days("01-01 to 02-01") - days(taken) == list(map(days, left))


STRETCH = tuples(integers(0, 60), integers(0, 20)).map(
    lambda pair: Period(date(2026, 1, 1) + timedelta(pair[0]), date(2026, 1, 1) + timedelta(sum(pair)))
)


@given(STRETCH, lists(STRETCH, max_size=4))
def test_without_leaves_exactly_the_other_days(whole, others):
    def listed(period):
        return {period.start + timedelta(n) for n in range(period.days)}

    left = whole.without(others)
    assert all(left)
    assert set().union(*map(listed, left)) == listed(whole).difference(*map(listed, others))
    assert sum(part.days for part in left) == len(set().union(*map(listed, left)))


@pytest.mark.parametrize(
    ("anchor", "months", "expected"),
    [
        pytest.param("2026-01-31", 1, "2026-02-28", id="31 January, 28 February"),
        pytest.param("2026-01-31", 2, "2026-03-31", id="and 31 March again"),
        pytest.param("2026-01-31", 3, "2026-04-30", id="30 April"),
        pytest.param("2024-01-31", 1, "2024-02-29", id="29 in a leap year"),
        pytest.param("2024-02-29", 12, "2025-02-28", id="a leap day's anniversary"),
        pytest.param("2024-02-29", 48, "2028-02-29", id="and its return"),
        pytest.param("2026-01-31", -11, "2025-02-28", id="backwards"),
        pytest.param("2026-12-15", 1, "2027-01-15", id="over the year"),
    ],
)
def test_months_count_from_the_anchor(anchor, months, expected):
    assert months_after(day(anchor), months) == day(expected)


@given(dates(date(1990, 1, 1), date(2100, 1, 1)), integers(-240, 240))
def test_a_month_later_is_in_that_month(anchor, months):
    later = months_after(anchor, months)
    assert (later.year * 12 + later.month) - (anchor.year * 12 + anchor.month) == months
    assert later.day == anchor.day or (later + timedelta(days=1)).day == 1
