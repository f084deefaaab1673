from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import dates, integers, sampled_from

from billing.kernel.period import Period
from billing.kernel.schedule import (
    INTERVALS,
    Grid,
    Interval,
    Schedule,
    Timing,
    Unit,
    due_in_run,
    due_periods,
    last_due,
    nominal_period,
    whole_periods,
)

from .builders import day, days, item

GRIDDED = [word for word in INTERVALS if word != "once"]


def boundaries(grid, numbers):
    return [grid.boundary(n).isoformat() for n in numbers]


@pytest.mark.parametrize(
    ("interval", "first_paid_on", "expected"),
    [
        pytest.param(
            "monthly", "2026-01-31", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"], id="month ends"
        ),
        pytest.param("monthly", "2024-01-30", ["2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30"], id="leap year"),
        pytest.param("yearly", "2024-02-29", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28"], id="leap day"),
        pytest.param(
            "quarterly", "2025-11-30", ["2025-11-30", "2026-02-28", "2026-05-30", "2026-08-30"], id="quarters"
        ),
        pytest.param(
            "half_yearly", "2025-08-31", ["2025-08-31", "2026-02-28", "2026-08-31", "2027-02-28"], id="half-years"
        ),
        pytest.param("weekly", "2026-02-26", ["2026-02-26", "2026-03-05", "2026-03-12", "2026-03-19"], id="weeks"),
    ],
)
def test_anniversaries_of_the_first_paid_day(interval, first_paid_on, expected):
    assert boundaries(Grid.anniversary(Interval.parse(interval), day(first_paid_on)), range(4)) == expected


def test_the_leap_day_returns_every_four_years():
    grid = Grid.anniversary(Interval.parse("yearly"), date(2024, 2, 29))
    assert boundaries(grid, (-4, 4)) == ["2020-02-29", "2028-02-29"]


@pytest.mark.parametrize(
    ("interval", "billing_day", "first_paid_on", "expected"),
    [
        pytest.param(
            "monthly", 1, "2026-01-15", ["2026-01-01", "2026-02-01", "2026-03-01"], id="the stub's month is January"
        ),
        pytest.param(
            "monthly", 1, "2026-01-01", ["2025-12-01", "2026-01-01", "2026-02-01"], id="no stub on the day itself"
        ),
        pytest.param(
            "monthly", 31, "2026-02-05", ["2026-01-31", "2026-02-28", "2026-03-31"], id="day 31 in a short month"
        ),
        pytest.param(
            "monthly", 30, "2026-01-31", ["2026-01-30", "2026-02-28", "2026-03-30"], id="the day after the billing day"
        ),
        pytest.param(
            "quarterly",
            15,
            "2026-01-20",
            ["2025-11-15", "2026-02-15", "2026-05-15"],
            id="a quarter from the next such day",
        ),
        pytest.param(
            "yearly", 1, "2026-03-10", ["2025-04-01", "2026-04-01", "2027-04-01"], id="a year from the next such day"
        ),
    ],
)
def test_billing_day(interval, billing_day, first_paid_on, expected):
    grid = Grid.on_billing_day(Interval.parse(interval), billing_day, day(first_paid_on))
    assert boundaries(grid, (-1, 0, 1)) == expected


@pytest.mark.parametrize(
    ("interval", "first", "expected"),
    [
        ("monthly", "2026-05-20", "2026-05-01 to 2026-06-01"),
        ("quarterly", "2026-05-20", "2026-04-01 to 2026-07-01"),
        ("half_yearly", "2026-05-20", "2026-01-01 to 2026-07-01"),
        ("yearly", "2026-05-20", "2026-01-01 to 2027-01-01"),
        ("weekly", "2026-05-20", "2026-05-18 to 2026-05-25"),
    ],
)
def test_calendar_periods(interval, first, expected):
    grid = Grid.calendar(Interval.parse(interval), day(first))
    assert grid.period(grid.index(day(first))) == days(expected)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Interval.parse("fortnightly"), id="an unknown word"),
        pytest.param(lambda: Interval(Unit.MONTH, 0), id="no months"),
        pytest.param(
            lambda: Grid.on_billing_day(Interval.parse("weekly"), 1, day("01-01")), id="weeks have no day of the month"
        ),
        pytest.param(lambda: Grid.on_billing_day(Interval.parse("monthly"), 32, day("01-01")), id="day 32"),
        pytest.param(lambda: Grid.calendar(Interval(Unit.MONTH, 5), day("01-01")), id="five calendar months"),
        pytest.param(lambda: Grid(Interval.parse("monthly"), day("01-15"), 31), id="an anchor that is not its day"),
    ],
)
def test_impossible_schedules_are_refused(make):
    with pytest.raises(ValueError, match=r"."):
        make()


@given(
    sampled_from(GRIDDED),
    dates(date(2000, 1, 1), date(2060, 1, 1)),
    integers(1, 31),
    sampled_from(["anniversary", "billing_day", "calendar"]),
    integers(-2000, 2000),
)
def test_every_day_lies_in_exactly_the_period_that_its_index_names(interval, first, billing_day, kind, offset):
    interval = Interval.parse(interval)
    if kind == "billing_day":
        grid = Grid.of(interval, billing_day, first)
        assert grid.boundary(0) >= first
    else:
        grid = getattr(Grid, kind)(interval, first)
    some_day = first + timedelta(days=offset)
    n = grid.index(some_day)
    assert some_day in grid.period(n)
    assert grid.period(n).end == grid.period(n + 1).start


def due(terms, through, since=None):
    through, since = day(through), since and day(since)
    return [inside for _, _, inside in due_periods(terms.schedule, through=through, since=since)]


def test_a_trial_is_free_and_the_anniversary_is_its_end():
    terms = item(starts_on="01-03", trial_end="01-18")
    assert due(terms, "01-17") == []
    assert due(terms, "02-18") == [days("01-18 to 02-18"), days("02-18 to 03-18")]


def test_a_trial_inside_a_calendar_month_leaves_a_stub():
    terms = item(starts_on="01-03", trial_end="01-18", billing_day=1)
    assert due(terms, "02-01") == [days("01-18 to 02-01"), days("02-01 to 03-01")]


def test_in_advance_on_the_first_day_in_arrears_on_the_day_after_the_last():
    assert due(item(), "02-01") == [days("01-01 to 02-01"), days("02-01 to 03-01")]
    arrears = item(timing=Timing.ARREARS, ends_before="02-10")
    assert due(arrears, "01-31") == []
    assert due(arrears, "02-09") == [days("01-01 to 02-01")]
    assert due(arrears, "02-10") == [days("01-01 to 02-01"), days("02-01 to 02-10")]


def test_days_billed_elsewhere_are_waived_but_counted():
    terms = item(starts_on="2025-10-15", billed_before="01-20")
    (number, nominal, inside), *_ = due_periods(terms.schedule, through=day("02-01"))
    assert (nominal, inside) == (days("01-15 to 02-15"), days("01-20 to 02-15"))
    assert terms.schedule.ordinal(number) == 4


def test_periods_skipped_are_not_counted():
    grid = Grid.anniversary(Interval.parse("monthly"), day("01-01"))
    resumed = Schedule(grid, day("04-10"), paid_from=day("01-01"), periods_skipped=2)
    assert [resumed.ordinal(n) for n, _, _ in due_periods(resumed, through=day("05-01"))] == [2, 3]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        pytest.param(item(interval="once", starts_on="01-10"), ["01-10 to 01-11"], id="one day if it is open"),
        pytest.param(
            item(interval="once", starts_on="01-10", ends_before="04-10"), ["01-10 to 04-10"], id="its days if not"
        ),
        pytest.param(item(interval="once", starts_on="02-02"), [], id="not before its day"),
        pytest.param(item(interval="once", starts_on="01-10", ends_before="01-10"), [], id="not if overtaken"),
        pytest.param(item(interval="once", starts_on="01-10", billed_before="01-11"), [], id="not if billed elsewhere"),
        pytest.param(
            item(interval="once", starts_on="01-10", timing=Timing.ARREARS), ["01-10 to 01-11"], id="never in arrears"
        ),
    ],
)
def test_once(terms, expected):
    assert due(terms, "02-01") == list(map(days, expected))


def test_a_period_charged_once_is_its_own():
    assert nominal_period(item(interval="once", starts_on="01-10").schedule, 0) == Period(day("01-10"), day("01-11"))


@pytest.mark.parametrize(
    ("count", "unit", "expected"),
    [
        (30, "day", ["2016-05-08", "2016-06-07"]),
        (2, "week", ["2016-04-22", "2016-05-06"]),
        (1, "quarter", ["2016-07-08", "2016-10-08"]),
        (2, "year", ["2018-04-08", "2020-04-08"]),
        (24, "month", ["2018-04-08", "2020-04-08"]),
    ],
)
def test_any_number_of_a_unit(count, unit, expected):
    assert boundaries(Grid.anniversary(Interval.every(count, unit), day("2016-04-08")), (1, 2)) == expected


@pytest.mark.parametrize(("count", "unit"), [(1, "fortnight"), (0, "month"), (-1, "day")])
def test_no_other_interval(count, unit):
    with pytest.raises(ValueError, match=r"is none|no unit of time"):
        Interval.every(count, unit)


@pytest.mark.parametrize(
    ("weekday", "expected"), [(1, "2026-02-09"), (4, "2026-02-05"), (5, "2026-02-06"), (3, "2026-02-11")]
)
def test_weeks_from_a_weekday(weekday, expected):
    grid = Grid.on_weekday(Interval.parse("weekly"), weekday, day("2026-02-05"))  # a Thursday
    assert grid.anchor == day(expected)
    assert [grid.starts_on(grid.anchor + timedelta(n)) for n in (0, 1, 7)] == [True, False, True]


def test_weekdays_are_for_weeks():
    for word, weekday in (("monthly", 1), ("weekly", 0), ("weekly", 8)):
        with pytest.raises(ValueError, match="weekday"):
            Grid.on_weekday(Interval.parse(word), weekday, day("01-01"))


def test_the_next_boundary_is_after_the_day():
    grid = Grid.on_billing_day(Interval.parse("monthly"), 31, day("01-31"))
    assert [grid.next_boundary(day(text)) for text in ("01-30", "01-31", "02-27", "02-28")] == list(
        map(day, ("01-31", "02-28", "02-28", "03-31"))
    )


def test_what_one_run_finds_and_what_is_due_last():
    advance = item("310", "01-14", billing_day=1).schedule
    arrears = item("310", "01-14", billing_day=1, timing=Timing.ARREARS).schedule
    stub, january = days("01-14 to 02-01"), days("01-01 to 02-01")
    assert due_in_run(advance, day("01-14")) == due_in_run(arrears, day("02-01")) == [(january, stub)]
    assert due_in_run(advance, day("01-15")) == due_in_run(arrears, day("01-31")) == []
    assert last_due(arrears, day("02-27")) == (january, stub)
    assert last_due(arrears, day("01-31")) is None


@pytest.mark.parametrize(
    ("interval", "stretch", "expected"),
    [
        ("monthly", "2012-07-16 to 2012-09-16", 2),
        ("monthly", "2012-07-16 to 2012-09-15", 1),
        ("weekly", "2012-07-16 to 2012-07-30", 2),
        ("yearly", "2024-02-29 to 2025-02-28", 1),
        ("monthly", "2012-07-16 to 2012-07-01", 0),
    ],
)
def test_whole_periods_between_two_days(interval, stretch, expected):
    assert whole_periods(Interval.parse(interval), days(stretch)) == expected
