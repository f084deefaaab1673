from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from billing.kernel.period import Period, instants_of, local_day
from billing.kernel.schedule import Interval
from billing.kernel.start import Trigger, begin, extended_trial, starts_on, trial_end

from .builders import Ledger, day, days, item

CONTRACT, ACTIVATION, ACCEPTANCE = day("01-10"), day("02-03"), day("01-05")


@pytest.mark.parametrize(
    ("trigger", "dates", "expected"),
    [
        pytest.param("contract", {Trigger.CONTRACT: CONTRACT}, "01-10", id="the contract takes effect"),
        pytest.param(
            "activation", {Trigger.CONTRACT: CONTRACT, Trigger.ACTIVATION: ACTIVATION}, "02-03", id="switched on later"
        ),
        pytest.param(
            "acceptance", {Trigger.CONTRACT: CONTRACT, Trigger.ACCEPTANCE: ACCEPTANCE}, "01-10", id="never before it"
        ),
        pytest.param("activation", {Trigger.CONTRACT: CONTRACT}, None, id="pending while the date is missing"),
    ],
)
def test_the_date_that_decides(trigger, dates, expected):
    assert starts_on(Trigger(trigger), dates) == (expected and day(expected))


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        pytest.param("2012-01-03", (15, "day"), "2012-01-18", id="15 days from 3 January"),
        pytest.param("2013-08-01", (30, "day"), "2013-08-31", id="30 days from 1 August"),
        pytest.param("2026-01-31", (1, "month"), "2026-02-28", id="a month from the 31st"),
        pytest.param("2026-01-05", (2, "week"), "2026-01-19", id="two weeks"),
    ],
)
def test_the_end_of_a_trial(start, length, expected):
    assert trial_end(day(start), Interval.every(*length)) == day(expected)


def test_a_trial_is_extended_only_before_it_ends():
    assert extended_trial(day("01-18"), day("01-25"), day("01-17")) == day("01-25")
    with pytest.raises(ValueError, match="only before it ends"):
        extended_trial(day("01-18"), day("01-25"), day("01-18"))
    with pytest.raises(ValueError, match="not extended"):
        extended_trial(day("01-18"), day("01-18"), day("01-10"))


def test_an_extended_trial_moves_the_periods_of_a_contract_without_a_billing_day():
    assert Ledger().run(item("310", "01-03", trial_end="01-18"), "01-25") == ["fee 01-18 to 02-18: 310.00"]
    assert Ledger().run(item("310", "01-03", trial_end="01-25"), "01-25") == ["fee 01-25 to 02-25: 310.00"]
    assert Ledger().run(item("310", "01-03", trial_end="01-25", billing_day=1), "01-25") == [
        "fee 01-25 to 02-01: 70.00"
    ]


def test_a_contract_entered_at_night_begins_on_the_day_of_its_account():
    instant, tokyo = datetime(2013, 8, 2, 18, tzinfo=UTC), ZoneInfo("Asia/Tokyo")
    first = begin(instant, tokyo, trial=Interval.every(30, "day"))
    assert (first.starts_on, first.paid_from, first.first_run_on) == (
        day("2013-08-03"),
        day("2013-09-02"),
        day("2013-08-03"),
    )
    backdated = begin(instant, tokyo, day("2013-08-02"))
    assert (backdated.starts_on, backdated.paid_from, backdated.first_run_on) == (
        day("2013-08-02"),
        day("2013-08-02"),
        day("2013-08-03"),
    )


# E-12: three months, upgraded, downgraded, paused, and resumed on a leap day at 15:00 in Tokyo.
def test_resumed_at_three_in_the_afternoon_in_tokyo_on_the_leap_day():
    resumed_at = datetime(2024, 2, 29, 15, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert resumed_at.astimezone(ZoneInfo("Europe/Berlin")).hour == 7
    assert local_day(resumed_at, ZoneInfo("Asia/Tokyo")) == day("2024-02-29")
    assert local_day(datetime(2024, 2, 29, 15, tzinfo=UTC), ZoneInfo("Asia/Tokyo")) == day("2024-03-01")
    grid = item("29", "2024-01-15").schedule.grid
    assert Ledger().run(item("29", "2024-02-29", "2024-04-15", grid=grid), "2024-03-15") == [
        "fee 02-29 to 03-15: 15.00",
        "fee 03-15 to 04-15: 29.00",
    ]


@pytest.mark.parametrize(
    ("zone", "stretch", "first", "after"),
    [
        pytest.param("Europe/Berlin", "2026-03-29 to 2026-03-30", "2026-03-28T23", "2026-03-29T22", id="23 hours"),
        pytest.param("Europe/Berlin", "2026-10-25 to 2026-10-26", "2026-10-24T22", "2026-10-25T23", id="25 hours"),
        pytest.param("America/New_York", "2022-01-01 to 2022-02-01", "2022-01-01T05", "2022-02-01T05", id="New York"),
        pytest.param(
            "America/Sao_Paulo", "2018-11-04 to 2018-11-05", "2018-11-04T03", "2018-11-05T02", id="no midnight"
        ),
    ],
)
def test_the_instants_of_local_days(zone, stretch, first, after):
    start, end = stretch.split(" to ")
    found = instants_of(Period(day(start), day(end)), ZoneInfo(zone))
    assert [instant.strftime("%Y-%m-%dT%H") for instant in found] == [first, after]
    assert local_day(found[0], ZoneInfo(zone)) == day(start)


def test_an_instant_has_a_time_zone():
    with pytest.raises(ValueError, match="no time zone"):
        local_day(datetime(2026, 1, 1), ZoneInfo("UTC"))  # noqa: DTZ001


def test_a_changed_clock_changes_no_amount():
    assert Ledger().run(item("310", "2026-03-29", "2026-03-30", billing_day=1), "2026-03-29") == [
        "fee 03-29 to 03-30: 10.00"
    ]
    assert days("2026-03-01 to 2026-04-01").days == 31
