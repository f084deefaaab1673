"""What a quantity costs: flat, per unit, graduated, volume, package, stairstep, percentage; quota, minimum, cap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from billing.kernel.money import exact, plain, rounded

NONE: Final = Decimal(0)
WHOLE: Final = Fraction(1)


class Model(StrEnum):
    FLAT = "flat"  # the flat amount, whatever the quantity
    PER_UNIT = "per_unit"  # each unit the same
    GRADUATED = "graduated"  # each unit at the price of the tier it falls into
    VOLUME = "volume"  # all units at the price of the tier that the last one reaches
    STAIRSTEP = "stairstep"  # the flat amount of the tier reached, once
    PACKAGE = "package"  # each started package; in tiers, if there are several, filled from the bottom
    PERCENTAGE = "percentage"  # the quantity is a value, and the unit price so many percent of it, graduated
    COMMITMENT = "commitment"  # costs nothing by itself: see billing.kernel.commitment


@dataclass(frozen=True, slots=True)
class Tier:
    """Units above ``floor`` cost ``unit_price`` each, up to and including the floor of the next tier.

    The price is per unit, per package or in percent, as the model says. ``flat_amount`` is added once if the tier is
    entered (graduated) or matches (volume, stairstep). A tier with a ``package_size`` of its own (graduated, volume) is
    priced per started package of so many units.
    """

    floor: Decimal
    unit_price: Decimal = NONE  # may be finer than the minor unit: 0.0047
    flat_amount: Decimal = NONE
    package_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PricedSlice:
    quantity: Decimal  # packages, where the model is one of packages
    unit_price: Decimal
    amount: Decimal  # exact: the line that prints it is rounded once, its slices are split from that
    flat_amount: Decimal = NONE  # contained in ``amount``
    tier: int = 1  # its number in the price, from 1


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """A price as the catalog states it. ``tiers`` rise from floor 0; ``minimum`` and ``cap`` are per whole period.

    Of the quantity ``free_quota`` units cost nothing. At zero units no flat amount of a tier is due unless
    ``flat_when_zero`` (a flat price is due whatever the quantity). ``package_per_tier`` allows tiers that end
    inside a package, which is then rounded up in each of the two. In a part of a period the whole quota is free unless
    ``quota_prorated``. ``key`` is what traces call this price; ``share``, the part of a period it was prorated to.
    """

    model: Model
    tiers: tuple[Tier, ...]
    package_size: Decimal = Decimal(1)
    package_per_tier: bool = False
    free_quota: Decimal = NONE
    flat_when_zero: bool = False
    minimum: Decimal | Fraction | None = None
    cap: Decimal | Fraction | None = None
    key: str = ""
    quota_prorated: bool = False
    share: Fraction = WHOLE
    _hash: int = field(init=False, repr=False, compare=False)
    trace: dict[str, Any] = field(init=False, repr=False, compare=False)  # shared by all traces: read only

    def __post_init__(self) -> None:
        floors = [tier.floor for tier in self.tiers]
        if not floors or floors[0] != 0 or any(lower >= upper for lower, upper in pairwise(floors)):
            raise ValueError("the tiers of a price rise from 0")
        if len(floors) > 1 and self.model in (Model.FLAT, Model.PER_UNIT, Model.COMMITMENT):
            raise ValueError(f"a {self.model} price has no tiers")
        if self.package_size <= 0 or self.free_quota < 0:
            raise ValueError("a package holds something, and a free quota is not negative")
        if self.minimum is not None and self.cap is not None and self.minimum > self.cap:
            raise ValueError("the minimum of a price is above its cap")
        sizes = [tier.package_size for tier in self.tiers if tier.package_size is not None]
        if sizes and (min(sizes) <= 0 or self.model not in (Model.GRADUATED, Model.VOLUME)):
            raise ValueError(f"the tiers of a {self.model} price have no packages of {min(sizes)}")
        in_total = self.model is Model.PACKAGE and not self.package_per_tier
        if in_total and any(floor % self.package_size for floor in floors):
            raise ValueError("the tiers of a package price end with a full package")
        # hashed once: every line is looked up by its price
        told = (self.model, self.tiers, self.minimum, self.cap, self.free_quota, self.key)
        object.__setattr__(self, "_hash", hash(told))
        object.__setattr__(self, "trace", _traced(self))

    def __hash__(self) -> int:
        return self._hash


def flat(amount: Decimal, **more: Any) -> PriceTerms:
    """A price that does not depend on the quantity."""
    return PriceTerms(Model.FLAT, (Tier(NONE, NONE, amount),), **more)


def per_unit(unit_price: Decimal, **more: Any) -> PriceTerms:
    """The same price for each unit."""
    return PriceTerms(Model.PER_UNIT, (Tier(NONE, unit_price),), **more)


def tiers_up_to(
    rows: Sequence[tuple[Decimal | None, Decimal, Decimal]], package_sizes: Sequence[Decimal | None] = ()
) -> tuple[Tier, ...]:
    """Tiers from rows of (last quantity that belongs to it, unit price, flat amount); the last one is open (``None``).

    ``package_sizes``, if given, are one a tier (``None``: it is priced by the unit).

    Raises ``ValueError`` if the bounds do not rise from above 0 or the last tier is not open.
    """
    bounds = [up_to for up_to, _, _ in rows]
    closed = [up_to for up_to in bounds[:-1] if up_to is not None]
    if not bounds or bounds[-1] is not None or len(closed) != len(bounds) - 1:
        raise ValueError("the last tier of a price, and only the last, is open")
    if any(lower >= upper for lower, upper in pairwise([NONE, *closed])):
        raise ValueError("the bounds of the tiers of a price rise from above 0")
    sizes = package_sizes or [None] * len(rows)
    return tuple(
        Tier(floor, price, amount, size)
        for floor, (_, price, amount), size in zip([NONE, *closed], rows, sizes, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Rated:
    """The list price of a quantity for a whole period, limits applied, exact; with the slices a document prints.

    A fraction only if a prorated limit applies.
    """

    amount: Decimal | Fraction
    slices: tuple[PricedSlice, ...]
    # what the minimum added ("minimum") and the cap took off ("cap", negative)
    limits: tuple[tuple[str, Decimal | Fraction], ...]
    trace: dict[str, Any]  # shared by all lines rated alike: read only


@lru_cache(maxsize=4096)  # the same few prices and quantities come again and again
def rate(price: PriceTerms, quantity: Decimal, tier_quantity: Decimal | None = None) -> Rated:
    """Price ``quantity`` (>= 0): free quota, tiers, minimum, cap, in this order. Raises ``ValueError`` below 0.

    ``tier_quantity`` decides which tier is reached (volume, stairstep), where it is another than what is charged: the
    peak of a period, say, for its average.
    """
    if not quantity.is_finite() or quantity < 0:
        raise ValueError(f"a quantity of {quantity} has no price")
    with exact():
        units = max(NONE, quantity - price.free_quota) if price.free_quota else quantity
        slices = tuple(_slices(price, units) if tier_quantity is None else _slices_at(price, units, tier_quantity))
        amount: Decimal | Fraction = sum((s.amount for s in slices), NONE)
        limits = []
        if price.minimum is not None and amount < price.minimum:
            limits.append(("minimum", less(price.minimum, amount)))
            amount = price.minimum
        if price.cap is not None and amount > price.cap:
            limits.append(("cap", less(price.cap, amount)))
            amount = price.cap
        trace: dict[str, Any] = {"v": 1, "price": price.trace, "quantity": plain(quantity)}
        if tier_quantity is not None:
            trace["tier_quantity"] = plain(tier_quantity)
        if price.free_quota:
            trace["free"] = plain(min(quantity, price.free_quota))
        if len(price.tiers) > 1 or price.model is Model.PACKAGE or price.tiers[0].package_size is not None:
            trace["slices"] = [
                [plain(s.quantity), plain(s.unit_price), plain(s.flat_amount), plain(s.amount)] for s in slices
            ]
        if limits:
            trace["limits"] = [[code, plain(step)] for code, step in limits]
        trace["list"] = plain(amount)
        return Rated(amount, slices, tuple(limits), trace)


def less(one: Decimal | Fraction, other: Decimal | Fraction) -> Decimal | Fraction:
    """The exact difference; a fraction if one of the two is."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        with exact():
            return one - other
    return Fraction(one) - Fraction(other)


def plus(one: Decimal | Fraction, other: Decimal | Fraction) -> Decimal | Fraction:
    """The exact sum; a fraction if one of the two is."""
    return less(one, less(NONE, other))


@lru_cache(maxsize=4096)
def prorated(price: PriceTerms, share: Fraction) -> PriceTerms:
    """The price for a part of a period, where the quantity is what was used in it: its minimum and cap are prorated.

    So is the free quota if the price says so, to as many decimals as it has itself, halves up: of 1,000 free calls 387
    are free for 12 of 31 days.
    """
    if share == 1:
        return price
    quota = price.free_quota
    if price.quota_prorated:
        exponent = quota.as_tuple().exponent
        quota = rounded(Fraction(quota) * share, max(0, -exponent if isinstance(exponent, int) else 0))
    return replace(
        price,
        minimum=None if price.minimum is None else Fraction(price.minimum) * share,
        cap=None if price.cap is None else Fraction(price.cap) * share,
        free_quota=quota,
        share=price.share * share,
    )


@dataclass(frozen=True, slots=True)
class Quota:
    """How a quantity uses up a free quota of which earlier quantities of the same period have had their part."""

    used_before: Decimal
    free: Decimal
    billable: Decimal


def quota_left(quota: Decimal, quantity: Decimal, used_before: Decimal = NONE) -> Quota:
    """What of ``quantity`` is free after ``used_before`` units, themselves free as far as the quota went."""
    with exact():
        before = min(quota, used_before)
        free = min(quantity, quota - before)
        return Quota(before, free, quantity - free)


def _slices(price: PriceTerms, units: Decimal) -> Iterator[PricedSlice]:
    first = price.tiers[0]
    if price.model is Model.COMMITMENT:
        return
    if price.model is Model.FLAT:
        yield _slice(Decimal(1), first.flat_amount, NONE)
    elif not units:
        if price.flat_when_zero and first.flat_amount:
            yield _slice(NONE, first.unit_price, first.flat_amount)
    elif price.model is Model.VOLUME or price.model is Model.STAIRSTEP:
        yield from _slices_at(price, units, units)
    elif price.model is Model.PACKAGE:
        yield from packages(units, price.tiers, price.package_size)
    elif price.model is Model.PERCENTAGE:
        for part in graduated(units, price.tiers):
            yield _slice(part.quantity, part.unit_price.scaleb(-2), part.flat_amount, part.tier)
    else:
        yield from graduated(units, price.tiers)


def _slices_at(price: PriceTerms, units: Decimal, tier_quantity: Decimal) -> Iterator[PricedSlice]:
    """All units in the tier that ``tier_quantity`` reaches."""
    if price.model not in (Model.VOLUME, Model.STAIRSTEP):
        raise ValueError(f"no single tier of a {price.model} price is reached")
    if not tier_quantity:
        yield from _slices(price, NONE)
        return
    number = reached(tier_quantity, price.tiers)
    tier = price.tiers[number - 1]
    if price.model is Model.STAIRSTEP:
        yield _slice(Decimal(1), tier.flat_amount, NONE, number)
    else:
        yield _slice(_counted(units, tier), tier.unit_price, tier.flat_amount, number)


def graduated(quantity: Decimal, tiers: Sequence[Tier]) -> Iterator[PricedSlice]:
    """Price each part of ``quantity`` in the tier it falls into; ``tiers`` rise from floor 0."""
    for number, (tier, ceiling) in enumerate(zip(tiers, [*(t.floor for t in tiers[1:]), quantity], strict=True), 1):
        units = min(quantity, ceiling) - tier.floor
        if units > 0:
            yield _slice(_counted(units, tier), tier.unit_price, tier.flat_amount, number)


def reached(quantity: Decimal, tiers: Sequence[Tier]) -> int:
    """The number of the tier, from 1, that the last part of ``quantity`` (above 0) falls into."""
    return next(number for number in range(len(tiers), 0, -1) if tiers[number - 1].floor < quantity)


def packages(quantity: Decimal, tiers: Sequence[Tier], size: Decimal) -> Iterator[PricedSlice]:
    """Price every started package of ``size`` units; if tiers end with full packages, that rounds up once in total."""
    for part in graduated(quantity, tiers):
        yield _slice(_started(part.quantity, size), part.unit_price, part.flat_amount, part.tier)


def _counted(units: Decimal, tier: Tier) -> Decimal:
    """Units, or the packages of a tier that has them."""
    return units if tier.package_size is None else _started(units, tier.package_size)


def _started(quantity: Decimal, size: Decimal) -> Decimal:
    full, rest = divmod(quantity, size)
    return full + 1 if rest else full


def _slice(quantity: Decimal, unit_price: Decimal, flat_amount: Decimal, tier: int = 1) -> PricedSlice:
    return PricedSlice(quantity, unit_price, quantity * unit_price + flat_amount, flat_amount, tier)


def _traced(price: PriceTerms) -> dict[str, Any]:
    """The price in codes and figures: all that is needed to rate a quantity again."""
    trace: dict[str, Any] = {"key": price.key} if price.key else {}
    trace["model"] = price.model.value
    trace["tiers"] = [[plain(t.floor), plain(t.unit_price), plain(t.flat_amount)] for t in price.tiers]
    if price.model is Model.PACKAGE:
        trace["package_size"] = plain(price.package_size)
        if price.package_per_tier:
            trace["package_per_tier"] = True
    if any(tier.package_size is not None for tier in price.tiers):
        trace["tier_packages"] = ["" if t.package_size is None else plain(t.package_size) for t in price.tiers]
    if price.flat_when_zero:
        trace["flat_when_zero"] = True
    if price.free_quota:
        trace["free_quota"] = plain(price.free_quota)
    for code, limit in (("minimum", price.minimum), ("cap", price.cap)):
        if limit is not None:
            trace[code] = plain(limit)
    if price.share != 1:
        trace["prorated"] = str(price.share)
    return trace
