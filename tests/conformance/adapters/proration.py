"""Kinds about parts of periods, and about changes inside a period."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.kernel.changes import Recurring, direction, ended, monthly_value
from billing.kernel.charges import Due, ItemTerms, Proration, due_less_booked, share_of
from billing.kernel.commitment import true_up
from billing.kernel.money import rounded
from billing.kernel.period import Period, local_day
from billing.kernel.pricing import PriceTerms, flat, per_unit, rate
from billing.kernel.schedule import Grid, Interval, Schedule, Unit, due_periods
from billing.kernel.start import trial_end
from invoicing.kernel.totals import vat_of
from tests.conformance.adapters.booking import Books, net_of, taxed
from tests.conformance.adapters.words import (
    every,
    grid,
    interval,
    item,
    places,
    proration,
    range_of,
    start_day,
    timing,
)
from tests.conformance.reading import Case, Given, NotSupported
from tests.conformance.running import kind

MONTH = Interval(Unit.MONTH)
FAR = date(2000, 1, 1)  # where a case counts days without naming any
ONE = Decimal(1)


@kind("factor")
def factor(case: Case) -> dict[str, Any]:
    given = case.given
    every_, service, policy = interval(given), range_of(given, "service"), proration(given)
    if "full_period" in given:
        full = range_of(given, "full_period")
        return {"factor": share_of(service, full, policy, item(flat(ONE), full, service).schedule.grid)}
    calendar = Grid.calendar(every_, service.start)
    if policy is not Proration.ACTUAL:  # one count of days, whatever month they are in
        nominal = calendar.period(calendar.index(service.start))
        return {"factor": share_of(service, nominal, policy, calendar)}
    parts = due_periods(Schedule(calendar, service.start, service.end), through=service.last_day)
    return {"factor": sum((share_of(part, whole, policy, calendar) for _, whole, part in parts), Fraction(0))}


@kind("prorated_fee")
def prorated_fee(case: Case) -> dict[str, Any]:
    given = case.given
    full, service = range_of(given, "full_period"), range_of(given, "service")
    start = paid_from = service.start
    if "trial" in given:
        trial = given.child("trial")
        start = _trial_start(trial)
        paid_from = trial_end(start, Interval(Unit.DAY, trial.whole("days")))
    elif "start_instant" in given:
        start = paid_from = start_day(given, "started_on")
    _ = "anchor_date" in given  # the full period says what it leads to
    terms = item(
        _price(given),
        full,
        Period(start, service.end),
        paid_from=paid_from,
        timing=timing(given),
        quantity=given.number("quantity", ONE),
        places=places(case),
    )
    due = [one for one in due_less_booked(terms, (), full.end) if one.nominal == full]
    net = net_of([one.net for one in due], places(case))
    shown: dict[str, Any] = {
        "amount": net,
        "days_billed": sum(one.period.days for one in due),
        "unrounded": Fraction(due[0].trace["exact"]) if due else Fraction(0),
        "factor": _share(terms, due[0]) if due else Fraction(0),
    }
    if "tax_rate" in given:
        shown["total_with_tax"] = taxed([net], given.number("tax_rate"), places(case)).gross
    return shown


def _price(given: Given) -> PriceTerms:
    return flat(given.number("price")) if "price" in given else per_unit(given.number("unit_amount"))


def _share(terms: ItemTerms, due: Due) -> Fraction:
    return share_of(due.period, due.nominal, terms.proration, terms.schedule.grid)


def _trial_start(trial: Given) -> date:
    if "start_instant" in trial:
        return local_day(trial.instant("start_instant"), trial.zone("timezone", "UTC"))
    return trial.day("start")


@kind("stub_total")
def stub_total(case: Case) -> dict[str, Any]:
    given = case.given
    start = given.day("start")
    paid_from = trial_end(start, every(given.child("trial"))) if "trial" in given else start
    schedule = Schedule(grid(given, interval(given), paid_from), start, paid_from=paid_from)
    terms = ItemTerms(1, places(case), schedule, _price(given), ONE, proration=proration(given))
    due = due_less_booked(terms, (), given.day("target_date"))
    stubs = [one for one in due if one.period != one.nominal]
    nets = [one.net for one in due]
    usage = Decimal(0)
    if "usage" in given:
        used = given.child("usage")
        usage = rounded(rate(per_unit(used.number("unit_amount")), used.number("quantity")).amount, places(case))
        nets.append(usage)
    return {
        "whole_periods": len(due) - len(stubs),
        "stub_factor": sum((_share(terms, one) for one in stubs), Fraction(0)),
        "stub_amount": net_of([one.net for one in stubs], places(case)),
        "usage_amount": usage,
        "total": net_of(nets, places(case)),
    }


@dataclass(frozen=True)
class Rest:
    """What is left of a period when its components change, laid out on days of their own if none are named."""

    whole: Period
    change_on: date

    def nominal(self, component: Given) -> Period:
        """The period of a component: its own, if it has one, ends with the other."""
        if "full_period_days" not in component:
            return self.whole
        return Period(self.whole.end - timedelta(days=component.whole("full_period_days")), self.whole.end)


def _rest(given: Given) -> Rest:
    if "period" in given and "change_on" in given:
        return Rest(range_of(given, "period"), given.day("change_on"))
    if "days_remaining" in given and "days_used" in given:
        left, used = given.whole("days_remaining"), given.whole("days_used")
        return _laid_out(left, left + used)
    if "remaining_fraction" in given:
        share = given.fraction("remaining_fraction")
        if "days_remaining" not in given:
            return _laid_out(share.numerator, share.denominator)
        left = given.whole("days_remaining")
        whole = left / share
        if whole.denominator != 1:
            raise NotSupported("given.remaining_fraction: not a share of whole days")
        return _laid_out(left, int(whole))
    if "days_remaining" in given:  # each component brings its own period
        left = given.whole("days_remaining")
        return _laid_out(left, left)
    raise NotSupported("given.change_on: missing, and no remaining_fraction either")


def _laid_out(left: int, whole: int) -> Rest:
    return Rest(Period(FAR, FAR + timedelta(days=whole)), FAR + timedelta(days=whole - left))


@kind("switch")
def switch(case: Case) -> dict[str, Any]:
    given, books = case.given, Books()
    lines: list[dict[str, Any]] = []
    rest = _rest(given)
    for number, component in enumerate([*given.children_of("old"), *given.children_of("new")]):
        is_old = number < len(given.children_of("old"))
        nominal = rest.nominal(component)
        once = component.flag("one_time")
        if once and is_old:
            continue  # paid once for good
        start = nominal.start if is_old else rest.change_on
        terms = item(
            flat(component.number("amount")) if "amount" in component else per_unit(component.number("unit_amount")),
            nominal,
            Period(start, nominal.end),
            key=number,
            quantity=component.number("quantity", ONE),
            places=places(case),
        )
        if once:
            terms = replace(terms, schedule=Schedule(Grid.anniversary(Interval(Unit.ONCE), start), start))
        if is_old:
            books.run(terms, rest.change_on - timedelta(days=1))
            terms = ended(terms, rest.change_on)
        for due in books.run(terms, rest.change_on):
            lines.append(
                {"type": "credit" if is_old else "charge", "component": component.text("component"), "amount": due.net}
            )
    net = net_of([line["amount"] for line in lines], places(case))
    regular = given.number("next_regular_charge", Decimal(0))
    return {"lines": lines, "net": net, "next_invoice_total": net_of([net, regular], places(case))}


@kind("change_direction")
def change_direction(case: Case) -> dict[str, Any]:
    def amounts(name: str) -> list[Recurring]:
        return [
            (rate(per_unit(one.number("amount")), one.number("quantity", ONE)).amount, interval(one))
            for one in case.given.children_of(name)
        ]

    return {"direction": direction(amounts("old"), amounts("new")).value}


@kind("contract_metrics")
def contract_metrics(case: Case) -> dict[str, Any]:
    given = case.given
    start, end = given.day("from"), given.day("term_last_day") + timedelta(days=1)
    every_ = interval(given) if "period" in given else MONTH
    price, quantity = per_unit(given.number("unit_amount")), given.number("quantity_change")
    schedule = Schedule(grid(given, every_, start), start, end)
    terms = ItemTerms(1, places(case), schedule, price, quantity)

    def value(policy: Proration) -> Decimal:
        due = due_less_booked(replace(terms, proration=policy), (), end)
        return net_of([one.net for one in due], places(case))

    return {
        "mrr": monthly_value(rate(price, quantity).amount, every_),
        "contract_value": value(Proration.ACTUAL),
        "billed_value_30_day_rule": value(Proration.ACTUAL_OVER_30),
    }


@kind("commitment")
def commitment(case: Case) -> dict[str, Any]:
    given = case.given
    full, service = range_of(given, "full_period"), range_of(given, "service")
    terms = item(flat(given.number("price", Decimal(0))), full, service, places=places(case))
    fee = [one.net for one in due_less_booked(terms, (), full.end)]
    if "item_fee" in given:  # a minimum of one price stands against that price alone
        fees = [given.number("item_fee")]
    else:
        fees = [*fee, *given.numbers("other_fees")]
    share = share_of(service, full, Proration.ACTUAL, terms.schedule.grid)
    due = true_up(given.number("minimum", Decimal(0)), share, fees, places(case))
    return {
        "factor": share,
        "prorated_minimum": due.committed,
        "top_up": due.missing,
        "top_up_tax_20": vat_of(due.missing, Decimal(20), places(case)),
        "invoice_total": net_of([*fees, due.missing], places(case)),
        "unrounded": Fraction(due.trace["exact"]),
    }
