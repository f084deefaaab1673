"""The terms of an item, less what is booked for it: what is due.

Per item and nominal period, the amount of the item's days is cumulated from its first charged day in that period and
rounded, and what stands booked is taken off; so the parts of a period always add up to the whole, to the cent.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

from billing.kernel.discounts import DiscountTerms, holding, taken
from billing.kernel.money import exact, plain, rounded, split
from billing.kernel.period import Period, month_day
from billing.kernel.pricing import PriceTerms, rate
from billing.kernel.schedule import Interval, Schedule, Unit, due_periods, nominal_period

Key: TypeAlias = int
Trace: TypeAlias = dict[str, Any]  # strings, lists and dicts of strings; figures as text


class Proration(StrEnum):
    """By what measure a part of a period is charged."""

    NONE = "none"  # a period begun is charged in full
    ACTUAL = "actual"  # days of the days of the nominal period
    MONTH_FIRST = "month_first"  # whole months of the nominal period count alike, the rest by days of its month
    ACTUAL_OVER_30 = "actual_over_30"  # days of 30 per month; the whole period is 1
    STRICT_30_360 = "strict_30_360"  # every month has 30 days; the whole period is 1


class Kind(StrEnum):
    FEE = "fee"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class ItemTerms:
    """All that decides what one item costs. Equal prices and discounts should be the same objects for many items."""

    key: Key
    places: int  # of its currency
    schedule: Schedule
    price: PriceTerms
    quantity: Decimal
    discounts: tuple[DiscountTerms, ...] = ()
    proration: Proration = Proration.ACTUAL


@dataclass(frozen=True, slots=True)
class Booked:
    """A charge that stands: booked, and neither reversed nor itself a reversal."""

    key: Key
    kind: Kind
    period: Period
    net: Decimal
    corrects: Key | None = None  # a credit's fee


@dataclass(slots=True)
class Due:
    """A charge to be booked.

    A fee charges days, a credit gives days of the fee it ``corrects`` back. A row that ``reverses`` a charge undoes all of it:
    same days, opposite kind and amount; neither of the two stands afterwards.
    """

    item: Key
    kind: Kind
    period: Period
    nominal: Period
    ordinal: int  # which billed period of the contract; 1 is the first
    quantity: Decimal
    net: Decimal
    trace: Trace  # lines that are reckoned alike share one object: read only
    corrects: Key | None = None
    reverses: Key | None = None
