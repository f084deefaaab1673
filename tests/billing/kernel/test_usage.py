from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, decimals, integers, lists, sampled_from, tuples

from billing.kernel import evaluation
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.pricing import Model, PricedSlice, PriceTerms, Tier, per_unit, rate
from billing.kernel.schedule import Grid, Interval, Schedule, Timing
from billing.kernel.usage import (
    Aggregation,
    BookedUsage,
    Component,
    Grouping,
    QuantityChange,
    Record,
    UsageTerms,
    aggregated,
    average,
    changed_quantities,
    grouped,
    over_cap,
    rate_part,
    rate_together,
    remaining,
    rolled_up,
    summed,
    usage_due,
)

from .builders import day, days, price
from .evaluator import evaluate

JANUARY = days("01-01 to 02-01")


def record(on, quantity, batch="", unit=""):
    return Record(day(on), Decimal(quantity), unit, batch)


USED = [record("01-03", "2"), record("01-20", "7.5"), record("01-20", "1"), record("01-05", "3")]


@pytest.mark.parametrize(
    ("aggregation", "quantity"),
    [("sum", "13.5"), ("maximum", "7.5"), ("last", "1"), ("count", "4")],
)
def test_records_become_a_quantity(aggregation, quantity):
    assert aggregated(USED, Aggregation(aggregation)) == Decimal(quantity)
    assert aggregated([], Aggregation(aggregation)) == 0


def test_sums_per_period_and_unit_leave_out_what_lies_outside():
    used = [record("12-31", 1), record("01-31", 2, unit="b"), record("02-01", 4), record("03-01", 8)]
    periods = [JANUARY, days("02-01 to 03-01")]
    assert rolled_up(used, periods) == [{"": 0, "b": 2}, {"": 4, "b": 0}]


# Zuora's example of rating groups.
BATCHES = [
    record("01-01", 20, "1"),
    record("01-16", 90, "1"),
    record("02-01", 80, "1"),
    record("02-16", 15, "1"),
    record("01-01", 50, "2"),
    record("02-16", 100, "2"),
]


@pytest.mark.parametrize(
    ("grouping", "amounts"),
    [
        pytest.param("period", [1440, 1755], id="all of a period"),
        pytest.param("batch", [990, 550, 950, 1000], id="upload by upload"),
        pytest.param("day", [700, 900, 800, 1035], id="day by day"),
        pytest.param("record", [220, 900, 550, 800, 165, 1000], id="each alone"),
    ],
)
def test_records_that_share_a_tier(grouping, amounts):
    terms = price("volume", "50: 11, 100: 10, open: 9")
    periods = [JANUARY, days("02-01 to 03-01")]
    groups = list(grouped(terms, BATCHES, periods, Grouping(grouping)))
    assert [group.amount for group in groups] == amounts
    assert [summed(period, groups).quantity for period in periods] == [160, 195]


@pytest.mark.parametrize(
    ("terms", "before", "quantity", "more", "amount", "topped_up", "taken_off"),
    [
        pytest.param(
            price("package", "open: 15", package_size=Decimal(10)), 17, 5, {}, "15", 0, 0, id="packages run on"
        ),
        pytest.param(
            price("percentage", "1000: 1 + 200, open: 2 + 300"), 1050, 4000, {}, "80", 0, 0, id="tiers run on"
        ),
        pytest.param(
            per_unit(Decimal("1.33333"), cap=Decimal(100)),
            70,
            50,
            {"booked": Decimal("93.33")},
            "6.67",
            0,
            "59.9965",
            id="what the cap leaves",
        ),
        pytest.param(per_unit(Decimal(10), cap=Decimal(100)), 12, 5, {}, "0", 0, "50", id="the cap was reached before"),
        pytest.param(
            per_unit(Decimal(1), minimum=Decimal(50)), 10, 5, {}, "40", "35", 0, id="the last part, topped up"
        ),
        pytest.param(per_unit(Decimal(1), minimum=Decimal(50)), 10, 5, {"last": False}, "5", 0, 0, id="not the last"),
        pytest.param(
            per_unit(Decimal(1), minimum=Decimal(1000)),
            0,
            0,
            {"booked": Decimal(100)},
            "900",
            "900",
            0,
            id="what is booked counts towards the minimum",
        ),
        pytest.param(
            per_unit(Decimal(10), cap=Decimal(100)),
            7,
            20,
            {"booked": Decimal(35), "discounts": [DiscountTerms(DiscountKind.PERCENT, Decimal(50))]},
            "15",
            0,
            "185",
            id="the cap comes before the discount",
        ),
        pytest.param(price("volume", "30: 2.30, open: 2.20"), 30, 1, {}, "-0.80", 0, 0, id="one more unit is cheaper"),
    ],
)
def test_a_further_quantity_of_a_period(terms, before, quantity, more, amount, topped_up, taken_off):
    part = rate_part(terms, Decimal(quantity), Decimal(before), **more)
    assert (part.amount, part.topped_up, part.taken_off) == (Decimal(amount), Decimal(topped_up), Decimal(taken_off))


def test_a_further_quantity_names_its_own_tiers():
    part = rate_part(price("graduated", "10: 2 + 5, open: 1 + 7"), Decimal(8), Decimal(6))
    assert [(s.tier, s.quantity, s.amount, s.flat_amount) for s in part.slices] == [(1, 4, 8, 0), (2, 4, 11, 7)]
    assert (part.listed, part.counted) == (19, 8)


PRICES = [
    price("graduated", "10: 2.50 + 3, 40: 0.0047, open: 1"),
    price("volume", "10: 3, open: 2 + 5"),
    price("package", "open: 4", package_size=Decimal(7)),
    price("graduated", "14: 4 per 7, open: 2 per 3"),
    per_unit(Decimal(3), cap=Decimal(60)),
    per_unit(Decimal(3), minimum=Decimal(90), free_quota=Decimal(4)),
]


@given(sampled_from(PRICES), lists(decimals(0, 20, places=2), min_size=1, max_size=6))
def test_the_parts_of_a_period_come_to_its_price(terms, quantities):
    booked = before = Decimal(0)
    for n, quantity in enumerate(quantities):
        part = rate_part(terms, quantity, before, booked=booked, last=n == len(quantities) - 1)
        booked, before = booked + part.amount, before + quantity
    assert booked == rate(terms, before).amount


def test_what_is_billed_of_a_tier_is_taken_off_it():
    billed = {1: PricedSlice(Decimal(5), Decimal(1), Decimal(5))}
    slices = rate(price("graduated", "5: 1, open: 10"), Decimal(8)).slices
    assert [(s.tier, s.quantity, s.amount) for s in remaining(slices, billed)] == [(2, 3, 30)]
    billed[2] = PricedSlice(Decimal(1), Decimal(10), Decimal(10))
    assert [(s.quantity, s.amount) for s in remaining(slices, billed)] == [(2, 20)]


def test_several_units_make_up_a_charge():
    foo = Component("foo", price("volume", "10: 1, 60: 10, open: 100"), Decimal(5))
    bar = Component("bar", price("volume", "100: 2, 600: 20, open: 200"), Decimal(101))
    together = rate_together([foo, bar])
    assert [(unit, s.tier, s.amount) for unit, s in together.slices] == [("foo", 1, 5), ("bar", 2, 2020)]
    assert together.amount == 2025
    assert rate_together([foo, bar], {"bar": {2: together.slices[1][1]}}).amount == 5


def test_a_cap_is_reached_line_by_line():
    amounts = [Decimal(100), Decimal(50), Decimal(25), Decimal(7)]
    assert over_cap(amounts, Decimal(170)) == [0, 0, 5, 7]
    assert over_cap(amounts, Decimal(170), booked=Decimal(60)) == [0, 40, 25, 7]
    assert over_cap(amounts, Decimal(10), booked=Decimal(60)) == amounts


def test_the_average_unit_is_exact():
    assert average(Decimal(200), Decimal(300)) == Fraction(2, 3)
    assert average(Decimal(5), Decimal(0)) == 0


def test_quantities_that_change_move_the_price_of_the_whole():
    terms = price("graduated", "5: 10 + 100, open: 5 + 50")
    changes = [QuantityChange(Decimal(5), Decimal("2.5")), QuantityChange(Decimal(-1), Decimal("-0.25"))]
    assert changed_quantities(terms, changes, 2) == Decimal("72.50")  # half of 150, less a quarter of 10
    assert changed_quantities(terms, [], 2) == 0


def usage(terms, starts_on="01-01", ends_before=None, *, billing_day=1, trial_end=None, **more):
    start = day(starts_on)
    schedule = Schedule(
        Grid.of(Interval.parse("monthly"), billing_day, start),
        start,
        ends_before and day(ends_before),
        Timing.ARREARS,
        paid_from=day(trial_end) if trial_end else start,
    )
    return UsageTerms(1, 2, schedule, terms, **more)


class Metered:
    """Books what is due for usage, and tells it."""

    def __init__(self, terms):
        self.terms, self.booked, self.total = terms, [], Decimal(0)

    def run(self, records, through):
        found = usage_due(self.terms, records, self.booked, through if isinstance(through, date) else day(through))
        for due in found:
            self.booked.append(BookedUsage(due.period, due.quantity, due.net))
            self.total += due.net
            assert evaluate(due.trace) == due.net
            assert evaluation.evaluate(due.trace) == []
        assert usage_due(self.terms, records, self.booked, due_day(through)) == []
        return [f"{due.period.start:%m-%d} to {due.period.end:%m-%d}: {due.quantity:f} = {due.net}" for due in found]


def due_day(through):
    return through if isinstance(through, date) else day(through)


def test_usage_is_charged_when_its_period_is_over():
    books = Metered(usage(per_unit(Decimal("3.95")), "01-11"))
    used = [record("01-11", 4), record("01-31", 6), record("02-01", 1), record("01-10", 99)]
    assert books.run(used, "01-31") == []
    assert books.run(used, "02-01") == ["01-11 to 02-01: 10 = 39.50"]
    assert books.run(used, "03-01") == ["02-01 to 03-01: 1 = 3.95"]


def test_late_usage_is_charged_with_its_own_period_at_the_price_of_then():
    books = Metered(usage(price("graduated", "10: 2, open: 1")))
    used = [record("01-05", 8)]
    books.run(used, "02-01")
    used += [record("01-06", 7), record("02-02", 1)]
    assert books.run(used, "03-01") == ["01-01 to 02-01: 7 = 9.00", "02-01 to 03-01: 1 = 2.00"]
    used[1] = replace(used[1], quantity=Decimal(0))
    assert books.run(used, "03-01") == ["01-01 to 02-01: -7 = -9.00"]


@pytest.mark.parametrize(
    ("terms", "quantity", "expected"),
    [
        pytest.param(per_unit(Decimal(1), minimum=Decimal(310)), 3, "120.00", id="the minimum is prorated"),
        pytest.param(per_unit(Decimal(1), cap=Decimal(310)), 500, "120.00", id="and the cap"),
        pytest.param(per_unit(Decimal(1), cap=Decimal(310)), 100, "100.00", id="the usage itself is not"),
        pytest.param(per_unit(Decimal(1), free_quota=Decimal(1000)), 1400, "400.00", id="nor the quota"),
        pytest.param(
            per_unit(Decimal(1), free_quota=Decimal(1000), quota_prorated=True), 1400, "1013.00", id="unless it is said"
        ),
        pytest.param(
            per_unit(Decimal(1), free_quota=Decimal("1.5"), quota_prorated=True), 2, "1.40", id="by its decimals"
        ),
    ],
)
def test_limits_of_a_part_of_a_period(terms, quantity, expected):
    books = Metered(usage(terms, "01-20"))  # 12 of 31 days
    assert books.run([record("01-25", quantity)], "02-01") == [f"01-20 to 02-01: {quantity} = {expected}"]


def test_a_free_quota_lapses_with_its_period():
    books = Metered(usage(per_unit(Decimal(1), free_quota=Decimal(10))))
    books.run([record("01-05", 3), record("02-05", 12)], "03-01")
    assert books.total == 2


def test_usage_in_the_trial_is_free_up_to_its_quota():
    used = [record("01-05", 30), record("01-17", 20), record("01-18", 5)]
    free = Metered(usage(per_unit(Decimal(2)), "01-03", trial_end="01-18"))
    assert free.run(used, "02-01") == ["01-18 to 02-01: 5 = 10.00"]
    above = Metered(
        usage(per_unit(Decimal(2), minimum=Decimal(99)), "01-03", trial_end="01-18", trial_quota=Decimal(40))
    )
    assert above.run(used, "01-18") == ["01-03 to 01-18: 50 = 20.00"]
    assert above.run(used, "02-01") == ["01-18 to 02-01: 5 = 44.71"]  # the minimum, for 14 of 31 days


def test_a_discount_counts_the_billed_periods_of_usage():
    half = DiscountTerms(DiscountKind.PERCENT, Decimal(50), periods=1)
    books = Metered(usage(per_unit(Decimal(2)), discounts=(half,)))
    assert books.run([record("01-05", 5), record("02-05", 5)], "03-01") == [
        "01-01 to 02-01: 5 = 5.00",
        "02-01 to 03-01: 5 = 10.00",
    ]


BEGIN = date(2026, 1, 10)
TIERS = (Tier(Decimal(0), Decimal("2.50"), Decimal(3)), Tier(Decimal(10), Decimal("0.0047")))
TERMS = [
    per_unit(Decimal("0.333"), cap=Decimal(40)),
    PriceTerms(Model.GRADUATED, TIERS, minimum=Decimal(20), free_quota=Decimal(2), quota_prorated=True),
    PriceTerms(Model.VOLUME, TIERS),
    PriceTerms(Model.PACKAGE, TIERS[:1], package_size=Decimal(7)),
]
RECORDS = lists(
    tuples(integers(0, 120), decimals(0, 60, places=1), integers(0, 120)).map(
        lambda drawn: (Record(BEGIN + timedelta(drawn[0]), drawn[1]), BEGIN + timedelta(drawn[2]))
    ),
    max_size=8,
)


@given(sampled_from(TERMS), RECORDS, lists(integers(0, 150), max_size=4), sampled_from(Aggregation), booleans())
def test_whenever_usage_comes_in_and_whenever_it_is_billed_it_comes_to_the_same(terms, records, runs, how, ends):
    used = usage(terms, "01-10", "03-20" if ends else None, billing_day=20, aggregation=how)
    often, once = Metered(used), Metered(used)
    last = BEGIN + timedelta(160)
    for offset in sorted(runs):
        on = BEGIN + timedelta(offset)
        often.run([record for record, known_on in records if known_on <= on], on)
    for books in (often, once):
        books.run([record for record, _ in records], last)
    assert often.total == once.total
