from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, lists, none, sampled_from, tuples

from billing.kernel.changes import replaced
from billing.kernel.charges import undiscounted
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.money import rounded
from billing.kernel.sharing import shared

from .builders import Ledger, day, item


def voucher(value="25", **more):
    return DiscountTerms(DiscountKind.FIXED, Decimal(value), key="V", **more)


def percent(value, **more):
    return DiscountTerms(DiscountKind.PERCENT, Decimal(value), key=f"P{value}", **more)


class Contract:
    """Runs all items of a contract, sharing their discounts anew each time."""

    def __init__(self):
        self.ledgers = {}

    def run(self, items, through):
        through = day(through) if isinstance(through, str) else through
        return [
            told
            for terms in shared(items, through)
            for told in self.ledgers.setdefault(terms.key, Ledger()).run(terms, through)
        ]

    @property
    def total(self):
        return sum(ledger.total for ledger in self.ledgers.values())


def test_two_items_share_a_voucher():
    items = [item("20", discounts=[voucher()], key=1), item("100", discounts=[voucher()], key=2)]
    assert Contract().run(items, "02-01") == [
        "fee 01-01 to 02-01: 0.00",
        "fee 02-01 to 03-01: 0.00",
        "fee 01-01 to 02-01: 95.00",
        "fee 02-01 to 03-01: 95.00",
    ]


def test_an_upgrade_does_not_double_the_voucher():
    contract, old = Contract(), item("100", discounts=[voucher()])
    assert contract.run([old], "01-01") == ["fee 01-01 to 02-01: 75.00"]
    items = replaced(old, day("01-11"), 2, price=item("200").price)
    assert contract.run(items, "01-11") == ["credit 01-11 to 02-01: -67.74", "fee 01-11 to 02-01: 135.48"]
    assert contract.total == Decimal("142.74")  # 32.26 + 135.48 - 25.00


def test_what_the_ended_item_cannot_use_its_successor_takes():
    contract, old = Contract(), item("100", discounts=[voucher()])
    contract.run([old], "01-01")
    items = replaced(old, day("01-02"), 2, price=item("200").price)
    contract.run(items, "01-02")
    assert contract.total == Decimal("171.78")  # 3.23 + 193.55 - 25.00


def test_an_item_overtaken_on_its_first_day_leaves_all_of_it():
    contract, old = Contract(), item("100", discounts=[voucher()])
    contract.run([old], "01-01")
    contract.run(replaced(old, day("01-01"), 2, price=item("200").price), "01-01")
    assert contract.total == 175


def test_what_lapses_lapses_and_what_is_carried_is_not_lost():
    plain = [item("60", discounts=[voucher("100", periods=1)])]
    assert Contract().run(plain, "02-01") == ["fee 01-01 to 02-01: 0.00", "fee 02-01 to 03-01: 60.00"]
    carried = [item("60", discounts=[voucher("100", periods=1, carry_remainder=True)])]
    assert Contract().run(carried, "03-01") == [
        "fee 01-01 to 02-01: 0.00",
        "fee 02-01 to 03-01: 20.00",
        "fee 03-01 to 04-01: 60.00",
    ]


def test_what_is_carried_comes_on_top_of_what_a_period_grants():
    items = [item("60", discounts=[voucher("70", periods=2, carry_remainder=True)])]
    assert [line.split(": ")[1] for line in Contract().run(items, "04-01")] == ["0.00", "0.00", "40.00", "60.00"]


def test_it_is_carried_night_by_night_as_in_one_run():
    items = [item("60", discounts=[voucher("70", periods=2, carry_remainder=True)])]
    nightly, at_once = Contract(), Contract()
    for offset in range(120):
        nightly.run(items, day("01-01") + timedelta(offset))
    at_once.run(items, day("01-01") + timedelta(119))
    assert nightly.total == at_once.total == 100


def test_percentages_of_each_item_come_first_unless_the_sequence_says_otherwise():
    before = [percent("50"), voucher()]
    assert Contract().run([item("200", discounts=before)], "01-01") == ["fee 01-01 to 02-01: 75.00"]
    items = [item("30", discounts=before, key=1), item("200", discounts=before, key=2)]
    assert [line.split(": ")[1] for line in Contract().run(items, "01-01")] == ["0.00", "90.00"]
    after = [voucher(sequence=1), percent("50", sequence=2)]
    items = [item("20", discounts=after, key=1), item("200", discounts=after, key=2)]
    assert [line.split(": ")[1] for line in Contract().run(items, "01-01")] == ["0.00", "97.50"]


def test_items_with_periods_of_their_own_take_it_in_each():
    items = [item("100", discounts=[voucher()], key=1), item("900", interval="yearly", discounts=[voucher()], key=2)]
    assert [line.split(": ")[1] for line in Contract().run(items, "01-01")] == ["75.00", "875.00"]
    once = [item("100", discounts=[voucher()], key=1), item("500", interval="once", discounts=[voucher()], key=2)]
    assert [line.split(": ")[1] for line in Contract().run(once, "01-01")] == ["75.00", "475.00"]


def test_items_without_a_fixed_discount_are_left_as_they_are():
    items = [item("100", discounts=[percent("10")], key=1), item("20", key=2)]
    assert shared(items, day("03-01")) == items
    alone = [item("100", discounts=[voucher()])]
    assert shared(alone, day("03-01")) == alone


def test_a_voucher_for_later_periods_waits():
    items = [
        item("20", discounts=[voucher(after_periods=1)], key=1),
        item("100", discounts=[voucher(after_periods=1)], key=2),
    ]
    assert [line.split(": ")[1] for line in Contract().run(items, "02-01")] == ["20.00", "0.00", "100.00", "95.00"]


BEGIN = date(2026, 1, 1)
STRETCHES = lists(
    tuples(integers(0, 80), none() | integers(0, 100), sampled_from(["5", "40", "310"])), min_size=1, max_size=4
)


@given(
    STRETCHES,
    sampled_from(["10", "25", "400"]),
    none() | integers(1, 2),
    booleans(),
    lists(integers(0, 100), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_a_voucher_is_worth_its_amount_a_period_and_never_more(stretches, value, periods, carries, runs):
    discount = voucher(value, periods=periods, carry_remainder=carries)
    items = []
    for key, (start, length, amount) in enumerate(stretches):
        starts_on = BEGIN + timedelta(start)
        end = None if length is None else starts_on + timedelta(length)
        terms = item(amount, "01-01", discounts=[discount], key=key)
        items.append(replace(terms, schedule=replace(terms.schedule, starts_on=starts_on, ends_before=end)))
    contract, once = Contract(), Contract()
    for run in sorted(runs):
        contract.run(items, BEGIN + timedelta(run))
    last = BEGIN + timedelta(110)
    contract.run(items, last)
    once.run(items, last)
    assert contract.total == once.total
    left = Decimal(0)
    first = min((terms.schedule.stretch.start for terms in items if terms.schedule.stretch), default=None)
    for n in range(4):
        nominal = items[0].schedule.grid.period(n)
        if first is None or nominal.end <= first:
            continue
        amounts = [
            undiscounted(terms, nominal, inside) for terms in items if (inside := nominal & terms.schedule.stretch)
        ]
        if periods is None or n < periods:
            left += Decimal(value) if amounts else 0
        net = sum(due.net for ledger in once.ledgers.values() for due in ledger.rows if due.nominal == nominal)
        off = sum(rounded(amount, 2) for amount in amounts) - net
        assert abs(off - min(left, sum(rounded(amount, 2) for amount in amounts))) <= Decimal("0.02")
        left = left - off if carries else Decimal(0)
