"""Kinds about the price of a quantity."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from billing.kernel.capacity import CapacityStep, step_reached
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.event_pricing import rate_events, values_of
from billing.kernel.period import Period
from billing.kernel.pricing import Model, PricedSlice, PriceTerms, quota_left, rate
from billing.kernel.schedule import Grid, Interval, Schedule, Timing, Unit
from billing.kernel.usage import (
    Aggregation,
    BookedUsage,
    Component,
    Group,
    Grouping,
    QuantityChange,
    Record,
    UsageTerms,
    aggregated,
    average,
    changed_quantities,
    grouped,
    over_cap,
    rate_part,
    rate_together,
    rolled_up,
    summed,
    usage_due,
    within,
)
from tests.conformance.adapters.words import (
    NONE,
    event_price,
    in_currency,
    interval,
    pairs,
    places,
    price,
    range_of,
    records,
)
from tests.conformance.reading import Case, Given, NotSupported
from tests.conformance.running import expectation, is_nothing, kind

SOME_DAY = date(2000, 1, 1)  # where a quantity has none, and none is needed
GROUPINGS = {
    "billing_period": Grouping.PERIOD,
    "period": Grouping.PERIOD,
    "batch": Grouping.BATCH,
    "usage_upload": Grouping.BATCH,
    "upload": Grouping.BATCH,
    "date": Grouping.DAY,
    "day": Grouping.DAY,
    "usage_start_date": Grouping.DAY,
    "usage_record": Grouping.RECORD,
    "record": Grouping.RECORD,
}


@kind("rate")
def rate_quantity(case: Case) -> dict[str, Any]:
    given, found = case.given, case.given.child("price")
    model = found.text("model")
    if model == "capacity":
        return _by_capacity(case, found)
    if model == "percentage" and ("transactions" in given or "transaction_count" in given):
        return _by_event(case, found)
    terms, quantity = price(found), _quantity(given)
    if "tier_selection_quantity" in given:
        rated = rate(terms, quantity, given.number("tier_selection_quantity"))
        return {
            "amount": in_currency(case, rated.amount),
            "average_unit_amount": average(rated.amount, quantity),
            **_lines(rated.slices, terms),
        }
    if "minimum_amount" in given:
        terms = replace(terms, minimum=given.number("minimum_amount"))
    if "maximum_amount" in given:
        terms = replace(terms, cap=given.number("maximum_amount"))
    last = given.flag("last_part_of_period") or "last_part_of_period" not in given
    discounts = []
    if "percent_discount" in given:
        discounts = [DiscountTerms(DiscountKind.PERCENT, given.number("percent_discount"))]
    booked = given.number("already_billed_amount") if "already_billed_amount" in given else None
    before = given.number("already_rated_quantity", NONE)
    part = rate_part(terms, quantity, before, booked=booked, last=last, discounts=discounts)
    offs = None
    if "maximum_amount" in given:
        offs = over_cap([s.amount for s in part.slices], given.number("maximum_amount"), booked or NONE)
    paid = quota_left(terms.free_quota, quantity, before).billable
    return {
        "amount": in_currency(case, part.amount),
        "quantity": quantity,
        "before_maximum": in_currency(case, part.listed),
        "before_discount": in_currency(case, part.listed),
        "discount": in_currency(case, part.taken_off),
        "minimum_top_up": in_currency(case, part.topped_up),
        "average_unit_amount": average(part.amount, quantity),
        "average_paid_unit_amount": average(part.amount, paid),
        "packages": part.counted,
        "blocks": part.counted,
        **_lines(part.slices, terms, offs),
    }


def _lines(slices: Any, terms: PriceTerms, offs: Any = None) -> dict[str, Any]:
    """The slices as the lines of a case: flat amounts apart, and what a cap takes off each."""
    in_packages = terms.model is Model.PACKAGE or any(tier.package_size is not None for tier in terms.tiers)
    lines = []
    for n, part in enumerate(slices):
        off = offs[n] if offs else NONE
        lines.append(
            {
                "tier": part.tier,
                "quantity": part.quantity,
                "amount": part.amount - part.flat_amount,
                "flat": part.flat_amount,
                "discount": off,
                "total": part.amount - off,
            }
        )
    return {"lines": lines, "line_quantity_unit": "blocks" if in_packages else "units"}


def _quantity(given: Given) -> Decimal:
    if "quantity" in given:
        return given.number("quantity")
    if "records" in given:
        found = records(given)
        return aggregated(within(found, range_of(given, "period")) if "period" in given else found)
    if "recorded_values" in given:
        [values] = _recorded(given).values()
        return values
    if "quantities" in given:
        [quantity] = _quantities(given).values()
        return quantity
    if "total_value" in given:
        return given.number("total_value")
    return given.number("quantity")


def _quantities(given: Given) -> dict[str, Decimal]:
    found = given.child("quantities")
    return {unit: found.number(unit) for unit in found.fields}


def _recorded(given: Given) -> dict[str, Decimal]:
    """The peak of each unit's recorded values."""
    found = given.child("recorded_values")
    day = range_of(given, "period").start if "period" in given else SOME_DAY
    return {
        unit: aggregated((Record(day, value, unit) for value in found.numbers(unit)), Aggregation.MAXIMUM)
        for unit in found.fields
    }


def _by_capacity(case: Case, found: Given) -> dict[str, Any]:
    steps = []
    for step in found.children_of("tiers"):
        limits = step.child("limits")
        bounds = {unit: limits.number(unit) if unit in limits else None for unit in limits.fields}
        steps.append(CapacityStep(bounds, step.number("amount")))
    given = case.given
    if "recorded_values" in given:
        quantities = _recorded(given)
    elif "records" in given:
        whole = [range_of(given, "period")] if "period" in given else []
        [quantities] = rolled_up(records(given), whole, Aggregation.MAXIMUM)
    else:
        quantities = _quantities(given)
    return {"amount": in_currency(case, step_reached(steps, quantities).amount)}


def _by_event(case: Case, found: Given) -> dict[str, Any]:
    terms, given = event_price(found), case.given
    if "transactions" in given:
        values = given.numbers("transactions")
    else:
        values = values_of(
            terms,
            given.whole("transaction_count"),
            given.number("total_value"),
            given.numbers("cumulative_before_last"),
        )
    rated = rate_events(terms, values)
    return {
        "amount": in_currency(case, rated.amount),
        "percentage_part": in_currency(case, rated.percentage),
        "fixed_part": in_currency(case, rated.fixed),
        "paid_events": rated.paid_events,
        "free_events_used": rated.free_events,
        "billed_value": rated.billed_value,
        "per_transaction": [event.amount for event in rated.events],
        "average_unit_amount": average(rated.amount, Decimal(len(values))),
        "average_paid_unit_amount": average(rated.amount, Decimal(rated.paid_events)),
    }


@kind("rate_multi")
def rate_several(case: Case) -> dict[str, Any]:
    components = [
        Component(one.text("unit"), price(one.child("price")), one.number("quantity"))
        for one in case.given.children_of("components")
    ]
    billed: dict[str, dict[int, PricedSlice]] = defaultdict(dict)
    for line in case.given.children_of("already_billed"):
        part = PricedSlice(line.number("quantity"), NONE, line.number("amount"), tier=line.whole("tier"))
        billed[line.text("unit")][part.tier] = part
    together = rate_together(components, billed)
    lines = [
        {"unit": unit, "tier": part.tier, "quantity": part.quantity, "amount": in_currency(case, part.amount)}
        for unit, part in together.slices
    ]
    return {"amount": in_currency(case, together.amount), "lines": lines}


@kind("rate_prorated_events")
def rate_changes(case: Case) -> dict[str, Any]:
    changes = [
        QuantityChange(one.number("quantity_delta"), one.number("time_weighted"))
        for one in case.given.children_of("changes")
    ]
    return {"amount": changed_quantities(price(case.given.child("price")), changes, places(case))}


@kind("free_quantity")
def free_quantity(case: Case) -> dict[str, Any]:
    given = case.given
    left = quota_left(
        given.number("free_quantity"), given.number("quantity"), given.number("already_used_quantity", NONE)
    )
    return {
        "billable_quantity": left.billable,
        "discounted_quantity": left.free,
        "already_discounted_quantity": left.used_before,
    }


@kind("usage_groups")
def usage_groups(case: Case) -> dict[str, Any]:
    word = case.given.text("group_by")
    if word not in GROUPINGS:
        raise NotSupported(f"given.group_by: {word!r} is not known")
    periods = pairs(case.given, "periods")
    terms, used = price(case.given.child("price")), records(case.given)
    groups = list(grouped(terms, used, periods, GROUPINGS[word]))
    totals = [summed(period, groups) for period in periods]
    return {"groups": [_group(case, one) for one in groups], "periods": [_group(case, one) for one in totals]}


def _group(case: Case, group: Group) -> dict[str, Any]:
    return {"quantity": group.quantity, "amount": in_currency(case, group.amount)}


@expectation("usage_periods")
def stated(expect: dict[str, Any]) -> dict[str, Any]:
    """What is expected without lines of nothing: we print none."""
    if not isinstance(expect.get("lines"), list):
        return expect
    return {**expect, "lines": [line for line in expect["lines"] if not is_nothing(line)]}


@kind("usage_periods")
def usage_periods(case: Case) -> dict[str, Any]:
    given = case.given
    every = interval(given) if "period" in given else Interval(Unit.MONTH)
    start, end = given.day("start"), given.day("end")
    grid = Grid.of(every, given.whole("billing_day") if "billing_day" in given else None, start)
    schedule = Schedule(grid, start, end, Timing.ARREARS, paid_from=start)
    terms = UsageTerms(1, places(case), schedule, price(given.child("price")))
    booked = [
        BookedUsage(Period(line.day("from"), line.day("to")), line.number("quantity", NONE), line.number("amount"))
        for line in given.children_of("already_billed")
    ]
    lines = [
        {"from": due.period.start, "to": due.period.end, "quantity": due.quantity, "amount": due.net}
        for due in usage_due(terms, records(given), booked, end)
        if due.net
    ]
    return {"lines": lines}


@kind("usage_rollup")
def usage_rollup(case: Case) -> dict[str, Any]:
    return {"sums": rolled_up(records(case.given), pairs(case.given, "periods"))}
