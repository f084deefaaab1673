"""Usage: which products are metered, what was used, what is due for it; nothing is read where nothing is metered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging.proposal import Metered, Position, Proposed, Unbillable
from billing.kernel.charges import Booked, Kind
from billing.kernel.metered import BookedFee, Used, days_wanted, usage_charged
from billing.kernel.period import Period
from billing.kernel.usage import Aggregation, UsageTerms
from billing.models import Application, Charge, Meter, Product, UsageEvent, UsageTotal
from tenants.copying import table_of

CHARGES, PRODUCTS, METERS, APPLICATIONS, EVENTS, TOTALS = (
    table_of(model) for model in (Charge, Product, Meter, Application, UsageEvent, UsageTotal)
)
AGGREGATIONS: Final = {
    "count": Aggregation.COUNT,
    "sum": Aggregation.SUM,
    "max": Aggregation.MAXIMUM,
    "last": Aggregation.LAST,
    "unique": Aggregation.UNIQUE,
}
COUNTED: Final = {
    Aggregation.COUNT: "sum(t.count)",
    Aggregation.SUM: "sum(t.total)",
    Aggregation.MAXIMUM: "max(t.maximum)",
    # of the latest instant; of two at one instant that with the greater key (bytes), then the higher value
    Aggregation.LAST: """(array_agg(t.last_value order by t.last_at desc, t.last_key collate "C" desc,
                          t.last_value desc) filter (where t.last_at is not null))[1]""",
}
ONE_STATEMENT: Final = "case w.way " + " ".join(f"when '{way}' then {sql}" for way, sql in COUNTED.items()) + " end"
Wanted = tuple[Position, Period]


def read_meters(products: Iterable[int]) -> dict[int, Metered]:
    """The meters of those products that are charged by use."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select p.id, m.id, a.reference, m.reference, m.aggregation, m.property,
                   a.name_de, m.name_de, a.name_en, m.name_en
              from {PRODUCTS} p join {METERS} m on m.id = p.meter_id join {APPLICATIONS} a on a.id = m.application_id
             where p.id = any(%s)
            """,
            [list(products)],
        )
        return {product: _metered(*told) for product, *told in cursor.fetchall()}


def _metered(key: int, application: str, meter: str, way: str, counted: str, *names: str) -> Metered:
    german, english = (names[0] or names[2], names[1] or names[3]), (names[2] or names[0], names[3] or names[1])
    return Metered(
        key,
        application,
        meter,
        AGGREGATIONS[way],
        counted,
        ((german[0] or application, german[1] or meter), (english[0] or application, english[1] or meter)),
    )


def usage_due(positions: Sequence[Position], through: date) -> Iterator[Proposed]:
    """What is due of positions that are charged by use. Raises ``Unbillable`` naming what cannot be reckoned."""
    booked = _read_booked([position.terms.key for position in positions])
    terms = {position.terms.key: terms_of(position) for position in positions}
    wanted = [(position, days) for position in positions for days in days_wanted(terms[position.terms.key], through)]
    used = read_used(wanted)
    for position in positions:
        key = position.terms.key
        try:
            charges = list(usage_charged(terms[key], used.get(key, {}), booked.get(key, ()), through))
        except ValueError as error:
            raise Unbillable(
                _("Contract %(contract)s, usage of %(meter)s: %(reason)s")
                % {"contract": position.contract.reference, "meter": _name(position), "reason": error}
            ) from error
        yield from (Proposed(position, due) for due in charges)


def _name(position: Position) -> str:
    return position.meter.name if position.meter else ""


def terms_of(position: Position) -> UsageTerms:
    """The terms of a position that is charged by use; its usage in a trial is free."""
    assert position.meter is not None
    terms = position.terms
    return UsageTerms(
        key=terms.key,
        places=terms.places,
        schedule=terms.schedule,
        price=terms.price,
        aggregation=position.meter.aggregation,
        discounts=terms.discounts,
        proration=terms.proration,
        allotted=terms.allotted,
    )


def read_used(wanted: Sequence[Wanted]) -> dict[int, dict[Period, Used]]:
    """What was used of each position on the days wanted, by its key: one statement, another for what is ``unique``."""
    unique = [one for one in wanted if one[0].meter and one[0].meter.aggregation is Aggregation.UNIQUE]
    others = [one for one in wanted if one[0].meter and one[0].meter.aggregation is not Aggregation.UNIQUE]
    found: dict[int, dict[Period, Used]] = defaultdict(dict)
    for part, sql in ((others, OF_TOTALS), (unique, OF_EVENTS)):
        for (position, days), used in zip(part, _used(part, sql), strict=True):
            found[position.terms.key][days] = used
    return found


OF_TOTALS: Final = f"""
    select coalesce(t.quantity, 0), t.events
      from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::date[], %s::date[]) with ordinality
           as w(tenant, meter, way, starts_on, ends_before, n)
     cross join lateral (select {ONE_STATEMENT} as quantity, coalesce(sum(t.count), 0) as events from {TOTALS} t
                          where t.tenant_id = w.tenant and t.meter_id = w.meter
                            and t.day >= w.starts_on and t.day < w.ends_before) t
     order by w.n
"""
# A day is at most 14 hours from that of UTC: no other partitions are looked into.
OF_EVENTS: Final = f"""
    select e.quantity, e.events
      from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::date[], %s::date[]) with ordinality
           as w(tenant, meter, way, starts_on, ends_before, n)
     cross join lateral (select count(distinct e.label) as quantity, count(*) as events from {EVENTS} e
                          where e.tenant_id = w.tenant and e.meter_id = w.meter
                            and e.day >= w.starts_on and e.day < w.ends_before
                            and e.occurred_at >= (w.starts_on - 1)::timestamp at time zone 'UTC'
                            and e.occurred_at < (w.ends_before + 1)::timestamp at time zone 'UTC'
                            and e.reverses_key = '' and e.reversed_by_id is null) e
     order by w.n
"""


def _used(wanted: Sequence[Wanted], sql: str) -> list[Used]:
    if not wanted:
        return []
    columns: list[list[object]] = [[], [], [], [], []]
    for position, days in wanted:
        assert position.meter is not None
        row = (position.contract.tenant, position.meter.key, position.meter.aggregation.value, days.start, days.end)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    with connection.cursor() as cursor:
        cursor.execute(sql, columns)
        return [Used(Decimal(quantity), int(events)) for quantity, events in cursor.fetchall()]


def _read_booked(items: Sequence[int]) -> Mapping[int, list[BookedFee]]:
    booked: dict[int, list[BookedFee]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select item_id, id, kind, starts_on, ends_before, net, quantity, addition
              from {CHARGES}
             where item_id = any(%s) and kind = 'fee' and reversed_by_id is null and reverses_id is null
             order by item_id, starts_on, addition
            """,
            [list(items)],
        )
        for item, key, kind, start, end, net, quantity, addition in cursor.fetchall():
            booked[item].append(BookedFee(Booked(key, Kind(kind), Period(start, end), net), quantity, addition))
    return booked
