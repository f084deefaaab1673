"""Kinds about dates and periods."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from billing.kernel.charges import share_of
from billing.kernel.money import rounded
from billing.kernel.period import Period, instants_of, local_day
from billing.kernel.schedule import Grid, Schedule, Timing, due_in_run, due_periods, last_due, whole_periods
from billing.kernel.start import begin
from tests.conformance.adapters.words import every, grid, interval, proration, start_day, timing
from tests.conformance.reading import Case, Given
from tests.conformance.running import kind

STUB_DECIMALS = 9  # to which a source of cycles rounds each part


def schedule(given: Given, **more: Any) -> Schedule:
    """The days of a case with ``start`` or ``subscribed_on``, on its grid of periods."""
    start = start_day(given, "start", "subscribed_on")
    end = given.day("end") if "end" in given else None
    return Schedule(grid(given, interval(given), start), start, end, timing(given), paid_from=start, **more)


@kind("cycles")
def cycles(case: Case) -> dict[str, Any]:
    terms, policy = schedule(case.given), proration(case.given)
    shares = [
        share_of(inside, nominal, policy, terms.grid)
        for _, nominal, inside in due_periods(terms, through=case.given.day("target_date"))
    ]
    stubs = [share for share in shares if share != 1]
    whole = len(shares) - len(stubs)  # the case counts whole periods in one
    return {
        "cycles": sum((rounded(share, STUB_DECIMALS) for share in shares), Decimal(0)),
        "parts": [*stubs, *([whole] if whole else [])],
    }


@kind("period_sequence")
def period_sequence(case: Case) -> dict[str, Any]:
    given = case.given
    terms = schedule(given)
    usage = Schedule(terms.grid, terms.starts_on, terms.ends_before, Timing.ARREARS, paid_from=terms.starts_on)
    if "run_dates" in given:
        runs = given.days("run_dates")
        due = [pair for on in runs for pair in due_in_run(terms, on)]
        used = [pair for on in runs for pair in due_in_run(usage, on)]
    else:
        target = given.day("target_date")
        due = [pair[1:] for pair in due_periods(terms, through=target)]
        used = [pair[1:] for pair in due_periods(usage, through=target)]
    return {
        "periods": [_pair(inside) for _, inside in due],
        "usage_periods": [_pair(inside) for _, inside in used],
        "full_periods": sum(nominal == inside for nominal, inside in due),
    }


def _pair(period: Period) -> list[date]:
    return [period.start, period.end]


@kind("billed_period")
def billed_period(case: Case) -> dict[str, Any]:
    given = case.given
    subscribed = given.day("subscribed_on")
    started = given.day("started_on") if "started_on" in given else subscribed
    ends_before = given.day("terminated_on") + timedelta(days=1) if "terminated_on" in given else None
    terms = Schedule(grid(given, interval(given), subscribed), started, ends_before, timing(given), paid_from=started)
    billed = last_due(terms, given.day("billing_date"))
    if billed is None:
        return {"from": None, "to": None, "last_day": None, "days": 0}
    nominal, inside = billed
    return {"from": inside.start, "to": inside.end, "last_day": inside.last_day, "days": nominal.days}


@kind("period_instants")
def period_instants(case: Case) -> dict[str, Any]:
    given = case.given
    zone = given.zone("timezone")
    billed = last_due(schedule(given), local_day(given.instant("billing_instant"), zone))
    return _instants(billed[1], zone) if billed else {"from_instant": None, "to_instant": None}


def _instants(period: Period, zone: Any) -> dict[str, Any]:
    """First and last second: the case's bounds are inclusive, ours are not."""
    first, after = instants_of(period, zone)
    return {"from_instant": first, "to_instant": after - timedelta(seconds=1)}


@kind("current_period_end")
def current_period_end(case: Case) -> dict[str, Any]:
    given = case.given
    periods = grid(given, interval(given), start_day(given, "subscribed_on"))
    period = periods.period(periods.index(given.day("on")))
    return {"last_day": period.last_day, "to": period.end, **_instants(period, given.zone("timezone", "UTC"))}


@kind("first_billing_date")
def first_billing_date(case: Case) -> dict[str, Any]:
    given = case.given
    return {"first_billing_date": grid(given, interval(given), given.day("start")).anchor}


@kind("billed_through")
def billed_through(case: Case) -> dict[str, Any]:
    terms = schedule(case.given)
    billed = last_due(terms, case.given.day("target_date"))
    through = billed[1].end if billed else None
    return {
        "billed_through": through,
        "next_billing_date": terms.grid.next_boundary(through or terms.starts_on),
    }


@kind("billing_days")
def billing_days(case: Case) -> dict[str, Any]:
    given = case.given
    periods = grid(given, interval(given), given.day("subscribed_on"))
    asked = {name: [date.fromisoformat(day) for day in case.expect.get(name, [])] for name in EXPECTED_DAYS}
    return {
        "billed_on": [day for days in asked.values() for day in days if periods.starts_on(day)],
        "not_billed_on": [day for days in asked.values() for day in days if not periods.starts_on(day)],
    }


EXPECTED_DAYS = ("billed_on", "not_billed_on")


@kind("is_billing_day")
def is_billing_day(case: Case) -> dict[str, Any]:
    given = case.given
    day = local_day(given.instant("at"), given.zone("timezone"))
    calendar = given.child("anchor").text("policy") == "calendar"
    start = day if calendar and "subscribed_on" not in given else given.day("subscribed_on")
    return {"bill": grid(given, interval(given), start).starts_on(day)}


@kind("nth_dates")
def nth_dates(case: Case) -> dict[str, Any]:
    given = case.given
    periods = Grid.anniversary(interval(given), given.day("start"))
    return {"dates": [periods.boundary(n) for n in range(1, given.whole("n") + 1)]}


@kind("whole_periods")
def count_whole_periods(case: Case) -> dict[str, Any]:
    given = case.given
    return {"whole_periods": whole_periods(interval(given), Period(given.day("start"), given.day("end")))}


@kind("trial_dates")
def trial_dates(case: Case) -> dict[str, Any]:
    given = case.given
    wanted = given.day("requested_start") if "requested_start" in given else None
    trial = every(given.child("trial")) if "trial" in given else None
    first = begin(given.instant("now"), given.zone("timezone"), wanted, trial)
    return {"start": first.starts_on, "trial_end": first.paid_from, "first_invoice_date": first.first_run_on}
