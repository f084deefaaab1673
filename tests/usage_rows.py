"""A little usage, as rows: one application, a meter of each kind, events of March 2026."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from billing.models import Application, Meter, UsageBatch, UsageConflict, UsageEvent, UsageKey, UsageSource, UsageTotal
from tenants.models import Issuer, Tenant


def make_meters(application: str = "PBX") -> dict[str, Meter]:
    """A meter for each way of counting, by reference: calls, minutes, lines, disk, logins; and sms, of the quantity."""
    owner, _new = Application.objects.get_or_create(reference=application)
    return {
        reference: Meter.objects.create(
            application=owner, reference=reference, aggregation=aggregation, property=property
        )
        for reference, aggregation, property in (
            ("calls", "count", ""),
            ("minutes", "sum", "seconds"),
            ("sms", "sum", ""),
            ("lines", "max", "lines"),
            ("disk", "last", "gb"),
            ("logins", "unique", "user_name"),
        )
    }


def make_source(issuer: Issuer, reference: str = "pbx", **fields: Any) -> UsageSource:
    return UsageSource.objects.create(issuer=issuer, reference=reference, **fields)


def store_little_usage(issuer: Issuer, tenant: Tenant, application: str = "PBX", *, spare: bool = False) -> UsageEvent:
    """Counted, of an unknown meter, taken back and taking back, in conflict; with ``spare`` a key without its event."""
    with connection.cursor() as cursor:
        cursor.execute("select kontor_usage_partitions('2026-03-01', '2026-03-31')")
    meter = make_meters(application)["minutes"]
    batch = UsageBatch.objects.create(source=make_source(issuer, application.lower()), channel=UsageBatch.Channel.API)
    at = datetime(2026, 3, 10, 12, tzinfo=UTC)
    stated = {"occurred_at": at, "tenant_reference": tenant.reference, "application_reference": application}

    def key_of(key: str, **fields: Any) -> UsageKey:
        return UsageKey.objects.create(source=batch.source, key=key, occurred_at=at, batch=batch, **fields)

    counted = UsageEvent.objects.create(
        key=key_of("e-counted"),
        meter_reference="minutes",
        properties={"seconds": 60},
        tenant=tenant,
        meter=meter,
        day=date(2026, 3, 10),
        value=Decimal(60),
        **stated,
    )
    UsageEvent.objects.create(key=key_of("e-nameless"), meter_reference="nothing", **stated)
    taken = UsageEvent.objects.create(key=key_of("e-taken"), meter_reference="minutes", **stated)
    back = key_of("e-back", reverses=taken.key)
    UsageEvent.objects.create(key=back, meter_reference="minutes", reverses_key="e-taken", **stated)
    UsageEvent.objects.filter(pk=taken.pk).update(reversed_by=back)
    if spare:
        key_of("e-free")
    UsageTotal.objects.create(
        tenant=tenant, meter=meter, day=date(2026, 3, 10), count=1, total=Decimal(60), maximum=Decimal(60)
    )
    UsageConflict.objects.create(key=counted.key, batch=batch, content={"quantity": "2"}, digest="0" * 64)
    return counted
