"""Give events their place that had none when they came: once their tenant and meter are known."""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

from billing.metering.intake import STAGE
from billing.metering.placing import FOLD, FOLDED, LASTS, PLACE, PLACED, places_of
from billing.models import UsageSource

CHUNK: Final = 20_000
IN_TRAY: Final = "e.tenant_id is null and e.reverses_key = '' and e.reversed_by_id is null"
ASSIGN: Final = f"""
    with found as (
        select e.id, e.occurred_at, z.tenant_id, m.id as meter_id, p.day, p.value, p.label
          from billing_usageevent e join billing_usagekey k on k.id = e.id and k.source_id = any(%(sources)s)
               {PLACE}
         where {IN_TRAY} and {PLACED}
         order by e.id limit %(chunk)s for update of e),
    placed as (
        update billing_usageevent e set tenant_id = f.tenant_id, meter_id = f.meter_id, day = f.day,
                                        value = f.value, label = f.label
          from found f where (e.id, e.occurred_at) = (f.id, f.occurred_at) and {IN_TRAY}
        returning e.id, e.occurred_at, e.tenant_id, e.meter_id, e.day, e.value),
    folded as ({FOLDED}),
    lasts as ({LASTS.format(keys="billing_usagekey")})
    select count(*) from placed
"""


def assign() -> int:
    """Assign what can be assigned by now; returns how many events were. A second run finds nothing."""
    done = 0
    by_issuer: dict[int, list[UsageSource]] = {}
    for source in UsageSource.objects.select_related("issuer").order_by("pk"):
        by_issuer.setdefault(source.issuer_id, []).append(source)
    for sources in by_issuer.values():
        while assigned := _chunk(sources):
            done += assigned
    return done


@transaction.atomic
def _chunk(sources: list[UsageSource]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        cursor.execute(
            "select distinct e.tenant_reference from billing_usageevent e"
            f" join tenants_tenant t on t.reference = e.tenant_reference where {IN_TRAY}"
        )
        places = places_of([row[0] for row in cursor.fetchall()], sources[0].issuer)
        if not places.keys:
            return 0
        keys = [source.pk for source in sources]
        cursor.execute(ASSIGN, {**places.parameters(), "sources": keys, "chunk": CHUNK})
        done = int(cursor.fetchone()[0])
        if done:
            cursor.execute(FOLD)
        return done
