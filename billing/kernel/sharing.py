"""A fixed discount belongs to a contract and a billed period: its items share it, and its remainder may be carried."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from billing.kernel.charges import ItemTerms, undiscounted
from billing.kernel.discounts import DiscountKind, DiscountTerms, allotted, taken
from billing.kernel.money import rounded
from billing.kernel.period import Period
from billing.kernel.schedule import Grid

ZERO: Final = Decimal(0)

Name = tuple[object, int]  # the key of a discount, or itself, and which of several alike
Allotted = dict[int, dict[tuple[int, int], Decimal]]


def shared(items: Sequence[ItemTerms], through: date) -> list[ItemTerms]:
    """The items of one contract, each with its allotment of the fixed discounts, for all that is due by ``through``.

    In each billed period the items take it one after the other, by first day and key, each as much as its own amount
    allows; so a voucher of 25.00 is worth 25.00 a period, however many items there are and however often one replaces
    another. What is charged already is not charged anew for it: a voucher that an ended item leaves unused goes to
    items that are charged later, and else lapses. Items with periods of their own (another interval or another first
    day), and whatever is charged once, take it for each of those.
    """
    wanted = [item for item in items if any(_is_fixed(discount) for discount in item.discounts)]
    groups: dict[Grid, list[ItemTerms]] = defaultdict(list)
    for item in wanted:
        if not item.schedule.once:
            groups[item.schedule.grid].append(item)
    allotments: Allotted = defaultdict(dict)
    for group in groups.values():
        if len(group) > 1 or any(discount.carry_remainder for item in group for discount in item.discounts):
            _allot(sorted(group, key=lambda item: (item.schedule.first_day, item.key)), through, allotments)
    return [replace(item, allotted=allotments[item.key]) if item.key in allotments else item for item in items]


def _is_fixed(discount: DiscountTerms) -> bool:
    return discount.kind is DiscountKind.FIXED


def _allot(items: Sequence[ItemTerms], through: date, allotments: Allotted) -> None:
    grid = items[0].schedule.grid
    stretches = [(item, item.schedule.stretch) for item in items]
    first = min((stretch.start for _, stretch in stretches if stretch), default=None)
    carried: dict[Name, Decimal] = {}
    if first is None:
        return
    for n in range(grid.index(first), grid.index(max(first, through)) + 1):
        nominal = grid.period(n)
        left = dict(carried)
        granted: set[Name] = set()
        for item, stretch in stretches:
            if inside := nominal & stretch:
                _take(item, nominal, inside, item.schedule.ordinal(n), left, granted, allotments[item.key])
        carries = {name for item in items for _, name, discount in _named(item.discounts) if discount.carry_remainder}
        carried = {name: value for name, value in left.items() if name in carries}


def _take(
    item: ItemTerms,
    nominal: Period,
    inside: Period,
    ordinal: int,
    left: dict[Name, Decimal],
    granted: set[Name],
    allotment: dict[tuple[int, int], Decimal],
) -> None:
    """Allot to one item what is ``left`` of the period's discounts, and take off what it uses.

    What a period grants comes on top of what is carried, once, with the first item for which the discount holds.
    """
    names = {}
    for place, name, discount in _named(item.discounts):
        names[place] = name
        if name not in granted and discount.holds(ordinal):
            granted.add(name)
            left[name] = left.get(name, ZERO) + discount.value
        holds = discount.holds(ordinal) or discount.carry_remainder
        allotment[ordinal, place] = left.get(name, ZERO) if holds else ZERO
    taking = allotted(item.discounts, allotment, ordinal)
    steps = taken(Fraction(undiscounted(item, nominal, inside)), [discount for _, discount in taking])
    for (place, _), step in zip(taking, steps, strict=True):
        if place in names:
            left[names[place]] = max(ZERO, left[names[place]] - rounded(step, item.places))


def _named(discounts: Sequence[DiscountTerms]) -> Iterator[tuple[int, Name, DiscountTerms]]:
    """Place, name and terms of each fixed discount."""
    seen: dict[object, int] = defaultdict(int)
    for place, discount in enumerate(discounts):
        if _is_fixed(discount):
            name = discount.key or discount
            yield place, (name, seen[name]), discount
            seen[name] += 1
