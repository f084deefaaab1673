"""Half-open stretches of days; months counted from an anchor."""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction


@dataclass(frozen=True, order=True, slots=True)
class Period:
    start: date
    end: date  # the first day no longer covered

    @property
    def days(self) -> int:
        return max(0, (self.end - self.start).days)

    @property
    def last_day(self) -> date:
        return self.end - timedelta(days=1)

    def __bool__(self) -> bool:
        """Whether it holds any day at all."""
        return self.start < self.end

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __and__(self, other: "Period") -> "Period":
        return Period(max(self.start, other.start), min(self.end, other.end))

    def __sub__(self, other: "Period") -> "list[Period]":
        """What is left of this period without the days of ``other``: nothing, one part or two."""
        if not self & other:
            return [self] if self else []
        return [part for part in (Period(self.start, other.start), Period(other.end, self.end)) if part]

    def without(self, others: "Iterable[Period]") -> "list[Period]":
        """What is left of this period without the days of any of ``others``, in order."""
        left = [self] if self else []
        for other in others:
            left = [part for whole in left for part in whole - other]
        return left

    def share_of(self, whole: "Period") -> Fraction:
        """The part of ``whole`` that this period covers, by days: 10 of 31 is 10/31."""
        return Fraction((self & whole).days, whole.days)


def month_day(months: int, day: int) -> date:
    """The ``day`` (1..31) of a month counted from the year 0, or its last day if it has no such day."""
    year, month = divmod(months, 12)
    return date(year, month + 1, day if day <= 28 else min(day, monthrange(year, month + 1)[1]))


def months_after(anchor: date, months: int, day: int | None = None) -> date:
    """Count from the anchor, never from the last result: 31 Jan, 28 Feb, 31 Mar.

    ``day`` is the day of the month meant, where the anchor itself stands in a month too short for it.
    """
    return month_day(anchor.year * 12 + anchor.month - 1 + months, day or anchor.day)
