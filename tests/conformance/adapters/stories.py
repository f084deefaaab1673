"""Stories: plans, dated events and runs in; invoices out. Each event becomes ends of items and new ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.kernel.changes import (
    MoneyPolicy,
    PausePolicy,
    When,
    aligned,
    around,
    cancelled,
    effective_on,
    ended,
    paused,
    replaced,
)
from billing.kernel.charges import Due, ItemTerms, Kind, Proration, share_of
from billing.kernel.period import local_day
from billing.kernel.pricing import flat, per_unit, rate
from billing.kernel.schedule import Grid, Interval, Schedule, Timing, Unit
from billing.kernel.start import trial_end
from billing.kernel.usage import BookedUsage, Record, UsageTerms, usage_due
from invoicing.kernel.credits import amount_due, creditable, offset
from tests.conformance.adapters.booking import Books, net_of
from tests.conformance.adapters.proration import ONE
from tests.conformance.adapters.words import TIMINGS, every, places, price
from tests.conformance.reading import Case, Given, NotSupported
from tests.conformance.running import expectation, is_nothing, kind

NONE = Decimal(0)
MONTH = Interval(Unit.MONTH)
ONLY = ""  # the name of a customer or subscription where there is but one
FREE = ("trial",)


@dataclass(eq=False)
class Position:
    """An item on its way through a story, with what a line says about it."""

    terms: ItemTerms
    subscription: Subscription
    customer: str
    type: str  # of its fees: recurring or fixed
    label: str = ""  # where one subscription has several items
    planned_end: date | None = None  # of its phase
    resting: ItemTerms | None = None  # as it was before a pause
    paused_on: date | None = None


@dataclass(eq=False)
class Subscription:
    name: str
    customer: str
    starts_on: date
    paid_from: date
    plan: str
    quantity: Decimal
    billing_day: int | None
    ends_before: date | None = None


@dataclass
class Story:
    case: Case
    plans: dict[str, Given]
    customers: dict[str, Given]
    subscriptions: list[Subscription] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    books: Books = field(default_factory=Books)
    used: list[BookedUsage] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)  # subscriptions whose invoicing is off; ONLY: all
    invoices: list[dict[str, Any]] = field(default_factory=list)
    credit: dict[str, Decimal] = field(default_factory=dict)  # of each customer
    adjusted: dict[int, Decimal] = field(default_factory=dict)  # of a charge, by a later note
    runs: list[date] = field(default_factory=list)
    last_key: int = 0

    @property
    def given(self) -> Given:
        return self.case.given

    @property
    def places(self) -> int:
        return places(self.case)

    @property
    def proration(self) -> Proration:
        rule = str(self.case.convention.get("proration", ""))
        return Proration.STRICT_30_360 if rule.startswith("fixed 30-day") else Proration.ACTUAL

    def key(self) -> int:
        self.last_key += 1
        return self.last_key


@expectation("timeline")
def stated(expect: dict[str, Any]) -> dict[str, Any]:
    """What is expected without lines and invoices of nothing, which may be left out."""
    if not isinstance(expect.get("invoices"), list):
        return expect
    kept = []
    for invoice in expect["invoices"]:
        lines = [line for line in invoice.get("lines", []) if not is_nothing(line)]
        if lines or not invoice.get("lines"):
            kept.append({**invoice, "lines": lines} if "lines" in invoice else invoice)
    found = {**expect, "invoices": kept}
    if "invoice_count" in expect:
        found["invoice_count"] = int(expect["invoice_count"]) - len(expect["invoices"]) + len(kept)
    return found


@kind("timeline")
def timeline(case: Case) -> dict[str, Any]:
    given = case.given
    plans, customers = given.by_name("plans"), given.by_name("customers")
    if not plans:
        raise NotSupported("given.plans: missing")
    story = Story(case, plans, customers)
    if "recurring_units" in given:
        raise NotSupported("given.recurring_units: not known")
    for step, event in _steps(story):
        if event is None:
            run(story, step)
        else:
            tell(story, event, step)
            if given.flag("run_after_each_event"):
                run(story, step)
    found: dict[str, Any] = {"invoices": story.invoices, "invoice_count": len(story.invoices)}
    if "credit_notes" in case.expect:
        notes = [invoice for invoice in story.invoices if invoice["net"] < 0]
        found["invoices"] = [invoice for invoice in story.invoices if invoice["net"] >= 0]
        found["credit_notes"] = [_note(note) for note in notes]
    return found


def _note(document: dict[str, Any]) -> dict[str, Any]:
    line = document["lines"][0]
    return {**document, "amount": -document["net"], "price": line.get("price"), "factor": line.get("factor")}


def _steps(story: Story) -> Iterator[tuple[date, Given | None]]:
    """Events and runs in order. Of several runs on a day all but the last come before or between its events."""
    events = [(day_of(event, story), event) for event in story.given.children_of("events")]
    runs = story.given.days("run_dates")
    for day in sorted({*(on for on, _ in events), *runs}):
        own = [event for on, event in events if on == day]
        count = runs.count(day)
        if own and count > 1 and own[0].fields.get("action") == "subscribe":  # nothing to run for before it
            yield day, own.pop(0)
        while count > 1:
            yield day, None
            count -= 1
            if own and count > 1:
                yield day, own.pop(0)
            elif own:
                break
        for event in own:
            yield day, event
        for _ in range(count):
            yield day, None


def day_of(event: Given, story: Story) -> date:
    if "at" in event:
        return local_day(event.instant("at"), story.given.zone("timezone", "UTC"))
    if "at_local" in event:
        return datetime.fromisoformat(event.text("at_local")).date()
    return event.day("date")


def tell(story: Story, event: Given, on: date) -> None:
    action = event.text("action")
    if action not in EVENTS:
        raise NotSupported(f"{event.path}.action: {action!r} is not known")
    EVENTS[action](story, event, on)


def live(story: Story, subscription: Subscription, on: date) -> list[Position]:
    """Positions with days on or after ``on``."""
    return [
        position
        for position in story.positions
        if position.subscription is subscription
        and position.type == "recurring"
        and (position.terms.schedule.ends_before is None or position.terms.schedule.ends_before > on)
    ]


def meant(story: Story, event: Given) -> list[Subscription]:
    """The subscription an event names, or all."""
    if "subscription" not in event:
        return story.subscriptions
    name = event.text("subscription")
    found = [one for one in story.subscriptions if one.name == name]
    if not found:
        raise NotSupported(f"{event.path}.subscription: {name!r} is not known")
    return found


def effective(event: Given, on: date) -> date:
    return event.day("effective") if "effective" in event else on


def timing_of(event: Given, story: Story, positions: list[Position], on: date) -> date:
    """The first day on which a change counts."""
    word = event.text("timing", "immediate")
    if word not in ("immediate", "end_of_term"):
        raise NotSupported(f"{event.path}.timing: {word!r} is not known")
    if "effective" in event:
        return event.day("effective")
    if word == "immediate":
        return on
    current = [one for one in positions if one.terms.schedule.stretch and one.terms.schedule.starts_on <= on]
    if not current:
        return on
    return effective_on(When.PERIOD_END, on, current[-1].terms.schedule)


def subscribe(story: Story, event: Given, on: date) -> None:
    customer = event.text("customer", ONLY)
    start = effective(event, on)
    plan = event.text("plan")
    subscription = Subscription(
        event.text("subscription", f"s{len(story.subscriptions) + 1}"),
        customer,
        start,
        start,
        plan,
        event.number("quantity", ONE),
        billing_day(story, plan, customer),
    )
    story.subscriptions.append(subscription)
    subscription.paid_from = first_paid(story, plan, start)
    lay_out(story, subscription, start)


def billing_day(story: Story, plan: str, customer: str) -> int | None:
    if plan_of(story, plan).text("alignment", "account") == "subscription":
        return None
    of = story.customers.get(customer, story.given)
    return of.whole("billing_day") if "billing_day" in of else None


def plan_of(story: Story, name: str) -> Given:
    if name not in story.plans:
        raise NotSupported(f"given.plans.{name}: missing")
    return story.plans[name]


def phases_of(plan: Given, start: date) -> Iterator[tuple[Given, date, date | None]]:
    """The phases of a plan that begins on ``start``, each with its days."""
    if "phases" not in plan:
        yield plan, start, None
    for phase in plan.children_of("phases"):
        end = trial_end(start, every(phase.child("duration"))) if "duration" in phase else None
        yield phase, start, end
        if end is None:
            return
        start = end


def first_paid(story: Story, plan: str, start: date) -> date:
    last = start
    for phase, begins, ends in phases_of(plan_of(story, plan), start):
        if "amount" in phase:
            return begins
        last = ends or begins
    return last


def lay_out(story: Story, subscription: Subscription, on: date) -> None:
    """The items of a subscription's plan, phase by phase from its start; of those the days from ``on``."""
    plan = plan_of(story, subscription.plan)
    timing = TIMINGS.get(plan.text("mode", "in_advance"))
    if timing is None:
        raise NotSupported(f"{plan.path}.mode: not known")
    if "fixed_amount" in plan and on == subscription.starts_on:
        add_once(story, subscription, plan.number("fixed_amount"), on, None)
    for phase, begins, ends in phases_of(plan, subscription.starts_on):
        _ = phase.text("type", "")
        if ends is not None and ends <= on:
            continue
        if phase is not plan and "fixed_amount" in phase and phase.number("fixed_amount") and begins >= on:
            add_once(story, subscription, phase.number("fixed_amount"), begins, ends)
        if "amount" in phase:
            interval = every(phase.child("period")) if "period" in phase else MONTH
            label = f"base price {subscription.plan}" if "licences" in plan else ""
            unit = per_unit(phase.number("amount"))
            add(story, subscription, unit, subscription.quantity, interval, timing, max(begins, on), ends, label)
    for name, licence in plan.by_name("licences").items():
        unit = per_unit(licence.number("unit_amount"))
        quantity = licence.number("quantity")
        add(story, subscription, unit, quantity, MONTH, Timing.ADVANCE, max(on, subscription.starts_on), None, name)


def add(
    story: Story,
    subscription: Subscription,
    unit: Any,
    quantity: Decimal,
    interval: Interval,
    timing: Timing,
    starts_on: date,
    ends_before: date | None,
    label: str,
) -> None:
    ends = [end for end in (ends_before, subscription.ends_before) if end is not None]
    schedule = Schedule(
        grid_of(story, subscription, interval),
        starts_on,
        min(ends, default=None),
        timing,
        paid_from=subscription.paid_from,
    )
    terms = ItemTerms(story.key(), story.places, schedule, unit, quantity, proration=story.proration)
    story.positions.append(
        Position(terms, subscription, subscription.customer, "recurring", label, planned_end=ends_before)
    )


def grid_of(story: Story, subscription: Subscription, interval: Interval) -> Grid:
    if "anchor" in story.given and subscription.billing_day is None:
        policy = story.given.child("anchor").text("policy")
        if policy == "calendar":
            return Grid.calendar(interval, subscription.paid_from)
    return Grid.of(interval, subscription.billing_day, subscription.paid_from)


def add_once(story: Story, subscription: Subscription, amount: Decimal, on: date, until: date | None) -> None:
    schedule = Schedule(Grid.anniversary(Interval(Unit.ONCE), on), on, until)
    terms = ItemTerms(story.key(), story.places, schedule, flat(amount), ONE)
    story.positions.append(Position(terms, subscription, subscription.customer, "fixed"))


def end_all(story: Story, subscription: Subscription, on: date) -> None:
    for position in live(story, subscription, on):
        position.terms = ended(position.terms, on)


def change_plan(story: Story, event: Given, on: date) -> None:
    for subscription in meant(story, event):
        day = timing_of(event, story, live(story, subscription, on), on)
        end_all(story, subscription, day)
        if "quantity" in event:
            subscription.quantity = event.number("quantity")
        subscription.plan = event.text("plan")
        if day < subscription.paid_from:
            subscription.paid_from = max(day, first_paid(story, subscription.plan, subscription.starts_on))
        lay_out(story, subscription, day)


def cancel(story: Story, event: Given, on: date) -> None:
    for subscription in meant(story, event):
        positions = live(story, subscription, on)
        day = timing_of(event, story, positions, on)
        for position in positions:
            position.terms = ended(position.terms, cancelled(position.terms.schedule, day, MoneyPolicy.CREDIT))
        subscription.ends_before = day


def pause(story: Story, event: Given, on: date) -> None:
    day = effective(event, on)
    for subscription in meant(story, event):
        for position in live(story, subscription, day):
            position.resting, position.paused_on = position.terms, day
            position.terms = ended(position.terms, day)


def resume(story: Story, event: Given, on: date) -> None:
    day = effective(event, on)
    for position in list(story.positions):
        if position.resting is None or position.paused_on is None or position.subscription not in meant(story, event):
            continue
        rest = paused(position.resting.schedule, position.paused_on, day, PausePolicy.CREDIT)
        *_, resumed = around(position.resting, rest, story.key())
        position.resting = None
        story.positions.append(replace(position, terms=resumed, paused_on=None))


def change_items(story: Story, event: Given, on: date, **changes: Any) -> None:
    for subscription in meant(story, event):
        day = timing_of(event, story, live(story, subscription, on), on)
        for position in live(story, subscription, day):
            position.terms, following = replaced(position.terms, day, story.key(), **changes)
            story.positions.append(replace(position, terms=following))


def set_quantity(story: Story, event: Given, on: date) -> None:
    quantity = event.number("quantity")
    for subscription in meant(story, event):
        subscription.quantity = quantity
    change_items(story, event, on, quantity=quantity)


def set_price(story: Story, event: Given, on: date) -> None:
    for name in ("amount", "price", "unit_amount"):
        if name in event:
            change_items(story, event, on, price=per_unit(event.number(name)))
            return
    raise NotSupported(f"{event.path}.amount: missing")


def set_billing_day(story: Story, event: Given, on: date) -> None:
    day, asked_on = event.whole("billing_day"), effective(event, on)
    for subscription in meant(story, event):
        subscription.billing_day = day
        for position in live(story, subscription, asked_on):
            position.terms, following = aligned(position.terms, asked_on, day, story.key())
            story.positions.append(replace(position, terms=following))


def adjust_line(story: Story, event: Given, on: date) -> None:
    """A note on the latest charged line, its amount below zero; the invoice says what it came to."""
    amount = event.number("amount")
    fees = [
        (booked.key, position.customer)
        for position in story.positions
        for booked in story.books.standing[position.terms.key]
        if booked.kind is Kind.FEE
    ]
    if not fees or amount > 0:
        raise NotSupported(f"{event.path}: no line to reduce by {amount}")
    key, customer = max(fees)
    story.adjusted[key] = net_of([story.adjusted.get(key, NONE), -amount], story.places)
    story.credit[customer] = net_of([story.credit.get(customer, NONE), -amount], story.places)
    for invoice in reversed(story.invoices):
        if invoice["customer"] == (customer or None):
            invoice["adjusted_by"] = amount
            invoice["account_credit_added"] = -amount
            break


def transfer(story: Story, event: Given, on: date) -> None:
    old, new = event.text("from"), event.text("to")
    for subscription in [one for one in story.subscriptions if one.customer == old]:
        day = timing_of(event, story, live(story, subscription, on), on)
        end_all(story, subscription, day)
        moved = replace(subscription, customer=new, billing_day=billing_day(story, subscription.plan, new))
        moved.paid_from = max(day, subscription.paid_from)
        story.subscriptions.append(moved)
        lay_out(story, moved, day)


def pay(story: Story, event: Given, on: date) -> None:
    """A payment changes no invoice."""


def invoicing_off(story: Story, event: Given, on: date) -> None:
    story.silent.add(event.text("subscription", ONLY))


def invoicing_on(story: Story, event: Given, on: date) -> None:
    story.silent.discard(event.text("subscription", ONLY))


EVENTS = {
    "subscribe": subscribe,
    "change_plan": change_plan,
    "cancel": cancel,
    "pause": pause,
    "suspend": pause,
    "resume": resume,
    "reactivate": resume,
    "set_quantity": set_quantity,
    "set_price": set_price,
    "change_price": set_price,
    "set_billing_day": set_billing_day,
    "adjust_line": adjust_line,
    "transfer": transfer,
    "pay": pay,
    "invoicing_off": invoicing_off,
    "invoicing_on": invoicing_on,
}


def run(story: Story, on: date) -> None:
    """One run: an invoice for each customer that anything is due of."""
    for customer in dict.fromkeys(position.customer for position in story.positions):
        lines = [line for position in story.positions for line in lines_of(story, position, customer, on)]
        lines = [line for line in (*lines, *usage_lines(story, customer, on)) if line["amount"]]
        if not lines:
            continue
        net = net_of([line["amount"] for line in lines], story.places)
        invoice: dict[str, Any] = {"date": on, "lines": lines, "net": net, "customer": customer or None}
        credit = story.credit.get(customer, NONE)
        if net < 0:
            invoice["account_credit_added"] = -net
            story.credit[customer] = net_of([credit, -net], story.places)
        else:
            use = offset([net], credit)
            story.credit[customer] = use.left
            invoice["account_credit_used"] = invoice["credit_used"] = use.used[0]
            invoice["payable"] = amount_due(net, prepaid=use.used[0])
        story.invoices.append(invoice)
    story.runs.append(on)


def lines_of(story: Story, position: Position, customer: str, on: date) -> Iterator[dict[str, Any]]:
    if position.customer != customer or story.silent & {ONLY, position.subscription.name}:
        return
    unit = rate(position.terms.price, ONE if not position.label else position.terms.quantity).amount
    for due in story.books.run(position.terms, on):
        amount, cap = due.net, None
        if due.kind is Kind.CREDIT:
            amount, cap = capped(story, position, due)
        line = {
            "type": "credit" if due.kind is Kind.CREDIT else position.type,
            "from": due.period.start,
            "to": due.period.end,
            "amount": amount,
            "price": unit,
            "quantity": due.quantity,
            "factor": share_of(due.period, due.nominal, position.terms.proration, position.terms.schedule.grid),
            "item": position.label or position.subscription.name,
        }
        yield line if cap is None else {**line, "capped_at": cap}


def capped(story: Story, position: Position, due: Due) -> tuple[Decimal, Decimal | None]:
    """A credit, as far as its fee has not been reduced by notes already."""
    fee = due.corrects or due.reverses
    reduced = story.adjusted.get(fee or 0, NONE)
    if not reduced:
        return due.net, None
    net = story.books.nets[fee or 0]
    amount = creditable(net, reduced, -due.net)
    return -amount, creditable(net, reduced, net)


def usage_lines(story: Story, customer: str, on: date) -> Iterator[dict[str, Any]]:
    given = story.given
    if "usage_price" not in given:
        return
    subscription = next((one for one in story.subscriptions if one.customer == customer), None)
    if subscription is None:
        return
    start = subscription.starts_on
    grid = Grid.of(MONTH, subscription.billing_day, start)
    schedule = Schedule(grid, start, subscription.ends_before, Timing.ARREARS, paid_from=start)
    unit = price(given.child("usage_price"))
    terms = UsageTerms(0, story.places, schedule, unit)
    for due in usage_due(terms, known_records(story, on), story.used, on):
        story.used.append(BookedUsage(due.period, due.quantity, due.net))
        yield {
            "type": "usage",
            "from": due.period.start,
            "to": due.period.end,
            "amount": due.net,
            "quantity": due.quantity,
            "unit_amount": unit.tiers[0].unit_price,
        }


def known_records(story: Story, on: date) -> list[Record]:
    """Records entered by now: one that is entered after a run is not known to that run."""
    return [
        Record(one.day("date"), one.number("quantity"), one.text("unit", ""))
        for one in story.given.children_of("records")
        if "recorded_after" not in one or one.day("recorded_after") in story.runs or one.day("recorded_after") < on
    ]
