"""The terms of an item, less what is booked for it: what is due.

Per item and nominal period, the amount of the item's days is cumulated from its first charged day in that period and
rounded, and what stands booked is taken off; so the parts of a period always add up to the whole, to the cent.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, zip_longest
from typing import Any, Final, TypeAlias

from billing.kernel.discounts import Amount, DiscountTerms, allotted, holding, taken
from billing.kernel.money import exact, plain, rounded, split
from billing.kernel.period import Period, months_after
from billing.kernel.pricing import PriceTerms, Rated, rate
from billing.kernel.schedule import Grid, Interval, Schedule, due_periods, nominal_period

ZERO: Final = Decimal(0)

Key: TypeAlias = int
Trace: TypeAlias = dict[str, Any]  # strings, lists and dicts of strings; figures as text


class Proration(StrEnum):
    """By what measure a part of a period is charged."""

    NONE = "none"  # a period begun is charged in full
    ACTUAL = "actual"  # days of the days of the nominal period
    MONTH_FIRST = "month_first"  # whole months of the nominal period count alike, the rest by days of its month
    ACTUAL_OVER_30 = "actual_over_30"  # days of 30 per month; the whole period is 1
    STRICT_30_360 = "strict_30_360"  # every month has 30 days; the whole period is 1


_PARTS_ADD_UP: Final = (Proration.ACTUAL, Proration.MONTH_FIRST)  # fewer days never cost more


class Kind(StrEnum):
    FEE = "fee"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class ItemTerms:
    """All that decides what one item costs. Equal prices and discounts should be the same objects for many items.

    ``allotted`` says, by billed period and place in ``discounts``, how much of a fixed discount this item may take
    where it shares it with others of its contract or with other periods (``billing.kernel.sharing``).
    """

    key: Key
    places: int  # of its currency
    schedule: Schedule
    price: PriceTerms
    quantity: Decimal
    discounts: tuple[DiscountTerms, ...] = ()
    proration: Proration = Proration.ACTUAL
    allotted: Mapping[tuple[int, int], Decimal] | None = None

    def holding(self, ordinal: int) -> tuple[DiscountTerms, ...]:
        """The discounts that hold for the billed period with this number, in the order in which they are taken."""
        if not self.discounts or self.allotted is None:
            return holding(self.discounts, ordinal)
        return tuple(discount for _, discount in allotted(self.discounts, self.allotted, ordinal))


@dataclass(frozen=True, slots=True)
class Booked:
    """A charge that stands: booked, and neither reversed nor itself a reversal."""

    key: Key
    kind: Kind
    period: Period
    net: Decimal
    corrects: Key | None = None  # a credit's fee


@dataclass(frozen=True, slots=True)
class Due:
    """A charge to be booked.

    A fee charges days, a credit gives days of the fee it ``corrects`` back. A row that ``reverses`` a charge undoes
    all of it: same days, opposite kind and amount; neither of the two stands afterwards.
    """

    item: Key
    kind: Kind
    period: Period
    nominal: Period
    ordinal: int  # which billed period of the contract; 1 is the first
    quantity: Decimal
    net: Decimal
    trace: Trace  # lines that are reckoned alike share one object: read only
    corrects: Key | None = None
    reverses: Key | None = None
    addition: int = 0  # from 1: usage that came in late, on top of a fee for the same days


def due_less_booked(terms: ItemTerms, booked: Collection[Booked], through: date) -> list[Due]:
    """What brings the charges of one item in line with its terms, in a run through the day ``through``.

    ``booked`` is all that stands booked for the item, in any order. Days of the item that are due and not yet charged
    become fees; charged days that the item no longer has become one credit per fee they lie in, and a fee of which no
    day is left is reversed whole; days it has again after a credit bring the credit's reversal. Booked charges that
    this run would not yet make are left alone, so a run for an earlier day takes nothing back. Once the result is
    booked, the same run finds nothing.

    Raises ``ValueError`` if ``booked`` does not fit the schedule: a fee across two nominal periods, a credit without
    its fee.
    """
    if not booked:
        return due_after(terms, None, through)
    schedule = terms.schedule
    fees: dict[int, list[Booked]] = defaultdict(list)
    for fee in booked:
        if fee.kind is Kind.FEE:
            fees[0 if schedule.once else schedule.grid.index(fee.period.start)].append(fee)
    credits = _by_fee(booked)
    if schedule.once:
        return list(_reconciled_once(terms, fees[0], credits, through))
    due: list[Due] = []
    for n in sorted({*fees, *_numbers_through(schedule, through)}):
        due += _reconciled(terms, n, sorted(fees.get(n, ()), key=lambda fee: fee.period), credits, through)
    return due


def due_after(terms: ItemTerms, booked_before: date | None, through: date) -> list[Due]:
    """What is due of an item of which exactly the days before ``booked_before`` (``None``: no day) are charged.

    The short way for what ``is_settled`` confirms: it needs no booked charges. Raises ``ValueError`` if
    ``booked_before`` lies inside a nominal period of which more is to come.
    """
    schedule = terms.schedule
    if schedule.once:
        if booked_before is not None:
            return []
        paid_from = 0
    else:
        paid_from = schedule.ordinal(0)
    due: list[Due] = []
    for n, nominal, inside in due_periods(schedule, through=through, since=booked_before):
        if booked_before is not None and inside.start < booked_before:
            raise ValueError(f"item {terms.key}: the days before {booked_before} end inside a period")
        ordinal = 1 if schedule.once else n + paid_from
        assessed = _assess(terms, ordinal, nominal, inside)
        due.append(Due(terms.key, Kind.FEE, inside, nominal, ordinal, terms.quantity, assessed.net, assessed.trace))
    return due


def is_settled(terms: ItemTerms, booked_before: date | None, booked_days: int) -> bool:
    """Whether ``due_after`` will do for an item with standing fees of ``booked_days`` days in all, and no credit.

    The last of those days is the one before ``booked_before``. They must be exactly the item's days so far, without a
    gap, up to the end of a nominal period or of the item.
    """
    schedule = terms.schedule
    if booked_before is None:
        return booked_days == 0
    charged = Period(schedule.first_day, booked_before)
    if schedule.once:
        return charged == nominal_period(schedule, 0) and booked_days == charged.days
    if not charged or booked_days != charged.days:
        return False
    if schedule.ends_before is not None and booked_before >= schedule.ends_before:
        return booked_before == schedule.ends_before
    return schedule.grid.boundary(schedule.grid.index(booked_before)) == booked_before


def parted(terms: ItemTerms, due: Due, cuts: Sequence[date]) -> list[Due]:
    """A fee that is to be booked in parts, which begin on the days ``cuts`` inside it and add up to it.

    The parts are what would have been charged had the days been due one part after the other. What is charged once,
    or whole however few its days are, stays whole.
    """
    if due.kind is not Kind.FEE or terms.schedule.once or terms.proration is Proration.NONE or "price" not in due.trace:
        return [due]
    if "usage" in due.trace:  # one supply, complete when its period is over
        return [due]
    days = [due.period.start, *(day for day in cuts if due.period.start < day < due.period.end), due.period.end]
    booked = Decimal(due.trace.get("booked", ZERO))
    start = date.fromisoformat(due.trace["days"][0]) if "days" in due.trace else due.nominal.start
    if start == due.period.end or len(days) == 2:
        return [due]
    parts = []
    for first, following in pairwise(days):
        assessed = _assess(terms, due.ordinal, due.nominal, Period(start, following))
        net, trace = assessed.less(booked)
        parts.append(
            Due(due.item, due.kind, Period(first, following), due.nominal, due.ordinal, due.quantity, net, trace)
        )
        booked += net
    return parts


def _by_fee(booked: Iterable[Booked]) -> dict[Key, list[Booked]]:
    fees = {fee.key for fee in booked if fee.kind is Kind.FEE}
    credits: dict[Key, list[Booked]] = defaultdict(list)
    for credit in booked:
        if credit.kind is Kind.CREDIT:
            if credit.corrects is None or credit.corrects not in fees:
                raise ValueError(f"credit {credit.key} corrects no standing fee")
            credits[credit.corrects].append(credit)
    return credits


def _numbers_through(schedule: Schedule, through: date) -> range:
    """The nominal periods of which a day may be due."""
    stretch = schedule.stretch
    last = min(through, stretch.last_day)
    if not stretch or last < stretch.start:
        return range(0)
    return range(schedule.grid.index(stretch.start), schedule.grid.index(last) + 1)


def _reconciled(
    terms: ItemTerms, n: int, fees: Sequence[Booked], credits: Mapping[Key, Sequence[Booked]], through: date
) -> Iterator[Due]:
    """One nominal period; its standing ``fees`` in order."""
    schedule, ordinal, nominal = terms.schedule, terms.schedule.ordinal(n), terms.schedule.grid.period(n)
    inside = nominal & schedule.stretch
    standing: list[tuple[Period, Decimal]] = []  # fees with what is left of their nets
    for fee in fees:
        if fee.period.end > nominal.end:
            raise ValueError(f"charge {fee.key} does not lie inside a period of the schedule of item {terms.key}")
        left = fee.net
        given = []
        seen = schedule.is_due(fee.period, through)
        for credit in credits.get(fee.key, ()):
            if seen and credit.period & inside:
                yield reversal(terms, credit, ordinal, nominal)
            else:
                left += credit.net
                given.append(credit.period)
        kept = fee.period.without(given)
        if seen and (unused := [part for whole in kept for part in whole - inside]):
            used = [part & inside for part in kept if part & inside]
            if not used and not credits.get(fee.key):
                yield reversal(terms, fee, ordinal, nominal)
                continue
            assessed, booked = _NOTHING, left
            if used:
                # from the first day charged, which is not the item's first if its start has moved since
                start = max(inside.start, standing[0][0].start if standing else used[0].start)
                booked += sum((net for _, net in standing), ZERO)
                assessed = _assess(terms, ordinal, nominal, Period(start, used[-1].end))
                if assessed.net > booked and not given and terms.proration not in _PARTS_ADD_UP:
                    # fewer days of a period of which an earlier fee is gone: they are charged anew
                    yield reversal(terms, fee, ordinal, nominal)
                    continue
            yield from _credits(terms, fee, unused, assessed, booked, ordinal, nominal)
            left += assessed.net - booked
        standing.append((fee.period, left))
    gaps = inside.without(period for period, _ in standing)
    for gap, following in zip_longest(gaps, gaps[1:]):
        if schedule.is_due(gap, through):
            until = following.start if following else inside.end
            booked = sum((net for period, net in standing if period.start < until), ZERO)
            assessed = _assess(terms, ordinal, nominal, Period(inside.start, until))
            net, trace = assessed.less(booked)
            if net < 0:
                raise ValueError(f"item {terms.key}: its terms give less for {nominal.start} than is booked")
            standing.append((gap, net))
            yield Due(terms.key, Kind.FEE, gap, nominal, ordinal, terms.quantity, net, trace)


def _reconciled_once(
    terms: ItemTerms, fees: Sequence[Booked], credits: Mapping[Key, Sequence[Booked]], through: date
) -> Iterator[Due]:
    """What is charged once is charged once: its days may change afterwards, unless none is left."""
    schedule, nominal = terms.schedule, nominal_period(terms.schedule, 0)
    if not fees:
        raise ValueError(f"item {terms.key} has credits without a fee")
    if nominal and nominal.start >= schedule.first_day:
        return
    for fee in fees:
        if not schedule.is_due(fee.period, through):
            continue
        if given := credits.get(fee.key):
            left = fee.net + sum((credit.net for credit in given), ZERO)
            kept = fee.period.without(credit.period for credit in given)
            yield from _credits(terms, fee, kept, _NOTHING, left, 1, fee.period)
        else:
            yield reversal(terms, fee, 1, fee.period)


def _credits(
    terms: ItemTerms,
    fee: Booked,
    unused: Sequence[Period],
    assessed: "Assessed",
    booked: Decimal,
    ordinal: int,
    nominal: Period,
) -> Iterator[Due]:
    """Give ``unused`` days of ``fee`` back: what is left to charge, less what is booked. Nothing back, no credit."""
    net, trace = assessed.less(booked)
    if not net:
        return
    if net > 0:
        raise ValueError(
            f"item {terms.key}: its terms give more for {nominal.start} than is booked, and for fewer days"
        )
    weights = [Decimal(part.days) for part in unused]
    for part, share in zip(unused, split(net, weights, terms.places), strict=True):
        if not share:
            continue
        if len(unused) > 1:
            trace = {**trace, "part": plain(Decimal(part.days)), "of": plain(sum(weights, ZERO)), "net": plain(share)}
        yield Due(terms.key, Kind.CREDIT, part, nominal, ordinal, terms.quantity, share, trace, corrects=fee.key)


def reversal(terms: ItemTerms, charge: Booked, ordinal: int, nominal: Period) -> Due:
    """What undoes a charge whole."""
    return undone(terms.key, charge, ordinal, nominal, terms.quantity, terms.places)


def undone(item: Key, charge: Booked, ordinal: int, nominal: Period, quantity: Decimal, places: int) -> Due:
    """What undoes a charge of ``item`` whole."""
    kind = Kind.CREDIT if charge.kind is Kind.FEE else Kind.FEE
    net, trace = _NOTHING.less(charge.net)
    return Due(item, kind, charge.period, nominal, ordinal, quantity, net, trace, reverses=charge.key)


@dataclass(frozen=True, slots=True)
class Assessed:
    """What a stretch of an item costs, discounts taken, before anything that is booked."""

    net: Decimal  # rounded
    trace: Trace

    def less(self, booked: Decimal) -> tuple[Decimal, Trace]:
        """What is left to charge (or, negative, to give back) if so much stands booked, with the trace that says so."""
        if not booked and self is not _NOTHING:
            return self.net, self.trace
        net = self.net - booked
        return net, {**self.trace, "booked": format(booked, "f"), "net": format(net, "f")}


_NOTHING: Final = Assessed(ZERO, {"v": 1, "exact": "0"})


def _assess(terms: ItemTerms, ordinal: int, nominal: Period, stretch: Period) -> Assessed:
    discounts = terms.holding(ordinal) if terms.discounts else ()
    if stretch == nominal or terms.proration is Proration.NONE or terms.schedule.once:
        return _whole(terms.price, terms.quantity, discounts, terms.places)
    share = share_of(stretch, nominal, terms.proration, terms.schedule.grid)
    rated = rate(terms.price, terms.quantity)
    amount = _part(rated, share)
    trace = {
        **rated.trace,
        "policy": terms.proration.value,
        "nominal": [nominal.start.isoformat(), nominal.end.isoformat()],
        "days": [stretch.start.isoformat(), stretch.end.isoformat()],
        "share": str(share),
    }
    return discounted(amount, discounts, terms.places, trace)


def _part(rated: Rated, share: Fraction) -> Fraction:
    over, under = rated.amount.as_integer_ratio()  # one reduction instead of three
    return Fraction(over * share.numerator, under * share.denominator)


def undiscounted(terms: ItemTerms, nominal: Period, stretch: Period) -> Decimal | Fraction:
    """What a stretch of an item costs before discounts, exact."""
    rated = rate(terms.price, terms.quantity)
    if stretch == nominal or terms.proration is Proration.NONE or terms.schedule.once:
        return rated.amount
    return _part(rated, share_of(stretch, nominal, terms.proration, terms.schedule.grid))


@lru_cache(maxsize=4096)  # the bulk of all lines: a whole period of the same few prices and quantities
def _whole(price: PriceTerms, quantity: Decimal, discounts: tuple[DiscountTerms, ...], places: int) -> Assessed:
    rated = rate(price, quantity)
    return discounted(rated.amount, discounts, places, dict(rated.trace))


def discounted(amount: Decimal | Fraction, discounts: Sequence[DiscountTerms], places: int, trace: Trace) -> Assessed:
    """Take the discounts off the exact ``amount`` and round; completes ``trace``."""
    if isinstance(amount, Decimal):
        return _discounted(amount, discounts, places, trace)
    return _discounted(amount, discounts, places, trace)


def _discounted(amount: Amount, discounts: Sequence[DiscountTerms], places: int, trace: Trace) -> Assessed:
    if discounts:
        with exact():
            steps = taken(amount, discounts)
            amount -= sum(steps, type(amount)(0))
        trace["discounts"] = [
            [f"stacked_{d.kind}" if d.stacked else d.kind.value, plain(d.value), plain(-step), d.key]
            for d, step in zip(discounts, steps, strict=True)
        ]
    net = rounded(amount, places)
    trace["exact"] = plain(amount)
    trace["net"] = format(net, "f")
    return Assessed(net, trace)


def share_of(stretch: Period, nominal: Period, policy: Proration, grid: Grid) -> Fraction:
    """The share of the price of a nominal period that a stretch in it costs; 1 for the whole, whatever the policy.

    Months are those of the nominal period, counted from its own anchor, and never those of the stretch. For periods
    that are not counted in months, every policy but ``none`` goes by actual days.
    """
    months = grid.interval.months
    if not stretch:
        return Fraction(0)
    if policy is Proration.NONE or stretch == nominal:
        return Fraction(1)
    if policy is Proration.ACTUAL or not months or (months == 1 and policy is Proration.MONTH_FIRST):
        return _reduced(stretch.days, nominal.days)
    if policy is Proration.MONTH_FIRST:
        starts = [months_after(nominal.start, n, grid.anchor_day) for n in range(months + 1)]
        inside = [(stretch & month, month) for month in map(Period, starts, starts[1:])]
        return sum((part.share_of(month) for part, month in inside if part), Fraction(0)) / months
    days = stretch.days if policy is Proration.ACTUAL_OVER_30 else _days_360(stretch)
    return min(Fraction(1), Fraction(days, 30 * months))


@lru_cache(maxsize=4096)  # 12 of 31 days and the like: few, and always the same
def _reduced(days: int, of: int) -> Fraction:
    return Fraction(days, of)


def _days_360(stretch: Period) -> int:
    """Days in a calendar of twelve months of 30 days: first and last day both count, a 31st as the 30th.

    The last day of a month is its 30th, so that whole months have 30 days.
    """
    start, end = stretch.start, stretch.end  # the end is the day after the last: 31 where that is the 30th
    return 360 * (end.year - start.year) + 30 * (end.month - start.month) + end.day - min(start.day, 30)


def default_proration(interval: Interval) -> Proration:
    """By days up to a month; longer periods by their months first."""
    return Proration.MONTH_FIRST if interval.months > 1 else Proration.ACTUAL
