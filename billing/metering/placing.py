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

# Sums by series and day, from rows with tenant_id, meter_id, day, value; in order, so that two writers cannot deadlock.
FOLD: Final = """
    insert into billing_usagetotal as t (tenant_id, meter_id, day, count, total, maximum, last_key)
    select tenant_id, meter_id, day, sum(count), sum(total), max(maximum), ''
      from usage_folded group by tenant_id, meter_id, day order by tenant_id, meter_id, day
    on conflict (tenant_id, meter_id, day) do update
       set count = t.count + excluded.count, total = t.total + excluded.total,
           maximum = greatest(t.maximum, excluded.maximum)
"""
# The last value, of the events ``fresh``: by instant, then key in the order of its bytes, then value.
LAST: Final = """
    update billing_usagetotal t set last_at = l.occurred_at, last_key = l.key, last_value = l.value
      from (select distinct on (e.tenant_id, e.meter_id, e.day)
                   e.tenant_id, e.meter_id, e.day, e.occurred_at, k.key, e.value
              from {fresh}
              join billing_meter m on m.id = e.meter_id and m.aggregation = 'last'
              join billing_usagekey k on k.id = e.id
             where e.reversed_by_id is null
             order by e.tenant_id, e.meter_id, e.day, e.occurred_at desc, k.key collate "C" desc, e.value desc) l
     where (t.tenant_id, t.meter_id, t.day) = (l.tenant_id, l.meter_id, l.day)
       and (t.last_at is null
            or (l.occurred_at, l.key collate "C", l.value) > (t.last_at, t.last_key collate "C", t.last_value))
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
