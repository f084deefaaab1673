from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import decimals, lists, sampled_from, tuples

from invoicing.kernel.totals import (
    LineAllowance,
    average_rate,
    contained_vat,
    line_net,
    totals,
    vat_of,
)
from invoicing.kernel.vat import Case

S, AE = Case.STANDARD, Case.REVERSE_CHARGE


def document(*rows):
    return totals([(S, Decimal(rate), Decimal(net)) for rate, net in rows], 2)


@pytest.mark.parametrize(
    ("rows", "net", "vat", "gross"),
    [
        pytest.param([("19", "0.03"), ("7", "0.50")], "0.53", "0.05", "0.58", id="each rate rounded, then added"),
        pytest.param(
            [("19", n) for n in ("7500", "850", "23.80", "-10", "23.50")],
            "8387.30",
            "1593.59",
            "9980.89",
            id="the sample of StoneOne: once on the sum, halves up",
        ),
        pytest.param([("25", "-625743.54")], "-625743.54", "-156435.89", "-782179.43", id="halves away from zero"),
        pytest.param([("0", "350")], "350", "0", "350", id="no VAT"),
    ],
)
def test_totals(rows, net, vat, gross):
    found = document(*rows)
    assert (found.net, found.vat, found.gross) == (Decimal(net), Decimal(vat), Decimal(gross))


@given(lists(tuples(sampled_from([S, AE]), sampled_from(["19", "7", "0"]), decimals(-999, 999, places=2))))
def test_lines_and_shares_add_up(rows):
    lines = [(case, Decimal(rate), net) for case, rate, net in rows]
    found = totals(lines, 2)
    assert found.net == sum(net for _, _, net in lines)
    assert found.gross == found.net + sum(share.vat for share in found.shares)
    assert all(share.vat == vat_of(share.base, share.rate, 2) for share in found.shares)


@pytest.mark.parametrize(
    ("quantity", "price", "more", "net"),
    [
        pytest.param("132", "15.24", {"price_base_quantity": Decimal(12)}, "167.64", id="a price for twelve"),
        pytest.param("10", "10", {"allowances": [LineAllowance(Decimal(10), is_charge=True)]}, "110", id="a charge"),
        pytest.param("10", "10", {"allowances": [LineAllowance(Decimal("0.01"))]}, "99.99", id="an allowance"),
        pytest.param("25", "0.952", {}, "23.80", id="a fine price"),
        pytest.param("-7", "400", {}, "-2800", id="taken back"),
    ],
)
def test_net_of_a_line(quantity, price, more, net):
    assert line_net(Decimal(quantity), Decimal(price), 2, **more) == Decimal(net)


def test_a_price_is_for_some_units():
    with pytest.raises(ValueError, match="is none"):
        line_net(Decimal(1), Decimal(1), 2, price_base_quantity=Decimal(0))


@pytest.mark.parametrize(("gross", "rate", "vat"), [("2380", "19", "380"), ("10", "7", "0.65"), ("10", "0", "0")])
def test_vat_in_a_gross_amount(gross, rate, vat):
    assert contained_vat(Decimal(gross), Decimal(rate), 2) == Decimal(vat)


def test_the_average_rate_is_exact():
    assert average_rate(document(("19", "100"), ("7", "200")).shares) == Fraction(11)
    assert average_rate(()) == 0
