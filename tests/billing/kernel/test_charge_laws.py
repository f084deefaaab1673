"""What must hold for any item, whatever becomes of its days and whenever a run comes."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis.strategies import builds, composite, integers, just, lists, none, sampled_from, tuples

from billing.kernel.charges import ItemTerms, Kind, Proration, due_after, due_less_booked, is_settled
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.pricing import Model, PriceTerms, Tier, flat, per_unit
from billing.kernel.schedule import Grid, Interval, Schedule, Timing

from .builders import Ledger, day, item
from .evaluator import evaluate

BEGIN, HORIZON = date(2023, 11, 29), 400  # over a leap day
TIERS = (
    Tier(Decimal(0), Decimal("2.50"), Decimal(3)),
    Tier(Decimal(10), Decimal("0.0047")),
    Tier(Decimal(40), Decimal(1)),
)
PRICES = [
    flat(Decimal("100")),
    flat(Decimal("0.01")),
    per_unit(Decimal("283.3333333333"), cap=Decimal(2500)),
    PriceTerms(Model.GRADUATED, TIERS, minimum=Decimal(20), free_quota=Decimal(2)),
    PriceTerms(Model.VOLUME, TIERS, key="V"),
    PriceTerms(Model.STAIRSTEP, TIERS, flat_when_zero=True),
    PriceTerms(Model.PACKAGE, TIERS[:1], package_size=Decimal(7)),
    PriceTerms(Model.PERCENTAGE, TIERS),
]
DISCOUNTS = tuples(sampled_from(["percent", "stacked", "fixed"]), sampled_from(["5", "12.5", "50", "100"])).flatmap(
    lambda drawn: builds(
        DiscountTerms,
        kind=just(DiscountKind.FIXED if drawn[0] == "fixed" else DiscountKind.PERCENT),
        value=just(Decimal(drawn[1])),
        sequence=integers(0, 1),
        periods=none() | integers(1, 3),
        after_periods=integers(0, 2),
        stacked=just(drawn[0] == "stacked"),
    )
)
OFFSETS = integers(0, HORIZON)
SOON = integers(60, 160)  # so close together that changes meet in one period


def at(offset):
    return None if offset is None else BEGIN + timedelta(days=offset)


@composite
def items(draw, policies=tuple(Proration), intervals=("weekly", "monthly", "quarterly", "yearly", "once")):
    interval = Interval.parse(draw(sampled_from(intervals)))
    paid_from = at(draw(integers(0, 60)))
    schedule = Schedule(
        grid=Grid.of(interval, draw(none() | integers(1, 31)), paid_from),
        starts_on=at(draw(integers(0, 90))),
        ends_before=at(draw(none() | integers(120, HORIZON))),
        timing=draw(sampled_from(Timing)),
        paid_from=paid_from,
        billed_before=at(draw(none() | integers(0, 90))),
    )
    return ItemTerms(
        key=1,
        places=draw(sampled_from([2, 2, 0, 3])),
        schedule=schedule,
        price=draw(sampled_from(PRICES)),
        quantity=draw(sampled_from(["0", "1", "11", "44.5", "1001"]).map(Decimal)),
        discounts=tuple(draw(lists(DISCOUNTS, max_size=3))),
        proration=draw(sampled_from(policies)),
    )


def charges(ledger):
    return sorted((due.period, due.kind, due.net) for due in ledger.rows)


@given(items(), sampled_from([1, 7, 11]), OFFSETS)
@settings(max_examples=40, deadline=None)
def test_nightly_weekly_or_once_the_charges_are_the_same(terms, step, last):
    often, once = Ledger(), Ledger()
    for offset in [*range(0, last, step), last]:
        often.run(terms, at(offset))
    once.run(terms, at(last))
    assert charges(often) == charges(once)
    assert often.run(terms, at(last)) == []


@given(items(), OFFSETS, OFFSETS)
@settings(max_examples=150, deadline=None)
def test_the_short_way_equals_the_long_way(terms, first, second):
    ledger = Ledger()
    ledger.run(terms, at(first))
    before = max((charge.period.end for charge in ledger.standing), default=None)
    assert is_settled(terms, before, sum(charge.period.days for charge in ledger.standing))
    assert due_after(terms, before, at(second)) == due_less_booked(terms, ledger.standing, at(second))


def run_through_changes(terms, changes):
    """Run with each end and start in turn, on rising days; returns the last terms and all that was booked."""
    ledger = Ledger()
    for (end, start, _), through in zip(changes, sorted(run for _, _, run in changes), strict=True):
        schedule = replace(terms.schedule, ends_before=at(end), starts_on=at(start) or terms.schedule.starts_on)
        terms = replace(terms, schedule=schedule)
        ledger.run(terms, at(through))
        check(ledger)
        assert ledger.run(terms, at(through)) == []
    return terms, ledger


@given(items(), lists(tuples(none() | SOON, none(), SOON), min_size=1, max_size=5))
@settings(max_examples=250, deadline=None)
def test_whatever_becomes_of_its_end_the_books_come_out_as_if_it_had_been_so_from_the_start(terms, changes):
    terms, ledger = run_through_changes(terms, changes)
    fresh = Ledger()
    for books in (ledger, fresh):
        books.run(terms, at(2 * HORIZON))
    check(ledger)
    for fee in (charge for charge in ledger.standing if charge.kind is Kind.FEE):
        assert sum((credit.net for credit in ledger.standing if credit.corrects == fee.key), fee.net) >= 0
    if terms.schedule.once:
        assert ledger.total == fresh.total
    else:
        assert by_period(ledger) == by_period(fresh)


@given(items(), lists(tuples(none() | SOON, none() | SOON, SOON), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_whatever_becomes_of_its_start_no_day_is_charged_twice_and_a_second_run_finds_nothing(terms, changes):
    run_through_changes(terms, changes)


def by_period(ledger):
    totals = Counter()
    for due in ledger.rows:
        totals[due.nominal] += due.net
    return {nominal: net for nominal, net in totals.items() if net}


def check(ledger):
    """No day charged twice or given back twice; every credit inside its fee; every trace leads to its net."""
    fees = {charge.key: charge for charge in ledger.standing if charge.kind is Kind.FEE}
    credits = [charge for charge in ledger.standing if charge.kind is Kind.CREDIT]
    for rows in (fees.values(), credits):
        assert all(
            one.period.end <= next_one.period.start for one, next_one in pairwise(sorted(rows, key=lambda r: r.period))
        )
    assert all(fee.net >= 0 and fee.period for fee in fees.values())
    for credit in credits:
        fee = fees[credit.corrects]
        assert credit.net < 0
        assert credit.period & fee.period == credit.period
    assert sum(charge.net for charge in ledger.standing) == ledger.total
    for due in ledger.rows:
        assert evaluate(due.trace) == due.net


@given(
    items([Proration.ACTUAL, Proration.MONTH_FIRST], ["weekly", "monthly", "yearly"]),
    lists(OFFSETS, min_size=1, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_the_parts_of_a_stretch_add_up_to_the_whole(terms, cuts):
    whole, parts = Ledger(), Ledger()
    whole.run(terms, at(2 * HORIZON))
    end = terms.schedule.ends_before
    for cut in sorted(cuts):
        if end is None or at(cut) <= end:
            parts.run(replace(terms, schedule=replace(terms.schedule, ends_before=at(cut))), at(2 * HORIZON))
    parts.run(terms, at(2 * HORIZON))
    assert by_period(parts) == by_period(whole)
    assert all(due.kind is Kind.FEE for due in parts.rows)


def test_the_traces_of_ten_thousand_random_lines_lead_to_their_amounts():
    random, lines, part = Random(2), 0, 0
    while lines < 10_000:
        starts_on = BEGIN + timedelta(days=random.randrange(400))
        terms = item(
            random.choice(PRICES),
            starts_on.isoformat(),
            interval=random.choice(["weekly", "monthly", "quarterly", "yearly"]),
            billing_day=random.choice([None, 1, 15, 31]),
            quantity=Decimal(random.randrange(200_000)).scaleb(-2),
            places=random.choice([0, 2, 3]),
            proration=random.choice(list(Proration)),
            discounts=[
                DiscountTerms(
                    kind,
                    Decimal(random.randrange(10_001)).scaleb(-2),
                    periods=random.choice([None, 2]),
                    stacked=kind is DiscountKind.PERCENT and random.random() < 0.5,
                )
                for kind in random.choices(list(DiscountKind), k=random.randrange(3))
            ],
        )
        ledger = Ledger()
        shortened = replace(
            terms, schedule=replace(terms.schedule, ends_before=starts_on + timedelta(days=random.randrange(99)))
        )
        for schedule in (terms, shortened, terms):
            ledger.run(schedule, starts_on + timedelta(days=100))
        assert all(evaluate(due.trace) == due.net for due in ledger.rows)
        lines += len(ledger.rows)
        part += sum("share" in due.trace for due in ledger.rows)
    assert part > 500


def test_half_a_day_of_bad_luck():
    """Eleven cents over eleven days, day by day: no day loses its cent."""
    ledger = Ledger()
    for end in range(2, 33):
        ledger.run(item("0.11", "01-01", (day("01-01") + timedelta(days=end - 1)).isoformat()), "01-31")
    assert ledger.total == Decimal("0.11")
