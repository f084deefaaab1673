"""Recurring revenue by the month, as a function of a day: what it is on a day, how it moved, what a term is worth."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

from billing.kernel.charges import ItemTerms, due_after
from billing.kernel.discounts import holding, taken
from billing.kernel.money import rounded
from billing.kernel.period import months_after
from billing.kernel.pricing import rate
from billing.kernel.schedule import Interval, Unit

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
    """The monthly value of an item from ``day`` on, until the next step."""

    day: date
    value: Fraction


def periods_per_month(interval: Interval) -> Fraction:
    """How many periods make a month: a twelfth of those of a year, which has 52 weeks and 365 days. Once is none."""
    if interval.months:
        return Fraction(1, interval.months)
    if interval.unit is Unit.ONCE:
        return NOTHING
    return Fraction(52 if interval.unit is Unit.WEEK else 365, 12 * interval.count)


def monthly_value(terms: ItemTerms, on: date) -> Fraction:
    """What the item is worth per month on a day, exact: its price for a whole period, less the discounts that hold in
    the period of that day, over the months of the period.

    Nothing in the trial, before the item starts and after it ends, and for what is charged once. What another system
    still bills counts, and so does a discount that will end: it counts as long as it holds.
    """
    schedule = terms.schedule
    if schedule.once or not _paid_from(terms) <= on < (schedule.ends_before or date.max):
        return NOTHING
    return _value(terms, schedule.ordinal(schedule.grid.index(on)))


def steps(terms: ItemTerms) -> list[Step]:
    """The days on which the monthly value of an item changes, in order: start, end, where discounts set in or end."""
    schedule = terms.schedule
    first, end = _paid_from(terms), schedule.ends_before or date.max
    if schedule.once or first >= end:
        return []
    base = schedule.ordinal(0)
    ordinals = {discount.after_periods + 1 for discount in terms.discounts}
    ordinals |= {d.after_periods + d.periods + 1 for d in terms.discounts if d.periods is not None}
    days = [first, *(day for n in sorted(ordinals) if first < (day := schedule.grid.boundary(n - base)) < end)]
    found = [Step(day, monthly_value(terms, day)) for day in days]
    return found if end == date.max else [*found, Step(end, NOTHING)]


def movements(items: Iterable[ItemTerms], after: date, through: date) -> list[Movement]:
    """How the monthly value of one customer, in one currency, moved on the days after ``after`` up to ``through``.

    They add up exactly to the difference of its values on the two days. What happens on one day counts as one movement:
    an item that ends for one that begins is an expansion or a contraction, or nothing. A value after none is new the
    first time ever, and a reactivation from then on.
    """
    changes = _changes(items)
    value, has_been, found = NOTHING, False, []
    for day in sorted(changes):
        if day > through:
            break
        before, value = value, value + changes[day]
        if value != before and day > after:
            found.append(Movement(day, _named(before, value, has_been), value - before))
        has_been = has_been or value > 0
    return found


def _changes(items: Iterable[ItemTerms]) -> dict[date, Fraction]:
    changes: dict[date, Fraction] = defaultdict(Fraction)
    for terms in items:
        value = NOTHING
        for step in steps(terms):
            changes[step.day] += step.value - value
            value = step.value
    return changes


def decreases(items: Iterable[ItemTerms], after: date, through: date) -> list[tuple[date, Fraction]]:
    """The days after ``after`` up to ``through`` on which one contract became worth less per month, and by how much."""
    changes = _changes(items)
    return [(day, -changes[day]) for day in sorted(changes) if after < day <= through and changes[day] < 0]


def _named(before: Fraction, value: Fraction, has_been: bool) -> Change:
    if not before:
        return Change.REACTIVATION if has_been else Change.NEW
    if not value:
        return Change.CHURN
    return Change.EXPANSION if value > before else Change.CONTRACTION


def _paid_from(terms: ItemTerms) -> date:
    schedule = terms.schedule
    return max(schedule.starts_on, schedule.paid_from or schedule.starts_on)


def _value(terms: ItemTerms, ordinal: int) -> Fraction:
    amount = Fraction(rate(terms.price, terms.quantity).amount)
    amount -= sum(taken(amount, holding(terms.discounts, ordinal)), NOTHING)
    return amount * periods_per_month(terms.schedule.grid.interval)


def remaining_months(day: date, ends_before: date) -> Fraction:
    """Months from ``day`` to an end, exact: whole ones counted from ``day``, the rest by the days of the last one."""
    months = (ends_before.year - day.year) * 12 + ends_before.month - day.month
    if months_after(day, months) > ends_before:
        months -= 1
    start, end = months_after(day, months), months_after(day, months + 1)
    return months + Fraction((ends_before - start).days, (end - start).days)


def total_value(items: Iterable[ItemTerms], ends_before: date) -> Decimal:
    """All that a contract charges for the days before ``ends_before``: recurring and once, trial, stubs, discounts."""
    total = Decimal(0)
    for terms in items:
        end = min(terms.schedule.ends_before or ends_before, ends_before)
        if end <= terms.schedule.starts_on:
            continue
        if terms.schedule.once:  # its own days decide what it is measured by, not the end of the term
            due = due_after(terms, None, ends_before)
        else:
            due = due_after(replace(terms, schedule=replace(terms.schedule, ends_before=end)), None, end)
        total += sum((charge.net for charge in due), Decimal(0))
    return total


def adding_up(opening: Fraction, parts: Sequence[Fraction] | Collection[Fraction], places: int) -> list[Decimal]:
    """Opening, parts and closing rounded so that they still add up: what is rounded is the running total."""
    edges = [rounded(edge, places) for edge in accumulate(parts, initial=opening)]
    return [edges[0], *(upper - lower for lower, upper in pairwise(edges)), edges[-1]]
