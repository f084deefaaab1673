"""Discounts of a document: after those of its lines, before VAT, shared out over its VAT categories."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.kernel.discounts import DiscountKind
from billing.kernel.money import allocated, exact, rounded, shares

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class DocumentDiscount:
    """A percentage, or an amount of which ``used`` has been taken by earlier documents.

    What a document cannot use of an amount lapses, unless it is carried. ``applies_to`` names the bases by their place;
    ``None``: all. Inside one ``sequence`` percentages come before amounts. Percentages that follow one another on the
    same bases and are ``stacked`` add up, others are taken from what the one before has left.
    """

    kind: DiscountKind
    value: Decimal
    sequence: int = 0
    used: Decimal = ZERO
    carry_remainder: bool = False
    applies_to: Collection[int] | None = None
    key: str = ""
    stacked: bool = False

    @property
    def left(self) -> Decimal:
        """What of an amount can still be taken."""
        return max(ZERO, self.value - self.used)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a discount takes off a document, rounded, and off each base; ``after``, the discount as it then is.

    ``exact`` are the shares before each was rounded.
    """

    discount: DocumentDiscount
    amount: Decimal
    shares: tuple[Decimal, ...]
    exact: tuple[Fraction, ...]
    after: DocumentDiscount


def allowances(bases: Sequence[Decimal], discounts: Sequence[DocumentDiscount], places: int) -> list[Allowance]:
    """Take the discounts one after the other from what is left of the bases: rounded nets per VAT category and rate.

    Each is rounded once, on the document, and shared out by largest remainder, so that the shares add up to it and no
    base falls below nothing. A base below nothing is no ground for a discount and gets no share.
    """
    found: list[Allowance] = []
    left = list(bases)
    stack, stacked_on = (
        ZERO,
        None,
    )  # the ground of the percentages that are added up, and the bases these are taken from
    for discount in sorted(discounts, key=lambda d: (d.sequence, d.kind is DiscountKind.FIXED)):
        weights = [
            max(ZERO, base) if discount.applies_to is None or place in discount.applies_to else ZERO
            for place, base in enumerate(left)
        ]
        with exact():
            ground = sum(weights, ZERO)
            where = discount.applies_to if discount.applies_to is None else frozenset(discount.applies_to)
            follows = bool(found) and found[-1].discount.stacked and discount.stacked and where == stacked_on
            if not follows:
                stack, stacked_on = ground, where
            if discount.kind is DiscountKind.PERCENT:
                amount = min(ground, rounded((stack * discount.value).scaleb(-2), places))
                after = discount
            else:
                amount = rounded(min(ground, discount.left), places)
                after = replace(discount, used=discount.used + amount if discount.carry_remainder else discount.value)
            parts = allocated(amount, weights, places)
            left = [base - part for base, part in zip(left, parts, strict=True)]
        exactly = shares(amount, weights) if amount else [Fraction(0)] * len(weights)
        found.append(Allowance(discount, amount, tuple(parts), tuple(exactly), after))
    return found
