"""Which reminder is due: a level per open item, one level per run, a letter per payer, level and currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Level:
    """A step: ``days_after`` the due day (the first step) or the reminder before; then ``days_to_pay``."""

    number: int
    days_after: int
    days_to_pay: int


@dataclass(frozen=True, slots=True)
class Item:
    """An open item. ``open`` is negative where we owe the payer. ``reminded`` is the latest reminder: level and day.

    ``disputed`` is how much of it, VAT included, is contested and not to be reminded of.
    """

    key: int
    currency: str
    due_on: date
    open: Decimal
    reminded: tuple[int, date] | None = None
    is_blocked: bool = False
    is_collected: bool = False
    is_under_way: bool = False  # an attempt to collect it is not settled yet
    disputed: Decimal = Decimal(0)


class Left(StrEnum):
    """Why an overdue item is not reminded now."""

    BLOCKED = "blocked"
    COLLECTED = "collected"
    UNDER_WAY = "under_way"
    DISPUTED = "disputed"  # all that is open of it
    COVERED = "covered"  # by credit notes that are not offset yet
    SMALL = "small"
    NOT_YET = "not_yet"  # the next level's day has not come
    LAST_SENT = "last_sent"


@dataclass(frozen=True, slots=True)
class Due:
    """Items that reach one level, to be put in one letter; ``open`` of each is what credits leave of it."""

    level: Level
    currency: str
    pay_by: date
    items: tuple[Item, ...]

    @property
    def total(self) -> Decimal:
        return sum((item.open for item in self.items), Decimal(0))


@dataclass(frozen=True, slots=True)
class Decision:
    """The letters a payer gets, and why each other overdue item is left alone."""

    letters: tuple[Due, ...]
    left: Mapping[int, Left]


def decide(
    items: Sequence[Item],
    levels: Sequence[Level],
    on: date,
    *,
    threshold: Decimal = Decimal(0),
    collected: bool = False,
) -> Decision:
    """What one payer is reminded of on ``on``.

    ``threshold`` is the least sum of overdue items that is worth a letter, per currency; ``collected`` says whether
    items that are collected automatically are reminded as well. Letters come by currency and level, their items oldest
    first.
    """
    letters: list[Due] = []
    left: dict[int, Left] = {}
    for currency in sorted({item.currency for item in items}):
        own = [item for item in items if item.currency == currency]
        contested = {item.key for item in own if 0 < item.open <= item.disputed}
        remaining = after_credits([without_dispute(item) for item in own])
        overdue = [item for item in remaining if item.due_on < on]
        callable_ = []
        for item in overdue:
            reason = Left.DISPUTED if item.key in contested else left_alone(item, collected=collected)
            if reason:
                left[item.key] = reason
            else:
                callable_.append(item)
        if sum((item.open for item in callable_), Decimal(0)) < threshold:
            left |= dict.fromkeys((item.key for item in callable_), Left.SMALL)
            continue
        reached: dict[Level, list[Item]] = {}
        for item in callable_:
            level = level_due(item, levels, on)
            if level:
                reached.setdefault(level, []).append(item)
            else:
                left[item.key] = Left.NOT_YET if next_level(item, levels) else Left.LAST_SENT
        letters += [
            Due(level, currency, on + timedelta(days=level.days_to_pay), tuple(reached[level]))
            for level in sorted(reached, key=lambda level: level.number)
        ]
    return Decision(tuple(letters), left)


def left_alone(item: Item, *, collected: bool) -> Left | None:
    """Why an overdue item is not dunned at all, whatever its level."""
    if item.open <= 0:
        return Left.COVERED
    if item.is_blocked:
        return Left.BLOCKED
    if item.is_under_way:
        return Left.UNDER_WAY
    if item.is_collected and not collected:
        return Left.COLLECTED
    return None


def without_dispute(item: Item) -> Item:
    """The item less what is contested of it, which credits do not pay either."""
    return replace(item, open=max(Decimal(0), item.open - item.disputed)) if item.open > 0 < item.disputed else item


def after_credits(items: Sequence[Item]) -> list[Item]:
    """The items to be paid, oldest due first, each reduced by what the payer's credits of this currency still cover."""
    credit = -sum((item.open for item in items if item.open < 0), Decimal(0))
    remaining = []
    for item in sorted((item for item in items if item.open >= 0), key=lambda item: (item.due_on, item.key)):
        used = min(credit, item.open)
        credit -= used
        remaining.append(replace(item, open=item.open - used))
    return remaining


def next_level(item: Item, levels: Sequence[Level]) -> Level | None:
    """The level that follows the last reminder; None after the last level."""
    last = item.reminded[0] if item.reminded else -1
    return min((level for level in levels if level.number > last), key=lambda level: level.number, default=None)


def level_due(item: Item, levels: Sequence[Level], on: date) -> Level | None:
    """The level the item reaches on ``on``; never two on one day, and none before the day of the last reminder."""
    level = next_level(item, levels)
    if level is None:
        return None
    if item.reminded is None:
        reached_on = item.due_on + timedelta(days=max(1, level.days_after))
    else:
        reached_on = item.reminded[1] + timedelta(days=max(1, level.days_after))
    return level if on >= reached_on else None
