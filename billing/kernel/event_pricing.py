"""What single transactions cost: a percentage of each value, an amount for each, the first ones free, within limits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from billing.kernel.money import exact
from billing.kernel.pricing import NONE


@dataclass(frozen=True, slots=True)
class EventPrice:
    """``percent`` of each value and ``fixed`` for each event, together at least ``minimum`` and at most ``maximum``.

    The first ``free_events``, and the first ``free_value`` of all values together, are free (0: no such allowance). Of
    two allowances the one that is used up first ends both. An event that is free in part pays for the rest of its
    value, and the fixed amount; one that is free as a whole pays neither, nor the minimum.
    """

    percent: Decimal = NONE
    fixed: Decimal = NONE
    free_events: int = 0
    free_value: Decimal = NONE
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def __post_init__(self) -> None:
        if self.free_events < 0 or self.free_value < 0:
            raise ValueError("what is free is not negative")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum of an event is above its maximum")

    @property
    def is_by_sums(self) -> bool:
        """Whether number and total value say it all, and no single value matters."""
        return not self.free_events and not self.free_value and self.minimum is None and self.maximum is None


@dataclass(frozen=True, slots=True)
class PricedEvent:
    """``percentage`` and ``fixed`` are before the limits of a single event, ``amount`` after them; all exact."""

    value: Decimal
    billed_value: Decimal
    percentage: Decimal
    fixed: Decimal
    amount: Decimal
    is_free: bool


@dataclass(frozen=True, slots=True)
class RatedEvents:
    events: tuple[PricedEvent, ...]

    @property
    def amount(self) -> Decimal:
        return _sum(event.amount for event in self.events)

    @property
    def percentage(self) -> Decimal:
        return _sum(event.percentage for event in self.events)

    @property
    def fixed(self) -> Decimal:
        return _sum(event.fixed for event in self.events)

    @property
    def billed_value(self) -> Decimal:
        return _sum(event.billed_value for event in self.events)

    @property
    def free_events(self) -> int:
        return sum(event.is_free for event in self.events)

    @property
    def paid_events(self) -> int:
        return len(self.events) - self.free_events


def rate_events(price: EventPrice, values: Iterable[Decimal]) -> RatedEvents:
    """Price each of ``values``, in the order in which they came."""
    found = []
    total = NONE
    with exact():
        for number, value in enumerate(values, 1):
            free = min(value, _allowance(price, number, total, value))
            is_free = free == value and _is_allowed(price, number, total)
            total += value
            percentage = ((value - free) * price.percent).scaleb(-2)
            fixed = NONE if is_free else price.fixed
            amount = percentage + fixed
            if price.minimum is not None and not is_free:
                amount = max(amount, price.minimum)
            if price.maximum is not None:
                amount = min(amount, price.maximum)
            found.append(PricedEvent(value, value - free, percentage, fixed, amount, is_free))
    return RatedEvents(tuple(found))


def _is_allowed(price: EventPrice, number: int, total: Decimal) -> bool:
    """Whether any allowance is left for the event with this number, after others worth ``total``."""
    if not price.free_events and not price.free_value:
        return False
    if price.free_events and number > price.free_events:
        return False
    return not price.free_value or total < price.free_value


def _allowance(price: EventPrice, number: int, total: Decimal, value: Decimal) -> Decimal:
    if not _is_allowed(price, number, total):
        return NONE
    return price.free_value - total if price.free_value else value


def values_of(price: EventPrice, count: int, total: Decimal, running: Sequence[Decimal] = ()) -> list[Decimal]:
    """The values of ``count`` events worth ``total``, of which the running totals before the last one are known.

    Where no single value matters they need not be known. Raises ``ValueError`` if they must.
    """
    if len(running) == count - 1:
        with exact():
            return [after - before for before, after in pairwise([NONE, *running, total])]
    if not price.is_by_sums:
        raise ValueError(f"the price needs the value of each of the {count} events")
    return [total, *[NONE] * (count - 1)] if count else []


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    with exact():
        return sum(amounts, NONE)
