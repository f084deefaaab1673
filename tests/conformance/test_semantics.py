"""Every figure that the rules of reckoning are settled with, by topic."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.kernel.changes import PausePolicy, aligned, around, ended, paused, replaced
from billing.kernel.charges import Proration, share_of
from billing.kernel.commitment import true_up
from billing.kernel.discounts import DiscountKind, DiscountTerms, holding, taken
from billing.kernel.money import rounded
from billing.kernel.period import Period, months_after
from billing.kernel.pricing import flat, rate
from billing.kernel.schedule import Grid, Interval
from billing.kernel.start import trial_end
from invoicing.kernel.totals import totals
from invoicing.kernel.vat import Case
from payments.kernel.interest import late_interest
from payments.kernel.reminders import Item, after_credits
from tests.billing.kernel.builders import Ledger, day, item, price

T = "10: 2.50, 20: 2.40, 30: 2.30, open: 2.20"
MONTHLY, YEARLY = Interval.parse("monthly"), Interval.parse("yearly")


def rated(model, quantity, text=T, **more):
    return rate(price(model, text, **more), Decimal(quantity)).amount


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [("0", "0.00"), ("10", "25.00"), ("10.5", "26.20"), ("11", "27.40"), ("25", "60.50"), ("31", "74.20")],
)
def test_graduated(quantity, amount):
    assert rated("graduated", quantity) == Decimal(amount)


@pytest.mark.parametrize(
    ("quantity", "amount"), [("10", "25.00"), ("11", "26.40"), ("25", "57.50"), ("30", "69.00"), ("31", "68.20")]
)
def test_volume(quantity, amount):
    assert rated("volume", quantity) == Decimal(amount)


@pytest.mark.parametrize(("quantity", "amount"), [("0", "0"), ("1", "1.25"), ("1000", "1.25"), ("1001", "2.50")])
def test_package(quantity, amount):
    assert rated("package", quantity, "open: 1.25", package_size=Decimal(1000)) == Decimal(amount)


@pytest.mark.parametrize(
    ("model", "quantity", "amount"),
    [("graduated", "11", "512"), ("volume", "11", "322"), ("graduated", "0", "0"), ("volume", "0", "0")],
)
def test_flat_fee_inside_tiers(model, quantity, amount):
    assert rated(model, quantity, "10: 1 + 200, open: 2 + 300") == Decimal(amount)


def test_minimum_commitment():
    assert true_up(Decimal(500), Fraction(12, 31), [], 2).missing == Decimal("193.55")


@pytest.mark.parametrize(
    ("policy", "amount"), [("actual", "34.84"), ("actual_over_30", "36.00"), ("strict_30_360", "33.00")]
)
def test_proration_of_a_month(policy, amount):
    grid = Grid.calendar(MONTHLY, day("01-20"))
    share = share_of(Period(day("01-20"), day("02-01")), grid.period(0), Proration(policy), grid)
    assert rounded(90 * share, 2) == Decimal(amount)


@pytest.mark.parametrize(("policy", "amount"), [("month_first", "900.00"), ("actual", "904.11")])
def test_proration_of_a_year(policy, amount):
    grid = Grid.calendar(YEARLY, day("01-01"))
    share = share_of(Period(day("04-01"), day("2027-01-01")), grid.period(0), Proration(policy), grid)
    assert rounded(1200 * share, 2) == Decimal(amount)


def test_partition_law():
    terms = item("500", "08-31")
    before, after = around(terms, paused(terms.schedule, day("09-05"), day("09-10"), PausePolicy.CREDIT), 2)
    ledger = Ledger()
    ledger.run(terms, "08-31")
    assert ledger.run(before, "09-05") == ["credit 09-05 to 09-30: -416.67"]
    assert Ledger().run(after, "09-10") == ["fee 09-10 to 09-30: 333.33"]
    parts = Ledger()
    for end in ("09-05", "09-10", "09-30"):
        parts.run(ended(terms, day(end)), end)
    assert [due.net for due in parts.rows] == [Decimal("83.33"), Decimal("83.34"), Decimal("333.33")]


@pytest.mark.parametrize(
    ("anchor", "step", "expected"),
    [
        pytest.param("2026-01-31", 1, "2026-02-28 2026-03-31 2026-04-30", id="31 January"),
        pytest.param("2024-01-31", 1, "2024-02-29 2024-03-31 2024-04-30", id="31 January of a leap year"),
        pytest.param("2024-02-29", 12, "2025-02-28 2026-02-28 2027-02-28 2028-02-29", id="29 February by the year"),
    ],
)
def test_month_end(anchor, step, expected):
    dates = [months_after(day(anchor), step * n) for n in range(1, len(expected.split()) + 1)]
    assert dates == [date.fromisoformat(text) for text in expected.split()]


def test_aligning_dates():
    _, new = aligned(item("1000", "08-01"), day("08-20"), 7, 2)
    assert Ledger().run(new, "09-07") == ["fee 09-01 to 09-07: 193.55", "fee 09-07 to 10-07: 1000.00"]


def test_trial():
    assert trial_end(day("2012-01-03"), Interval.every(15, "day")) == day("2012-01-18")


@pytest.mark.parametrize(
    ("terms", "on", "changes", "credit", "fee"),
    [
        pytest.param(
            item("20", "04-11"), "04-26", {"price": flat(Decimal(30))}, "-10.00", "15.00", id="20.00 to 30.00"
        ),
        pytest.param(
            item("1000", "08-01"),
            "08-16",
            {"price": flat(Decimal(10_000)), "grid": Grid.anniversary(YEARLY, day("08-16"))},
            "-516.13",
            "10000.00",
            id="monthly to annual",
        ),
    ],
)
def test_money_on_immediate_change(terms, on, changes, credit, fee):
    grid = changes.get("grid", terms.schedule.grid)
    old, new = replaced(terms, day(on), 2, price=changes["price"])
    new = replace(new, schedule=replace(new.schedule, grid=grid))
    ledger, opened = Ledger(), Ledger()
    ledger.run(terms, terms.schedule.starts_on)
    ledger.run(old, on)
    opened.run(new, on)
    assert (ledger.rows[-1].net, opened.rows[0].net) == (Decimal(credit), Decimal(fee))


def percent(value, **more):
    return DiscountTerms(DiscountKind.PERCENT, Decimal(value), **more)


def fixed(value, **more):
    return DiscountTerms(DiscountKind.FIXED, Decimal(value), **more)


@pytest.mark.parametrize(
    ("amount", "discounts", "left"),
    [
        pytest.param("200.00", [fixed(25), percent(50)], "75.00", id="percentage before fixed"),
        pytest.param("200.00", [fixed(25), percent(50, sequence=1)], "87.50", id="fixed first"),
        pytest.param("100.00", [percent(p) for p in (5, 10, 15)], "72.68", id="sequential"),
        pytest.param("100.00", [percent(p, stacked=True) for p in (5, 10, 15)], "70.00", id="stacked"),
    ],
)
def test_order_of_discounts(amount, discounts, left):
    amount = Decimal(amount)
    assert rounded(amount - sum(taken(amount, holding(discounts, 1))), 2) == Decimal(left)


@pytest.mark.parametrize(
    ("lines", "vat"),
    [
        pytest.param([("19", "0.03"), ("7", "0.50")], "0.05", id="per category and rate"),
        pytest.param([("19", net) for net in ("7500", "850", "23.80", "-10", "23.50")], "1593.59", id="halves up"),
    ],
)
def test_vat_level_and_rounding_mode(lines, vat):
    assert totals([(Case.STANDARD, Decimal(rate), Decimal(net)) for rate, net in lines], 2).vat == Decimal(vat)


def test_amount_to_collect():
    items = [Item(1, "EUR", day("01-30"), Decimal("9980.89")), Item(2, "EUR", day("01-30"), Decimal("-274.58"))]
    assert [item.open for item in after_credits(items)] == [Decimal("9706.31")]


def test_interest():
    assert late_interest(Decimal("9980.89"), 60, Decimal("-0.88"), 2) == Decimal("133.22")
