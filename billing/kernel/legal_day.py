"""From which day a contract may have a new price: wanted, announced in time, out of its term, with a whole period."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from billing.kernel.schedule import Grid
from billing.kernel.term import term_on

ONE_DAY: Final = timedelta(days=1)


class Rule(StrEnum):
    WANTED = "wanted"  # not before the day that is wanted
    STARTS = "starts"  # not before the position itself
    NOTICE = "notice"  # not before the announcement and the days of notice
    TERM = "term"  # not within a term, which fixes the price
    CHARGED = "charged"  # not for days that are charged already
    PERIOD = "period"  # with the first day of a billing period


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a contract says about its term and notice; as ``billing.kernel.term.term_on`` takes it."""

    term_from: date
    term_months: int | None = None
    renewal_months: int | None = None
    notice_days: int | None = None
    extended_days: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A rule, and the day it led to."""

    rule: Rule
    day: date


@dataclass(frozen=True, slots=True)
class LegalDay:
    """``steps`` are the rules that made the day later, in the order in which they were asked; the first is the wanted
    day, and the last one led to ``day``."""

    day: date
    steps: tuple[Step, ...]


def legal_day(
    wanted_on: date,
    *,
    announced_on: date,
    notice_days: int,
    agreement: Agreement,
    grid: Grid,
    starts_on: date,
    charged_before: date | None = None,
    within_term: bool = False,
) -> LegalDay:
    """The first day on which a position of a contract may have a new price.

    Of ``notice_days`` and the contract's own notice the longer one counts: n days are n whole days between the
    announcement and the change, so that a customer who is told can still give notice in time. ``grid``: where the
    position's billing periods begin; ``starts_on`` its first day; days before ``charged_before`` are charged. With
    ``within_term`` a term does not fix the price. The grid is of a recurring interval.
    """
    steps = [Step(Rule.WANTED, wanted_on)]

    def not_before(rule: Rule, day: date | None) -> None:
        if day is not None and day > steps[-1].day:
            steps.append(Step(rule, day))

    not_before(Rule.STARTS, starts_on)
    notice = max(notice_days, agreement.notice_days or 0)
    not_before(Rule.NOTICE, announced_on + timedelta(days=notice) + ONE_DAY)
    if not within_term:
        not_before(Rule.TERM, out_of_term(agreement, steps[-1].day))
    not_before(Rule.CHARGED, charged_before)
    day = steps[-1].day
    not_before(Rule.PERIOD, day if grid.starts_on(day) else grid.next_boundary(day))
    return LegalDay(steps[-1].day, tuple(steps))


def out_of_term(agreement: Agreement, day: date) -> date | None:
    """The first day on or after ``day`` with which a term ends; ``None`` if none does: there is no term (any more).

    A contract whose first term begins with ``day`` or later is bound by it, too.
    """
    term = term_on(
        day - ONE_DAY,
        agreement.term_from,
        agreement.term_months,
        agreement.renewal_months,
        None,
        agreement.extended_days,
    )
    return None if term is None else term.renews_on
