"""A price made from another one: so many percent more or less, or a fixed amount."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from billing.kernel.money import rounded
from billing.kernel.pricing import Model, PriceTerms, Tier

# Of these a fixed amount is added to the flat amount of the tier.
BY_FLAT_AMOUNT = frozenset({Model.FLAT, Model.STAIRSTEP, Model.COMMITMENT})


def by_percent(price: PriceTerms, percent: Decimal, places: int) -> PriceTerms:
    """Every figure of a price (units, flat amounts, minimum and maximum) changed by so many percent.

    Rounded to ``places`` of the currency, or to as many as the figure has now if those are more: 0.0047 stays fine.
    """
    factor = 1 + Fraction(percent) / 100

    def changed(figure: Decimal | Fraction) -> Decimal:
        fine = places_of(figure) if isinstance(figure, Decimal) else 0
        return rounded(Fraction(figure) * factor, max(places, fine))

    return replace(
        price,
        tiers=tuple(
            replace(tier, unit_price=changed(tier.unit_price), flat_amount=changed(tier.flat_amount))
            for tier in price.tiers
        ),
        minimum=None if price.minimum is None else changed(price.minimum),
        cap=None if price.cap is None else changed(price.cap),
    )


def by_amount(price: PriceTerms, amount: Decimal) -> PriceTerms:
    """A price with a fixed amount more (or less) per unit or package; of flat prices, per period.

    Minimum and maximum stay. Raises ``ValueError`` if a figure would become negative, and for a percentage.
    """
    if price.model is Model.PERCENTAGE:
        raise ValueError("no amount can be added to a percentage")
    tiers = tuple(_plus(tier, amount, is_flat=price.model in BY_FLAT_AMOUNT) for tier in price.tiers)
    if any(tier.unit_price < 0 or tier.flat_amount < 0 for tier in tiers):
        raise ValueError("the price would be negative")
    return replace(price, tiers=tiers)


def _plus(tier: Tier, amount: Decimal, *, is_flat: bool) -> Tier:
    if is_flat:
        return replace(tier, flat_amount=tier.flat_amount + amount)
    return replace(tier, unit_price=tier.unit_price + amount)


def places_of(figure: Decimal) -> int:
    """How many decimal places a figure needs."""
    exponent = figure.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
