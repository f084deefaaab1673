"""Billed periods counted across the positions of a contract: through pauses, other intervals, and later discounts.

Plain Python: it reckons with schedules alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from billing.kernel.period import Period
from billing.kernel.schedule import Schedule

Place = tuple[int, Schedule, int | None]  # line, schedule, billed periods before where the contract cannot tell


@dataclass(frozen=True, slots=True)
class Given:
    """When a granted discount holds.

    For ``periods`` billed periods (``None``: for good) after the first ``after_periods``, counted from the contract's
    first one or, with ``starts_on``, from the first that begins then or later; and for none that begins on or after
    ``ends_before``.
    """

    periods: int | None = None
    after_periods: int = 0
    starts_on: date | None = None
    ends_before: date | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The same in billed periods of the contract, as ``DiscountTerms`` counts them."""

    after_periods: int
    periods: int | None


def periods_skipped(places: Sequence[Place]) -> list[int]:
    """``Schedule.periods_skipped`` of the items of a contract, given in the order of their first days.

    An item goes on counting where the one before it on its line left off, also if its periods are others (monthly, then
    yearly). One that continues none counts the contract's periods in which any item had a day.
    """
    skipped: list[int] = []
    last: dict[int, tuple[Schedule, int]] = {}  # by line: its latest item with days, and that one's skipped periods
    days = [schedule.stretch for _line, schedule, _before in places]
    for line, schedule, before in places:
        if schedule.once:
            skipped.append(0)
            continue
        grid, first = schedule.grid, schedule.grid.index(schedule.first_day)
        base = first - grid.index(schedule.paid_from or schedule.starts_on)
        previous = last.get(line)
        if previous is not None and (previous[0].ends_before or date.max) <= schedule.starts_on:
            latest, latest_skipped = previous
            ended = latest.grid.index(latest.stretch.last_day)
            if latest.grid == grid:
                found = latest_skipped + max(0, first - ended - 1)
            else:
                counted = ended - latest.grid.index(latest.paid_from or latest.starts_on) + 1 - latest_skipped
                found = base - counted
        elif before is not None:
            found = base - before
        else:
            found = sum(not _any_day(grid.period(n), days) for n in range(first - base, first))
        skipped.append(found)
        if schedule.stretch:
            last[line] = schedule, found
    return skipped


def holding_periods(places: Sequence[tuple[int, Schedule]], n: int, given: Given) -> Held | None:
    """When a discount holds for item ``n`` of a contract, of which the skipped periods are known; ``None``: never."""
    line, schedule = places[n]
    starts_on, ends_before = given.starts_on, given.ends_before
    if starts_on is None and ends_before is None:
        return Held(given.after_periods, given.periods)
    if schedule.once:
        if (starts_on is None or starts_on <= schedule.first_day) and (
            ends_before is None or schedule.first_day < ends_before
        ):
            return Held(given.after_periods, given.periods)
        return None
    starts = {other.first_day for at, other in places if at == line and other.stretch}
    after, until = given.after_periods, None if given.periods is None else given.after_periods + given.periods
    if starts_on is not None:
        before = _ordinal_from(schedule, starts_on, starts) - 1
        after += before
        until = None if until is None else until + before
        if schedule.first_day < starts_on:  # what of the first such period this item charges began before
            nominal = schedule.grid.period(schedule.grid.index(starts_on))
            if max(nominal.start, schedule.first_day) < starts_on:
                after = max(after, schedule.ordinal(schedule.grid.index(starts_on)))
    if ends_before is not None:
        last = _ordinal_from(schedule, ends_before, starts) - 1
        if schedule.first_day < ends_before and last < schedule.ordinal(schedule.grid.index(ends_before)):
            nominal = schedule.grid.period(schedule.grid.index(ends_before))
            if max(nominal.start, schedule.first_day) < ends_before:
                last += 1  # the part of the period that began before
        until = last if until is None else min(until, last)
    if until is not None and until <= after:
        return None
    return Held(after, None if until is None else until - after)


def _ordinal_from(schedule: Schedule, day: date, starts: set[date]) -> int:
    """Of the first billed period that begins on ``day`` or later; an item that begins on the day begins one, too."""
    grid = schedule.grid
    n = grid.index(day)
    if grid.boundary(n) < day and day not in starts:
        n += 1
    return schedule.ordinal(n)


def _any_day(period: Period, days: Sequence[Period]) -> bool:
    return any(period & stretch for stretch in days)
