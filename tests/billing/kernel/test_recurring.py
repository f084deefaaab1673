"""MRR: what a position is worth per month on a day, how a customer's value moves, and that movements add up."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis.strategies import lists

from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.recurring import (
    Change,
    adding_up,
    decreases,
    monthly_value,
    movements,
    periods_per_month,
    remaining_months,
    steps,
    total_value,
)
from billing.kernel.schedule import INTERVALS, Interval, Unit

from .builders import day, item, price
from .test_charge_laws import HORIZON, OFFSETS, at, items


@pytest.mark.parametrize(
    ("interval", "monthly"),
    [
        ("monthly", "120"),
        ("quarterly", "40"),
        ("half_yearly", "20"),
        ("yearly", "10"),
        ("weekly", "520"),
        ("once", "0"),
    ],
)
def test_a_price_of_120_by_its_interval(interval, monthly):
    assert monthly_value([item("120", interval=interval)], day("01-31")) == Fraction(monthly)


def test_a_period_of_ten_days():
    assert periods_per_month(Interval(Unit.DAY, 10)) == Fraction(365, 120)
    assert set(INTERVALS) == {"once", "weekly", "monthly", "quarterly", "half_yearly", "yearly"}


def percent(value, **more):
    return DiscountTerms(DiscountKind.PERCENT, Decimal(value), **more)


@pytest.mark.parametrize(
    ("terms", "on", "monthly"),
    [
        pytest.param(item("100", "02-01"), "01-31", 0, id="not yet"),
        pytest.param(item("100", ends_before="02-01"), "01-31", 100, id="on its last day"),
        pytest.param(item("100", ends_before="02-01"), "02-01", 0, id="over"),
        pytest.param(item("100", trial_end="01-15"), "01-14", 0, id="in the trial"),
        pytest.param(item("100", trial_end="01-15"), "01-15", 100, id="after the trial"),
        pytest.param(item("100", billed_before="02-01"), "01-15", 100, id="billed by another system, and ours"),
        pytest.param(item("100", "01-31", billing_day=15), "02-01", 100, id="a stub is worth a whole period"),
        pytest.param(item("100", discounts=[percent(10)]), "01-15", 90, id="less a percentage"),
        pytest.param(item("100", discounts=[percent(10, periods=1)]), "02-01", 100, id="a discount that is over"),
        pytest.param(item("100", discounts=[percent(10, after_periods=1)]), "02-01", 90, id="one that has set in"),
        pytest.param(
            item("1200", interval="yearly", discounts=[DiscountTerms(DiscountKind.FIXED, Decimal(120))]),
            "01-15",
            90,
            id="an amount per billed period",
        ),
        pytest.param(
            item(price("graduated", "10: 2.50, open: 2.40", minimum=Decimal(30)), quantity=11),
            "01-15",
            30,
            id="tiers, raised to the minimum",
        ),
    ],
)
def test_what_counts_on_a_day(terms, on, monthly):
    assert monthly_value([terms], day(on)) == monthly


def told(found):
    return [f"{m.day:%m-%d} {m.change} {m.amount}" for m in found]


def test_a_customers_story():
    story = [
        item("100", "01-10", ends_before="02-10"),
        item("150", "02-10", ends_before="03-10", grid=item(starts_on="01-10").schedule.grid),
        item("80", "03-10", ends_before="04-01"),
        item("80", "05-01"),
        item("1200", "05-15", interval="yearly"),
    ]
    assert told(movements([story], day("2025-12-31"), day("12-31"))) == [
        "01-10 new 100",
        "02-10 expansion 50",
        "03-10 contraction -70",
        "04-01 churn -80",
        "05-01 reactivation 80",
        "05-15 expansion 100",
    ]
    assert told(movements([story], day("01-31"), day("02-28"))) == ["02-10 expansion 50"]
    assert told(movements([story], day("04-01"), day("05-01"))) == ["05-01 reactivation 80"]
    assert decreases(story, day("01-31"), day("12-31")) == [(day("03-10"), 70), (day("04-01"), 80)]


def test_the_same_price_under_another_name_is_no_movement():
    story = [item("100", ends_before="02-01"), item("100", "02-01")]
    assert movements([story], day("01-15"), day("03-01")) == []


def test_what_is_edited_in_february_leaves_january_alone():
    before = item("100")
    for after in (item("100", ends_before="02-15"), item("100", discounts=[percent(50, after_periods=1)])):
        assert monthly_value([after], day("01-31")) == monthly_value([before], day("01-31")) == 100


@given(lists(items(), min_size=1, max_size=4), OFFSETS, OFFSETS)
@settings(max_examples=100, deadline=None)
def test_movements_lead_exactly_from_opening_to_closing(customer, one, other):
    after, through = at(min(one, other)), at(max(one, other))
    contracts = [customer[:2], customer[2:]]
    opening = sum(monthly_value(contract, after) for contract in contracts)
    closing = sum(monthly_value(contract, through) for contract in contracts)
    found = movements(contracts, after, through)
    assert opening + sum(m.amount for m in found) == closing
    signs = {Change.NEW: 1, Change.EXPANSION: 1, Change.REACTIVATION: 1, Change.CONTRACTION: -1, Change.CHURN: -1}
    assert all(m.amount * signs[m.change] > 0 for m in found)
    assert Counter(m.change for m in movements(contracts, at(-1), at(2 * HORIZON)))[Change.NEW] <= 1


@given(lists(items(), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_between_its_steps_a_contract_keeps_its_value(contract):
    found = {step.day: step.value for step in steps(contract)}
    value = Fraction(0)
    for offset in range(HORIZON + 60):
        value = found.get(at(offset), value)
        assert monthly_value(contract, at(offset)) == value


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ("01-01", "2027-01-01", Fraction(12)),
        ("01-31", "02-28", Fraction(1)),
        ("01-15", "02-01", Fraction(17, 31)),
        ("10-16", "2027-01-01", 2 + Fraction(16, 31)),
        ("03-01", "03-01", Fraction(0)),
    ],
)
def test_remaining_months(start, end, months):
    assert remaining_months(day(start), day(end)) == months


def test_the_value_of_a_contract_is_all_that_it_charges_in_its_term():
    year = [
        item("100", trial_end="02-01", discounts=[percent(50, periods=2)]),
        item("600", interval="yearly", trial_end="02-01", key=2),
        item("250", interval="once", key=3),
    ]
    assert total_value(year, day("2027-02-01")) == 12 * 100 - 2 * 50 + 600 + 250
    half = replace(year[0], schedule=replace(year[0].schedule, ends_before=day("03-15")))
    assert total_value([half], day("2027-02-01")) == Decimal("72.58")  # 50.00, and 14/31 of it


def test_a_voucher_is_worth_its_amount_once_a_period_however_many_positions_there_are():
    voucher = DiscountTerms(DiscountKind.FIXED, Decimal(25), key="V")
    three = [item(amount, discounts=[voucher], key=n) for n, amount in enumerate(("10", "30", "40"), 1)]
    assert monthly_value(three, day("01-15")) == 80 - 25
    assert monthly_value(three[1:], day("01-15")) == 70 - 25
    assert total_value(three, day("04-01")) == 3 * 55
    yearly = item("1200", interval="yearly", discounts=[voucher], key=4)  # for periods of its own it takes another
    assert monthly_value([*three, yearly], day("01-15")) == 55 + Fraction(1175, 12)


def test_what_is_printed_adds_up():
    parts = [Fraction(100, 3)] * 3
    assert adding_up(Fraction(1, 3), parts, 2) == [Decimal(n) for n in ("0.33", "33.34", "33.33", "33.33", "100.33")]


def test_a_step_is_never_later_than_its_item():
    terms = item("100", "01-31", ends_before="03-31", discounts=[percent(10, after_periods=1, periods=5)])
    assert [(step.day, step.value) for step in steps([terms])] == [
        (day("01-31"), 100),
        (day("02-28"), 90),
        (day("03-31"), 0),
    ]
