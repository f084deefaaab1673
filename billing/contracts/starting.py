"""A new contract, written down as it was agreed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from billing import operators, strategies
from billing.contracts.course import Event, course
from billing.contracts.positions import agreed_price, listed_price
from billing.contracts.writing import Author, Change, events_of, start_data
from billing.models import Amendment, Item, Product, Subscription
from tenants.models import Tenant
from tenants.transactions import acting, lock_payers_of


@dataclass(frozen=True, slots=True)
class Position:
    """What a new contract holds: so much of a product, at the price of the list or at an agreed one."""

    product: Product
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    flat_amount: Decimal | None = None


def start(
    subscription: Subscription,
    positions: Sequence[Position],
    *,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Store a new contract (not saved yet) with its positions, all from its first day on.

    Raises ``ChangeRefused`` naming the cell of the price list that is missing.
    """
    author = Author(reason, by, channel)
    with acting(actor=by.get_username() if by else "", channel=channel, reason=reason):
        lock_payers_of([subscription.tenant_id])
        tenant = Tenant.objects.get(pk=subscription.tenant_id)
        change = Change(subscription, author, [], course([]))
        if tenant.status == Tenant.Status.CLOSED:
            raise change.refuse(_("the account %(account)s is closed."), account=tenant.reference)
        subscription.save(force_insert=True)
        operators.refuse(subscription)
        for line, position in enumerate(positions, 1):
            product = position.product
            if position.unit_price is None and position.flat_amount is None:
                price = listed_price(change, product, subscription.starts_on)
            else:
                price = agreed_price(change, product.pk, position.unit_price, position.flat_amount)
            Item.objects.create(
                subscription=subscription,
                line=line,
                product=product,
                price=price,
                quantity=position.quantity,
                interval=product.interval,
                timing=product.timing,
                proration=product.proration,
                starts_on=subscription.starts_on,
                ends_before=subscription.ends_before,
            )
        return write_start(subscription, author)


def write_start(subscription: Subscription, author: Author, *, transferred_from: str = "") -> Amendment:
    """Write down what a contract with its positions is, as its first amendment."""
    assert not events_of(subscription)
    strategies.refuse_second(subscription.pk)
    data = start_data(subscription, list(subscription.items.order_by("line")))
    if transferred_from:
        data["transferred_from"] = transferred_from
    event = Event(1, Amendment.Kind.START, subscription.starts_on, data)
    return Amendment.objects.create(
        subscription=subscription,
        sequence=event.sequence,
        kind=event.kind,
        effective_on=event.on,
        author=author.by,
        channel=author.channel,
        reason=author.reason[:500],
        data=event.data,
    )


def activation_missing(issuer_id: int, on: date) -> list[Subscription]:
    """The contracts of an issuer that have begun by ``on`` and are not billed because the day for it is missing."""
    waiting = Subscription.objects.waiting_to_start().filter(issuer=issuer_id, starts_on__lte=on)
    return list(waiting.select_related("tenant").order_by("reference"))
