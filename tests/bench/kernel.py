"""Lines per second that the billing kernel reckons on one core, with traces: ``python -m tests.bench.kernel``."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from time import process_time

from billing.kernel import charges, pricing
from billing.kernel.charges import ItemTerms, Proration, due_after
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.pricing import Model, PriceTerms, flat, per_unit, tiers_up_to
from billing.kernel.schedule import Grid, Interval, Schedule

ITEMS = 30_000
ROUNDS = 5
MONTHLY, YEARLY = Interval.parse("monthly"), Interval.parse("yearly")
NEW_YEAR, BILLED_UNTIL, THROUGH = date(2025, 1, 1), date(2026, 1, 1), date(2026, 2, 1)
ROWS = [(Decimal(up_to), Decimal(price), Decimal(0)) for up_to, price in ((10, "25"), (20, "24"), (30, "23"))]
TIERS = tiers_up_to([*ROWS, (None, Decimal(22), Decimal(0))])
PRICES = [per_unit(Decimal(f"{n}.9{n}")) for n in range(1, 9)] + [
    flat(Decimal(270)),
    PriceTerms(Model.GRADUATED, TIERS),
]
DISCOUNT = (DiscountTerms(DiscountKind.PERCENT, Decimal("12.5")), DiscountTerms(DiscountKind.FIXED, Decimal(5)))

Case = tuple[ItemTerms, date | None]


def item(
    n: int, price: PriceTerms, quantity: int, starts_on: date, day: int | None = None, **more: object
) -> ItemTerms:
    schedule = Schedule(Grid.of(MONTHLY, day, starts_on), starts_on, paid_from=starts_on)
    return ItemTerms(n, 2, schedule, price, Decimal(quantity), **more)  # type: ignore[arg-type]


def whole_periods(random: Random) -> Iterator[Case]:
    """A running book: one month due of each item, ten prices, twenty quantities, days of the month spread."""
    for n in range(ITEMS):
        starts_on = NEW_YEAR + timedelta(days=random.randrange(28))
        yield item(n, random.choice(PRICES), random.randint(1, 20), starts_on), starts_on.replace(year=2026)


def never_alike(random: Random) -> Iterator[Case]:
    """Whole periods, each with a quantity of its own: nothing is found ready in a cache."""
    for n in range(ITEMS):
        yield item(n, PRICES[n % 8], n + 1, NEW_YEAR), BILLED_UNTIL


def tiered(random: Random) -> Iterator[Case]:
    """Graduated prices in four tiers, each with a quantity of its own."""
    for n in range(ITEMS):
        yield item(n, PRICES[9], n + 31, NEW_YEAR), BILLED_UNTIL


def prorated(random: Random) -> Iterator[Case]:
    """A stub and then a whole month, ten prices, twenty quantities."""
    for n in range(ITEMS):
        starts_on = date(2026, 1, 2) + timedelta(days=random.randrange(29))
        yield item(n, random.choice(PRICES), random.randint(1, 20), starts_on, 1), None


def stubs(random: Random) -> Iterator[Case]:
    """Nothing but stubs, each with a quantity of its own."""
    for n in range(ITEMS):
        starts_on = date(2026, 1, 2) + timedelta(days=random.randrange(29))
        yield item(n, PRICES[n % 8], n + 1, starts_on, 1), None


def discounted(random: Random) -> Iterator[Case]:
    """Stubs and whole months with a percentage and a fixed discount."""
    for case, booked in prorated(random):
        yield ItemTerms(case.key, 2, case.schedule, case.price, case.quantity, DISCOUNT, Proration.ACTUAL), booked


def measure(cases: Callable[[Random], Iterator[Case]], through: date = THROUGH) -> float:
    """Lines per second of processor time, the best of some rounds, each beginning with empty caches."""
    rates = []
    prepared = list(cases(Random(1)))
    for _ in range(ROUNDS):
        pricing.rate.cache_clear()
        charges._whole.cache_clear()
        started, lines = process_time(), 0
        for terms, booked_before in prepared:
            lines += len(due_after(terms, booked_before, through))
        rates.append(lines / (process_time() - started))
    return max(rates)


if __name__ == "__main__":
    for cases in (whole_periods, never_alike, tiered, prorated, stubs, discounted):
        through = date(2026, 1, 31) if cases is stubs else THROUGH
        print(f"{measure(cases, through):10,.0f} lines/s  {cases.__name__.replace('_', ' ')}: {cases.__doc__}")
