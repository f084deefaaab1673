"""The first days of a contract: from which of its dates it counts, its trial, and the first day that is paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from billing.kernel.period import local_day
from billing.kernel.schedule import Grid, Interval


class Trigger(StrEnum):
    """The date of a contract from which it is billed."""

    CONTRACT = "contract"  # it takes effect
    ACTIVATION = "activation"  # the service is switched on
    ACCEPTANCE = "acceptance"  # the customer has accepted


def starts_on(trigger: Trigger, dates: Mapping[Trigger, date]) -> date | None:
    """The first day that can be billed; ``None`` while the date that decides is missing: the contract is pending.

    It is never before the contract takes effect.
    """
    decides = dates.get(trigger)
    if decides is None:
        return None
    return max(decides, dates.get(Trigger.CONTRACT, decides))


def trial_end(start: date, length: Interval) -> date:
    """First day after a trial of one ``length`` from ``start`` on: 30 days from 1 August end before 31 August."""
    return Grid.anniversary(length, start).boundary(1)


def extended_trial(ends_before: date, to: date, on: date) -> date:
    """The new end of a trial that is extended on the day ``on``.

    Raises ``ValueError`` once the trial is over, or if it would not become longer.
    """
    if on >= ends_before:
        raise ValueError(f"the trial was over on {ends_before}: it can be extended only before it ends")
    if to <= ends_before:
        raise ValueError(f"a trial until {ends_before} is not extended by one until {to}")
    return to


@dataclass(frozen=True, slots=True)
class Beginning:
    """``starts_on`` the contract, ``paid_from`` its first paid day, ``first_run_on`` the first run that knows of it."""

    starts_on: date
    paid_from: date
    first_run_on: date


def begin(entered_at: datetime, zone: ZoneInfo, wanted: date | None = None, trial: Interval | None = None) -> Beginning:
    """The first days of a contract entered at an instant: ``wanted`` or, by default, the day it then is in ``zone``."""
    today = local_day(entered_at, zone)
    start = wanted or today
    return Beginning(start, trial_end(start, trial) if trial else start, max(start, today))
