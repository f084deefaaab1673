"""Usage that nobody is billed for, and why: of nobody we know, or of somebody without a contract for it on that day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db.models import Case, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Sum, Value, When
from django.utils.translation import gettext_lazy as _

from billing.models import Item, Meter, UsageConflict, UsageEvent, UsageTotal
from tenants.models import Tenant

UNKNOWN_ACCOUNT, UNKNOWN_METER, NO_VALUE = "account", "meter", "value"
NO_CONTRACT, NOT_YET, NO_LONGER = "contract", "before", "after"
REASONS: Final = {
    UNKNOWN_ACCOUNT: _("the account is not known"),
    UNKNOWN_METER: _("the meter is not known"),
    NO_VALUE: _("what the meter counts is missing, or no number"),
    NO_CONTRACT: _("the account has no contract for this meter"),
    NOT_YET: _("before the contract begins"),
    NO_LONGER: _("after the contract has ended, or between two"),
}
ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Unbilled:
    """So many events of one kind; ``account`` is the key of the tenant where it is known, ``days`` are inclusive."""

    reason: str
    sources: tuple[str, ...]
    reference: str  # of the account, as the events name it
    application: str
    meter: str
    account: int | None
    events: int
    first_on: date
    last_on: date


def unbilled(user: Any, first_on: date, last_on: date, *, accounts: QuerySet[Tenant] | None = None) -> list[Unbilled]:
    """What ``user`` may see of it (``None``: all), of events from the first to the last day, the most events first.

    ``accounts`` narrows it; what is of no known account is then left out. Events that were taken back are of no
    interest, nor are those of a day that a contract covers, whether billed or not yet due: coverage tells of these.
    """
    found = list(_without_contract(user, first_on, last_on, accounts))
    if accounts is None:
        found += _unassigned(user, first_on, last_on)
    return sorted(found, key=lambda one: (-one.events, one.reason, one.reference, one.application, one.meter))


def conflicts(user: Any) -> QuerySet[UsageConflict]:
    """Events that came again with another content, which counts nothing; the newest first."""
    return (
        UsageConflict.objects.visible_to(user)  # type: ignore[no-any-return]
        .select_related("key__source", "batch")
        .order_by("-id")
    )


def _unassigned(user: Any, first_on: date, last_on: date) -> Iterator[Unbilled]:
    """Days are those of UTC: nobody knows in which time zone an unknown account is."""
    stretch = (datetime.combine(first_on, time(), UTC), datetime.combine(last_on + ONE_DAY, time(), UTC))
    account = Tenant.objects.filter(reference=OuterRef("tenant_reference"))
    meter = Meter.objects.filter(
        application__reference=OuterRef("application_reference"), reference=OuterRef("meter_reference")
    )
    rows = (
        (UsageEvent.objects.all() if user is None else UsageEvent.objects.visible_to(user))
        .unassigned()
        .filter(occurred_at__gte=stretch[0], occurred_at__lt=stretch[1])
        .annotate(
            reason=Case(
                When(~Exists(account), then=Value(UNKNOWN_ACCOUNT)),
                When(~Exists(meter), then=Value(UNKNOWN_METER)),
                default=Value(NO_VALUE),
            )
        )
        .order_by()
        .values_list("reason", "key__source__reference", "tenant_reference", "application_reference", "meter_reference")
        .annotate(events=Count("pk"), first=Min("occurred_at"), last=Max("occurred_at"))
    )
    for reason, source, reference, application, named, events, first, last in rows:
        yield Unbilled(reason, (source,), reference, application, named, None, events, first.date(), last.date())


def _without_contract(
    user: Any, first_on: date, last_on: date, accounts: QuerySet[Tenant] | None
) -> Iterator[Unbilled]:
    positions = Item.objects.filter(subscription__tenant=OuterRef("tenant"), product__meter=OuterRef("meter"))
    begun = positions.filter(starts_on__lte=OuterRef("day"))
    covering = begun.filter(
        Q(ends_before=None) | Q(ends_before__gt=OuterRef("day")),
        Q(subscription__ends_before=None) | Q(subscription__ends_before__gt=OuterRef("day")),
    )
    totals = (UsageTotal.objects.all() if user is None else UsageTotal.objects.visible_to(user)).filter(
        day__range=(first_on, last_on), count__gt=0
    )
    if accounts is not None:
        totals = totals.filter(tenant__in=accounts.order_by().values("pk"))
    rows = (
        totals.filter(~Exists(covering))
        .annotate(
            reason=Case(
                When(Exists(begun), then=Value(NO_LONGER)),
                When(Exists(positions), then=Value(NOT_YET)),
                default=Value(NO_CONTRACT),
            )
        )
        .order_by()
        .values("reason", "tenant", "meter")
        .annotate(
            events=Sum("count"),
            first=Min("day"),
            last=Max("day"),
            reference=F("tenant__reference"),
            application=F("meter__application__reference"),
            named=F("meter__reference"),
        )
    )
    found = list(rows)
    sources = _sources(found)
    for row in found:
        yield Unbilled(
            row["reason"],
            sources.get((row["tenant"], row["meter"]), ()),
            row["reference"],
            row["application"],
            row["named"],
            row["tenant"],
            row["events"],
            row["first"],
            row["last"],
        )


def _sources(rows: list[dict[str, Any]]) -> dict[tuple[int, int], tuple[str, ...]]:
    """Who reported for these accounts and meters on the days in question."""
    if not rows:
        return {}
    pairs = (
        UsageEvent.objects.counted()
        .filter(
            tenant__in={row["tenant"] for row in rows},
            meter__in={row["meter"] for row in rows},
            day__range=(min(row["first"] for row in rows), max(row["last"] for row in rows)),
        )
        .order_by("key__source__reference")
        .values_list("tenant", "meter", "key__source__reference")
        .distinct()
    )
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for tenant, meter, source in pairs:
        found[tenant, meter] = (*found.get((tenant, meter), ()), source)
    return found
