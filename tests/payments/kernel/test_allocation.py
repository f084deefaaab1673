"""Which open items a payment settles, as tables to read and laws that always hold."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.kernel.allocation import Claim, Rule, divide

FIRST = date(2026, 1, 15)


def claim(item: int, left: str, *, days: int | None = None, discount: str = "0") -> Claim:
    due_on = FIRST + timedelta(days=item if days is None else days)
    return Claim(item, due_on, Decimal(left), Decimal(discount))


THREE = [claim(1, "100.00"), claim(2, "50.00"), claim(3, "119.00")]


@pytest.mark.parametrize(
    ("amount", "named", "shares", "unapplied", "fits"),
    [
        pytest.param("50.00", [2], [(2, "50.00", Rule.REFERENCE)], "0", True, id="named and exact"),
        pytest.param("20.00", [2], [(2, "20.00", Rule.REFERENCE)], "0", False, id="named, a part"),
        pytest.param("60.00", [2], [(2, "50.00", Rule.REFERENCE)], "10.00", False, id="named, too much: a credit"),
        pytest.param(
            "169.00", [3, 2], [(2, "50.00", Rule.REFERENCE), (3, "119.00", Rule.REFERENCE)], "0", True, id="two named"
        ),
        pytest.param(
            "120.00", [3, 1], [(1, "100.00", Rule.REFERENCE), (3, "20.00", Rule.REFERENCE)], "0", False,
            id="two named, too little: due first, first",
        ),
        pytest.param("119.00", [], [(3, "119.00", Rule.EXACT)], "0", True, id="nothing named: the exact amount"),
        pytest.param(
            "169.00", [], [(2, "50.00", Rule.EXACT), (3, "119.00", Rule.EXACT)], "0", True, id="the sum of two"
        ),
        pytest.param(
            "269.00", [], [(1, "100.00", Rule.EXACT), (2, "50.00", Rule.EXACT), (3, "119.00", Rule.EXACT)], "0", True,
            id="everything",
        ),
        pytest.param(
            "130.00", [], [(1, "100.00", Rule.OLDEST), (2, "30.00", Rule.OLDEST)], "0", False, id="due first, first"
        ),
        pytest.param(
            "300.00", [], [(1, "100.00", Rule.OLDEST), (2, "50.00", Rule.OLDEST), (3, "119.00", Rule.OLDEST)], "31.00",
            False, id="more than everything",
        ),
        pytest.param("119.00", [9], [(3, "119.00", Rule.EXACT)], "0", True, id="what is named is not open"),
    ],
)  # fmt: skip
def test_rules_in_their_order(amount, named, shares, unapplied, fits):
    found = divide(Decimal(amount), THREE, named)
    assert [(one.item, one.amount, one.rule) for one in found.shares] == [
        (item, Decimal(part), rule) for item, part, rule in shares
    ]
    assert (found.unapplied, found.fits) == (Decimal(unapplied), fits)


def test_of_two_that_fit_the_one_due_first_is_taken_and_the_doubt_told():
    found = divide(Decimal("50.00"), [claim(1, "50.00", days=9), claim(2, "50.00", days=3)])
    assert [one.item for one in found.shares] == [2] and found.fits and not found.is_only


def test_a_small_difference_is_waived_at_the_claim_due_last():
    found = divide(Decimal("149.05"), THREE, [1, 2], Decimal("1.00"))
    assert [(one.item, one.amount, one.difference) for one in found.shares] == [
        (1, Decimal("100.00"), 0), (2, Decimal("49.05"), Decimal("0.95")),
    ]  # fmt: skip
    assert found.fits
    assert not divide(Decimal("148.99"), THREE, [1, 2], Decimal("1.00")).fits  # 1.01 is more than small


def test_a_difference_is_never_waived_where_nothing_was_named():
    assert not divide(Decimal("118.50"), THREE, [], Decimal("1.00")).fits


def test_a_cash_discount_is_taken_where_the_amount_is_just_that_much_less():
    claims = [claim(1, "119.00", discount="3.57"), claim(2, "50.00")]
    found = divide(Decimal("115.43"), claims, [1])
    assert [(one.item, one.amount, one.discount) for one in found.shares] == [(1, Decimal("115.43"), Decimal("3.57"))]
    assert found.fits
    assert divide(Decimal("115.43"), claims).shares == (
        type(found.shares[0])(1, Decimal("115.43"), Rule.EXACT, Decimal("3.57")),
    )
    assert not divide(Decimal("115.42"), claims, [1]).fits  # a cent less is a part, not a discount


cents = st.integers(1, 10**7).map(lambda number: Decimal(number).scaleb(-2))
books = st.lists(st.tuples(cents, st.integers(0, 400)), max_size=12).map(
    lambda rows: [Claim(key, FIRST + timedelta(days=days), left) for key, (left, days) in enumerate(rows, start=1)]
)


@given(amount=cents, claims=books, named=st.sets(st.integers(1, 12)), bound=st.sampled_from(["0", "0.05", "5.00"]))
def test_no_cent_is_lost_and_nothing_is_settled_twice(amount, claims, named, bound):
    found = divide(amount, claims, named, Decimal(bound))
    left = {claim.item: claim.left for claim in claims}
    assert found.applied + found.unapplied == amount
    assert len({share.item for share in found.shares}) == len(found.shares)
    for share in found.shares:
        assert share.amount > 0 and share.amount + share.discount + share.difference <= left[share.item]
        assert 0 <= share.difference <= Decimal(bound)
    if named & left.keys():
        assert {share.item for share in found.shares} <= named


@given(amount=cents, claims=books)
def test_later_claims_get_nothing_before_earlier_ones_are_settled(amount, claims):
    found = divide(amount, claims)
    if {share.rule for share in found.shares} == {Rule.OLDEST}:
        order = sorted(claims, key=lambda claim: (claim.due_on, claim.item))
        paid = {share.item: share.amount for share in found.shares}
        gaps = [claim.left - paid.get(claim.item, Decimal(0)) for claim in order]
        first_gap = next((place for place, gap in enumerate(gaps) if gap), len(gaps))
        assert all(claim.item not in paid for claim in order[first_gap + 1 :])


@given(amount=cents, claims=books, named=st.sets(st.integers(1, 12)), seed=st.randoms())
def test_the_order_in_which_claims_are_told_changes_nothing(amount, claims, named, seed):
    other = list(claims)
    seed.shuffle(other)
    assert divide(amount, other, named) == divide(amount, claims, named)


@pytest.mark.parametrize(("amount", "left"), [("0", "1.00"), ("-1.00", "1.00"), ("1.00", "0")])
def test_only_money_is_divided_among_what_is_open(amount, left):
    with pytest.raises(ValueError, match="what is open"):
        divide(Decimal(amount), [claim(1, left)])
