from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import composite, integers, lists, none, sampled_from, tuples

from billing.kernel.changes import (
    Change,
    Direction,
    MoneyPolicy,
    PausePolicy,
    When,
    aligned,
    around,
    cancelled,
    default_when,
    direction,
    effective_on,
    ended,
    instalments,
    monthly_value,
    paused,
    period_end,
    replaced,
    succeeding,
    versions,
)
from billing.kernel.charges import Kind, Proration
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.pricing import flat, per_unit
from billing.kernel.schedule import Grid, Interval, Timing
from billing.kernel.term import Term

from .builders import Ledger, day, days, item
from .evaluator import evaluate


def every(word):
    return Interval.parse(word)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([("20", "monthly")], [("30", "monthly")], "upgrade", id="more a month"),
        pytest.param([("100", "monthly")], [("1100", "yearly")], "downgrade", id="a year is worth less a month"),
        pytest.param([("100", "monthly")], [("1200", "yearly")], "lateral", id="a year is worth the same"),
        pytest.param([("12", "weekly")], [("52", "monthly")], "lateral", id="52 weeks are 12 months"),
        pytest.param([("10", "monthly"), ("5", "monthly")], [("14", "monthly")], "downgrade", id="all items together"),
        pytest.param([("10", "monthly")], [("10", "monthly"), ("900", "once")], "lateral", id="what is due once"),
    ],
)
def test_which_way_a_change_goes(old, new, expected):
    def amounts(rows):
        return [(Decimal(amount), every(word)) for amount, word in rows]

    assert direction(amounts(old), amounts(new)) == Direction(expected)


def test_value_per_month():
    assert monthly_value(Decimal(10), Interval.every(30, "day")) == Fraction(3650, 360)
    assert monthly_value(Decimal(100), every("quarterly")) == Fraction(100, 3)


def test_down_at_the_end_of_what_is_paid_anything_else_at_once():
    assert [default_when(one) for one in Direction] == [When.IMMEDIATE, When.PERIOD_END, When.IMMEDIATE]


SCHEDULE = item("100", "01-03", trial_end="01-18").schedule
TERM = Term(day("2026-07-01"), day("2026-04-01"))


@pytest.mark.parametrize(
    ("when", "asked_on", "more", "expected"),
    [
        pytest.param("immediate", "02-20", {}, "02-20", id="at once"),
        pytest.param("period_end", "02-20", {}, "03-18", id="at the end of the billed period"),
        pytest.param("period_end", "02-18", {}, "03-18", id="on its first day"),
        pytest.param("period_end", "01-10", {}, "01-18", id="during the trial"),
        pytest.param("term_end", "02-20", {"term": TERM}, "07-01", id="at the end of the term"),
        pytest.param("term_end", "02-20", {}, "03-18", id="without a term"),
        pytest.param("on_date", "02-20", {"on": day("05-05")}, "05-05", id="on a day"),
    ],
)
def test_from_when_a_change_counts(when, asked_on, more, expected):
    assert effective_on(When(when), day(asked_on), SCHEDULE, **more) == day(expected)


def test_a_change_on_a_day_needs_the_day():
    with pytest.raises(ValueError, match="needs the day"):
        effective_on(When.ON_DATE, day("02-20"), SCHEDULE)


def test_a_period_ends_with_its_item_and_begins_with_the_first_paid_day():
    assert period_end(item("100", "01-01", "01-20").schedule, day("01-05")) == day("01-20")
    assert period_end(item("100", "01-03", trial_end="01-18", billing_day=1).schedule, day("01-10")) == day("01-18")


def test_an_end_never_moves_out_nor_before_the_first_day():
    terms = item("100", "01-05", "01-20")
    assert [ended(terms, day(on)).schedule.ends_before for on in ("01-25", "01-10", "01-01")] == list(
        map(day, ("01-20", "01-10", "01-05"))
    )


def test_an_upgrade_credits_and_charges_the_same_days():
    old, new = replaced(item("20", "04-11"), day("04-26"), 2, price=flat(Decimal(30)))
    ledger = Ledger()
    ledger.run(item("20", "04-11"), "04-11")
    assert ledger.run(old, "04-26") == ["credit 04-26 to 05-11: -10.00"]
    assert Ledger().run(new, "04-26") == ["fee 04-26 to 05-11: 15.00"]


def test_from_monthly_to_a_year_of_its_own():
    old, new = replaced(item("1000", "08-01"), day("08-16"), 2, price=flat(Decimal(10_000)))
    yearly = Grid.anniversary(every("yearly"), day("08-16"))
    new = replace(new, schedule=replace(new.schedule, grid=yearly), proration=Proration.MONTH_FIRST)
    ledger = Ledger()
    ledger.run(item("1000", "08-01"), "08-01")
    assert ledger.run(old, "08-16") == ["credit 08-16 to 09-01: -516.13"]
    assert Ledger().run(new, "08-16") == ["fee 08-16 to 08-16: 10000.00"]


def test_another_quantity_ends_the_item_and_opens_one():
    old, new = replaced(item(per_unit(Decimal(10)), quantity=10), day("01-16"), 2, quantity=Decimal(15))
    ledger = Ledger()
    ledger.run(item(per_unit(Decimal(10)), quantity=10), "01-01")
    assert ledger.run(old, "01-16") == ["credit 01-16 to 02-01: -51.61"]
    assert Ledger().run(new, "01-16") == ["fee 01-16 to 02-01: 77.42"]


@pytest.mark.parametrize(
    ("terms", "asked_on", "billing_day", "expected"),
    [
        pytest.param(
            item("1000", "08-01"),
            "08-20",
            7,
            ["fee 08-01 to 09-01: 1000.00", "fee 09-01 to 09-07: 193.55", "fee 09-07 to 10-07: 1000.00"],
            id="day 1 to 7: one stub, then full periods",
        ),
        pytest.param(
            item("249.95", "04-01", trial_end="05-01"),
            "04-15",
            15,
            ["fee 05-01 to 05-15: 116.64", "fee 05-15 to 06-15: 249.95"],
            id="during the trial the stub starts with the first paid day",
        ),
        pytest.param(
            item("1000", "08-31"),
            "09-10",
            31,
            ["fee 08-31 to 09-30: 1000.00", "fee 09-30 to 10-31: 1000.00"],
            id="to the day it has",
        ),
    ],
)
def test_another_billing_day(terms, asked_on, billing_day, expected):
    old, new = aligned(terms, day(asked_on), billing_day, 2)
    through = day(asked_on) + timedelta(days=40)
    ledger = Ledger()
    assert ledger.run(old, through) + Ledger().run(new, through) == expected


YEAR = item("365", "2026-01-01", "2027-01-01", interval="yearly")


@pytest.mark.parametrize(
    ("policy", "not_charged", "ends_before"),
    [
        ("credit", "03-01 to 03-31", "2027-01-01"),
        ("no_credit", None, "2027-01-01"),
        ("extend_term", "03-01 to 03-31", "2027-01-31"),
    ],
)
def test_pauses(policy, not_charged, ends_before):
    pause = paused(YEAR.schedule, day("03-01"), day("03-31"), PausePolicy(policy))
    assert pause.not_charged == (not_charged and days(not_charged))
    assert pause.ends_before == day(ends_before)


def test_a_pause_does_not_end_before_it_starts():
    with pytest.raises(ValueError, match="does not end before"):
        paused(YEAR.schedule, day("03-31"), day("03-01"), PausePolicy.CREDIT)


# Kill Bill charges 322.58 on the resume, which makes 25 days dearer than 25/30 of the price.
def test_a_pause_gives_back_and_charges_by_the_same_measure():
    terms = item("500", "08-31")
    before, after = around(terms, paused(terms.schedule, day("09-05"), day("09-10"), PausePolicy.CREDIT), 2)
    ledger = Ledger()
    ledger.run(terms, "08-31")
    assert ledger.run(before, "09-05") == ["credit 09-05 to 09-30: -416.67"]
    assert Ledger().run(after, "09-10") == ["fee 09-10 to 09-30: 333.33"]


def test_two_pauses_in_an_annual_term_cost_their_days_and_move_no_period():
    first = paused(YEAR.schedule, day("03-01"), day("03-11"), PausePolicy.CREDIT)
    one, two = around(YEAR, first, 2)
    second = paused(two.schedule, day("06-01"), day("06-21"), PausePolicy.CREDIT)
    two, three = around(two, second, 3)
    ledgers = [Ledger(), Ledger(), Ledger()]
    ledgers[0].run(YEAR, "01-01")
    lines = [
        line for ledger, terms in zip(ledgers, (one, two, three), strict=True) for line in ledger.run(terms, "07-01")
    ]
    assert lines == ["credit 03-01 to 01-01: -306.00", "fee 03-11 to 06-01: 82.00", "fee 06-21 to 01-01: 194.00"]
    assert sum(ledger.total for ledger in ledgers) == 365 - 10 - 20
    assert two.schedule.grid == three.schedule.grid == YEAR.schedule.grid


def test_periods_paused_as_a_whole_are_not_counted_by_discounts():
    half = DiscountTerms(DiscountKind.PERCENT, Decimal(50), periods=2)
    terms = item("310", discounts=[half])
    before, after = around(terms, paused(terms.schedule, day("01-20"), day("04-11"), PausePolicy.CREDIT), 2)
    assert after.schedule.periods_skipped == 2
    assert Ledger().run(before, "05-01") == ["fee 01-01 to 01-20: 95.00"]
    assert Ledger().run(after, "05-01") == ["fee 04-11 to 05-01: 103.33", "fee 05-01 to 06-01: 310.00"]


@pytest.mark.parametrize(
    ("money", "timing", "on", "expected"),
    [
        pytest.param("credit", Timing.ADVANCE, "02-10", "02-10", id="given back"),
        pytest.param("refund", Timing.ADVANCE, "02-10", "02-10", id="and paid out"),
        pytest.param("none", Timing.ADVANCE, "02-10", "03-01", id="kept to the end of what is paid"),
        pytest.param("none", Timing.ADVANCE, "03-01", "03-01", id="with the end of a period"),
        pytest.param("none", Timing.ARREARS, "02-10", "02-10", id="nothing was paid ahead"),
        pytest.param("none", Timing.ADVANCE, "01-01", "01-01", id="on the first day"),
    ],
)
def test_what_a_cancellation_leaves_charged(money, timing, on, expected):
    schedule = item("310", timing=timing).schedule
    assert cancelled(schedule, day(on), MoneyPolicy(money)) == day(expected)


def test_instalments_add_up_and_end():
    plan = instalments(Decimal("1000.00"), 3, day("01-31"), every("monthly"), 2)
    assert plan == [
        (day("01-31"), Decimal("333.33")),
        (day("02-28"), Decimal("333.34")),
        (day("03-31"), Decimal("333.33")),
    ]


def test_several_changes_of_a_day_leave_the_last_and_lines_for_no_other():
    first = item(per_unit(Decimal(10)), quantity=1)
    changes = [
        Change(day("01-11"), 3, quantity=Decimal(5)),
        Change(day("01-11"), 2, quantity=Decimal(3)),
        Change(day("01-11"), 4, price=per_unit(Decimal(20))),
    ]
    chain = versions(first, changes)
    assert [(terms.key, terms.quantity, terms.schedule.stretch.days > 0) for terms in chain] == [
        (1, 1, True),
        (2, 3, False),
        (3, 5, False),
        (4, 5, True),
    ]
    assert [Ledger().run(terms, "01-11") for terms in chain[1:]] == [[], [], ["fee 01-11 to 02-01: 67.74"]]


def test_a_change_after_the_end_has_no_days():
    chain = versions(item("310"), [Change(day("01-11"), 2, ends=True), Change(day("01-21"), 3, quantity=Decimal(2))])
    assert [terms.schedule.stretch.days > 0 for terms in chain] == [True, False]


BEGIN = date(2026, 1, 1)
PRICES = [per_unit(Decimal(price)) for price in ("10", "0.333", "283.3333333333")]


@composite
def histories(draw):
    """An item and its changes; each is entered on a day of its own, often later than it counts from."""
    terms = item(
        draw(sampled_from(PRICES)),
        interval=draw(sampled_from(["weekly", "monthly", "quarterly"])),
        billing_day=draw(none() | sampled_from([1, 15, 31])),
        timing=draw(sampled_from(Timing)),
        proration=draw(sampled_from([Proration.ACTUAL, Proration.MONTH_FIRST])),
        quantity=draw(integers(1, 9)),
    )
    drawn = draw(
        lists(tuples(integers(1, 120), integers(0, 150), sampled_from(["quantity", "price", "end"])), max_size=5)
    )
    changes = []
    for sequence, (effective, entered, what) in enumerate(drawn, 2):
        more = {
            "quantity": {"quantity": Decimal(sequence)},
            "price": {"price": PRICES[sequence % 3]},
            "end": {"ends": True},
        }[what]
        changes.append((Change(BEGIN + timedelta(effective), sequence, **more), BEGIN + timedelta(entered)))
    return terms, changes


class Contract:
    def __init__(self):
        self.items, self.ledgers = [], {}

    def run(self, wanted, through):
        self.items = succeeding(self.items, wanted)
        for terms in self.items:
            self.ledgers.setdefault(terms.key, Ledger()).run(terms, through)
            assert self.ledgers[terms.key].run(terms, through) == []

    @property
    def by_period(self):
        totals = Counter()
        for ledger in self.ledgers.values():
            for due in ledger.rows:
                totals[due.nominal] += due.net
        return {nominal: net for nominal, net in totals.items() if net}


@given(histories())
@settings(max_examples=150, deadline=None)
def test_a_history_billed_day_by_day_comes_to_what_it_comes_to_from_scratch(history):
    first, changes = history
    nightly, scratch = Contract(), Contract()
    last = BEGIN + timedelta(170)
    for on in sorted({last, *(entered for _, entered in changes), *(BEGIN + timedelta(n) for n in range(0, 170, 9))}):
        nightly.run(versions(first, [change for change, entered in changes if entered <= on]), on)
    scratch.run(versions(first, [change for change, _ in changes]), last)
    assert nightly.by_period == scratch.by_period
    for ledger in nightly.ledgers.values():
        assert all(evaluate(due.trace) == due.net for due in ledger.rows)


@given(histories(), integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_the_order_in_which_changes_are_entered_does_not_matter(history, seed):
    first, changes = history
    own = [change for change, _ in changes]
    shuffled = own[:]
    Random(seed).shuffle(shuffled)
    assert versions(first, own) == versions(first, shuffled)


@given(histories())
@settings(max_examples=100, deadline=None)
def test_no_day_of_a_contract_belongs_to_two_of_its_items(history):
    first, changes = history
    chain = [terms.schedule.stretch for terms in versions(first, [change for change, _ in changes])]
    held = [stretch for stretch in chain if stretch]
    assert all(one.end <= other.start for one, other in pairwise(held))


@given(tuples(integers(2, 60), integers(1, 60), integers(0, 60)), sampled_from(["monthly", "quarterly", "yearly"]))
@settings(max_examples=100, deadline=None)
def test_a_pause_costs_exactly_its_days(drawn, interval):
    start, length, late = drawn
    terms = item("1000", interval=interval, billing_day=15)
    begins, ends = BEGIN + timedelta(start), BEGIN + timedelta(start + length)
    before, after = around(terms, paused(terms.schedule, begins, ends, PausePolicy.CREDIT), 2)
    through = ends + timedelta(late)
    told, fresh, plain = Ledger(), Ledger(), Ledger()
    told.run(terms, begins - timedelta(1))
    told.run(before, through)
    fresh.run(before, through)
    assert told.total == fresh.total
    resumed = Ledger()
    resumed.run(after, through)
    plain.run(terms, through)
    charged = sum(due.period.days for ledger in (fresh, resumed) for due in ledger.rows if due.kind is Kind.FEE)
    whole = sum(due.period.days for due in plain.rows)
    assert whole - charged == min(length, max(0, (max(due.period.end for due in plain.rows) - begins).days))
