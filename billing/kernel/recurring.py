"""Recurring revenue by the month, as a function of a day: what it is on a day, how it moved, what a term is worth."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

from billing.kernel.charges import ItemTerms, due_after
from billing.kernel.discounts import DiscountKind, holding, taken
from billing.kernel.money import rounded
from billing.kernel.period import months_after
from billing.kernel.pricing import rate
from billing.kernel.schedule import Interval, Unit
from billing.kernel.sharing import shared

NOTHING: Final = Fraction(0)


class Change(StrEnum):
    NEW = "new"  # a customer's first value
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"  # nothing is left
    REACTIVATION = "reactivation"  # something again


@dataclass(frozen=True, slots=True)
class Movement:
    """What changed on a day, per month; negative for a contraction or churn."""

    day: date
    change: Change
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Step:
    """The monthly value of a contract from ``day`` on, until the next step."""

    day: date
    value: Fraction


def periods_per_month(interval: Interval) -> Fraction:
    """How many periods make a month: a twelfth of those of a year, which has 52 weeks and 365 days. Once is none."""
    if interval.months:
        return Fraction(1, interval.months)
    if interval.unit is Unit.ONCE:
        return NOTHING
    return Fraction(52 if interval.unit is Unit.WEEK else 365, 12 * interval.count)


def monthly_value(contract: Iterable[ItemTerms], on: date) -> Fraction:
    """What the items of one contract are worth per month on a day, exact: the price of each for a whole period, less
    the discounts that hold in the period of that day, over the months of the period.

    Nothing in the trial, before an item starts and after it ends, and for what is charged once. What another system
    still bills counts, and so does a discount that will end: it counts as long as it holds. Items of the same periods
    share a fixed discount, as they do when they are charged (``billing.kernel.sharing``).
    """
    left: dict[tuple[object, ...], Decimal] = {}
    total = NOTHING
    for terms in sorted(contract, key=lambda terms: (terms.schedule.first_day, terms.key)):
        schedule = terms.schedule
        if not schedule.once and _paid_from(terms) <= on < (schedule.ends_before or date.max):
            total += _value(terms, schedule.ordinal(schedule.grid.index(on)), left)
    return total


def steps(contract: Iterable[ItemTerms]) -> list[Step]:
    """The days on which the monthly value of a contract may change, in order: starts, ends, where discounts set in or
    end; with what it is worth from each of them on.
    """
    items = list(contract)
    days = sorted({day for terms in items for day in _turns(terms)})
    return [Step(day, monthly_value(items, day)) for day in days]


def _turns(terms: ItemTerms) -> Iterator[date]:
    schedule = terms.schedule
    first, end = _paid_from(terms), schedule.ends_before or date.max
    if schedule.once or first >= end:
        return
    yield first
    if end != date.max:
        yield end
    base = schedule.ordinal(0)
    ordinals = {discount.after_periods + 1 for discount in terms.discounts}
    ordinals |= {d.after_periods + d.periods + 1 for d in terms.discounts if d.periods is not None}
    yield from (day for n in ordinals if first < (day := schedule.grid.boundary(n - base)) < end)


def movements(contracts: Iterable[Iterable[ItemTerms]], after: date, through: date) -> list[Movement]:
    """How the monthly value of one customer moved on the days after ``after`` up to ``through``; given are the items of
    each of its contracts, all in one currency.

    They add up exactly to the difference of its values on the two days. What happens on one day counts as one movement:
    an item that ends for one that begins is an expansion or a contraction, or nothing. A value after none is new the
    first time ever, and a reactivation from then on.
    """
    changes: dict[date, Fraction] = defaultdict(Fraction)
    for contract in contracts:
        for day, change in _changes(contract):
            changes[day] += change
    value, has_been, found = NOTHING, False, []
    for day in sorted(changes):
        if day > through:
            break
        before, value = value, value + changes[day]
        if value != before and day > after:
            found.append(Movement(day, _named(before, value, has_been), value - before))
        has_been = has_been or value > 0
    return found


def _changes(contract: Iterable[ItemTerms]) -> Iterator[tuple[date, Fraction]]:
    value = NOTHING
    for step in steps(contract):
        yield step.day, step.value - value
        value = step.value


def decreases(contract: Iterable[ItemTerms], after: date, through: date) -> list[tuple[date, Fraction]]:
    """The days after ``after`` up to ``through`` on which a contract became worth less per month, and by how much."""
    return [(day, -change) for day, change in _changes(contract) if after < day <= through and change < 0]


def _named(before: Fraction, value: Fraction, has_been: bool) -> Change:
    if not before:
        return Change.REACTIVATION if has_been else Change.NEW
    if not value:
        return Change.CHURN
    return Change.EXPANSION if value > before else Change.CONTRACTION


def _paid_from(terms: ItemTerms) -> date:
    schedule = terms.schedule
    return max(schedule.starts_on, schedule.paid_from or schedule.starts_on)


def _value(terms: ItemTerms, ordinal: int, left: dict[tuple[object, ...], Decimal]) -> Fraction:
    """``left`` is what items before have left of the fixed discounts of their periods."""
    amount = Fraction(rate(terms.price, terms.quantity).amount)
    discounts, names = [], []
    for n, discount in enumerate(holding(terms.discounts, ordinal)):
        name = None
        if discount.kind is DiscountKind.FIXED:
            name = (terms.schedule.grid, discount.key or n)
            discount = replace(discount, value=left.get(name, discount.value))
        discounts.append(discount)
        names.append(name)
    taken_off = taken(amount, discounts)
    for name, discount, step in zip(names, discounts, taken_off, strict=True):
        if name is not None:
            left[name] = max(Decimal(0), discount.value - rounded(step, terms.places))
    return (amount - sum(taken_off, NOTHING)) * periods_per_month(terms.schedule.grid.interval)


def remaining_months(day: date, ends_before: date) -> Fraction:
    """Months from ``day`` to an end, exact: whole ones counted from ``day``, the rest by the days of the last one."""
    months = (ends_before.year - day.year) * 12 + ends_before.month - day.month
    if months_after(day, months) > ends_before:
        months -= 1
    start, end = months_after(day, months), months_after(day, months + 1)
    return months + Fraction((ends_before - start).days, (end - start).days)


def total_value(contract: Iterable[ItemTerms], ends_before: date) -> Decimal:
    """All that the items of a contract charge for the days before ``ends_before``: recurring and once, trial, stubs,
    discounts.
    """
    items = []
    for terms in contract:
        end = min(terms.schedule.ends_before or ends_before, ends_before)
        if end > terms.schedule.starts_on:
            # what is charged once is measured by its own days, not by the end of the term
            items.append(terms if terms.schedule.once else _ending(terms, end))
    due = (charge for terms in shared(items, ends_before) for charge in due_after(terms, None, ends_before))
    return sum((charge.net for charge in due), Decimal(0))


def _ending(terms: ItemTerms, ends_before: date) -> ItemTerms:
    return replace(terms, schedule=replace(terms.schedule, ends_before=ends_before))


def adding_up(opening: Fraction, parts: Sequence[Fraction], places: int) -> list[Decimal]:
    """Opening, parts and closing rounded so that they still add up: what is rounded is the running total."""
    edges = [rounded(edge, places) for edge in accumulate(parts, initial=opening)]
    return [edges[0], *(upper - lower for lower, upper in pairwise(edges)), edges[-1]]
