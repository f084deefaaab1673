"""The discounts granted to a contract, counted and shared out among its positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache

from django.db import connection

from billing import continuing
from billing.charging.proposal import Position
from billing.kernel.charges import ItemTerms
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.sharing import shared


@dataclass(frozen=True, slots=True)
class Granted:
    """A discount as granted: what it takes off, and since when for how many periods."""

    kind: str
    value: Decimal
    sequence: int
    reference: str
    given: continuing.Given
    is_stacked: bool = False
    carries: bool = False

    @property
    def is_plain(self) -> bool:
        """Since the contract's first billed period, each period by itself."""
        return self.given.starts_on is None and self.given.ends_before is None and not self.carries

    def terms(self, after_periods: int | None = None, periods: int | None = None) -> DiscountTerms:
        """For one item; without arguments as it is counted from the contract's first billed period."""
        if after_periods is None:
            after_periods, periods = self.given.after_periods, self.given.periods
        return _discount(
            self.kind,
            self.value,
            self.sequence,
            periods,
            after_periods,
            self.reference,
            stacked=self.is_stacked,
            carries=self.carries,
        )


def read_grants(subscriptions: set[int]) -> dict[int, tuple[Granted, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select g.subscription_id, d.kind, coalesce(d.percent, d.amount), d.sequence, d.reference,
                   coalesce(g.periods, d.periods), d.after_periods, d.is_stacked, d.carry_remainder,
                   g.starts_on, g.ends_before
              from billing_grant g join billing_discount d on d.id = g.discount_id
             where g.subscription_id = any(%s) and d.level = 'line'
             order by g.subscription_id, d.sequence, g.id
            """,
            [list(subscriptions)],
        )
        grants: dict[int, tuple[Granted, ...]] = {}
        for subscription, *terms, periods, after, stacked, carries, starts_on, ends_before in cursor.fetchall():
            given = continuing.Given(periods, after, starts_on, ends_before)
            kind, value, sequence, reference = terms
            granted = Granted(kind, value, sequence, reference, given, stacked, carries)
            grants[subscription] = (*grants.get(subscription, ()), granted)
        return grants


@lru_cache(maxsize=1024)
def _discount(
    kind: str,
    value: Decimal,
    sequence: int,
    periods: int | None,
    after_periods: int,
    reference: str,
    *,
    stacked: bool,
    carries: bool,
) -> DiscountTerms:
    return DiscountTerms(
        DiscountKind(kind), value, sequence, periods, after_periods, stacked, reference, carry_remainder=carries
    )


def with_discounts(
    positions: Sequence[tuple[Position, int, int | None]], grants: Sequence[Granted], through: date
) -> dict[int, ItemTerms]:
    """The items of one contract with their discounts, by key; the billed periods counted across items."""
    first, line, periods_before = positions[0]
    if len(positions) == 1 and periods_before is None and all(grant.is_plain for grant in grants):
        skipped = continuing.periods_skipped([(line, first.terms.schedule, None)])[0]
        return {first.terms.key: _discounted(first.terms, skipped, tuple(grant.terms() for grant in grants))}
    schedules = [(line, position.terms.schedule, before) for position, line, before in positions]
    skipped_by_item = continuing.periods_skipped(schedules)
    counted = [
        (line, replace(schedule, periods_skipped=skipped))
        for (line, schedule, _before), skipped in zip(schedules, skipped_by_item, strict=True)
    ]
    found = {}
    for n, (position, _line, _before) in enumerate(positions):
        terms = tuple(
            grant.terms(held.after_periods, held.periods)
            for grant in grants
            if (held := continuing.holding_periods(counted, n, grant.given)) is not None
        )
        found[position.terms.key] = _discounted(position.terms, skipped_by_item[n], terms)
    metered = {
        position.terms.key: _of_usage(found.pop(position.terms.key), positions, n)
        for n, (position, _line, _before) in enumerate(positions)
        if position.meter is not None
    }
    return metered | {terms.key: terms for terms in shared(list(found.values()), through)}


def _of_usage(terms: ItemTerms, positions: Sequence[tuple[Position, int, int | None]], n: int) -> ItemTerms:
    """What usage comes to is known when its period is over: it shares no fixed discount with other positions.

    It takes percentages; and a fixed discount where its line is the only one of the contract, once a period: a position
    that goes on with a line inside a period leaves it to the one before.
    """
    line = positions[n][1]
    if any(other != line for _position, other, _before in positions):
        return replace(terms, discounts=tuple(d for d in terms.discounts if d.kind is DiscountKind.PERCENT))
    schedule = terms.schedule
    first = schedule.grid.index(schedule.first_day)
    if n == 0 or schedule.grid.boundary(first) == schedule.first_day:
        return terms
    fixed = [place for place, one in enumerate(terms.discounts) if one.kind is DiscountKind.FIXED]
    return replace(terms, allotted={(schedule.ordinal(first), place): Decimal(0) for place in fixed})


def _discounted(terms: ItemTerms, skipped: int, discounts: tuple[DiscountTerms, ...]) -> ItemTerms:
    schedule = replace(terms.schedule, periods_skipped=skipped) if skipped else terms.schedule
    return replace(terms, schedule=schedule, discounts=discounts)
