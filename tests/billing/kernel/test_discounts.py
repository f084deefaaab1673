from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, decimals, integers, lists

from billing.kernel.discounts import DiscountKind, DiscountTerms, holding, taken
from billing.kernel.money import exact, rounded


def percent(value, **more):
    return DiscountTerms(DiscountKind.PERCENT, Decimal(value), **more)


def fixed(value, **more):
    return DiscountTerms(DiscountKind.FIXED, Decimal(value), **more)


def net(amount, *discounts):
    return rounded(amount - sum(taken(amount, holding(discounts, 1))), 2)


@pytest.mark.parametrize(
    ("amount", "discounts", "expected"),
    [
        pytest.param("100", [percent(10)], "90.00", id="10 % on 100.00"),
        pytest.param("100", [fixed(15)], "85.00", id="15.00 off 100.00"),
        pytest.param("10", [fixed(15)], "0.00", id="15.00 off 10.00 is never negative"),
        pytest.param(
            "200", [fixed(25), percent(50)], "75.00", id="percentage before fixed: a voucher is worth its amount"
        ),
        pytest.param("200", [fixed(25, sequence=1), percent(50, sequence=2)], "87.50", id="fixed first, by sequence"),
        pytest.param("100", [percent(5), percent(10), percent(15)], "72.68", id="each from what is left"),
        pytest.param("100", [percent(p, stacked=True) for p in (5, 10, 15)], "70.00", id="stacked: added up"),
        pytest.param("100", [percent(60, stacked=True)] * 2, "0.00", id="stacked beyond the whole"),
        pytest.param(
            "100", [percent(50), percent(10, stacked=True), percent(10, stacked=True)], "40.00", id="stacked upon one"
        ),
        pytest.param("-10", [percent(50), fixed(5)], "-10.00", id="nothing is taken off nothing"),
        pytest.param("0.03", [percent("12.5")], "0.03", id="rounded once"),
    ],
)
def test_what_is_left(amount, discounts, expected):
    assert str(net(Decimal(amount), *discounts)) == expected
    assert str(net(Fraction(amount), *discounts)) == expected


@pytest.mark.parametrize(
    ("discount", "ordinals"),
    [
        pytest.param(percent(10), [1, 2, 3, 4, 5, 6], id="always"),
        pytest.param(percent(10, periods=2), [1, 2], id="the first two"),
        pytest.param(percent(10, after_periods=3), [4, 5, 6], id="loyalty: after three"),
        pytest.param(percent(10, after_periods=1, periods=2), [2, 3], id="two after the first"),
    ],
)
def test_billed_periods_of_a_discount(discount, ordinals):
    assert [n for n in range(7) if holding([discount], n) and n] == ordinals


@pytest.mark.parametrize(
    "make", [lambda: percent(101), lambda: percent(-1), lambda: fixed("NaN"), lambda: fixed(5, stacked=True)]
)
def test_impossible_discounts_are_refused(make):
    with pytest.raises(ValueError, match="is none"):
        make()


DISCOUNTS = lists(
    builds(percent, decimals(0, 100, places=2), sequence=integers(0, 2), stacked=booleans())
    | builds(fixed, decimals(0, 100, places=2), sequence=integers(0, 2)),
    max_size=5,
)


@given(decimals(0, 500, places=4), DISCOUNTS)
def test_discounts_never_take_more_than_there_is(amount, discounts):
    with exact():
        steps = taken(amount, holding(discounts, 1))
        assert all(step >= 0 for step in steps)
        assert sum(steps) <= amount
    assert taken(Fraction(amount), holding(discounts, 1)) == list(map(Fraction, steps))
