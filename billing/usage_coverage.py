"""Every counted event of a day that a contract covers with its answer: charged, free, pending, waived or in error.

What no contract covers is told by ``billing.unbilled_usage``. Like the coverage of days it reads charges as they are,
whatever charging would do next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from billing import charging, coverage
from billing.charging.usage import read_used
from billing.coverage import CHARGES, Covered
from billing.kernel.coverage import Reason, Stretch
from billing.kernel.metered import QUANTITY_PLACES
from billing.kernel.money import rounded
from billing.kernel.period import Period
from billing.models import Subscription, UsageTotal
from tenants.copying import table_of

TOTALS: Final = table_of(UsageTotal)
FOREVER: Final = date.max


@dataclass(frozen=True, slots=True)
class Counted:
    """So many events of a position; its stretch is the period in which they were, with the answer."""

    covered: Covered
    events: int


@dataclass(frozen=True, slots=True)
class Booked:
    """The fees that stand for a period of usage: ``events`` is how many the latest was reckoned from, all of it free or
    not; ``late`` is how many came since, where these change the quantity.
    """

    period: Period
    events: int
    is_free: bool
    late: int = 0


def read(*, through: date, among: QuerySet[Subscription] | None = None) -> Iterator[list[Counted]]:
    """Chunk by chunk all events of positions charged by use, whenever they were; of the contracts ``among`` or of all.

    Periods that a run through ``through`` would charge and that are not charged are told as gaps.
    """
    metered = Subscription.objects.all() if among is None else among
    metered = metered.filter(pk__in=Subscription.objects.filter(items__product__meter__isnull=False).values("pk"))
    last = 0
    while keys := coverage.contracts_after(last, metered):
        last = keys[-1]
        yield _read(keys, through)


def _read(contracts: Sequence[int], through: date) -> list[Counted]:
    reckoned, refused = coverage.reckonable(contracts)
    by_key = {position.terms.key: position for position in reckoned if position.meter is not None}
    booked = _booked(by_key)
    days = _days(contracts)
    found = []
    for place in coverage.read_positions(contracts, FOREVER):
        counts = days.get(place.key)
        if not counts:
            continue
        position = by_key.get(place.key)
        by_stretch: dict[Stretch, int] = defaultdict(int)
        if position is None:
            refusal = refused.get(place.contract, "")
            whole = Period(min(counts), max(counts))
            stretch = Stretch(whole, Reason.UNBILLABLE if refusal else Reason.WAITS_FOR_START)
            found.append(Counted(Covered(place, stretch, refusal), sum(counts.values())))
            continue
        for day, events in counts.items():
            by_stretch[_answered(position, day, booked.get(place.key, ()), through)] += events
        for fees in booked.get(place.key, ()):
            stands = Stretch(fees.period, Reason.FREE if fees.is_free else Reason.STANDS)
            if fees.late and by_stretch.get(stands, 0) >= fees.late:
                by_stretch[stands] -= fees.late
                by_stretch[Stretch(fees.period, Reason.CHANGED_SINCE)] += fees.late
        found += [
            Counted(Covered(place, coverage.of_account(place, stretch)), events)
            for stretch, events in by_stretch.items()
            if events
        ]
    return found


def _answered(position: charging.Position, day: date, booked: Sequence[Booked], through: date) -> Stretch:
    schedule = position.terms.schedule
    for fees in booked:
        if day in fees.period:
            return Stretch(fees.period, Reason.FREE if fees.is_free else Reason.STANDS)
    nominal = schedule.grid.period(schedule.grid.index(day))
    if day < schedule.first_day:
        waived = nominal & Period(nominal.start, schedule.first_day)
        in_trial = day < (schedule.paid_from or schedule.starts_on)
        return Stretch(waived, Reason.TRIAL if in_trial else Reason.BILLED_ELSEWHERE)
    inside = nominal & schedule.stretch
    due_on = schedule.due_on(inside)
    return Stretch(inside, Reason.GAP if due_on <= through else Reason.NOT_DUE, due_on)


def _days(contracts: Sequence[int]) -> dict[int, dict[date, int]]:
    """Events by position and day, of the days on which it is there."""
    days: dict[int, dict[date, int]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select i.id, t.day, t.count
              from {coverage.CONTRACTS} s
              join {coverage.ITEMS} i on i.subscription_id = s.id
              join {coverage.PRODUCTS} p on p.id = i.product_id and p.meter_id is not null
              join {TOTALS} t on t.tenant_id = s.tenant_id and t.meter_id = p.meter_id and t.day >= i.starts_on
                             and t.day < least(coalesce(i.ends_before, 'infinity'), s.ends_before) and t.count > 0
             where s.id = any(%s)
            """,
            [list(contracts)],
        )
        for item, day, events in cursor.fetchall():
            days[item][day] = events
    return days


def _booked(positions: Mapping[int, charging.Position]) -> dict[int, list[Booked]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select c.item_id, c.starts_on, c.ends_before, o.quantity, (c.trace ->> 'events')::int,
                   (c.trace ->> 'quantity')::numeric > 0 and c.trace ->> 'free' = c.trace ->> 'quantity'
              from (select max(id) as id, sum(quantity) as quantity from {CHARGES}
                     where item_id = any(%s) and kind = 'fee' and reversed_by_id is null and reverses_id is null
                     group by item_id, starts_on) o
              join {CHARGES} c on c.id = o.id
             order by c.item_id, c.starts_on
            """,
            [list(positions)],
        )
        rows = [(item, Period(start, end), *figures) for item, start, end, *figures in cursor.fetchall()]
    used = read_used([(positions[item], period) for item, period, *_figures in rows])
    booked: dict[int, list[Booked]] = defaultdict(list)
    for item, period, quantity, events, is_free in rows:
        now = used[item][period]
        is_other = rounded(now.quantity, QUANTITY_PLACES) != quantity
        booked[item].append(Booked(period, events, bool(is_free), max(now.events - events, 0) if is_other else 0))
    return booked
