"""Percent and fixed discounts on a line, in which order, for which billed periods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

Amount = TypeVar("Amount", Decimal, Fraction)


class DiscountKind(StrEnum):
    PERCENT = "percent"
    FIXED = "fixed"  # per contract and billed period, not prorated; what exceeds the amount lapses


@dataclass(frozen=True, slots=True)
class DiscountTerms:
    """A discount on a line. Inside one ``sequence`` percentages come before fixed amounts.

    It holds for ``periods`` billed periods (``None``: for good) after the first ``after_periods`` ones. Percentages
    that follow one another and are ``stacked`` add up (5 + 10 + 15 = 30 %), others are taken from what the one before
    has left. Of a fixed amount with ``carry_remainder`` what a period cannot use is kept for the next ones, also for
    those after its last. ``key`` is what traces call it.
    """

    kind: DiscountKind
    value: Decimal
    sequence: int = 0
    periods: int | None = None
    after_periods: int = 0
    stacked: bool = False
    key: str = ""
    carry_remainder: bool = False

    def __post_init__(self) -> None:
        most = 100 if self.kind is DiscountKind.PERCENT else self.value
        odd = self.stacked if self.kind is DiscountKind.FIXED else self.carry_remainder
        if not self.value.is_finite() or not 0 <= self.value <= most or odd:
            raise ValueError(f"a {self.kind} discount of {self.value} is none")

    def holds(self, ordinal: int) -> bool:
        """Whether it holds for the billed period with this number, the first being 1."""
        return self.after_periods < ordinal and (self.periods is None or ordinal <= self.after_periods + self.periods)


def holding(discounts: Iterable[DiscountTerms], ordinal: int) -> tuple[DiscountTerms, ...]:
    """Those that hold for the billed period with this number, in the order in which they are taken."""
    return tuple(sorted((d for d in discounts if d.holds(ordinal)), key=order))


def order(discount: DiscountTerms) -> tuple[int, bool]:
    """By sequence; of one sequence percentages come before fixed amounts."""
    return discount.sequence, discount.kind is DiscountKind.FIXED


def allotted(
    discounts: Sequence[DiscountTerms], values: Mapping[tuple[int, int], Decimal], ordinal: int
) -> list[tuple[int, DiscountTerms]]:
    """Place and discount of those that hold for the billed period ``ordinal``, in order, fixed ones with what is left.

    ``values`` say what is left, by period and place. One of which nothing is left is left out; one that carries its
    remainder holds as long as anything is left.
    """
    found = []
    for place, discount in enumerate(discounts):
        value = values.get((ordinal, place))
        if value is None:
            left = discount
        else:
            left = replace(discount, value=value, periods=None if discount.carry_remainder else discount.periods)
        if left.holds(ordinal) and value != 0:
            found.append((place, left))
    return sorted(found, key=lambda pair: order(pair[1]))


def taken(amount: Amount, discounts: Iterable[DiscountTerms]) -> list[Amount]:
    """What each of ``discounts``, in order, takes off the exact ``amount``: exact, >= 0, never below nothing."""
    exactly: type[Amount] = type(amount)
    steps: list[Amount] = []
    left = base = max(amount, exactly(0))
    stacking = False
    for discount in discounts:
        if discount.kind is DiscountKind.PERCENT:
            if not (stacking and discount.stacked):
                base = left
            stacking = discount.stacked
            step = min(left, base * exactly(discount.value) / 100)
        else:
            stacking = False
            step = min(left, exactly(discount.value))
        left -= step
        steps.append(step)
    return steps
