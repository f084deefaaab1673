from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, decimals, integers, lists, sampled_from, tuples

from billing.kernel.pricing import (
    Model,
    PriceTerms,
    Tier,
    flat,
    graduated,
    per_unit,
    prorated,
    quota_left,
    rate,
    tiers_up_to,
)

from .builders import price, tiers
from .evaluator import list_price

T = "10: 2.50, 20: 2.40, 30: 2.30, open: 2.20"


def amount(terms, quantity):
    return rate(terms, Decimal(quantity)).amount


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        pytest.param("0", "0.00", id="nothing used costs nothing"),
        pytest.param("10", "25.00", id="the tenth unit belongs to the first tier"),
        pytest.param("10.5", "26.20", id="parts of units are priced as they are"),
        pytest.param("11", "27.40", id="the eleventh unit alone gets the second price"),
        pytest.param("25", "60.50", id="three tiers"),
        pytest.param("31", "74.20", id="four tiers"),
    ],
)
def test_graduated_prices_each_part_in_its_own_tier(units, expected):
    assert amount(price("graduated", T), units) == Decimal(expected)
    assert sum(part.amount for part in graduated(Decimal(units), tiers(T))) == Decimal(expected)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        pytest.param("0", "0.00", id="nothing"),
        pytest.param("10", "25.00", id="the bound is inclusive"),
        pytest.param("10.5", "25.20", id="no rounding up to the next unit"),
        pytest.param("11", "26.40", id="all units at the second price"),
        pytest.param("25", "57.50", id="JustOn's own example"),
        pytest.param("30", "69.00", id="30 units"),
        pytest.param("31", "68.20", id="one more unit is cheaper"),
    ],
)
def test_volume_prices_all_units_in_the_tier_reached(units, expected):
    assert amount(price("volume", T), units) == Decimal(expected)


@pytest.mark.parametrize(
    ("units", "expected"),
    [("0", "0"), ("1", "1.25"), ("1000", "1.25"), ("1000.01", "2.50"), ("1001", "2.50"), ("1500000", "1875")],
)
def test_package_charges_started_packages(units, expected):
    assert amount(price("package", "open: 1.25", package_size=Decimal(1000)), units) == Decimal(expected)


def test_packages_in_tiers_are_rounded_up_once():
    terms = price("package", "1000: 1.00, open: 3.00", package_size=Decimal(100))
    assert [(part.quantity, part.amount) for part in rate(terms, Decimal(1050)).slices] == [(10, 10), (1, 3)]


def test_packages_are_rounded_up_in_each_tier_if_the_price_says_so():
    terms = price("package", "150: 1.00, open: 3.00", package_size=Decimal(100), package_per_tier=True)
    assert [(part.quantity, part.amount) for part in rate(terms, Decimal(160)).slices] == [(2, 2), (1, 3)]


@pytest.mark.parametrize(
    ("model", "units", "expected"),
    [
        pytest.param("graduated", "1050", [(10, 10), (1, 3)], id="started packages of each tier"),
        pytest.param("graduated", "1000", [(10, 10)], id="the bound is inclusive"),
        pytest.param("volume", "1050", [(3, 9)], id="all in packages of the tier reached"),
        pytest.param("volume", "1000", [(10, 10)], id="in those of the first"),
        pytest.param("volume", "0", [], id="nothing"),
    ],
)
def test_tiers_with_packages_of_their_own(model, units, expected):
    rated = rate(price(model, "1000: 1 per 100, open: 3 per 500"), Decimal(units))
    assert [(part.quantity, part.amount) for part in rated.slices] == expected
    assert list_price(rated.trace) == rated.amount


@pytest.mark.parametrize(
    ("model", "units", "reached", "expected"),
    [
        pytest.param("volume", "4", "25", "19.20", id="the peak picks the tier, the average is charged"),
        pytest.param("volume", "0", "25", "10", id="its flat amount, even if nothing is charged"),
        pytest.param("volume", "0", "0", "0", id="nothing reached"),
        pytest.param("stairstep", "4", "25", "10", id="a step is charged once"),
    ],
)
def test_another_quantity_may_pick_the_tier(model, units, reached, expected):
    rated = rate(price(model, "20: 2.40 + 5, open: 2.30 + 10"), Decimal(units), Decimal(reached))
    assert rated.amount == Decimal(expected)
    assert list_price(rated.trace) == rated.amount
    with pytest.raises(ValueError, match="no single tier"):
        rate(price("graduated", T), Decimal(units), Decimal(reached))


def test_a_price_for_a_part_of_a_period_has_a_part_of_its_limits():
    terms = per_unit(Decimal(1), minimum=Decimal(310), cap=Decimal(620), free_quota=Decimal(100), quota_prorated=True)
    part = prorated(terms, Fraction(12, 31))
    assert (part.minimum, part.cap, part.free_quota, part.share) == (120, 240, 39, Fraction(12, 31))
    assert (part.trace["minimum"], part.trace["prorated"]) == ("120", "12/31")
    assert prorated(terms, Fraction(1)) is terms
    thirds = rate(prorated(per_unit(Decimal(1), minimum=Decimal(100)), Fraction(1, 3)), Decimal(5))
    assert (thirds.amount, thirds.limits, thirds.trace["list"]) == (
        Fraction(100, 3),
        (("minimum", Fraction(85, 3)),),
        "100/3",
    )
    assert list_price(thirds.trace) == thirds.amount


@pytest.mark.parametrize(
    ("quota", "before", "quantity", "expected"),
    [
        pytest.param(10, 0, 15, (0, 10, 5), id="above the quota"),
        pytest.param(10, 5, 15, (5, 5, 10), id="part of it was used before"),
        pytest.param(10, 25, 15, (10, 0, 15), id="all of it was used before"),
        pytest.param(10, 2, 3, (2, 3, 0), id="within it"),
    ],
)
def test_how_a_quota_is_used_up(quota, before, quantity, expected):
    left = quota_left(Decimal(quota), Decimal(quantity), Decimal(before))
    assert (left.used_before, left.free, left.billable) == expected


@pytest.mark.parametrize(
    ("units", "expected"), [("0", "0"), ("1", "15"), ("50", "15"), ("50.5", "49"), ("251", "149"), ("4500", "490")]
)
def test_stairstep_is_the_amount_of_the_tier_reached_whatever_the_quantity(units, expected):
    terms = price("stairstep", "50: 0 + 15, 250: 0 + 49, 1000: 0 + 149, open: 0 + 490")
    assert amount(terms, units) == Decimal(expected)


@pytest.mark.parametrize(
    ("model", "units", "expected"),
    [
        pytest.param("graduated", "10", "210", id="the first tier's flat amount"),
        pytest.param("graduated", "11", "512", id="and the second's, once entered"),
        pytest.param("volume", "11", "322", id="the matching tier's alone"),
        pytest.param("graduated", "0", "0", id="none at zero units"),
        pytest.param("volume", "0", "0", id="none at zero units by volume"),
    ],
)
def test_flat_amounts_in_tiers(model, units, expected):
    assert amount(price(model, "10: 1 + 200, open: 2 + 300"), units) == Decimal(expected)


@pytest.mark.parametrize("model", ["graduated", "volume", "stairstep"])
def test_a_flat_amount_at_zero_units_if_the_price_says_so(model):
    assert amount(price(model, "10: 1 + 200, open: 2 + 300", flat_when_zero=True), 0) == 200


@pytest.mark.parametrize("quantity", [0, 1, 40])
def test_a_flat_price_bills_the_same_for_any_quantity(quantity):
    assert amount(flat(Decimal("99.90")), quantity) == Decimal("99.90")


def test_percentage_of_a_value():
    assert amount(price("percentage", "open: 1.2"), 450) == Decimal("5.4")
    assert amount(price("percentage", "10: 1 + 200, open: 2 + 300"), 11) == Decimal("500.12")


@pytest.mark.parametrize(
    ("units", "more", "expected", "limits"),
    [
        pytest.param(500, {"cap": Decimal(300)}, "300", [("cap", -200)], id="a cap takes off what is above"),
        pytest.param("300.01", {"cap": Decimal(300)}, "300", [("cap", Decimal("-0.01"))], id="a cent above the cap"),
        pytest.param(3, {"minimum": Decimal(10)}, "10", [("minimum", 7)], id="a minimum adds what is missing"),
        pytest.param(50, {"minimum": Decimal(10), "cap": Decimal(300)}, "50", [], id="between the two"),
        pytest.param(120, {"free_quota": Decimal(100)}, "20", [], id="a free quota"),
        pytest.param(80, {"free_quota": Decimal(100)}, "0", [], id="its rest lapses"),
        pytest.param(
            120, {"free_quota": Decimal(100), "minimum": Decimal(25)}, "25", [("minimum", 5)], id="quota, then minimum"
        ),
    ],
)
def test_quota_minimum_and_cap(units, more, expected, limits):
    rated = rate(per_unit(Decimal(1), **more), Decimal(units))
    assert (rated.amount, list(rated.limits)) == (Decimal(expected), limits)


def test_fine_unit_prices_stay_exact():
    assert amount(per_unit(Decimal("0.0000000001")), "12345678901.5") == Decimal("1.23456789015")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: tiers("10: 1, 20: 2"), id="the last tier is closed"),
        pytest.param(lambda: tiers("10: 1, 10: 2, open: 3"), id="a bound twice"),
        pytest.param(lambda: tiers("0: 1, open: 3"), id="a tier of nothing"),
        pytest.param(lambda: tiers_up_to([]), id="no tier"),
        pytest.param(lambda: tiers_up_to([(None, Decimal(1), Decimal(0))] * 2), id="two open tiers"),
        pytest.param(lambda: PriceTerms(Model.GRADUATED, (Tier(Decimal(5)),)), id="does not start at 0"),
        pytest.param(lambda: price("per_unit", T), id="tiers of a price per unit"),
        pytest.param(lambda: per_unit(Decimal(1), minimum=Decimal(2), cap=Decimal(1)), id="minimum above cap"),
        pytest.param(lambda: price("package", "open: 1", package_size=Decimal(0)), id="an empty package"),
        pytest.param(
            lambda: price("package", "150: 1, open: 2", package_size=Decimal(100)), id="a tier inside a package"
        ),
        pytest.param(lambda: price("graduated", "10: 1 per 0, open: 1"), id="a tier of empty packages"),
        pytest.param(lambda: price("percentage", "open: 1 per 5"), id="packages of a percentage"),
        pytest.param(lambda: rate(per_unit(Decimal(1)), Decimal(-1)), id="a negative quantity"),
        pytest.param(lambda: rate(per_unit(Decimal(1)), Decimal("NaN")), id="not a number"),
    ],
)
def test_impossible_prices_are_refused(make):
    with pytest.raises(ValueError, match=r"."):
        make()


MONEY = decimals(0, 1000, places=4)
TIERS = tuples(
    lists(integers(1, 500), max_size=4, unique=True), lists(tuples(MONEY, MONEY), min_size=5, max_size=5)
).map(
    lambda drawn: tiers_up_to(
        [(bound, *prices) for bound, prices in zip([*map(Decimal, sorted(drawn[0])), None], drawn[1], strict=False)]
    )
)


@given(
    sampled_from(["graduated", "volume", "stairstep", "package", "percentage"]),
    TIERS,
    decimals(0, 600, places=3),
    booleans(),
)
def test_the_trace_leads_to_the_same_list_price(model, tiers, quantity, flag):
    terms = PriceTerms(
        Model(model),
        tiers,
        Decimal(7),
        package_per_tier=True,
        flat_when_zero=flag,
        free_quota=Decimal(3),
        cap=Decimal(900),
    )
    rated = rate(terms, quantity)
    assert list_price(rated.trace) == Fraction(rated.amount)
    assert rated.amount - sum(step for _, step in rated.limits) == sum(part.amount for part in rated.slices)
