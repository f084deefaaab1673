"""Prices made from others."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.kernel.pricing import Model, PriceTerms, Tier, flat, per_unit
from billing.kernel.repricing import by_amount, by_percent


@pytest.mark.parametrize(
    ("before", "percent", "places", "after"),
    [
        ("9.90", "3", 2, "10.20"),  # 10.197
        ("0.0047", "3", 2, "0.0048"),  # as fine as it was: 0.004841
        ("100", "-12.5", 2, "87.50"),
        ("1000", "3", 0, "1030"),
        ("0.50", "3", 2, "0.52"),  # 0.515, half up
    ],
)
def test_percent_is_rounded_to_the_currency_or_as_fine_as_the_price_was(before, percent, places, after):
    assert by_percent(per_unit(Decimal(before)), Decimal(percent), places) == per_unit(Decimal(after))


def test_percent_changes_every_figure():
    tiers = (Tier(Decimal(0), Decimal("2"), Decimal("10")), Tier(Decimal(5), Decimal("1"), Decimal("0")))
    price = PriceTerms(Model.GRADUATED, tiers, minimum=Decimal("20"), cap=Decimal("200"))
    assert by_percent(price, Decimal(10), 2) == PriceTerms(
        Model.GRADUATED,
        (Tier(Decimal(0), Decimal("2.20"), Decimal("11.00")), Tier(Decimal(5), Decimal("1.10"), Decimal("0.00"))),
        minimum=Decimal("22.00"),
        cap=Decimal("220.00"),
    )


def test_an_amount_is_added_per_unit_or_to_what_is_flat():
    assert by_amount(per_unit(Decimal("9.90")), Decimal("0.50")) == per_unit(Decimal("10.40"))
    assert by_amount(flat(Decimal("49")), Decimal("1")) == flat(Decimal("50"))


def test_no_price_is_below_zero():
    with pytest.raises(ValueError, match="negative"):
        by_amount(per_unit(Decimal("0.40")), Decimal("-0.50"))
