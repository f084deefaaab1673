"""Which figures a line shows, so that whoever multiplies and subtracts what is printed meets the printed amount."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from billing.kernel.money import rounded
from billing.kernel.pricing import Model

FINEST: Final = 10  # decimals; stored prices have no more
ZERO: Final = Decimal(0)


class StepKind(StrEnum):
    """What leads from the full price of a period to the amount of a line."""

    MINIMUM = "minimum"
    CAP = "cap"
    SHARE = "share"
    PERCENT = "percent"
    STACKED_PERCENT = "stacked_percent"  # of what the first of them in a row was taken from
    FIXED = "fixed"
    BOOKED = "booked"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a reckoning. ``value`` is money, but a part of 1 for a share and 10 for ten percent."""

    kind: StepKind
    value: Fraction
    days: tuple[int, int] | None = None  # a share in days: 17 of 31
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A quantity at its price, or one amount for it (then without a price); ``amount`` is exact.

    The quantity counts packages where there is a ``package_size``.
    """

    quantity: Decimal
    unit_price: Decimal | None
    amount: Decimal
    package_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a line was reckoned: the full price of its period, exact, from its parts, and the steps to its amount.

    ``unit_price`` is set where all units have one price; a fraction, where nobody agreed on it. A line that takes
    another one back has nothing set.
    """

    full: Decimal | None = None
    unit_price: Decimal | Fraction | None = None
    parts: tuple[Part, ...] = ()
    steps: tuple[Step, ...] = ()
    free: Decimal = ZERO  # units that cost nothing


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step with the figures that are printed: what it adds or (negative) takes off, and what remains after it."""

    step: Step
    change: Decimal
    remains: Decimal


@dataclass(frozen=True, slots=True)
class Reckoning:
    """A way from the full price to the amount, all figures with ``decimals`` places; it ends in the line's amount."""

    full: Decimal
    steps: tuple[ShownStep, ...]
    decimals: int


def decimals_of(figure: Decimal, at_least: int) -> int:
    """Count the decimals that ``figure`` needs to be shown in full, trailing zeros left out."""
    exponent = figure.normalize().as_tuple().exponent
    return max(at_least, -exponent if isinstance(exponent, int) else 0)


def shown_price(price: Decimal | Fraction, quantity: Decimal, amount: Decimal, places: int) -> Decimal | None:
    """The unit price to print: an agreed price in full, a reckoned one with the fewest decimals that multiply out.

    ``None`` if ``quantity`` times the price, rounded to ``places``, is ``amount`` at no number of decimals: then the
    line is not a product, and says how it was reckoned instead.
    """
    least = decimals_of(price, places) if isinstance(price, Decimal) else places
    for decimals in range(least, max(least, FINEST) + 1):
        shown = rounded(price, decimals)
        if rounded(Fraction(shown) * Fraction(quantity), places) == amount:
            return shown
    return None


def reckoning(full: Decimal, steps: Sequence[Step], amount: Decimal, places: int) -> Reckoning | None:
    """The steps from ``full`` to ``amount``, with the fewest decimals at which each figure follows from those printed.

    ``None`` if it does so at no number of decimals.
    """
    least = decimals_of(full, places)
    for decimals in range(least, max(least, FINEST) + 1):
        start = rounded(full, decimals)
        shown = tuple(_shown(start, steps, decimals))
        if rounded(shown[-1].remains if shown else start, places) == amount:
            return Reckoning(start, shown, decimals)
    return None


def _shown(figure: Decimal, steps: Sequence[Step], decimals: int) -> Iterator[ShownStep]:
    base, stacking = figure, False
    for step in steps:
        if not (stacking and step.kind is StepKind.STACKED_PERCENT):
            base = figure
        stacking = step.kind is StepKind.STACKED_PERCENT
        match step.kind:
            case StepKind.MINIMUM:
                remains = max(figure, rounded(step.value, decimals))
            case StepKind.CAP:
                remains = min(figure, rounded(step.value, decimals))
            case StepKind.SHARE:
                remains = rounded(Fraction(figure) * step.value, decimals)
            case StepKind.PERCENT | StepKind.STACKED_PERCENT:
                remains = figure - min(figure, rounded(Fraction(base) * step.value / 100, decimals))
            case StepKind.FIXED:
                remains = figure - min(figure, rounded(step.value, decimals))
            case StepKind.BOOKED:
                remains = figure - rounded(step.value, decimals)
        yield ShownStep(step, remains - figure, remains)
        figure = remains


def explained(trace: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Explanation:
    """Read the trace of a charge (``billing.kernel.charges``); ``names`` are those of its discounts."""
    if "price" not in trace:
        return Explanation()
    price, quantity = trace["price"], Decimal(trace["quantity"])
    free = Decimal(trace.get("free", 0))
    parts = tuple(_parts(price, quantity - free, trace.get("slices")))
    is_product = len(parts) == 1 and not parts[0].package_size and not free and "before" not in trace
    unit_price = parts[0].unit_price if is_product else None
    return Explanation(
        full=sum((part.amount for part in parts), ZERO),
        unit_price=unit_price,
        parts=parts if unit_price is None and price["model"] != Model.FLAT else (),
        steps=tuple(_steps(trace, price, names or {})),
        free=free,
    )


def _parts(price: Mapping[str, Any], units: Decimal, slices: Sequence[Sequence[str]] | None) -> Iterator[Part]:
    if price["model"] == Model.COMMITMENT:  # nothing by itself
        return
    package_size = Decimal(price["package_size"]) if "package_size" in price else None
    _, unit_price, flat_amount = map(Decimal, price["tiers"][0])
    if price["model"] in (Model.FLAT, Model.STAIRSTEP):
        due = units or price["model"] == Model.FLAT or "flat_when_zero" in price
        amount = sum((Decimal(one[-1]) for one in slices), ZERO) if slices is not None else flat_amount if due else ZERO
        yield Part(units, None, amount)
        return
    if slices is None:
        if price["model"] == Model.PERCENTAGE:
            unit_price = unit_price.scaleb(-2)
        amount = units * unit_price + (flat_amount if units or "flat_when_zero" in price else ZERO)
        slices = [[str(units), str(unit_price), str(amount - units * unit_price), str(amount)]]
    for one in slices:
        quantity, unit_price, flat_amount, amount = map(Decimal, one)
        if amount != flat_amount or not flat_amount:
            yield Part(quantity, unit_price, amount - flat_amount, package_size)
        if flat_amount:
            yield Part(quantity, None, flat_amount)


def _steps(trace: Mapping[str, Any], price: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Step]:
    for code, _ in trace.get("limits", ()):
        yield Step(StepKind(code), Fraction(price[code]))
    if "share" in trace and trace["share"] != "1":
        yield Step(StepKind.SHARE, Fraction(trace["share"]), _days(trace) if trace["policy"] == "actual" else None)
    for kind, value, _, key in trace.get("discounts", ()):
        yield Step(StepKind(kind), Fraction(value), reason=names.get(key, ""))
    if Decimal(trace.get("booked", 0)):
        yield Step(StepKind.BOOKED, Fraction(trace["booked"]))
    if "part" in trace:
        part, of = int(Decimal(trace["part"])), int(Decimal(trace["of"]))
        yield Step(StepKind.SHARE, Fraction(part, of), (part, of))


def _days(trace: Mapping[str, Any]) -> tuple[int, int]:
    (start, end), (first, last) = trace["days"], trace["nominal"]
    stretch = date.fromisoformat(end) - date.fromisoformat(start)
    return stretch.days, (date.fromisoformat(last) - date.fromisoformat(first)).days
