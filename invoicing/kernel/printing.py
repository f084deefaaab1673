"""Which figures a line shows, so that whoever multiplies and subtracts what is printed meets the printed amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from billing.kernel.money import rounded

FINEST = 10  # decimals; stored prices have no more


class StepKind(StrEnum):
    """What leads from the full price of a period to the amount of a line."""

    MINIMUM = "minimum"
    CAP = "cap"
    SHARE = "share"
    PERCENT = "percent"
    AMOUNT = "amount"
    BOOKED = "booked"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a reckoning. ``value`` is money, but a part of 1 for a share and 10 for ten percent."""

    kind: StepKind
    value: Fraction
    days: tuple[int, int] | None = None  # a share in days: 17 of 31
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step with the figures that are printed: what it takes away (a discount) and what remains after it."""

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

    ``None`` if ``quantity`` times the price, rounded to ``places``, is not ``amount`` at any number of decimals: then the
    line is not a product, and prints how it was reckoned instead.
    """
    least = decimals_of(price, places) if isinstance(price, Decimal) else places
    for decimals in range(least, max(least, FINEST) + 1):
        shown = rounded(price, decimals)
        if rounded(Fraction(shown) * Fraction(quantity), places) == amount:
            return shown
    return None


def reckoning(full: Decimal | Fraction, steps: Sequence[Step], amount: Decimal, places: int) -> Reckoning | None:
    """The steps from ``full`` to ``amount`` with the fewest decimals at which each printed figure follows from the last.

    ``None`` if no number of decimals does it, as when earlier parts of the period were rounded up.
    """
    least = decimals_of(full, places) if isinstance(full, Decimal) else places
    for decimals in range(least, max(least, FINEST) + 1):
        shown = _reckon(rounded(full, decimals), steps, decimals)
        last = shown[-1].remains if shown else rounded(full, decimals)
        if rounded(last, places) == amount:
            return Reckoning(rounded(full, decimals), tuple(shown), decimals)
    return None


def _reckon(figure: Decimal, steps: Sequence[Step], decimals: int) -> list[ShownStep]:
    shown = []
    for step in steps:
        match step.kind:
            case StepKind.MINIMUM:
                remains = max(figure, rounded(step.value, decimals))
            case StepKind.CAP:
                remains = min(figure, rounded(step.value, decimals))
            case StepKind.SHARE:
                remains = rounded(Fraction(figure) * step.value, decimals)
            case StepKind.PERCENT:
                remains = figure - rounded(Fraction(figure) * step.value / 100, decimals)
            case StepKind.AMOUNT:
                remains = max(figure - rounded(step.value, decimals), min(figure, Decimal(0)))
            case StepKind.BOOKED:
                remains = figure - rounded(step.value, decimals)
        shown.append(ShownStep(step, remains - figure, remains))
        figure = remains
    return shown
