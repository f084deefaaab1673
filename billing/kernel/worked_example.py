"""What a price comes to at the bounds of its tiers, and where one more unit makes it cheaper."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.kernel.pricing import PriceTerms, rate

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Dip:
    """With ``quantity`` units a price comes to ``amount``, with one more to ``less``."""

    quantity: Decimal
    amount: Decimal | Fraction
    less: Decimal | Fraction


def telling_quantities(price: PriceTerms) -> list[Decimal]:
    """Quantities that show how a price works: one unit, and each bound of a tier or package with one unit more."""
    bounds = [tier.floor for tier in price.tiers[1:]]
    if len(price.tiers) == 1 and price.package_size != 1:
        bounds = [price.package_size]
    free = [price.free_quota] if price.free_quota else []
    found = {ONE, *free}
    for bound in bounds:
        found |= {bound + price.free_quota, bound + price.free_quota + ONE}
    return sorted(found)


def amounts(price: PriceTerms, quantities: Sequence[Decimal]) -> list[Decimal | Fraction]:
    """What each quantity costs for a whole period, exact."""
    return [rate(price, quantity).amount for quantity in quantities]


def dips(price: PriceTerms) -> list[Dip]:
    """The bounds of tiers after which one more unit lowers the amount, as volume prices have it: 30 units, and 31."""
    found = []
    for tier in price.tiers[1:]:
        quantity = tier.floor + price.free_quota
        amount, less = rate(price, quantity).amount, rate(price, quantity + ONE).amount
        if less < amount:
            found.append(Dip(quantity, amount, less))
    return found
