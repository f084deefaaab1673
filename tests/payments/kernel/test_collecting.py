"""What is collected of a payer: due items less credits, from the threshold on, once per rhythm, after due notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.kernel.bank_days import bank_day_from, is_bank_day
from payments.kernel.collecting import (
    Calendar,
    Item,
    Left,
    Part,
    Rhythm,
    Terms,
    decide,
    is_expired,
    is_same_period,
)

ON = date(2026, 3, 2)  # a Monday
CALENDAR = Calendar(ON, days_ahead=5, notice=14)  # through 9 March
FIVE = Terms(threshold=Decimal("5.00"))


def item(key: int, open_: str, due_on: date = ON, **fields) -> Item:
    return Item(key, due_on, Decimal(open_), **fields)


def test_b2_7_the_credit_is_netted_first():
    decision = decide([item(1, "9980.89"), item(2, "-274.58")], FIVE, CALENDAR)
    assert decision.attempt.amount == Decimal("9706.31")
    assert decision.attempt.parts == (Part(1, Decimal("9980.89")), Part(2, Decimal("-274.58")))
    assert decision.left == ()


@pytest.mark.parametrize(
    ("balance", "collected", "left"),
    [
        ("4.99", None, ((Left.THRESHOLD, Decimal("4.99")),)),
        ("5.00", Decimal("5.00"), ()),
        ("-5.00", None, ()),
    ],
)
def test_b_17_from_the_threshold_on(balance, collected, left):
    decision = decide([item(1, balance)], FIVE, CALENDAR)
    assert (decision.attempt and decision.attempt.amount, decision.left) == (collected, left)


def test_b_17_the_threshold_is_that_of_the_balance():
    assert decide([item(1, "100.00"), item(2, "-95.01")], FIVE, CALENDAR).left == ((Left.THRESHOLD, Decimal(100)),)
    assert decide([item(1, "100.00"), item(2, "-95.00")], FIVE, CALENDAR).attempt.amount == Decimal("5.00")
    assert decide([item(1, "100.00"), item(2, "-100.00")], Terms(), CALENDAR).left == ((Left.CREDIT, Decimal(100)),)


@pytest.mark.parametrize(
    ("rhythm", "collected_on", "is_collected"),
    [
        (Rhythm.DUE, date(2026, 3, 16), True),
        (Rhythm.MONTHLY, date(2026, 3, 2), False),
        (Rhythm.MONTHLY, date(2026, 2, 27), True),
        (Rhythm.MONTHLY, date(2025, 3, 16), True),
        (Rhythm.QUARTERLY, date(2026, 1, 2), False),
        (Rhythm.QUARTERLY, date(2025, 12, 31), True),
    ],
)
def test_b_18_once_in_each_rhythm(rhythm, collected_on, is_collected):
    decision = decide([item(1, "50.00")], replace(FIVE, rhythm=rhythm, collected_on=(collected_on,)), CALENDAR)
    assert (decision.attempt is not None) is is_collected
    assert decision.left == (() if is_collected else ((Left.RHYTHM, Decimal("50.00")),))


def test_what_is_due_beyond_the_horizon_waits():
    items = [
        item(1, "10.00", date(2026, 3, 9)),
        item(2, "20.00", date(2026, 3, 10)),
        item(3, "40.00", date(2026, 3, 8)),
    ]
    attempt = decide(items, FIVE, CALENDAR).attempt
    assert [part.key for part in attempt.parts] == [3, 1]


def test_an_invoice_that_told_day_and_amount_is_collected_on_that_day():
    told = item(1, "50.00", date(2026, 3, 7), told=(date(2026, 3, 9), date(2026, 2, 21)))
    attempt = decide([told], FIVE, CALENDAR).attempt
    assert (attempt.collect_on, attempt.is_told) == (date(2026, 3, 9), True)


@pytest.mark.parametrize(
    "items",
    [
        [item(1, "50.00", date(2026, 3, 7), told=(date(2026, 3, 9), date(2026, 2, 24)))],  # 13 days before
        [item(1, "50.00", date(2026, 3, 7), told=(date(2026, 3, 6), date(2026, 2, 1)))],  # another day
        [item(1, "50.00", date(2026, 3, 7))],
        [item(1, "50.00", date(2026, 3, 7), told=(date(2026, 3, 9), date(2026, 2, 1))), item(2, "-1.00")],
        [item(n, "50.00", date(2026, 3, 7), told=(date(2026, 3, 9), date(2026, 2, 1))) for n in (1, 2)],
        [item(1, "50.00", date(2026, 3, 7), told=(date(2026, 3, 9), date(2026, 2, 1)), disputed=Decimal(1))],
    ],
)
def test_another_day_or_amount_needs_a_notice_and_its_days(items):
    attempt = decide(items, FIVE, CALENDAR).attempt
    assert (attempt.collect_on, attempt.is_told) == (date(2026, 3, 16), False)


def test_nothing_is_collected_before_the_bank_can():
    attempt = decide(
        [item(1, "50.00", date(2026, 1, 2))], FIVE, Calendar(date(2026, 4, 2), days_ahead=5, notice=1)
    ).attempt
    assert attempt.collect_on == date(2026, 4, 7)  # Maundy Thursday, Good Friday, Easter Monday


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_blocked": True}, Left.BLOCK),
        ({"is_under_way": True}, Left.UNDER_WAY),
        ({"is_returned": True}, Left.RETURNED),
        ({"disputed": Decimal("50.00")}, Left.DISPUTE),
    ],
)
def test_what_is_left_alone_says_why_and_the_rest_is_collected(fields, reason):
    decision = decide([item(1, "50.00", **fields), item(2, "7.00")], FIVE, CALENDAR)
    assert decision.attempt.parts == (Part(2, Decimal("7.00")),)
    assert decision.left == ((reason, Decimal("50.00")),)


def test_of_a_contested_invoice_the_rest_is_collected():
    decision = decide([item(1, "9980.89", disputed=Decimal("1011.50"))], FIVE, CALENDAR)
    assert decision.attempt.amount == Decimal("8969.39")
    assert decision.left == ((Left.DISPUTE, Decimal("1011.50")),)


def test_credits_wanted_back_or_used_elsewhere_are_not_netted():
    items = [item(1, "50.00"), item(2, "-10.00", is_kept=True), item(3, "-10.00", is_under_way=True)]
    assert decide(items, FIVE, CALENDAR).attempt.amount == Decimal("50.00")


@pytest.mark.parametrize("reason", [Left.NO_MANDATE, Left.REVOKED, Left.EXPIRED, Left.UNAPPROVED])
def test_without_a_mandate_nothing_is_collected(reason):
    assert decide([item(1, "50.00")], replace(FIVE, cannot=reason), CALENDAR).left == ((reason, Decimal("50.00")),)
    assert decide([item(1, "-50.00")], replace(FIVE, cannot=reason), CALENDAR).left == ()


@pytest.mark.parametrize(
    ("signed_on", "used_on", "on", "expired"),
    [
        (date(2023, 3, 2), None, date(2026, 3, 2), False),
        (date(2023, 3, 2), None, date(2026, 3, 3), True),
        (date(2020, 1, 1), date(2024, 2, 29), date(2027, 2, 28), False),
        (date(2020, 1, 1), date(2024, 2, 29), date(2027, 3, 1), True),
        (date(2023, 12, 31), None, date(2026, 12, 31), False),
        (date(2023, 12, 31), None, date(2027, 1, 1), True),
    ],
)
def test_a_mandate_unused_for_36_months_is_void(signed_on, used_on, on, expired):
    assert is_expired(signed_on, used_on, on) is expired


cents = st.integers(-100_000, 100_000).filter(bool).map(lambda number: Decimal(number) / 100)
days = st.integers(-40, 40).map(lambda number: ON + timedelta(days=number))
drawn = st.lists(
    st.builds(
        Item,
        key=st.integers(1, 10**6),
        due_on=days,
        open=cents,
        disputed=st.sampled_from([Decimal(0), Decimal("3.33"), Decimal(2000)]),
        is_blocked=st.booleans(),
        is_under_way=st.booleans(),
        is_kept=st.booleans(),
        told=st.none() | st.tuples(days, days),
    ),
    max_size=12,
    unique_by=lambda one: one.key,
)
terms = st.builds(
    Terms,
    threshold=st.sampled_from([Decimal(0), Decimal("5.00"), Decimal(500)]),
    rhythm=st.sampled_from(Rhythm),
    collected_on=st.lists(days, max_size=2).map(tuple),
)


@given(drawn, terms, st.integers(1, 10), st.integers(1, 20))
def test_laws_of_collecting(items, agreed, ahead, notice):
    calendar = Calendar(ON, days_ahead=ahead, notice=notice)
    decision = decide(items, agreed, calendar)
    by_key = {one.key: one for one in items}
    claims = [one for one in items if one.open > 0 and bank_day_from(one.due_on) <= calendar.horizon]
    attempt = decision.attempt
    taken = Decimal(0)
    if attempt:
        assert attempt.amount == sum(part.amount for part in attempt.parts) > 0
        assert attempt.amount >= agreed.threshold
        assert is_bank_day(attempt.collect_on) and attempt.collect_on > ON
        assert not any(is_same_period(agreed.rhythm, attempt.collect_on, day) for day in agreed.collected_on)
        assert len({part.key for part in attempt.parts}) == len(attempt.parts)
        for part in attempt.parts:
            whole = by_key[part.key].open
            assert part.amount * whole > 0 and abs(part.amount) <= abs(whole)
            assert not by_key[part.key].is_under_way
        taken = sum((part.amount for part in attempt.parts if part.amount > 0), Decimal(0))
        unused = -sum(
            (one.open for one in items if one.open < 0 and not one.is_kept and not one.is_under_way), Decimal(0)
        )
        assert attempt.amount == max(Decimal(0), taken - unused)
        assert attempt.is_told or attempt.collect_on >= ON + timedelta(days=notice)
        assert attempt.collect_on >= max(one.due_on for one in claims if one.key in {p.key for p in attempt.parts})
    assert taken + sum((amount for _reason, amount in decision.left), Decimal(0)) == sum(
        (one.open for one in claims), Decimal(0)
    )
    assert decide(list(reversed(items)), agreed, calendar).attempt == attempt
