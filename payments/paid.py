"""By what documents were paid: for pages that tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Max, QuerySet

from billing.kernel.money import places_of, rounded
from payments.models import Allocation


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a payment was applied to a document, and by which rule."""

    payment: int
    received_on: date
    reference: str
    payer: str
    amount: Decimal
    currency: str
    rule: str


def standing() -> QuerySet[Allocation]:
    """Allocations that were not undone."""
    return Allocation.objects.filter(reverses=None, reversed_by=None)


def paid_on(invoices: Iterable[int]) -> dict[int, date]:
    """By document (its key): the value date of the last payment applied to it; documents without one are left out."""
    rows = (
        standing()
        .filter(open_item__invoice__in=list(invoices))
        .order_by()
        .values_list("open_item__invoice")
        .annotate(Max("payment__received_on"))
    )
    return dict(rows)


def parts_of(items: Iterable[int]) -> list[Part]:
    """What was applied to open items (keys), the oldest first."""
    rows = (
        standing()
        .filter(open_item__in=list(items))
        .order_by("payment__received_on", "pk")
        .select_related("payment__payer")
    )
    return [
        Part(
            one.payment_id,
            one.payment.received_on,
            one.payment.reference,
            one.payment.payer.name,
            rounded(one.amount.amount, places_of(one.currency)),
            one.currency,
            one.get_rule_display(),
        )
        for one in rows
    ]
