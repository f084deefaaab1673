from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.kernel.charges import (
    Booked,
    Kind,
    Proration,
    default_proration,
    due_after,
    due_less_booked,
    is_settled,
    share_of,
)
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.period import Period
from billing.kernel.pricing import per_unit
from billing.kernel.schedule import INTERVALS, Grid, Interval, Timing

from .builders import Ledger, day, days, item, price
from .evaluator import evaluate


@pytest.mark.parametrize(
    ("policy", "interval", "anchor", "stretch", "expected"),
    [
        pytest.param("none", "monthly", "01-01", "01-20 to 02-01", "1", id="none: a period begun is due in full"),
        pytest.param("actual", "monthly", "01-01", "01-20 to 02-01", "12/31", id="actual: 90.00 -> 34.84"),
        pytest.param("actual_over_30", "monthly", "01-01", "01-20 to 02-01", "12/30", id="actual/30: 90.00 -> 36.00"),
        pytest.param(
            "strict_30_360", "monthly", "01-01", "01-20 to 02-01", "11/30", id="strict 30/360: 90.00 -> 33.00"
        ),
        pytest.param(
            "actual", "yearly", "01-01", "04-01 to 2027-01-01", "275/365", id="a year by days: 1,200.00 -> 904.11"
        ),
        pytest.param(
            "month_first", "yearly", "01-01", "04-01 to 2027-01-01", "9/12", id="by months first: 1,200.00 -> 900.00"
        ),
        pytest.param("month_first", "yearly", "01-01", "04-11 to 2027-01-01", "26/36", id="8 months and 20 of 30 days"),
        pytest.param(
            "month_first", "quarterly", "01-31", "02-28 to 03-31", "1/3", id="a month from the anchor, 28 Feb to 31 Mar"
        ),
        pytest.param(
            "month_first", "monthly", "01-01", "01-20 to 02-01", "12/31", id="a month has no whole month before it"
        ),
        pytest.param("actual_over_30", "monthly", "01-01", "01-01 to 01-31", "1", id="30 of 31 days are all"),
        pytest.param("actual_over_30", "monthly", "02-01", "02-01 to 03-01", "1", id="a whole February is all"),
        pytest.param("actual_over_30", "quarterly", "01-01", "03-01 to 04-01", "31/90", id="a quarter has 90 days"),
        pytest.param("strict_30_360", "yearly", "01-01", "03-01 to 2027-01-01", "300/360", id="a year has 360 days"),
        pytest.param("strict_30_360", "weekly", "01-01", "01-03 to 01-08", "5/7", id="weeks go by days"),
        pytest.param("actual", "monthly", "2024-02-01", "2024-02-15 to 2024-03-01", "15/29", id="a leap February"),
    ],
)
def test_share_of_a_period(policy, interval, anchor, stretch, expected):
    grid = Grid.anniversary(Interval.parse(interval), day(anchor))
    start, end = (part if len(part) > 5 else f"2026-{part}" for part in stretch.split(" to "))
    stretch = Period(day(start), day(end))
    assert share_of(stretch, grid.period(0), Proration(policy), grid) == Fraction(expected)


def test_longer_periods_go_by_their_months_first_unless_told_otherwise():
    assert {word: default_proration(interval).value for word, interval in INTERVALS.items() if word != "once"} == {
        "weekly": "actual",
        "monthly": "actual",
        "quarterly": "month_first",
        "half_yearly": "month_first",
        "yearly": "month_first",
    }


def test_a_running_contract_is_charged_period_by_period_and_once():
    ledger = Ledger()
    assert ledger.run(item(), "02-01") == ["fee 01-01 to 02-01: 310.00", "fee 02-01 to 03-01: 310.00"]
    assert ledger.run(item(), "02-01") == []
    assert ledger.run(item(), "01-15") == []
    assert ledger.run(item(), "03-01") == ["fee 03-01 to 04-01: 310.00"]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        pytest.param(item("90", "01-20", billing_day=1), "fee 01-20 to 02-01: 34.84", id="a leading stub"),
        pytest.param(item("90", "01-01", "01-13"), "fee 01-01 to 01-13: 34.84", id="a trailing one"),
        pytest.param(
            item("1000", "09-01", billing_day=7), "fee 09-01 to 09-07: 193.55", id="aligned to day 7: 6 of 31"
        ),
        pytest.param(item("500", "01-01", "01-13"), "fee 01-01 to 01-13: 193.55", id="12 of 31 days of 500.00"),
        pytest.param(
            item("1200", "04-01", interval="yearly", grid=Grid.anniversary(Interval.parse("yearly"), day("01-01"))),
            "fee 04-01 to 01-01: 904.11",
            id="a year from April by days",
        ),
        pytest.param(
            item(
                "1200",
                "04-01",
                interval="yearly",
                grid=Grid.anniversary(Interval.parse("yearly"), day("01-01")),
                proration=Proration.MONTH_FIRST,
            ),
            "fee 04-01 to 01-01: 900.00",
            id="a year from April by months",
        ),
        pytest.param(item("1000", "01-01", places=0, ends_before="01-13"), "fee 01-01 to 01-13: 387", id="yen"),
        pytest.param(item("1000", "01-01", places=3, ends_before="01-13"), "fee 01-01 to 01-13: 387.097", id="dinars"),
        pytest.param(item("100", "01-03", trial_end="01-18"), "fee 01-18 to 02-18: 100.00", id="after a trial"),
        pytest.param(item("7500", "01-10", interval="once"), "fee 01-10 to 01-11: 7500.00", id="one workshop"),
        pytest.param(
            item("310", "2025-11-01", billed_before="01-11"), "fee 01-11 to 02-01: 210.00", id="taken over in January"
        ),
        pytest.param(
            item("310", "01-01", "01-11", timing=Timing.ARREARS), "fee 01-01 to 01-11: 100.00", id="in arrears"
        ),
    ],
)
def test_one_charge(terms, expected):
    first = expected.split()[1]
    ledger = Ledger()
    through = first if terms.schedule.timing is Timing.ADVANCE else expected.split()[3].rstrip(":")
    assert ledger.run(terms, through) == [expected]
    assert ledger.run(terms, through) == []
    [due] = ledger.rows
    assert evaluate(due.trace) == due.net


def test_nothing_before_its_day():
    assert Ledger().run(item("7500", "01-10", interval="once"), "01-09") == []
    assert Ledger().run(item("7500", "01-10", interval="once", timing=Timing.ARREARS), "01-10") != []
    assert Ledger().run(item("310", "01-01", timing=Timing.ARREARS), "01-31") == []


def test_a_discount_counts_billed_periods_from_the_first_paid_day_stub_and_zero_included():
    discounts = [
        DiscountTerms(DiscountKind.PERCENT, Decimal(50), periods=2),
        DiscountTerms(DiscountKind.FIXED, Decimal(999), periods=1),
    ]
    ledger = Ledger()
    terms = item("310", "01-03", trial_end="01-22", billing_day=1, discounts=discounts)
    assert ledger.run(terms, "03-01") == [
        "fee 01-22 to 02-01: 0.00",
        "fee 02-01 to 03-01: 155.00",
        "fee 03-01 to 04-01: 310.00",
    ]
    taken_over = item("310", "01-03", trial_end="01-22", billing_day=1, discounts=discounts, billed_before="02-01")
    assert Ledger().run(taken_over, "03-01") == ["fee 02-01 to 03-01: 155.00", "fee 03-01 to 04-01: 310.00"]


def test_a_percentage_is_taken_from_the_prorated_amount_and_a_fixed_discount_is_not_prorated():
    discounts = [DiscountTerms(DiscountKind.FIXED, Decimal(15)), DiscountTerms(DiscountKind.PERCENT, Decimal(10))]
    assert Ledger().run(item("310", "01-22", billing_day=1, discounts=discounts), "01-22") == [
        "fee 01-22 to 02-01: 75.00"
    ]


def test_minimum_and_cap_are_prorated_with_the_period():
    capped = per_unit(Decimal(1), cap=Decimal(310))
    assert Ledger().run(item(capped, "01-22", billing_day=1, quantity=500), "01-22") == ["fee 01-22 to 02-01: 100.00"]


# Kill Bill pins 416.67 back and 322.58 anew for this pause, which makes 25 days dearer than 25/30 of the price.
def test_a_pause_gives_back_and_charges_by_the_same_measure():
    grid = Grid.on_billing_day(Interval.parse("monthly"), 31, day("08-31"))
    ledger = Ledger()
    assert ledger.run(item("500", "08-31", grid=grid), "08-31") == ["fee 08-31 to 09-30: 500.00"]
    assert ledger.run(item("500", "08-31", "09-05", grid=grid), "09-05") == ["credit 09-05 to 09-30: -416.67"]
    resumed = Ledger()
    assert resumed.run(item("500", "09-10", grid=grid, key=2), "09-10") == ["fee 09-10 to 09-30: 333.33"]


def test_an_upgrade_on_26_april_gives_10_back_and_charges_15():
    grid = Grid.anniversary(Interval.parse("monthly"), day("04-11"))
    ledger = Ledger()
    ledger.run(item("20", "04-11"), "04-11")
    assert ledger.run(item("20", "04-11", "04-26"), "04-26") == ["credit 04-26 to 05-11: -10.00"]
    assert Ledger().run(item("30", "04-26", grid=grid, key=2), "04-26") == ["fee 04-26 to 05-11: 15.00"]


def test_from_monthly_to_annual_on_16_august():
    ledger = Ledger()
    ledger.run(item("1000", "08-01"), "08-01")
    assert ledger.run(item("1000", "08-01", "08-16"), "08-16") == ["credit 08-16 to 09-01: -516.13"]


def test_a_longer_stretch_brings_a_further_fee_and_the_parts_add_up():
    ledger = Ledger()
    assert ledger.run(item("100", "01-01", "01-11"), "01-01") == ["fee 01-01 to 01-11: 32.26"]
    assert ledger.run(item("100", "01-01", "01-21"), "01-10") == []
    assert ledger.run(item("100", "01-01", "01-21"), "01-11") == ["fee 01-11 to 01-21: 32.26"]
    assert ledger.run(item("100", "01-01"), "01-21") == ["fee 01-21 to 02-01: 35.48"]
    assert ledger.total == Decimal("100.00")


def test_a_shorter_stretch_brings_one_credit_per_fee_and_a_fee_without_a_day_is_reversed():
    ledger = Ledger()
    ledger.run(item("310", "01-01", "01-11"), "01-01")
    ledger.run(item("310", "01-01"), "03-01")
    assert [due.net for due in ledger.rows] == [Decimal(100), Decimal(210), Decimal(310), Decimal(310)]
    assert ledger.run(item("310", "01-01", "02-11"), "03-01") == [
        "credit 02-11 to 03-01: -199.29",
        "reversed credit 03-01 to 04-01: -310.00",
    ]
    assert ledger.run(item("310", "01-01", "01-06"), "03-01") == [
        "credit 01-06 to 01-11: -50.00",
        "reversed credit 01-11 to 02-01: -210.00",
        "credit 02-01 to 02-11: -110.71",
    ]
    assert ledger.run(item("310", "01-01", "01-06"), "03-01") == []
    assert ledger.total == Decimal("50.00")
    assert [due.corrects for due in ledger.rows if due.kind is Kind.CREDIT and not due.reverses] == [3, 1, 3]
    assert all(evaluate(due.trace) == due.net for due in ledger.rows)


def test_a_credit_is_reckoned_from_the_first_charged_day_of_the_period_not_from_its_fee():
    ledger = Ledger()
    ledger.run(item("100", "01-01", "01-11"), "01-01")
    ledger.run(item("100", "01-01"), "01-11")
    assert ledger.run(item("100", "01-01", "01-16"), "01-16") == ["credit 01-16 to 02-01: -51.61"]
    assert ledger.total == Decimal("48.39")  # 15 of 31 days


def test_an_item_overtaken_on_its_first_day_takes_everything_back():
    overtaken = item("310", "01-01", "01-01")
    assert Ledger().run(overtaken, "03-01") == []
    ledger = Ledger()
    ledger.run(item("310", "01-01"), "02-01")
    assert ledger.run(overtaken, "02-01") == [
        "reversed credit 01-01 to 02-01: -310.00",
        "reversed credit 02-01 to 03-01: -310.00",
    ]
    assert (ledger.standing, ledger.total) == ([], 0)
    assert ledger.run(overtaken, "02-01") == []


def test_a_run_for_an_earlier_day_takes_nothing_back():
    ledger = Ledger()
    ledger.run(item("310", "01-01"), "03-01")
    ended = item("310", "01-01", "02-01")
    assert ledger.run(ended, "01-31") == []
    assert ledger.run(ended, "02-01") == ["reversed credit 02-01 to 03-01: -310.00"]
    assert ledger.run(ended, "03-01") == ["reversed credit 03-01 to 04-01: -310.00"]


def test_in_arrears_nothing_is_charged_twice_after_a_change_and_a_run_for_an_earlier_day():
    ledger = Ledger()
    ledger.run(item("310", "01-01", timing=Timing.ARREARS), "02-01")
    ended = item("310", "01-01", "01-21", timing=Timing.ARREARS)
    assert ledger.run(ended, "01-25") == []
    assert ledger.run(ended, "02-01") == ["credit 01-21 to 02-01: -110.00"]


def test_days_that_come_back_after_a_credit_undo_the_credit():
    ledger = Ledger()
    ledger.run(item("310", "01-01"), "01-01")
    ledger.run(item("310", "01-01", "01-11"), "01-01")
    assert ledger.run(item("310", "01-01", "01-21"), "01-01") == [
        "reversed fee 01-11 to 02-01: 210.00",
        "credit 01-21 to 02-01: -110.00",
    ]
    assert ledger.run(item("310", "01-01", "01-21"), "01-01") == []
    assert ledger.total == Decimal("200.00")
    assert all(evaluate(due.trace) == due.net for due in ledger.rows)


def test_a_start_that_is_put_right_moves_the_stub_at_the_front():
    ledger = Ledger()
    ledger.run(item("310", "01-11", billing_day=1), "01-11")
    earlier = item("310", "01-05", grid=Grid.on_billing_day(Interval.parse("monthly"), 1, day("01-11")))
    assert ledger.run(earlier, "01-11") == ["fee 01-05 to 01-11: 60.00"]
    later = item("310", "01-21", grid=earlier.schedule.grid)
    assert ledger.run(later, "01-11") == ["reversed credit 01-05 to 01-11: -60.00", "credit 01-11 to 01-21: -100.00"]
    assert ledger.total == Decimal("110.00")


def test_both_ends_of_a_fee_given_back_share_the_credit_without_losing_a_cent():
    ledger = Ledger()
    ledger.run(item("100", "01-01"), "01-01")
    inner = item("100", "01-11", "01-21", grid=item("100", "01-01").schedule.grid)
    assert ledger.run(inner, "01-01") == ["credit 01-01 to 01-11: -32.26", "credit 01-21 to 02-01: -35.48"]
    assert ledger.total == Decimal("32.26")
    assert all(evaluate(due.trace) == due.net for due in ledger.rows)


def test_without_proration_a_period_begun_stays_charged():
    ledger = Ledger()
    assert ledger.run(item("310", "01-22", billing_day=1, proration=Proration.NONE), "01-22") == [
        "fee 01-22 to 02-01: 310.00"
    ]
    ended = item("310", "01-22", "01-25", billing_day=1, proration=Proration.NONE)
    assert ledger.run(ended, "01-25") == []
    overtaken = item("310", "01-22", "01-22", billing_day=1, proration=Proration.NONE)
    assert ledger.run(overtaken, "01-25") == ["reversed credit 01-22 to 02-01: -310.00"]


def test_without_proration_days_are_charged_anew_if_the_fee_for_the_period_is_gone():
    ledger = Ledger()
    ledger.run(item("310", "01-01", "01-25", billing_day=1, proration=Proration.NONE), "01-25")
    assert ledger.run(item("310", "01-01", billing_day=1, proration=Proration.NONE), "01-25") == [
        "fee 01-25 to 02-01: 0.00"
    ]
    grid = Grid.on_billing_day(Interval.parse("monthly"), 1, day("01-01"))
    later = item("310", "01-27", grid=grid, proration=Proration.NONE)
    assert ledger.run(later, "01-27") == [
        "reversed credit 01-01 to 01-25: -310.00",
        "reversed credit 01-25 to 02-01: 0.00",
        "fee 01-27 to 02-01: 310.00",
    ]
    assert ledger.run(later, "01-27") == []


@pytest.mark.parametrize(
    ("stretch", "days_of_thirty"),
    [
        pytest.param("01-20 to 02-01", 11, id="the 31st counts as the 30th"),
        pytest.param("01-27 to 01-31", 4, id="and the 30th before it as itself"),
        pytest.param("04-21 to 04-30", 9, id="inside a month"),
        pytest.param("02-27 to 03-01", 4, id="the last day of February is the 30th"),
        pytest.param("01-31 to 02-01", 1, id="a 31st alone"),
        pytest.param("02-23 to 03-15", 22, id="over the end of a month"),
    ],
)
def test_a_calendar_of_months_of_thirty_days(stretch, days_of_thirty):
    grid = Grid.calendar(Interval.parse("monthly"), day("01-01"))
    share = share_of(days(stretch), grid.period(5), Proration.STRICT_30_360, grid)
    assert share == Fraction(days_of_thirty, 30)


def test_thirty_day_policies_leave_the_rest_to_the_last_part():
    ledger = Ledger()
    ledger.run(item("300", "02-01", "02-11", proration=Proration.STRICT_30_360), "02-01")
    ledger.run(item("300", "02-01", proration=Proration.STRICT_30_360), "02-11")
    assert [due.net for due in ledger.rows] == [Decimal(100), Decimal(200)]


def test_once_is_charged_once_whatever_becomes_of_its_days():
    ledger = Ledger()
    ledger.run(item("7500", "01-10", interval="once"), "01-10")
    assert ledger.run(item("7500", "01-10", "04-10", interval="once"), "02-01") == []
    assert ledger.run(item("7500", "01-10", "01-10", interval="once"), "01-09") == []
    assert ledger.run(item("7500", "01-10", "01-10", interval="once"), "02-01") == [
        "reversed credit 01-10 to 01-11: -7500.00"
    ]
    assert ledger.run(item("7500", "01-10", "01-10", interval="once"), "02-01") == []


def test_what_is_left_of_a_credited_fee_is_credited_not_reversed():
    ledger = Ledger()
    ledger.run(item("310", "01-01"), "01-01")
    ledger.run(item("310", "01-01", "01-11"), "01-01")
    assert ledger.run(item("310", "01-01", "01-01"), "01-01") == ["credit 01-01 to 01-11: -100.00"]
    assert ledger.total == 0
    assert ledger.run(item("310", "01-01", "01-01"), "01-01") == []


@pytest.mark.parametrize(
    ("booked", "message"),
    [
        pytest.param(
            [Booked(7, Kind.FEE, days("01-15 to 02-15"), Decimal(310))], "charge 7 does not lie inside", id="across"
        ),
        pytest.param(
            [Booked(8, Kind.CREDIT, days("01-15 to 02-01"), Decimal(-1), corrects=7)],
            "credit 8 corrects no",
            id="no fee",
        ),
    ],
)
def test_booked_charges_that_cannot_be_are_refused(booked, message):
    with pytest.raises(ValueError, match=message):
        due_less_booked(item(), booked, day("03-01"))


def test_terms_that_give_less_than_is_booked_for_more_days_are_refused():
    ledger = Ledger()
    ledger.run(item("310", "01-01", "01-11"), "01-01")
    with pytest.raises(ValueError, match="give less"):
        ledger.run(item("31", "01-01"), "02-01")
    with pytest.raises(ValueError, match="give more"):
        ledger.run(item("31000", "01-01", "01-05"), "02-01")


def test_the_short_way_finds_what_the_long_way_finds():
    terms = item("310", "01-11", billing_day=1)
    ledger = Ledger()
    ledger.run(terms, "02-01")
    assert is_settled(terms, day("03-01"), 21 + 28)
    assert due_after(terms, day("03-01"), day("04-01")) == due_less_booked(terms, ledger.standing, day("04-01"))
    assert due_after(terms, None, day("02-01")) == ledger.rows
    assert due_after(terms, day("03-01"), day("02-01")) == []


@pytest.mark.parametrize(
    ("terms", "booked_before", "booked_days", "settled"),
    [
        pytest.param(item(), None, 0, True, id="nothing booked"),
        pytest.param(item(), "02-01", 31, True, id="one month"),
        pytest.param(item(), "03-01", 31, False, id="a month is missing"),
        pytest.param(item(), "01-21", 20, False, id="it goes on inside a period"),
        pytest.param(item(ends_before="01-21"), "01-21", 20, True, id="it ends there"),
        pytest.param(item(ends_before="01-21"), "02-01", 31, False, id="it has been shortened"),
        pytest.param(item(ends_before="01-21"), None, 0, True, id="shortened before anything was booked"),
        pytest.param(item(starts_on="01-05", billing_day=1), "02-01", 31, False, id="its start was moved"),
        pytest.param(item(ends_before="01-01"), "02-01", 31, False, id="overtaken"),
        pytest.param(item(interval="once"), "01-02", 1, True, id="once"),
        pytest.param(item(interval="once", ends_before="02-01"), "01-02", 1, False, id="once, with other days"),
    ],
)
def test_when_the_short_way_will_do(terms, booked_before, booked_days, settled):
    assert is_settled(terms, booked_before and day(booked_before), booked_days) is settled


def test_the_short_way_refuses_days_that_end_inside_a_period():
    with pytest.raises(ValueError, match="end inside a period"):
        due_after(item(), day("01-21"), day("02-01"))
    assert due_after(item(interval="once"), day("01-02"), day("02-01")) == []


def test_a_trace_says_it_all_in_codes_and_figures():
    discounts = [
        DiscountTerms(DiscountKind.PERCENT, Decimal("12.50"), key="LOYAL"),
        DiscountTerms(DiscountKind.FIXED, Decimal(5)),
    ]
    terms = item(
        price("graduated", "10: 25, open: 24", cap=Decimal(300), key="P7"),
        "01-15",
        "01-25",
        billing_day=1,
        quantity="14.50",
        discounts=discounts,
    )
    ledger = Ledger()
    ledger.run(terms, "01-15")
    ledger.run(replace(terms, schedule=replace(terms.schedule, ends_before=None)), "01-25")
    assert ledger.rows[1].trace == {
        "v": 1,
        "price": {"key": "P7", "model": "graduated", "tiers": [["0", "25", "0"], ["10", "24", "0"]], "cap": "300"},
        "quantity": "14.5",
        "slices": [["10", "25", "0", "250"], ["4.5", "24", "0", "108"]],
        "limits": [["cap", "-58"]],
        "list": "300",
        "policy": "actual",
        "nominal": ["2026-01-01", "2026-02-01"],
        "days": ["2026-01-15", "2026-02-01"],
        "share": "17/31",
        "discounts": [["percent", "12.5", "-1275/62", "LOYAL"], ["fixed", "5", "-5", ""]],
        "exact": "8615/62",
        "booked": "79.68",
        "net": "59.27",
    }


def test_the_exact_amount_of_a_third_stands_as_a_fraction():
    terms = item("850", "01-01", "01-11", proration=Proration.ACTUAL_OVER_30)
    [due] = due_less_booked(terms, (), day("01-01"))
    assert (due.trace["exact"], due.net) == ("850/3", Decimal("283.33"))
