"""A fee in parts: they lie side by side, add up to it, re-evaluate, and leave nothing for the next run."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.charges import Booked, Kind, Proration, due_after, due_less_booked, parted
from billing.kernel.discounts import DiscountKind, DiscountTerms

from .builders import day, item
from .evaluator import evaluate

THROUGH = day("2026-12-31")


def booked(parts):
    return [Booked(key, Kind.FEE, part.period, part.net) for key, part in enumerate(parts, 1)]


@given(
    amount=st.decimals(min_value=0, max_value=10_000, places=2),
    interval=st.sampled_from(["monthly", "quarterly", "yearly"]),
    starts=st.integers(0, 300),
    cuts=st.lists(st.integers(0, 400), max_size=3, unique=True).map(sorted),
    policy=st.sampled_from([Proration.ACTUAL, Proration.MONTH_FIRST]),
    discount=st.sampled_from([(), (DiscountTerms(DiscountKind.PERCENT, Decimal(10), key="r"),)]),
)
def test_parts_add_up_to_the_whole(amount, interval, starts, cuts, policy, discount):
    first = day("01-01") + timedelta(days=starts)
    terms = item(str(amount), first.isoformat(), interval=interval, billing_day=1, proration=policy, discounts=discount)
    whole = due_after(terms, None, THROUGH)
    parts = [part for due in whole for part in parted(terms, due, [day("01-01") + timedelta(days=n) for n in cuts])]
    assert sum(part.net for part in parts) == sum(due.net for due in whole)
    assert all(part.net >= 0 for part in parts)
    assert sum(part.period.days for part in parts) == sum(due.period.days for due in whole)
    assert all(before.period.end <= after.period.start for before, after in pairwise(parts))
    for part in parts:
        evaluate(part.trace)
    assert due_less_booked(terms, booked(parts), THROUGH) == []


def test_a_month_in_two_parts():
    terms = item("310.00", "01-01", billing_day=1)
    (whole,) = due_after(terms, None, day("01-31"))
    parts = parted(terms, whole, [day("01-11"), day("03-01")])
    assert [(str(part.period.start), part.period.days, part.net) for part in parts] == [
        ("2026-01-01", 10, Decimal("100.00")),
        ("2026-01-11", 21, Decimal("210.00")),
    ]
    assert parts[1].trace["booked"] == "100.00"


@pytest.mark.parametrize("more", [{"proration": Proration.NONE}, {"interval": "once"}])
def test_what_is_one_supply_stays_whole(more):
    terms = item("310.00", "01-01", **more)
    (whole,) = due_after(terms, None, day("01-31"))
    assert parted(terms, whole, [day("01-11")]) == [whole]
