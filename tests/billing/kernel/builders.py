"""Terms in one line, and a ledger that books what the kernel finds."""

from datetime import date
from decimal import Decimal

from billing.kernel.charges import Booked, ItemTerms, Proration, due_less_booked
from billing.kernel.period import Period
from billing.kernel.pricing import Model, PriceTerms, flat, tiers_up_to
from billing.kernel.schedule import Grid, Interval, Schedule, Timing


def day(text):
    """``"2026-01-31"``; the year may be left out: 2026."""
    return date.fromisoformat(text if len(text) > 5 else f"2026-{text}")


def days(text):
    """``"01-15 to 02-01"``: half-open."""
    return Period(*map(day, text.split(" to ")))


def tiers(text):
    """``"10: 2.50, 20: 2.40 per 5, open: 2.20 + 5"``: last quantity, price per unit or package, flat amount."""
    rows, sizes = [], []
    for part in text.split(", "):
        bound, _, prices = part.partition(": ")
        price, _, flat_amount = prices.partition(" + ")
        unit_price, _, size = price.partition(" per ")
        rows.append((None if bound == "open" else Decimal(bound), Decimal(unit_price), Decimal(flat_amount or 0)))
        sizes.append(Decimal(size) if size else None)
    return tiers_up_to(rows, sizes)


def price(model, text, **more):
    return PriceTerms(Model(model), tiers(text), **more)


def item(
    amount="310",
    starts_on="01-01",
    ends_before=None,
    *,
    interval="monthly",
    billing_day=None,
    trial_end=None,
    billed_before=None,
    timing=Timing.ADVANCE,
    quantity=1,
    places=2,
    discounts=(),
    proration=Proration.ACTUAL,
    grid=None,
    key=1,
):
    starts_on = day(starts_on)
    paid_from = day(trial_end) if trial_end else starts_on
    schedule = Schedule(
        grid=grid or Grid.of(Interval.parse(interval), billing_day, paid_from),
        starts_on=starts_on,
        ends_before=ends_before and day(ends_before),
        timing=timing,
        paid_from=paid_from,
        billed_before=billed_before and day(billed_before),
    )
    terms = amount if isinstance(amount, PriceTerms) else flat(Decimal(amount))
    return ItemTerms(key, places, schedule, terms, Decimal(quantity), tuple(discounts), proration)


class Ledger:
    """Books what is due; ``rows`` are all charges ever made, ``standing`` those neither reversed nor reversals."""

    def __init__(self):
        self.rows = []
        self.standing = []

    def run(self, terms, through):
        """One run; returns its charges as text: kind, days, net."""
        found = due_less_booked(terms, self.standing, day(through) if isinstance(through, str) else through)
        for due in found:
            self.rows.append(due)
            if due.reverses is None:
                self.standing.append(Booked(len(self.rows), due.kind, due.period, due.net, due.corrects))
            else:
                self.standing = [charge for charge in self.standing if charge.key != due.reverses]
        return [told(due) for due in found]

    @property
    def total(self):
        return sum(due.net for due in self.rows)


def told(due):
    what = f"reversed {due.kind}" if due.reverses else f"{due.kind}"
    return f"{what} {due.period.start:%m-%d} to {due.period.end:%m-%d}: {due.net}"
