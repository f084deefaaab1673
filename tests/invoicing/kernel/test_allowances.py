from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, decimals, integers, lists, tuples

from billing.kernel.discounts import DiscountKind
from invoicing.kernel.allowances import DocumentDiscount, allowances
from invoicing.kernel.totals import totals
from invoicing.kernel.vat import Case


def percent(value, **more):
    return DocumentDiscount(DiscountKind.PERCENT, Decimal(value), **more)


def fixed(value, **more):
    return DocumentDiscount(DiscountKind.FIXED, Decimal(value), **more)


def decimal(text):
    return list(map(Decimal, text.split()))


@pytest.mark.parametrize(
    ("bases", "discounts", "amounts", "shares"),
    [
        pytest.param("200", [fixed(25), percent(50)], "100 25", ["100", "25"], id="percentage first: 75.00 are left"),
        pytest.param("200", [fixed(25), percent(50, sequence=1)], "25 87.50", ["25", "87.50"], id="fixed first: 87.50"),
        pytest.param(
            "100 50", [fixed(100), fixed(100)], "100 50", ["66.67 33.33", "33.33 16.67"], id="never below zero"
        ),
        pytest.param("2 1", [fixed("0.12", used=Decimal("0.06"))], "0.06", ["0.04 0.02"], id="part of it was used"),
        pytest.param("100 50", [fixed(10, applies_to=[1])], "10", ["0 10"], id="on one base alone"),
        pytest.param("0", [fixed(10)], "0", ["0"], id="on nothing"),
        pytest.param("100 -30", [fixed(200)], "100", ["100 0"], id="a base below nothing gets no share"),
        pytest.param(
            "33.33 33.33 33.33", [percent(10)], "10.00", ["3.34 3.33 3.33"], id="rounded once, on the document"
        ),
    ],
)
def test_discounts_of_a_document(bases, discounts, amounts, shares):
    found = allowances(decimal(bases), discounts, 2)
    assert [one.amount for one in found] == decimal(amounts)
    assert [list(one.shares) for one in found] == list(map(decimal, shares))


def test_what_a_document_cannot_use_lapses_or_is_carried():
    [lapsed] = allowances([Decimal(30)], [fixed(100)], 2)
    [carried] = allowances([Decimal(30)], [fixed(100, carry_remainder=True)], 2)
    assert (lapsed.after.left, carried.after.left) == (0, 70)
    assert allowances([Decimal(90)], [carried.after], 2)[0].amount == 70


def test_it_is_taken_per_category_before_vat():
    bases = {(Case.STANDARD, Decimal(19)): Decimal(50), (Case.STANDARD, Decimal(7)): Decimal(20)}
    [voucher] = allowances(list(bases.values()), [fixed(10)], 2)
    lines = [(*key, base) for key, base in bases.items()]
    found = totals([*lines, *((*key, -share) for key, share in zip(bases, voucher.shares, strict=True))], 2)
    assert [(share.rate, share.base, share.vat) for share in found.shares] == [
        (19, Decimal("42.86"), Decimal("8.14")),
        (7, Decimal("17.14"), Decimal("1.20")),
    ]
    assert (found.net, found.gross) == (60, Decimal("69.34"))


@given(
    lists(decimals(-50, 500, places=2), min_size=1, max_size=5),
    lists(tuples(booleans(), decimals(0, 100, places=2), integers(0, 2)), max_size=4),
)
def test_shares_add_up_and_leave_no_base_below_nothing(bases, drawn):
    discounts = [(percent if is_percent else fixed)(value, sequence=sequence) for is_percent, value, sequence in drawn]
    left = list(bases)
    for one in allowances(bases, discounts, 2):
        assert sum(one.shares) == one.amount >= 0
        left = [base - share for base, share in zip(left, one.shares, strict=True)]
    assert all(after >= 0 for after, before in zip(left, bases, strict=True) if before >= 0)
    assert all(after == before for after, before in zip(left, bases, strict=True) if before < 0)
