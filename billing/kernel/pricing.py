"""What a quantity costs: flat, per unit, graduated, volume, package, stairstep, percentage; quota, minimum, cap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from billing.kernel.money import exact, plain

NONE: Final = Decimal(0)


class Model(StrEnum):
    FLAT = "flat"  # the flat amount, whatever the quantity
    PER_UNIT = "per_unit"  # each unit the same
    GRADUATED = "graduated"  # each unit at the price of the tier it falls into
    VOLUME = "volume"  # all units at the price of the tier that the last one reaches
    STAIRSTEP = "stairstep"  # the flat amount of the tier reached, once
    PACKAGE = "package"  # each started package; in tiers, if there are several, filled from the bottom
    PERCENTAGE = "percentage"  # the quantity is a value, and the unit price so many percent of it, graduated


@dataclass(frozen=True, slots=True)
class Tier:
    """Units above ``floor`` cost ``unit_price`` each, up to and including the floor of the next tier.

    The price is per unit, per package or in percent, as the model says. ``flat_amount`` is added once if the tier is
    entered (graduated) or matches (volume, stairstep).
    """

    floor: Decimal
    unit_price: Decimal = NONE  # may be finer than the minor unit: 0.0047
    flat_amount: Decimal = NONE


@dataclass(frozen=True, slots=True)
class PricedSlice:
    quantity: Decimal  # packages, where the model is one of packages
    unit_price: Decimal
    amount: Decimal  # exact: the line that prints it is rounded once, its slices are split from that
    flat_amount: Decimal = NONE  # contained in ``amount``


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """A price as the catalog states it. ``tiers`` rise from floor 0; ``minimum`` and ``cap`` are per whole period.

    Of the quantity ``free_quota`` units cost nothing. At zero units no flat amount of a tier is due unless
    ``flat_when_zero`` (a flat price is due whatever the quantity). ``package_per_tier`` allows tiers that end
    inside a package, which is then rounded up in each of the two. ``key`` is what traces call this price.
    """

    model: Model
    tiers: tuple[Tier, ...]
    package_size: Decimal = Decimal(1)
    package_per_tier: bool = False
    free_quota: Decimal = NONE
    flat_when_zero: bool = False
    minimum: Decimal | None = None
    cap: Decimal | None = None
    key: str = ""
    _hash: int = field(init=False, repr=False, compare=False)
    trace: dict[str, Any] = field(init=False, repr=False, compare=False)  # shared by all traces: read only

    def __post_init__(self) -> None:
        floors = [tier.floor for tier in self.tiers]
        if not floors or floors[0] != 0 or any(lower >= upper for lower, upper in pairwise(floors)):
            raise ValueError("the tiers of a price rise from 0")
        if len(floors) > 1 and self.model in (Model.FLAT, Model.PER_UNIT):
            raise ValueError(f"a {self.model} price has no tiers")
        if self.package_size <= 0 or self.free_quota < 0:
            raise ValueError("a package holds something, and a free quota is not negative")
        if self.minimum is not None and self.cap is not None and self.minimum > self.cap:
            raise ValueError("the minimum of a price is above its cap")
        in_total = self.model is Model.PACKAGE and not self.package_per_tier
        if in_total and any(floor % self.package_size for floor in floors):
            raise ValueError("the tiers of a package price end with a full package")
        # hashed once: every line is looked up by its price
        object.__setattr__(self, "_hash", hash((self.model, self.tiers, self.minimum, self.cap, self.key)))
        object.__setattr__(self, "trace", _traced(self))

    def __hash__(self) -> int:
        return self._hash


def flat(amount: Decimal, **more: Any) -> PriceTerms:
    """A price that does not depend on the quantity."""
    return PriceTerms(Model.FLAT, (Tier(NONE, NONE, amount),), **more)


def per_unit(unit_price: Decimal, **more: Any) -> PriceTerms:
    """The same price for each unit."""
    return PriceTerms(Model.PER_UNIT, (Tier(NONE, unit_price),), **more)


def tiers_up_to(rows: Sequence[tuple[Decimal | None, Decimal, Decimal]]) -> tuple[Tier, ...]:
    """Tiers from rows of (last quantity that belongs to it, unit price, flat amount); the last one is open (``None``).

    Raises ``ValueError`` if the bounds do not rise from above 0 or the last tier is not open.
    """
    bounds = [up_to for up_to, _, _ in rows]
    closed = [up_to for up_to in bounds[:-1] if up_to is not None]
    if not bounds or bounds[-1] is not None or len(closed) != len(bounds) - 1:
        raise ValueError("the last tier of a price, and only the last, is open")
    if any(lower >= upper for lower, upper in pairwise([NONE, *closed])):
        raise ValueError("the bounds of the tiers of a price rise from above 0")
    return tuple(Tier(floor, price, amount) for floor, (_, price, amount) in zip([NONE, *closed], rows, strict=True))


@dataclass(frozen=True, slots=True)
class Rated:
    """The list price of a quantity for a whole period, limits applied, exact; with the slices a document prints."""

    amount: Decimal
    slices: tuple[PricedSlice, ...]
    limits: tuple[tuple[str, Decimal], ...]  # what the minimum added ("minimum") and the cap took off ("cap", negative)
    trace: dict[str, Any]  # shared by all lines rated alike: read only


@lru_cache(maxsize=4096)  # the same few prices and quantities come again and again
def rate(price: PriceTerms, quantity: Decimal) -> Rated:
    """Price ``quantity`` (>= 0): free quota, tiers, minimum, cap, in this order. Raises ``ValueError`` below 0."""
    if not quantity.is_finite() or quantity < 0:
        raise ValueError(f"a quantity of {quantity} has no price")
    with exact():
        units = max(NONE, quantity - price.free_quota) if price.free_quota else quantity
        slices = tuple(_slices(price, units))
        amount = sum((s.amount for s in slices), NONE)
        limits = []
        if price.minimum is not None and amount < price.minimum:
            limits.append(("minimum", price.minimum - amount))
            amount = price.minimum
        if price.cap is not None and amount > price.cap:
            limits.append(("cap", price.cap - amount))
            amount = price.cap
        trace: dict[str, Any] = {"v": 1, "price": price.trace, "quantity": plain(quantity)}
        if price.free_quota:
            trace["free"] = plain(min(quantity, price.free_quota))
        if len(price.tiers) > 1 or price.model is Model.PACKAGE:
            trace["slices"] = [
                [plain(s.quantity), plain(s.unit_price), plain(s.flat_amount), plain(s.amount)] for s in slices
            ]
        if limits:
            trace["limits"] = [[code, plain(step)] for code, step in limits]
        trace["list"] = plain(amount)
        return Rated(amount, slices, tuple(limits), trace)


def _slices(price: PriceTerms, units: Decimal) -> Iterator[PricedSlice]:
    first = price.tiers[0]
    if price.model is Model.FLAT:
        yield _slice(Decimal(1), first.flat_amount, NONE)
    elif not units:
        if price.flat_when_zero and first.flat_amount:
            yield _slice(NONE, first.unit_price, first.flat_amount)
    elif price.model is Model.VOLUME:
        tier = reached(units, price.tiers)
        yield _slice(units, tier.unit_price, tier.flat_amount)
    elif price.model is Model.STAIRSTEP:
        yield _slice(Decimal(1), reached(units, price.tiers).flat_amount, NONE)
    elif price.model is Model.PACKAGE:
        yield from packages(units, price.tiers, price.package_size)
    elif price.model is Model.PERCENTAGE:
        for part in graduated(units, price.tiers):
            yield _slice(part.quantity, part.unit_price.scaleb(-2), part.flat_amount)
    else:
        yield from graduated(units, price.tiers)


def graduated(quantity: Decimal, tiers: Sequence[Tier]) -> Iterator[PricedSlice]:
    """Price each part of ``quantity`` in the tier it falls into; ``tiers`` rise from floor 0."""
    for tier, ceiling in zip(tiers, [*(t.floor for t in tiers[1:]), quantity], strict=True):
        units = min(quantity, ceiling) - tier.floor
        if units > 0:
            yield _slice(units, tier.unit_price, tier.flat_amount)


def reached(quantity: Decimal, tiers: Sequence[Tier]) -> Tier:
    """The tier that the last part of ``quantity`` (above 0) falls into."""
    return next(tier for tier in reversed(tiers) if tier.floor < quantity)


def packages(quantity: Decimal, tiers: Sequence[Tier], size: Decimal) -> Iterator[PricedSlice]:
    """Price every started package of ``size`` units; if tiers end with full packages, that rounds up once in total."""
    for part in graduated(quantity, tiers):
        yield _slice(_started(part.quantity, size), part.unit_price, part.flat_amount)


def _started(quantity: Decimal, size: Decimal) -> Decimal:
    full, rest = divmod(quantity, size)
    return full + 1 if rest else full


def _slice(quantity: Decimal, unit_price: Decimal, flat_amount: Decimal) -> PricedSlice:
    return PricedSlice(quantity, unit_price, quantity * unit_price + flat_amount, flat_amount)


def _traced(price: PriceTerms) -> dict[str, Any]:
    """The price in codes and figures: all that is needed to rate a quantity again."""
    trace: dict[str, Any] = {"key": price.key} if price.key else {}
    trace["model"] = price.model.value
    trace["tiers"] = [[plain(t.floor), plain(t.unit_price), plain(t.flat_amount)] for t in price.tiers]
    if price.model is Model.PACKAGE:
        trace["package_size"] = plain(price.package_size)
        if price.package_per_tier:
            trace["package_per_tier"] = True
    if price.flat_when_zero:
        trace["flat_when_zero"] = True
    if price.free_quota:
        trace["free_quota"] = plain(price.free_quota)
    for code, limit in (("minimum", price.minimum), ("cap", price.cap)):
        if limit is not None:
            trace[code] = plain(limit)
    return trace
