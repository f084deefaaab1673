"""What a change of a contract does to its items: from which day, in which direction, and what becomes of paid days.

An item changes once: its end is set. Whatever goes on afterwards is a new item on the same grid of periods, so the
money follows from what is due less what is booked: a credit for the unused stretch, a fee for the new one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, TypeAlias

from billing.kernel.charges import ItemTerms, Key
from billing.kernel.discounts import DiscountTerms
from billing.kernel.money import split
from billing.kernel.period import Period
from billing.kernel.pricing import PriceTerms
from billing.kernel.schedule import Grid, Interval, Schedule, Timing, Unit
from billing.kernel.term import Term

PER_YEAR: Final = {Unit.DAY: 365, Unit.WEEK: 52, Unit.MONTH: 12}


Recurring: TypeAlias = tuple[Decimal | Fraction, Interval]  # so much per interval


class Direction(StrEnum):
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    LATERAL = "lateral"  # worth the same per month


class When(StrEnum):
    """From when a change counts."""

    IMMEDIATE = "immediate"
    PERIOD_END = "period_end"  # of the billed period that holds the day
    TERM_END = "term_end"
    ON_DATE = "on_date"


class PausePolicy(StrEnum):
    """What becomes of the days of a pause."""

    CREDIT = "credit"  # not charged; what was charged is given back
    NO_CREDIT = "no_credit"  # charging goes on
    EXTEND_TERM = "extend_term"  # not charged, and the contract is longer by as many days


class MoneyPolicy(StrEnum):
    """What becomes of charged days after a cancellation."""

    NONE = "none"  # kept
    CREDIT = "credit"  # given back, to be set off against what is open or comes next
    REFUND = "refund"  # given back, and paid out as far as it was paid


def monthly_value(amount: Decimal | Fraction, interval: Interval) -> Fraction:
    """What an amount per interval is worth a month, exact: 52 weeks or 365 days are a year. Nothing if due once."""
    if interval.unit is Unit.ONCE:
        return Fraction(0)
    return Fraction(amount) * PER_YEAR[interval.unit] / (12 * interval.count)


def direction(old: Iterable[Recurring], new: Iterable[Recurring]) -> Direction:
    """Whether a change is one up or down, by what old and new amounts are worth a month."""
    before = sum((monthly_value(*one) for one in old), Fraction(0))
    after = sum((monthly_value(*one) for one in new), Fraction(0))
    if before == after:
        return Direction.LATERAL
    return Direction.UPGRADE if after > before else Direction.DOWNGRADE


def default_when(towards: Direction) -> When:
    """Down at the end of what is paid, anything else at once."""
    return When.PERIOD_END if towards is Direction.DOWNGRADE else When.IMMEDIATE


def effective_on(
    when: When, asked_on: date, schedule: Schedule, *, term: Term | None = None, on: date | None = None
) -> date:
    """First day on which a change asked for on ``asked_on`` counts.

    At the end of a period that is the first day of the next one; during the trial, the first paid day. Without a term
    its end is that of the period. Raises ``ValueError`` if ``ON_DATE`` comes without its day.
    """
    match when:
        case When.IMMEDIATE:
            return asked_on
        case When.ON_DATE:
            if on is None:
                raise ValueError("a change on a day needs the day")
            return on
        case When.TERM_END if term is not None:
            return term.renews_on
        case _:
            return period_end(schedule, asked_on)


def period_end(schedule: Schedule, day: date) -> date:
    """First day after the billed period that holds ``day``: never after the item's end, never before its first day."""
    if schedule.once or day < schedule.first_day:
        return schedule.first_day
    end = schedule.grid.next_boundary(day)
    return end if schedule.ends_before is None else min(end, schedule.ends_before)


def ended(terms: ItemTerms, on: date) -> ItemTerms:
    """The item without the days from ``on``; overtaken if that is its first day or before."""
    schedule = terms.schedule
    end = on if schedule.ends_before is None else min(on, schedule.ends_before)
    return replace(terms, schedule=replace(schedule, ends_before=max(end, schedule.starts_on)))


def replaced(terms: ItemTerms, on: date, key: Key, **changes: Any) -> tuple[ItemTerms, ItemTerms]:
    """The item ended before ``on``, and the one that goes on from there: same grid, same end, but for ``changes``."""
    schedule = replace(terms.schedule, starts_on=max(on, terms.schedule.starts_on))
    return ended(terms, on), replace(terms, key=key, schedule=schedule, **changes)


def aligned(terms: ItemTerms, asked_on: date, billing_day: int, key: Key) -> tuple[ItemTerms, ItemTerms]:
    """The item and its successor when the contract moves to another billing day.

    What is charged stays; from the end of the billed period one stub leads up to the new day, then full periods follow.
    Before the first paid day the stub starts there.
    """
    on = period_end(terms.schedule, asked_on)
    grid = Grid.on_billing_day(terms.schedule.grid.interval, billing_day, on)
    old, new = replaced(terms, on, key)
    return old, replace(new, schedule=replace(new.schedule, grid=grid))


@dataclass(frozen=True, slots=True)
class Pause:
    """What a pause comes to: the days not charged (``None``: all are) and the end of the contract."""

    not_charged: Period | None
    ends_before: date | None


def paused(schedule: Schedule, paused_on: date, resumed_on: date, policy: PausePolicy) -> Pause:
    """A pause from ``paused_on`` until before ``resumed_on``. It never moves periods.

    Raises ``ValueError`` for a contract that is resumed before it was paused.
    """
    if resumed_on < paused_on:
        raise ValueError(f"a pause from {paused_on} does not end before {resumed_on}")
    end = schedule.ends_before
    if policy is PausePolicy.NO_CREDIT:
        return Pause(None, end)
    if policy is PausePolicy.EXTEND_TERM and end is not None:
        end += resumed_on - paused_on
    return Pause(Period(paused_on, resumed_on), end)


def around(terms: ItemTerms, pause: Pause, key: Key) -> list[ItemTerms]:
    """The item without the days of a pause: up to it and, as another one, after it."""
    schedule = replace(terms.schedule, ends_before=pause.ends_before)
    if not pause.not_charged:
        return [replace(terms, schedule=schedule)]
    before, after = replaced(replace(terms, schedule=schedule), pause.not_charged.end, key)
    skipped = schedule.periods_skipped + _skipped(schedule.grid, pause.not_charged)
    resumed = replace(after, schedule=replace(after.schedule, periods_skipped=skipped))
    return [ended(before, pause.not_charged.start), resumed]


def _skipped(grid: Grid, pause: Period) -> int:
    """Nominal periods that lie in ``pause`` as a whole."""
    if not pause:
        return 0
    first = grid.index(pause.start) + (not grid.starts_on(pause.start))
    return max(0, grid.index(pause.end) - first)


def cancelled(schedule: Schedule, on: date, money: MoneyPolicy) -> date:
    """First day that is no longer charged when the contract ends before ``on``.

    Without money back the period in which it ends stays charged as a whole, if it was to be paid in advance.
    """
    if money is not MoneyPolicy.NONE or schedule.timing is Timing.ARREARS or schedule.once or on <= schedule.first_day:
        return on
    return period_end(schedule, on - timedelta(days=1))


def instalments(
    total: Decimal, count: int, first_on: date, interval: Interval, places: int
) -> list[tuple[date, Decimal]]:
    """A rounded total in so many instalments, each with its day; they add up to it."""
    grid = Grid.anniversary(interval, first_on)
    parts = split(total, [Decimal(1)] * count, places)
    return [(grid.boundary(n), part) for n, part in enumerate(parts)]


@dataclass(frozen=True, slots=True)
class Change:
    """What changes from the day ``effective``; of one day, in the order of ``sequence``. ``None`` leaves as it is."""

    effective: date
    sequence: int
    price: PriceTerms | None = None
    quantity: Decimal | None = None
    discounts: tuple[DiscountTerms, ...] | None = None
    ends: bool = False


def versions(first: ItemTerms, changes: Iterable[Change]) -> list[ItemTerms]:
    """The items that a contract's item becomes by its changes, in whatever order they were entered.

    The first keeps its key, each other has its change's sequence. One that is overtaken on its first day has no days.
    A change that is entered late gives the items after it other terms: ``succeeding`` tells which of them still stand.
    """
    items = [first]
    for change in sorted(changes, key=lambda one: (one.effective, one.sequence)):
        current = items[-1]
        if change.ends:
            items[-1] = ended(current, change.effective)
            continue
        more = {
            name: value for name in ("price", "quantity", "discounts") if (value := getattr(change, name)) is not None
        }
        items[-1], following = replaced(current, change.effective, change.sequence, **more)
        items.append(following)
    return items


def succeeding(standing: Sequence[ItemTerms], wanted: Sequence[ItemTerms]) -> list[ItemTerms]:
    """All items to be reckoned once ``wanted`` ones take the place of the ``standing`` ones.

    A wanted item that says the same as a standing one but for its end is that one, with its key; any other is new, with
    a key of its own. What is not wanted any more is overtaken on its first day, so that what it was charged goes back.
    """
    left = {item.key: item for item in standing}
    last = max(left, default=0)
    found = []
    for item in wanted:
        same = next((other for other in left.values() if _without_end(other) == _without_end(item)), None)
        if same is None:
            last += 1
            found.append(replace(item, key=last))
        else:
            del left[same.key]
            found.append(replace(item, key=same.key))
    return [*(ended(item, item.schedule.starts_on) for item in left.values()), *found]


def _without_end(item: ItemTerms) -> ItemTerms:
    return replace(item, key=0, schedule=replace(item.schedule, ends_before=None))
