"""Which days an item is charged for, and when: the grid of periods, trial, stubs, in advance or in arrears."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from billing.kernel.period import Period, month_day, months_after

_NEVER: Final = date.max


class Unit(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ONCE = "once"


class Timing(StrEnum):
    ADVANCE = "advance"  # due on the first day of what is charged
    ARREARS = "arrears"  # due when what is charged is over: on the first day after it


@dataclass(frozen=True, slots=True)
class Interval:
    """How long a period is: a quarter is 3 months, a year 12. ``once`` has no period but the item's own."""

    unit: Unit
    count: int = 1
    months: int = field(init=False)  # 0 if it is not counted in months

    def __post_init__(self) -> None:
        if self.count < 1 or (self.unit is Unit.ONCE and self.count != 1):
            raise ValueError(f"an interval of {self.count} {self.unit} is none")
        object.__setattr__(self, "months", self.count if self.unit is Unit.MONTH else 0)

    @classmethod
    def parse(cls, word: str) -> "Interval":
        """Read one of the words of ``INTERVALS``. Raises ``ValueError``, naming them, for any other."""
        try:
            return INTERVALS[word]
        except KeyError:
            raise ValueError(f"{word!r} is no interval; known are {', '.join(INTERVALS)}") from None

    @classmethod
    def every(cls, count: int, unit: str) -> "Interval":
        """So many of a ``unit``: day, week, month, quarter or year. Raises ``ValueError`` for any other, or none."""
        try:
            base, times = _UNITS[unit]
        except KeyError:
            raise ValueError(f"{unit!r} is no unit of time; known are {', '.join(_UNITS)}") from None
        return cls(base, count * times)


_UNITS: Final = {
    "day": (Unit.DAY, 1),
    "week": (Unit.WEEK, 1),
    "month": (Unit.MONTH, 1),
    "quarter": (Unit.MONTH, 3),
    "year": (Unit.MONTH, 12),
}
INTERVALS: Final = {
    "once": Interval(Unit.ONCE),
    "weekly": Interval(Unit.WEEK),
    "monthly": Interval(Unit.MONTH),
    "quarterly": Interval(Unit.MONTH, 3),
    "half_yearly": Interval(Unit.MONTH, 6),
    "yearly": Interval(Unit.MONTH, 12),
}


@dataclass(frozen=True, slots=True)
class Grid:
    """The nominal periods of a contract, without beginning or end: period 0 starts on the anchor.

    ``anchor_day`` (1..31) is the day of the month meant; the anchor itself stands on the last day of a month too short
    for it. Both are stored with the contract and never derived from an earlier period.
    """

    interval: Interval
    anchor: date
    anchor_day: int

    def __post_init__(self) -> None:
        if self.interval.unit is Unit.MONTH and months_after(self.anchor, 0, self.anchor_day) != self.anchor:
            raise ValueError(f"{self.anchor} does not stand for day {self.anchor_day} of its month")

    @classmethod
    def of(cls, interval: Interval, billing_day: int | None, first_paid_on: date) -> "Grid":
        """By the contract's billing day if it has one and the interval is counted in months, else by anniversary."""
        if billing_day is None or not interval.months:
            return cls.anniversary(interval, first_paid_on)
        return cls.on_billing_day(interval, billing_day, first_paid_on)

    @classmethod
    def anniversary(cls, interval: Interval, first_paid_on: date) -> "Grid":
        """Periods that start with the first paid day: no stub."""
        return cls(interval, first_paid_on, first_paid_on.day)

    @classmethod
    def on_billing_day(cls, interval: Interval, day: int, first_paid_on: date) -> "Grid":
        """Periods from the first such day of a month (1..31) on or after the first paid day; a stub leads up to it."""
        if interval.unit is not Unit.MONTH or not 1 <= day <= 31:
            raise ValueError(f"no period of {interval.count} {interval.unit} starts on day {day} of a month")
        anchor = months_after(first_paid_on, 0, day)
        if anchor < first_paid_on:
            anchor = months_after(first_paid_on, 1, day)
        return cls(interval, anchor, day)

    @classmethod
    def on_weekday(cls, interval: Interval, weekday: int, first_paid_on: date) -> "Grid":
        """Weeks from the first such weekday (1: Monday .. 7: Sunday) on or after the first paid day, and a stub."""
        if interval.unit is not Unit.WEEK or not 1 <= weekday <= 7:
            raise ValueError(f"no period of {interval.count} {interval.unit} starts on weekday {weekday}")
        anchor = first_paid_on + timedelta(days=(weekday - first_paid_on.isoweekday()) % 7)
        return cls(interval, anchor, anchor.day)

    @classmethod
    def calendar(cls, interval: Interval, first_paid_on: date) -> "Grid":
        """Calendar months, quarters, half-years or years, by the interval's length; weeks from Monday."""
        if interval.unit is Unit.WEEK:
            monday = first_paid_on - timedelta(days=first_paid_on.weekday())
            return cls(interval, monday, monday.day)
        if not interval.months or (12 % interval.months and interval.months % 12):
            raise ValueError(f"the calendar has no period of {interval.count} {interval.unit}")
        return cls(interval, date(first_paid_on.year, 1, 1), 1)

    def boundary(self, n: int) -> date:
        """First day of period ``n``, counted from the anchor; ``n`` may be negative."""
        return self.period(n).start

    def period(self, n: int) -> Period:
        """Period ``n``, counted from the anchor; ``n`` may be negative."""
        if months := self.interval.months:
            return _months(self.anchor.year * 12 + self.anchor.month - 1 + n * months, months, self.anchor_day)
        step = timedelta(days=_days(self.interval))
        return Period(self.anchor + n * step, self.anchor + (n + 1) * step)

    def starts_on(self, day: date) -> bool:
        """Whether a period starts on ``day``."""
        return self.boundary(self.index(day)) == day

    def next_boundary(self, day: date) -> date:
        """First day of the first period that starts after ``day``."""
        return self.boundary(self.index(day) + 1)

    def index(self, day: date) -> int:
        """The number of the period that holds ``day``."""
        if months := self.interval.months:
            apart = (day.year - self.anchor.year) * 12 + day.month - self.anchor.month
            if day.day < self.anchor_day and day < month_day(day.year * 12 + day.month - 1, self.anchor_day):
                apart -= 1
            return apart // months
        return (day - self.anchor).days // _days(self.interval)


def _days(interval: Interval) -> int:
    if interval.unit is Unit.ONCE:
        raise ValueError("what is charged once has no grid of periods")
    return interval.count * (7 if interval.unit is Unit.WEEK else 1)


@lru_cache(maxsize=16_384)  # contracts share few of them: a grid of months is told by its day of the month alone
def _months(first: int, months: int, day: int) -> Period:
    return Period(month_day(first, day), month_day(first + months, day))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The days of one item, on the grid of its contract.

    ``paid_from`` is the contract's first paid day (the end of its trial, or its start): nothing is charged before it,
    and discounts count periods from there. ``billed_before``: earlier days are waived, another system billed them.
    ``periods_skipped``: nominal periods since ``paid_from`` of which the contract was not billed a day (paused), for
    items that start after them; discounts do not count those.
    """

    grid: Grid
    starts_on: date
    ends_before: date | None = None
    timing: Timing = Timing.ADVANCE
    paid_from: date | None = None
    billed_before: date | None = None
    periods_skipped: int = 0

    @property
    def once(self) -> bool:
        return not self.grid.interval.months and self.grid.interval.unit is Unit.ONCE

    @property
    def first_day(self) -> date:
        """First day that is charged, if any is."""
        first = self.starts_on
        if self.paid_from is not None and self.paid_from > first:
            first = self.paid_from
        return first if self.billed_before is None else max(first, self.billed_before)

    @property
    def stretch(self) -> Period:
        """All days that are charged, now or later; open ends reach to the end of time."""
        return Period(self.first_day, self.ends_before or _NEVER)

    def ordinal(self, n: int) -> int:
        """Which billed period of the contract period ``n`` is: 1 is the one of the first paid day, stub or not."""
        if self.once:
            return 1
        return n - self.grid.index(self.paid_from or self.starts_on) + 1 - self.periods_skipped

    def is_due(self, period: Period, through: date) -> bool:
        """Whether a charge for these days is due in a run through the day ``through``, that day included."""
        return self.due_on(period) <= through

    def due_on(self, period: Period) -> date:
        """First day on which a run charges these days. What is charged once is due on its first day, always."""
        return period.start if self.timing is Timing.ADVANCE or self.once else period.end


def nominal_period(schedule: Schedule, n: int) -> Period:
    """The whole period a charge is measured by: of the grid or, if charged once, the item's own days (one if open)."""
    if not schedule.once:
        return schedule.grid.period(n)
    start = max(schedule.starts_on, schedule.paid_from or schedule.starts_on)
    return Period(start, start + timedelta(days=1) if schedule.ends_before is None else schedule.ends_before)


def due_periods(
    schedule: Schedule, *, through: date, since: date | None = None
) -> Iterator[tuple[int, Period, Period]]:
    """Yield number, nominal period and the item's days in it for all that is due, in order.

    ``since`` leaves out the periods that end on or before it.
    """
    if schedule.once:
        nominal = nominal_period(schedule, 0)
        # one day billed elsewhere is the whole of it
        if nominal and nominal.start >= schedule.first_day and schedule.is_due(nominal, through):
            yield 0, nominal, nominal
        return
    stretch, grid = schedule.stretch, schedule.grid
    first = stretch.start if since is None else max(stretch.start, since)
    n = grid.index(first)
    nominal = grid.period(n)
    while first <= through and first < stretch.end:
        inside = nominal if stretch.start <= nominal.start and nominal.end <= stretch.end else nominal & stretch
        if not schedule.is_due(inside, through):
            return
        yield n, nominal, inside
        n += 1
        nominal = grid.period(n)
        first = nominal.start


def due_in_run(schedule: Schedule, on: date) -> list[tuple[Period, Period]]:
    """Nominal period and the item's days in it for what becomes due on just this day, all before being charged."""
    return [
        (nominal, inside) for _, nominal, inside in due_periods(schedule, through=on) if schedule.due_on(inside) == on
    ]


def last_due(schedule: Schedule, through: date) -> tuple[Period, Period] | None:
    """Nominal period and the item's days in it for the latest that is due; ``None`` if nothing is."""
    latest = None
    for _, nominal, inside in due_periods(schedule, through=through):
        latest = nominal, inside
    return latest


def whole_periods(interval: Interval, period: Period) -> int:
    """How many whole intervals the days of ``period`` hold, counted from its first day."""
    return Grid.anniversary(interval, period.start).index(period.end) if period else 0
