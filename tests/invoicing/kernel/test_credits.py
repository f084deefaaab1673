from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import decimals, lists, sampled_from

from invoicing.kernel.credits import Creditable, amount_due, credit, creditable, offset, refundable

SPREAD = Creditable(Decimal("288.65"), Decimal(20), Decimal("55.73"), Decimal("10.00"))


def test_the_discount_goes_back_in_proportion_and_the_last_note_takes_the_rests():
    notes = []
    for wanted in ("19.99", "68.33", "200.33"):
        notes.append(credit(SPREAD, Decimal(wanted), notes, 2))
    assert [(str(n.discount), str(n.net), str(n.vat), str(n.gross)) for n in notes] == [
        ("0.69", "19.30", "3.86", "23.16"),
        ("2.37", "65.96", "13.19", "79.15"),
        ("6.94", "193.39", "38.68", "232.07"),
    ]


def test_no_more_goes_back_than_is_left():
    first = credit(SPREAD, Decimal(200), [], 2)
    with pytest.raises(ValueError, match=r"only 88\.65 are left"):
        credit(SPREAD, Decimal(100), [first], 2)
    with pytest.raises(ValueError, match="are left to credit"):
        credit(SPREAD, Decimal(-1), [], 2)


@pytest.mark.parametrize(
    ("credited", "wanted", "expected"),
    [("10", "241.89", "239.95"), ("0", "241.89", "241.89"), ("249.95", "1", "0"), ("300", "1", "0")],
)
def test_what_of_a_line_can_be_given_back(credited, wanted, expected):
    assert creditable(Decimal("249.95"), Decimal(credited), Decimal(wanted)) == Decimal(expected)


MONEY = decimals(0, 500, places=2)


@given(lists(MONEY, min_size=1, max_size=5), MONEY, sampled_from(["19", "7", "23.33"]))
def test_notes_for_everything_come_to_everything(lines, discount, rate):
    whole = sum(lines)
    discount = min(discount, whole)
    of = Creditable(whole, Decimal(rate), Decimal("12.34"), discount)
    notes = []
    for line in lines:
        notes.append(credit(of, line, notes, 2))
    assert sum(note.net for note in notes) == of.net
    assert sum(note.discount for note in notes) == discount
    assert sum(note.vat for note in notes) == of.vat


@pytest.mark.parametrize(
    ("claims", "amount", "used", "left"),
    [
        ("249.95 249.95", "1000", "249.95 249.95", "500.10"),
        ("100 50", "120", "100 20", "0"),
        ("-5 50", "20", "0 20", "0"),
    ],
)
def test_a_credit_pays_one_claim_after_the_other(claims, amount, used, left):
    found = offset(list(map(Decimal, claims.split())), Decimal(amount))
    assert list(found.used) == list(map(Decimal, used.split()))
    assert found.left == Decimal(left)


@pytest.mark.parametrize(
    ("gross", "still_open", "expected"), [("30", "15", "15"), ("30", "0", "30"), ("30", "90", "0"), ("30", "-5", "30")]
)
def test_a_credit_pays_its_own_invoice_before_it_is_paid_out(gross, still_open, expected):
    assert refundable(Decimal(gross), Decimal(still_open)) == Decimal(expected)


def test_what_is_to_be_paid():
    assert amount_due(Decimal("336.90"), payable_rounding=Decimal("0.01")) == Decimal("336.91")
    assert amount_due(Decimal(1200), prepaid=Decimal(1000)) == 200
