"""Every day of an item has an answer: charged, not due yet, waived for a reason, or a gap that is an error."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from billing.kernel.charges import Booked, Kind
from billing.kernel.period import Period
from billing.kernel.schedule import Schedule, nominal_period

_NEVER: Final = date.max


class Answer(StrEnum):
    CHARGED = "charged"
    PENDING = "pending"
    WAIVED = "waived"
    IN_ERROR = "in_error"


class Reason(StrEnum):
    """Why days are as they are; the first ones follow from item and charges alone, the others take more to know."""

    STANDS = "stands"  # a fee stands for them, and no credit gives them back
    FREE = "free"  # usage within the free quantity
    NOT_DUE = "not_due"
    TRIAL = "trial"
    BILLED_ELSEWHERE = "billed_elsewhere"
    GAP = "gap"  # due, and nobody charged them

    WAITS_FOR_START = "waits_for_start"  # the day with which billing starts is not known
    WAITS_FOR_RUN = "waits_for_run"  # no run has come to them
    CHANGED_SINCE = "changed_since"  # the contract changed after the run that came to them
    PARKED = "parked"
    NOT_ACTIVE = "not_active"  # the account
    UNBILLABLE = "unbillable"  # contract or price cannot be reckoned


ANSWERS: Final = {
    Reason.STANDS: Answer.CHARGED,
    Reason.NOT_DUE: Answer.PENDING,
    Reason.WAITS_FOR_START: Answer.PENDING,
    Reason.WAITS_FOR_RUN: Answer.PENDING,
    Reason.CHANGED_SINCE: Answer.PENDING,
    Reason.FREE: Answer.WAIVED,
    Reason.TRIAL: Answer.WAIVED,
    Reason.BILLED_ELSEWHERE: Answer.WAIVED,
    Reason.GAP: Answer.IN_ERROR,
    Reason.PARKED: Answer.IN_ERROR,
    Reason.NOT_ACTIVE: Answer.IN_ERROR,
    Reason.UNBILLABLE: Answer.IN_ERROR,
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days of an item with one answer; ``due_on``: the first day whose run charges them, where one does."""

    period: Period
    reason: Reason
    due_on: date | None = None

    @property
    def answer(self) -> Answer:
        return ANSWERS[self.reason]


def covered(schedule: Schedule, booked: Iterable[Booked], through: date) -> list[Stretch]:
    """The days of an item up to ``through``, that day included, in order and without a gap or an overlap.

    ``booked`` is all that stands booked for the item. Days that are charged count as charged whatever else holds for
    them. An item charged once is charged as a whole: all its days have the answer of that one charge.
    """
    whole = active_days(schedule.starts_on, schedule.ends_before, through)
    if not whole:
        return []
    charged = _charged(booked)
    if schedule.once:
        return _once(schedule, whole, charged, through)
    found = [Stretch(part & whole, Reason.STANDS) for part in charged if part & whole]
    for part in whole.without(charged):
        found += _waived(schedule, part)
        found += _to_charge(schedule, part & schedule.stretch, charged, through)
    return sorted(found, key=lambda stretch: stretch.period)


def active_days(starts_on: date, ends_before: date | None, through: date) -> Period:
    """The days on which an item is there, up to ``through``, that day included."""
    return Period(starts_on, min(ends_before or _NEVER, through + timedelta(days=1)))


def _charged(booked: Iterable[Booked]) -> list[Period]:
    rows = list(booked)
    given: dict[int, list[Period]] = {}
    for credit in rows:
        if credit.kind is Kind.CREDIT and credit.corrects is not None:
            given.setdefault(credit.corrects, []).append(credit.period)
    fees = (fee for fee in rows if fee.kind is Kind.FEE)
    return sorted(part for fee in fees for part in fee.period.without(given.get(fee.key, ())))


def _once(schedule: Schedule, whole: Period, charged: Sequence[Period], through: date) -> list[Stretch]:
    nominal = nominal_period(schedule, 0)
    if charged:
        return [Stretch(whole, Reason.STANDS)]
    if nominal and nominal.start >= schedule.first_day:
        trial = whole & Period(whole.start, nominal.start)
        rest = whole & Period(nominal.start, whole.end)
        reason = Reason.GAP if schedule.is_due(nominal, through) else Reason.NOT_DUE
        parts = [Stretch(trial, Reason.TRIAL), Stretch(rest, reason, nominal.start)]
        return [part for part in parts if part.period]
    return list(_waived(schedule, whole, everything=True))


def _waived(schedule: Schedule, part: Period, *, everything: bool = False) -> Iterator[Stretch]:
    """Days before the first one that is charged; the trial counts before what another system billed."""
    free = part if everything else part & Period(part.start, schedule.first_day)
    trial = free & Period(free.start, schedule.paid_from or schedule.starts_on)
    if trial:
        yield Stretch(trial, Reason.TRIAL)
    elsewhere = free & Period(trial.end if trial else free.start, free.end)
    if elsewhere:
        yield Stretch(elsewhere, Reason.BILLED_ELSEWHERE)


def _to_charge(schedule: Schedule, part: Period, charged: Sequence[Period], through: date) -> Iterator[Stretch]:
    """Days that are to be charged and are not: each gap of a nominal period falls due as a whole."""
    if not part:
        return
    grid = schedule.grid
    for n in range(grid.index(part.start), grid.index(part.last_day) + 1):
        for gap in (grid.period(n) & schedule.stretch).without(charged):
            if days := gap & part:
                due_on = schedule.due_on(gap)
                yield Stretch(days, Reason.GAP if due_on <= through else Reason.NOT_DUE, due_on)
