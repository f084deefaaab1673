"""A trace -> its amount again, by other means than pricing and discounts: fractions and plain loops, no database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, Final, TypeAlias

from billing.kernel.money import plain

NOTHING: Final = Fraction(0)
Trace: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A figure of a trace that does not follow from the figures before it; both as a trace writes them."""

    figure: str  # the key in the trace: list, slices, share, discounts, exact, committed, net
    stored: str
    follows: str


def evaluate(trace: Trace, places: int | None = None) -> list[Deviation]:
    """Every figure of a trace that the others do not lead to; nothing for one that holds.

    ``places``: of its currency; by default as many as its net is written with.
    A trace of a form that is not known, or with a figure that is none, deviates as a whole, under the name "trace".
    """
    try:
        if trace.get("v") != 1:
            return [Deviation("trace", str(trace.get("v", "")), "1")]
        return list(_deviations(trace, places))
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError) as error:
        return [Deviation("trace", f"{type(error).__name__}: {error}", "")]


def _deviations(trace: Trace, places: int | None) -> Iterator[Deviation]:
    if "commitment" in trace:
        yield from _commitment(trace)
        return
    amount = NOTHING
    if "price" in trace:
        units, listed = _listed(trace)
        if "slices" in trace:
            yield from _unequal("slices", sum((Fraction(part[3]) for part in trace["slices"]), NOTHING), units)
        yield from _unequal("list", Fraction(trace["list"]), listed)
        share = Fraction(trace.get("share", 1))
        if trace.get("policy") == "actual":
            yield from _unequal("share", share, _days(trace["days"]) / _days(trace["nominal"]))
        amount = listed * share
        base, before = amount, ""
        for kind, value, step, _key in trace.get("discounts", ()):
            if not kind == before == "stacked_percent":
                base = amount
            off = Fraction(value) if kind == "fixed" else base * Fraction(value) / 100
            off = min(off, max(amount, NOTHING))
            yield from _unequal("discounts", Fraction(step), -off)
            amount, before = amount - off, kind
    yield from _unequal("exact", Fraction(trace["exact"]), amount)
    if places is None:
        places = len(trace["net"].partition(".")[2])
    net, stored = _to_places(amount, places) - Fraction(trace.get("booked", 0)), Fraction(trace["net"])
    if "part" not in trace:
        yield from _unequal("net", stored, net)
    elif abs(net * Fraction(trace["part"]) / Fraction(trace["of"]) - stored) > Fraction(1, 10**places):
        # one of several stretches: the cents of all add up, its own may be one off
        yield Deviation("net", trace["net"], str(net * Fraction(trace["part"]) / Fraction(trace["of"])))


def _commitment(trace: Trace) -> Iterator[Deviation]:
    """What is missing to a minimum commitment."""
    amount = Fraction(trace["commitment"]) * Fraction(trace["share"])
    committed = _to_places(amount, len(trace["committed"].partition(".")[2]))
    missing = max(NOTHING, committed - Fraction(trace["charged"]))
    yield from _unequal("exact", Fraction(trace["exact"]), amount)
    yield from _unequal("committed", Fraction(trace["committed"]), committed)
    yield from _unequal("net", Fraction(trace["net"]), missing - Fraction(trace.get("booked", 0)))


def _missing(trace: Trace) -> Iterator[Deviation]:
    """What is missing to a minimum commitment (``billing.kernel.commitment``)."""
    exact, committed = Fraction(trace["commitment"]) * Fraction(trace["share"]), Fraction(trace["committed"])
    yield from _unequal("exact", Fraction(trace["exact"]), exact)
    yield from _unequal("committed", committed, _to_places(exact, len(trace["committed"].partition(".")[2])))
    missing = max(NOTHING, committed - Fraction(trace["charged"])) - Fraction(trace.get("booked", 0))
    yield from _unequal("net", Fraction(trace["net"]), missing)


def _unequal(figure: str, stored: Fraction, follows: Fraction) -> Iterator[Deviation]:
    if stored != follows:
        yield Deviation(figure, _text(stored), _text(follows))


def _text(amount: Fraction) -> str:
    """As a decimal where it is one."""
    under = amount.denominator
    for prime in (2, 5):
        while under % prime == 0:
            under //= prime
    return plain(Decimal(amount.numerator) / Decimal(amount.denominator)) if under == 1 else str(amount)


def _days(stretch: Sequence[str]) -> Fraction:
    start, end = map(date.fromisoformat, stretch)
    return Fraction((end - start).days)


def _to_places(amount: Fraction, places: int) -> Fraction:
    nearest = int(abs(amount) * 10**places * 2 + 1) // 2
    return Fraction(nearest if amount >= 0 else -nearest, 10**places)


def _listed(trace: Trace) -> tuple[Fraction, Fraction]:
    """What the units cost for a whole period, before minimum and cap, and after."""
    price = trace["price"]
    units = max(NOTHING, Fraction(trace["quantity"]) - Fraction(price.get("free_quota", 0)))
    amount = _units(price, units, Fraction(trace["tier_quantity"]) if "tier_quantity" in trace else units)
    limited = amount
    if "minimum" in price:
        limited = max(limited, Fraction(price["minimum"]))
    if "cap" in price:
        limited = min(limited, Fraction(price["cap"]))
    return amount, limited


def _units(price: Trace, units: Fraction, reached_by: Fraction) -> Fraction:
    model = price["model"]
    packages = price.get("tier_packages", [""] * len(price["tiers"]))
    tiers = [
        (Fraction(floor), Fraction(unit_price), Fraction(flat), Fraction(size) if size else None)
        for (floor, unit_price, flat), size in zip(price["tiers"], packages, strict=True)
    ]
    first_flat = tiers[0][2]
    if model == "flat":
        return first_flat
    if not reached_by or (not units and model not in ("volume", "stairstep")):
        return first_flat if price.get("flat_when_zero") else NOTHING
    if model in ("volume", "stairstep"):
        _, unit_price, flat, size = [tier for tier in tiers if tier[0] < reached_by][-1]
        return flat if model == "stairstep" else _counted(units, size) * unit_price + flat
    per_package = Fraction(price.get("package_size", 1)) if model == "package" else None
    if per_package and not price.get("package_per_tier"):
        units = Fraction(ceil(units / per_package)) * per_package
    amount = NOTHING
    for n, (floor, unit_price, flat, size) in enumerate(tiers):
        ceiling = min(units, tiers[n + 1][0]) if n + 1 < len(tiers) else units
        if ceiling > floor:
            percent = 100 if model == "percentage" else 1
            amount += _counted(ceiling - floor, per_package or size) * unit_price / percent + flat
    return amount


def _counted(units: Fraction, size: Fraction | None) -> Fraction:
    return units if size is None else Fraction(ceil(units / size))
