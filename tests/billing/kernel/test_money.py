from decimal import Decimal, Inexact, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import decimals, integers, lists, sampled_from

from billing.kernel.money import allocated, exact, places_of, plain, rounded, shares, split


@pytest.mark.parametrize(
    ("amount", "places", "expected"),
    [
        pytest.param("1593.585", 2, "1593.59", id="half a cent goes up where half-even would go down"),
        pytest.param("2.345", 2, "2.35", id="an even cent goes up, too"),
        pytest.param("-2.345", 2, "-2.35", id="negative amounts go away from zero"),
        pytest.param("-0.004", 2, "0.00", id="there is no negative zero"),
        pytest.param("0.5", 0, "1", id="yen have no minor unit"),
        pytest.param("1.0005", 3, "1.001", id="dinars have three places"),
        pytest.param(
            "98765432109876543210987654321098765432.005", 2, "98765432109876543210987654321098765432.01", id="60 digits"
        ),
    ],
)
def test_rounds_halves_away_from_zero(amount, places, expected):
    assert str(rounded(Decimal(amount), places)) == expected
    assert str(rounded(Fraction(amount), places)) == expected


@given(integers(-(10**12), 10**12), integers(1, 366), sampled_from([0, 2, 3]))
def test_a_fraction_is_rounded_to_the_nearest(over, under, places):
    result = Fraction(rounded(Fraction(over, under), places))
    assert abs(result - Fraction(over, under)) <= Fraction(1, 2 * 10**places)


def test_exact_reckoning_refuses_what_it_would_have_to_round():
    with exact(), pytest.raises(Inexact):
        Decimal(1) / 3


def test_rounding_does_not_depend_on_the_callers_digits():
    with localcontext(prec=4):
        assert rounded(Decimal("123456.785"), 2) == Decimal("123456.79")


@given(
    cents=integers(-(10**9), 10**9),
    weights=lists(decimals(0, 1000, places=3), min_size=1).filter(any),
    places=sampled_from([0, 2, 3]),
)
def test_split_loses_no_cent_and_strays_by_less_than_one(cents, weights, places):
    total = Decimal(cents).scaleb(-places)
    parts = split(total, weights, places)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(total) * Fraction(weight) / Fraction(sum(weights))) < Fraction(
            1, 10**places
        )


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        pytest.param("100.00", ["1", "1", "1"], ["33.33", "33.34", "33.33"], id="a third each, the cent in the middle"),
        pytest.param("0.05", ["0.0057", "0.0443"], ["0.01", "0.04"], id="exact weights are cumulated as they are"),
        pytest.param("-10", ["3", "0", "1"], ["-8", "0", "-2"], id="without places, and a weight of nothing"),
    ],
)
def test_split(total, weights, parts):
    places = max(0, -Decimal(total).as_tuple().exponent)
    assert [str(part) for part in split(Decimal(total), list(map(Decimal, weights)), places)] == parts


def test_split_by_weights_of_nothing_is_refused():
    with pytest.raises(ValueError, match="add up to nothing"):
        split(Decimal(1), [Decimal(0)], 2)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        pytest.param("100.00", ["1", "1", "1"], ["33.34", "33.33", "33.33"], id="of equal remainders the first"),
        pytest.param("10.00", ["19.99", "68.33", "200.33"], ["0.69", "2.37", "6.94"], id="by largest remainder"),
        pytest.param("0.03", ["1", "1"], ["0.02", "0.01"], id="three cents for two"),
        pytest.param("-0.03", ["1", "1"], ["-0.02", "-0.01"], id="or owed"),
        pytest.param("0.00", ["0", "0"], ["0.00", "0.00"], id="nothing, whatever the weights"),
    ],
)
def test_allocated(total, weights, parts):
    assert [str(part) for part in allocated(Decimal(total), list(map(Decimal, weights)), 2)] == parts


@given(
    lists(decimals(0, 1000, places=2), min_size=1).filter(any),
    decimals(0, 1, places=3),
)
def test_a_part_never_exceeds_its_weight_if_the_total_does_not_exceed_all(weights, share):
    total = rounded(sum(weights) * share, 2)
    parts = allocated(total, weights, 2)
    assert sum(parts) == total
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
    exactly = shares(total, weights)
    assert all(abs(Fraction(part) - own) < Fraction(1, 100) for part, own in zip(parts, exactly, strict=True))


def test_nothing_is_shared_out_by_nothing_or_less():
    with pytest.raises(ValueError, match="add up to nothing"):
        allocated(Decimal(1), [Decimal(0)], 2)
    with pytest.raises(ValueError, match="below nothing"):
        allocated(Decimal(1), [Decimal(2), Decimal(-1)], 2)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("12.9000000000"), "12.9"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.00"), "0"),
        (Decimal("100"), "100"),
        (Fraction(850, 3), "850/3"),
        (Fraction(300), "300"),
    ],
)
def test_a_trace_keeps_exact_amounts_plain(amount, text):
    assert plain(amount) == text


@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("CLF", 4)])
def test_places_of_a_currency(currency, places):
    assert places_of(currency) == places


@pytest.mark.parametrize("code", ["eur", "EURO", "XYZ", ""])
def test_an_unknown_currency_is_refused_naming_the_known_ones(code):
    with pytest.raises(ValueError, match=r"is no ISO 4217 currency; known are .* EUR .* USD"):
        places_of(code)
