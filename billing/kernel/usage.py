"""What was used in a period, what it costs, and what is due of it: usage is charged when the period is over."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from billing.kernel.charges import Assessed, Key, Proration, Trace, discounted, share_of
from billing.kernel.discounts import DiscountTerms, allotted, holding, taken
from billing.kernel.money import exact, rounded
from billing.kernel.period import Period
from billing.kernel.pricing import NONE, PricedSlice, PriceTerms, less, plus, prorated, rate
from billing.kernel.schedule import Schedule, due_periods


class Aggregation(StrEnum):
    """How the records of a period become its quantity."""

    SUM = "sum"
    MAXIMUM = "maximum"  # the peak
    LAST = "last"  # the one recorded last, by day; of one day the one that comes last
    COUNT = "count"  # how many there are
    UNIQUE = "unique"  # how many different values there are: counted before, where the values are known


@dataclass(frozen=True, slots=True)
class Record:
    """A quantity used on a day; ``batch`` is the upload it came with."""

    day: date
    quantity: Decimal
    unit: str = ""
    batch: str = ""


def aggregated(records: Iterable[Record], aggregation: Aggregation = Aggregation.SUM) -> Decimal:
    """The quantity of these records; 0 if there are none."""
    found = list(records)
    if not found:
        return NONE
    with exact():
        match aggregation:
            case Aggregation.SUM:
                return sum((record.quantity for record in found), NONE)
            case Aggregation.MAXIMUM:
                return max(record.quantity for record in found)
            case Aggregation.LAST:
                return sorted(found, key=lambda record: record.day)[-1].quantity
            case Aggregation.COUNT | Aggregation.UNIQUE:
                return Decimal(len(found))


def within(records: Iterable[Record], period: Period) -> list[Record]:
    """Those whose day the period holds."""
    return [record for record in records if record.day in period]


def rolled_up(
    records: Collection[Record], periods: Iterable[Period], aggregation: Aggregation = Aggregation.SUM
) -> list[dict[str, Decimal]]:
    """The quantity of each unit that occurs at all, in each period; records outside the periods are left out."""
    units = sorted({record.unit for record in records})
    return [
        {
            unit: aggregated((record for record in within(records, period) if record.unit == unit), aggregation)
            for unit in units
        }
        for period in periods
    ]


class Grouping(StrEnum):
    """Which records of a period are priced together, and so share its tiers."""

    PERIOD = "period"
    DAY = "day"
    BATCH = "batch"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Group:
    """Records priced together; ``amount`` is exact."""

    period: Period
    quantity: Decimal
    amount: Decimal | Fraction


def grouped(
    price: PriceTerms, records: Collection[Record], periods: Iterable[Period], grouping: Grouping
) -> Iterator[Group]:
    """Price the records of each period group by group, in the order in which the groups first occur."""
    for period in periods:
        groups: dict[object, list[Record]] = defaultdict(list)
        for number, record in enumerate(within(records, period)):
            match grouping:
                case Grouping.PERIOD:
                    groups[None].append(record)
                case Grouping.DAY:
                    groups[record.day].append(record)
                case Grouping.BATCH:
                    groups[record.batch].append(record)
                case Grouping.RECORD:
                    groups[number].append(record)
        for members in groups.values():
            quantity = aggregated(members)
            yield Group(period, quantity, rate(price, quantity).amount)


def summed(period: Period, groups: Iterable[Group]) -> Group:
    """All groups of a period together."""
    own = [group for group in groups if group.period == period]
    with exact():
        quantity = sum((group.quantity for group in own), NONE)
    amount: Decimal | Fraction = NONE
    for group in own:
        amount = plus(amount, group.amount)
    return Group(period, quantity, amount)


@dataclass(frozen=True, slots=True)
class RatedPart:
    """What a further quantity costs after others of the same period; exact, as long as what is booked is.

    ``listed`` is what its own units cost before limits and discounts, ``slices`` in which tiers they are; ``amount`` is
    what is due of the period so far less what is booked, and ``topped_up`` what the minimum has added to it.
    """

    slices: tuple[PricedSlice, ...]
    listed: Decimal | Fraction
    amount: Decimal | Fraction
    topped_up: Decimal | Fraction

    @property
    def taken_off(self) -> Decimal | Fraction:
        """What cap and discounts take off the listed amount."""
        return plus(less(self.listed, self.amount), self.topped_up)

    @property
    def counted(self) -> Decimal:
        """Units or, where the price counts packages, packages: those of all slices together."""
        with exact():
            return sum((part.quantity for part in self.slices), NONE)


def average(amount: Decimal | Fraction, quantity: Decimal) -> Fraction:
    """What a unit costs on average, exact; nothing where there is none."""
    return Fraction(amount) / Fraction(quantity) if quantity else Fraction(0)


def rate_part(
    price: PriceTerms,
    quantity: Decimal,
    before: Decimal = NONE,
    *,
    booked: Decimal | None = None,
    last: bool = True,
    discounts: Sequence[DiscountTerms] = (),
) -> RatedPart:
    """Price ``quantity`` after ``before`` units of the same period, for which ``booked`` (by default their own price)
    stands.

    The period is priced as a whole, so that tiers, packages, cap and discounts run on, and what is booked is taken off.
    The minimum is due with the ``last`` part alone.
    """
    open_price = price if price.minimum is None else replace(price, minimum=None)
    total = _added(before, quantity)
    with_minimum = _discounted_exactly(rate(price if last else open_price, total).amount, discounts)
    without = _discounted_exactly(rate(open_price, total).amount, discounts)
    unlimited = open_price if price.cap is None else replace(open_price, cap=None)
    upper, lower = rate(unlimited, total), rate(unlimited, before)
    stands = _discounted_exactly(rate(open_price, before).amount, discounts) if booked is None else booked
    amount, floor = less(with_minimum, stands), less(without, stands)
    return RatedPart(
        slices=tuple(remaining(upper.slices, {s.tier: s for s in lower.slices})),
        listed=less(upper.amount, lower.amount),
        amount=amount,
        topped_up=less(amount, max(NONE, floor)) if with_minimum != without else NONE,
    )


def _added(one: Decimal, other: Decimal) -> Decimal:
    with exact():
        return one + other


def _discounted_exactly(amount: Decimal | Fraction, discounts: Sequence[DiscountTerms]) -> Decimal | Fraction:
    exactly = Fraction(amount)
    return exactly - sum(taken(exactly, discounts), Fraction(0)) if discounts else amount


def remaining(slices: Iterable[PricedSlice], billed: Mapping[int, PricedSlice]) -> Iterator[PricedSlice]:
    """What is left of each slice without what is ``billed`` in its tier; nothing of a tier that is billed in full."""
    with exact():
        for part in slices:
            done = billed.get(part.tier)
            left = (
                part
                if done is None
                else replace(
                    part,
                    quantity=part.quantity - done.quantity,
                    amount=part.amount - done.amount,
                    flat_amount=part.flat_amount - done.flat_amount,
                )
            )
            if left.quantity or left.amount:
                yield left


@dataclass(frozen=True, slots=True)
class Component:
    """One of several metered units that make up a charge."""

    unit: str
    price: PriceTerms
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class RatedTogether:
    """Slices with their units, and what they come to: exact."""

    slices: tuple[tuple[str, PricedSlice], ...]
    amount: Decimal


def rate_together(
    components: Iterable[Component], billed: Mapping[str, Mapping[int, PricedSlice]] | None = None
) -> RatedTogether:
    """Price the units of a charge, each by its own price, without what is ``billed`` of a unit in a tier."""
    slices = tuple(
        (component.unit, part)
        for component in components
        for part in remaining(rate(component.price, component.quantity).slices, (billed or {}).get(component.unit, {}))
    )
    with exact():
        return RatedTogether(slices, sum((part.amount for _, part in slices), NONE))


def over_cap(amounts: Iterable[Decimal], cap: Decimal, booked: Decimal = NONE) -> list[Decimal]:
    """What a cap takes off each of these amounts, which reach it one after the other on top of what is booked."""
    offs = []
    with exact():
        room = max(NONE, cap - booked)
        for amount in amounts:
            kept = min(amount, room)
            room -= kept
            offs.append(amount - kept)
    return offs


@dataclass(frozen=True, slots=True)
class UsageTerms:
    """All that decides what the usage of one item costs.

    Usage is never prorated: what is used in a part of a period is counted there. Minimum and cap are prorated to it, by
    ``proration``; the free quota by the flag of the price. Usage before ``schedule.paid_from`` is usage in the trial:
    free of charge, or above a ``trial_quota`` charged when the trial is over.
    """

    key: Key
    places: int
    schedule: Schedule
    price: PriceTerms
    aggregation: Aggregation = Aggregation.SUM
    discounts: tuple[DiscountTerms, ...] = ()
    proration: Proration = Proration.ACTUAL
    trial_quota: Decimal | None = None
    allotted: Mapping[tuple[int, int], Decimal] | None = None  # as an item's

    def holding(self, ordinal: int) -> tuple[DiscountTerms, ...]:
        """The discounts that hold for a billed period; none in the trial (0)."""
        if not self.discounts or not ordinal:
            return ()
        if self.allotted is None:
            return holding(self.discounts, ordinal)
        return tuple(discount for _, discount in allotted(self.discounts, self.allotted, ordinal))


@dataclass(frozen=True, slots=True)
class BookedUsage:
    """What stands booked for the usage of some days, all charges and corrections of it together."""

    period: Period
    quantity: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class UsageDue:
    """Usage to be booked: a quantity that is not booked yet, and what it adds (or, negative, takes off).

    ``quantity`` and ``net`` are those of the whole period less what is booked for it, so that usage that comes in late
    is charged with its own service period at the price at which it would have been charged in time.
    """

    item: Key
    period: Period
    nominal: Period
    ordinal: int
    quantity: Decimal
    net: Decimal
    trace: Trace


_UNUSED: Final = BookedUsage(Period(date.min, date.min), NONE, NONE)


def usage_due(
    terms: UsageTerms, records: Collection[Record], booked: Iterable[BookedUsage], through: date
) -> list[UsageDue]:
    """What brings the charges for usage in line with its records, in a run through the day ``through``.

    Records outside the item's days are left out. Once the result is booked, the same run finds nothing.
    """
    stands: dict[date, BookedUsage] = {}
    for one in booked:
        before = stands.get(one.period.start, _UNUSED)
        stands[one.period.start] = BookedUsage(one.period, before.quantity + one.quantity, before.net + one.net)
    found = []
    for ordinal, nominal, inside, price in usage_periods(terms, through):
        quantity = aggregated(within(records, inside), terms.aggregation)
        assessed = assess(terms, ordinal, inside, price, quantity)
        before = stands.get(inside.start, _UNUSED)
        net, trace = assessed.less(before.net)
        more = quantity - before.quantity
        if net or more:
            found.append(UsageDue(terms.key, inside, nominal, ordinal, more, net, trace))
    return found


def assess(terms: UsageTerms, ordinal: int, inside: Period, price: PriceTerms, quantity: Decimal) -> Assessed:
    """What a quantity used on the days ``inside`` costs; ``price`` is prorated to them."""
    rated = rate(price, quantity)
    trace = {**rated.trace, "days": [inside.start.isoformat(), inside.end.isoformat()], "usage": terms.aggregation}
    return discounted(rated.amount, terms.holding(ordinal), terms.places, trace)


def usage_periods(terms: UsageTerms, through: date) -> Iterator[tuple[int, Period, Period, PriceTerms]]:
    """Billed period (0: the trial), nominal period, the item's days in it, their price: for all that is due."""
    schedule = terms.schedule
    trial = Period(schedule.starts_on, min(schedule.paid_from or schedule.starts_on, schedule.stretch.end))
    if trial and terms.trial_quota is not None and trial.end <= through:
        yield 0, trial, trial, replace(terms.price, minimum=None, free_quota=terms.trial_quota)
    for n, nominal, inside in due_periods(schedule, through=through):
        share = share_of(inside, nominal, terms.proration, schedule.grid)
        yield schedule.ordinal(n), nominal, inside, prorated(terms.price, share)


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """So many more (or fewer) units; ``weighted`` is the same times the share of the period that was left."""

    delta: Decimal
    weighted: Decimal


def changed_quantities(price: PriceTerms, changes: Iterable[QuantityChange], places: int) -> Decimal:
    """What quantities cost that change within a period: each change moves the price of the whole quantity, and that
    difference is charged (or given back) for the rest of the period, rounded line by line.

    That is what becomes of items that end and open anew with another quantity.
    """
    amount, quantity = Decimal(0), NONE
    for change in changes:
        after = _added(quantity, change.delta)
        step = Fraction(less(rate(price, after).amount, rate(price, quantity).amount))
        share = Fraction(change.weighted) / Fraction(change.delta)
        amount += rounded(step * share, places)
        quantity = after
    return amount
