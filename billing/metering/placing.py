"""Where an event belongs: to which tenant and meter, on which day, and what of it is counted. As SQL, for thousands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tenants import responsibility
from tenants.models import Issuer, Tenant

# The number that a meter takes: plain digits alone, so that nothing that is stored can fail to be one.
NUMBER: Final = """
    case when m.property = '' then e.quantity::text
         when jsonb_typeof(e.properties -> m.property) in ('number', 'string') then e.properties ->> m.property end
"""
VALUE: Final = f"""
    case when m.aggregation in ('sum', 'max', 'last') and ({NUMBER}) ~ '^-?[0-9]{{1,15}}([.][0-9]{{1,10}})?$'
         then ({NUMBER})::numeric(25, 10) end
"""
LABEL: Final = """
    case when m.aggregation = 'unique' and jsonb_typeof(e.properties -> m.property) in ('number', 'string', 'boolean')
         then nullif(left(e.properties ->> m.property, 500), '') end
"""
# What stands beside an event ``e`` that can be placed; arrays of references, keys and time zones are the parameters.
PLACE: Final = f"""
    join unnest(%(references)s::text[], %(keys)s::bigint[], %(zones)s::text[]) as z(reference, tenant_id, zone)
         on z.reference = e.tenant_reference
    join billing_application a on a.reference = e.application_reference
    join billing_meter m on m.application_id = a.id and m.reference = e.meter_reference
    cross join lateral (select {VALUE} as value, {LABEL} as label,
                               (e.occurred_at at time zone z.zone)::date as day) p
"""
PLACED: Final = "(m.aggregation = 'count' or p.value is not null or p.label is not null)"

# What was laid down comes to by series and day, and the last value of each where its meter wants that: of two events at
# one instant that with the greater key in the order of its bytes, then the higher value.
FOLDED: Final = """
    insert into usage_folded select tenant_id, meter_id, day, count(*), coalesce(sum(value), 0), max(value)
      from placed where tenant_id is not null group by tenant_id, meter_id, day
"""
LASTS: Final = """
    insert into usage_lasts select distinct on (p.tenant_id, p.meter_id, p.day)
           p.tenant_id, p.meter_id, p.day, p.occurred_at, k.key, p.value
      from placed p join billing_meter m on m.id = p.meter_id and m.aggregation = 'last'
      join {keys} k on k.id = p.id
     order by p.tenant_id, p.meter_id, p.day, p.occurred_at desc, k.key collate "C" desc, p.value desc
"""
LATER: Final = """
    excluded.last_at is not null and (t.last_at is null or
        (excluded.last_at, excluded.last_key collate "C", excluded.last_value)
            > (t.last_at, t.last_key collate "C", t.last_value))
"""
# In the order of the series, so that two writers cannot deadlock.
FOLD: Final = f"""
    insert into billing_usagetotal as t
           (tenant_id, meter_id, day, count, total, maximum, last_at, last_key, last_value)
    select f.tenant_id, f.meter_id, f.day, f.count, f.total, f.maximum,
           l.occurred_at, coalesce(l.key, ''), l.value
      from (select tenant_id, meter_id, day, sum(count) as count, sum(total) as total, max(maximum) as maximum
              from usage_folded group by tenant_id, meter_id, day) f
      left join usage_lasts l on (l.tenant_id, l.meter_id, l.day) = (f.tenant_id, f.meter_id, f.day)
     order by f.tenant_id, f.meter_id, f.day
    on conflict (tenant_id, meter_id, day) do update
       set count = t.count + excluded.count, total = t.total + excluded.total,
           maximum = greatest(t.maximum, excluded.maximum),
           last_at = case when {LATER} then excluded.last_at else t.last_at end,
           last_key = case when {LATER} then excluded.last_key else t.last_key end,
           last_value = case when {LATER} then excluded.last_value else t.last_value end
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Tenants by reference with their keys and the time zones in which their days lie."""

    references: list[str]
    keys: list[int]
    zones: list[str]

    def parameters(self) -> dict[str, Any]:
        return {"references": self.references, "keys": self.keys, "zones": self.zones}


def places_of(references: Iterable[str], issuer: Issuer) -> Places:
    """The tenants of these references, as far as they are known; two queries."""
    wanted = list(Tenant.objects.filter(reference__in=list(references)))
    lines = responsibility.lines_of(wanted)
    zones = [responsibility.in_force("time_zone", lines[tenant.pk], issuer) for tenant in wanted]
    return Places([tenant.reference for tenant in wanted], [tenant.pk for tenant in wanted], zones)
