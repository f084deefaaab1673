"""The words that several kinds share: intervals, prices, currencies, days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from billing.kernel.charges import ItemTerms, Proration
from billing.kernel.discounts import DiscountTerms
from billing.kernel.event_pricing import EventPrice
from billing.kernel.money import places_of, rounded
from billing.kernel.period import Period, local_day
from billing.kernel.pricing import Model, PriceTerms, flat, per_unit, tiers_up_to
from billing.kernel.schedule import Grid, Interval, Schedule, Timing, Unit
from billing.kernel.usage import Record
from tests.conformance.reading import Case, Given, NotSupported, as_day

NONE = Decimal(0)
MODELS = {"graduated": Model.GRADUATED, "volume": Model.VOLUME, "graduated_percentage": Model.PERCENTAGE}
TIMINGS = {"in_advance": Timing.ADVANCE, "in_arrears": Timing.ARREARS}
RULES = {
    "actual_days": Proration.ACTUAL,
    "actual_over_30": Proration.ACTUAL_OVER_30,
    "strict_30_360": Proration.STRICT_30_360,
}


def places(case: Case) -> int:
    """Decimal places of the case's currency; 2 if it names none."""
    return places_of(case.given.text("currency", "EUR"))


def in_currency(case: Case, amount: Decimal | Fraction) -> Decimal | Fraction:
    """The amount as a line prints it or, where the source states it before rounding, as it is."""
    if str(case.convention.get("rounding", "")).startswith("none"):
        return amount
    return rounded(amount, places(case))


def interval(given: Given, name: str = "period") -> Interval:
    found = given.child(name)
    return every(found)


def every(found: Given) -> Interval:
    try:
        return Interval.every(found.whole("count", 1), found.text("unit"))
    except ValueError as error:
        raise NotSupported(f"{found.path}: {error}") from None


def range_of(given: Given, name: str) -> Period:
    found = given.child(name)
    last = found.day("last_day") if "last_day" in found else None
    if last is not None and "to" not in found:
        return Period(found.day("from"), last + timedelta(days=1))
    return Period(found.day("from"), found.day("to"))


def pairs(given: Given, name: str) -> list[Period]:
    """Periods written as pairs of days."""
    found = []
    for n, pair in enumerate(given.values(name)):
        if not isinstance(pair, list) or len(pair) != 2:
            raise NotSupported(f"{given.path}.{name}[{n}]: a first day and the first day after it are expected")
        found.append(Period(*(as_day(value, f"{given.path}.{name}[{n}]") for value in pair)))
    return found


def timing(given: Given, default: str = "in_advance") -> Timing:
    word = given.text("mode", default)
    if word not in TIMINGS:
        raise NotSupported(f"{given.path}.mode: {word!r} is not known")
    return TIMINGS[word]


def grid(given: Given, every_: Interval, start: date) -> Grid:
    """By ``anchor`` or ``billing_day``, whichever the case has; else from the first day."""
    if "anchor" in given:
        policy = given.child("anchor").text("policy")
        if policy == "calendar":
            return Grid.calendar(every_, start)
        if policy == "anniversary":
            return Grid.anniversary(every_, start)
        raise NotSupported(f"{given.path}.anchor.policy: {policy!r} is not known")
    if "billing_weekday" in given:
        return Grid.on_weekday(every_, given.whole("billing_weekday"), start)
    return Grid.of(every_, given.whole("billing_day") if "billing_day" in given else None, start)


def start_day(given: Given, *names: str) -> date:
    """The first of these fields that is there or, if an instant is given, its local day."""
    for name in names:
        if name in given:
            return given.day(name)
    if "start_instant" in given:
        return local_day(given.instant("start_instant"), given.zone("timezone", "UTC"))
    return given.day(names[0])


def proration(given: Given) -> Proration:
    """The rule of the case; by actual days if it names none."""
    if "fixed_days_in_month" in given:
        if given.whole("fixed_days_in_month") != 30:
            raise NotSupported(f"{given.path}.fixed_days_in_month: months have 30 days or their own")
        return Proration.STRICT_30_360
    rule = given.text("rule", "actual_days")
    if rule not in RULES:
        raise NotSupported(f"{given.path}.rule: {rule!r} is not known")
    return RULES[rule]


def price(found: Given) -> PriceTerms:
    """A price that is reckoned from a quantity. A quantity beyond the last tier has its price: it is open."""
    model = found.text("model")
    free = found.number("free_units", NONE)
    if model == "per_unit":
        return per_unit(found.number("unit_amount"), free_quota=free)
    if model == "package":
        tier = tiers_up_to([(None, found.number("package_amount"), NONE)])
        return PriceTerms(Model.PACKAGE, tier, found.number("package_size"), free_quota=free)
    if model == "percentage" and not any(map(found.__contains__, ("min_per_event", "max_per_event", "free_value"))):
        return PriceTerms(Model.PERCENTAGE, tiers_up_to([(None, found.number("percent"), NONE)]))
    if model in ("flat", "fixed"):
        return flat(found.number("amount"))
    if model not in MODELS:
        raise NotSupported(f"{found.path}.model: {model!r} of a quantity")
    tiers = found.children_of("tiers")
    bounds = [tier.number("up_to") if "up_to" in tier else None for tier in tiers][:-1]
    rows = [
        (bound, _tier_price(tier), tier.number("flat_amount", NONE))
        for bound, tier in zip([*bounds, None], tiers, strict=True)
    ]
    sizes = [tier.number("block_size") if "block_size" in tier else None for tier in tiers]
    return PriceTerms(MODELS[model], tiers_up_to(rows, sizes), free_quota=free)


def _tier_price(tier: Given) -> Decimal:
    if "block_size" in tier:
        return tier.number("block_amount")
    if "percent" in tier:
        return tier.number("percent")
    return tier.number("unit_amount", NONE)


def event_price(found: Given) -> EventPrice:
    return EventPrice(
        percent=found.number("percent"),
        fixed=found.number("fixed_amount_per_event", NONE),
        free_events=found.whole("free_events", 0),
        free_value=found.number("free_value", NONE),
        minimum=found.number("min_per_event") if "min_per_event" in found else None,
        maximum=found.number("max_per_event") if "max_per_event" in found else None,
    )


def records(given: Given, name: str = "records") -> list[Record]:
    return [
        Record(
            one.day("date"),
            one.number("quantity"),
            one.text("unit", ""),
            str(one.raw("batch")) if "batch" in one else "",
        )
        for one in given.children_of(name)
    ]


def item(
    terms: PriceTerms,
    whole: Period,
    stretch: Period,
    *,
    key: int = 1,
    paid_from: date | None = None,
    discounts: Sequence[DiscountTerms] = (),
    timing: Timing = Timing.ADVANCE,
    quantity: Decimal = Decimal(1),
    places: int = 2,
) -> ItemTerms:
    """An item with these days, of which ``whole`` is the nominal period."""
    days = Interval(Unit.DAY, max(1, whole.days))
    schedule = Schedule(
        Grid(days, whole.start, whole.start.day), stretch.start, stretch.end, timing, paid_from=paid_from
    )
    return ItemTerms(key, places, schedule, terms, quantity, tuple(discounts), Proration.ACTUAL)
