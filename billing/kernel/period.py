"""Half-open stretches of days; months counted from an anchor."""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo


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


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The day it is in ``zone`` at an aware ``instant``. Raises ``ValueError`` for a naive one."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} is not an instant: it has no time zone")
    return instant.astimezone(zone).date()


def instants_of(period: Period, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of a period and first instant after it, in UTC: the midnights of ``zone``, whatever a clock does.

    Where a change of the clock skips midnight, the day begins with the first instant there is.
    """
    return _midnight(period.start, zone), _midnight(period.end, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
