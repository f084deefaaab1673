"""Paying on a page of the provider's: the payer chooses there how, and no number of his reaches us.

The open amount is read under the payer's lock, and the attempt with its key is committed before the page is asked for;
so two clicks lead to one page, and to one payment.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invoicing.models import OpenItem, RefundRequest
from payments import card_collection, payment_methods, receiving
from payments.gateways import stripe_api
from payments.models import Collection, CollectionItem, CollectionMethod, ProviderOrder
from payments.provider_accounts import NoAccess, access_of, required
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import lock_payers

NOTHING: Final = Decimal(0)
OPEN_FOR: Final = timedelta(hours=1)
SHORTEST: Final = timedelta(minutes=31)  # that the provider leaves a page open
GRACE: Final = timedelta(minutes=10)
Outcome = Collection.Outcome


class NothingToPay(OperatorError):
    """Nothing of what was to be paid is open any more."""


class UnderWay(OperatorError):
    """A payment of it is under way already."""


def open_page(
    issuer: Issuer, payer: Tenant, items: Sequence[int], *, back: str, language: str, clock: Callable[[], datetime]
) -> str:
    """The address of the page on which the payer pays what is open of ``items`` (keys), in one currency, less credits.

    A page that is open for the same sum already is used again. Raises ``NothingToPay``, ``UnderWay``, ``NoAccess`` and
    ``payment_methods.NoAnswer``.
    """
    account = required(issuer)
    customer = payment_methods.customer_of(account, payer)
    _make_way(issuer, payer, items, clock)
    now = clock()
    with transaction.atomic():
        lock_payers([payer.pk])
        wanted, currency = _open(issuer, payer, items)
        collection = _same(payer, wanted, now)
        if collection is None:
            if CollectionItem.objects.filter(open_item__in=wanted, is_unsettled=True).exists():
                raise UnderWay(gettext_lazy("A payment of it is under way already. Please wait until it is settled."))
            collection = Collection.objects.create(
                issuer=issuer,
                payer=payer,
                method=CollectionMethod.PROVIDER,
                key=f"kp-{uuid.uuid4().hex}",
                currency=currency,
                amount=sum(wanted.values(), NOTHING),
            )
            CollectionItem.objects.bulk_create(
                CollectionItem(collection=collection, open_item_id=item, currency=currency, amount=part)
                for item, part in wanted.items()
            )
            ProviderOrder.objects.create(
                collection=collection,
                customer=customer,
                text=card_collection.text_of(collection),
                language=language,
                page_until=now + OPEN_FOR,
            )
    order = ProviderOrder.objects.get(collection=collection)
    if order.page_url:
        return order.page_url
    return _asked(collection, order, access_of(account), back, clock)


def close_pages(*, clock: Callable[[], datetime], limit: int = 50) -> int:
    """Give up pages whose time is over, unless the payer paid there; returns how many are settled."""
    done = 0
    for key in overdue(now=clock()).order_by("pk").values_list("pk", flat=True)[:limit]:
        done += _close(key, clock())
    return done


def overdue(*, now: datetime) -> QuerySet[Collection]:
    """Pages on which nobody can pay any more, and of which nothing was heard."""
    return Collection.objects.filter(
        method=CollectionMethod.PROVIDER,
        outcome__in=[Outcome.PENDING, Outcome.CUSTOMER],
        order__page_until__lt=now - GRACE,
    )


@transaction.atomic
def give_up(key: int, *, at: datetime) -> str:
    """Note that nobody paid on a page: its items may be collected again. What changed, in words, or nothing."""
    lock_payers(list(Collection.objects.filter(pk=key).values_list("payer_id", flat=True)))
    waiting = Collection.objects.filter(pk=key, outcome__in=[Outcome.PENDING, Outcome.CUSTOMER])
    if not waiting.update(state=Collection.State.WITHDRAWN, outcome=Outcome.DISCARDED):
        return ""
    CollectionItem.objects.filter(collection=key).update(is_unsettled=False)
    return _("nobody paid on the page")


def _open(issuer: Issuer, payer: Tenant, items: Sequence[int]) -> tuple[dict[int, Decimal], str]:
    """What is open of the items now, those of the payer alone; credits no more than the claims need."""
    kept = RefundRequest.objects.values("open_item")
    found = (
        OpenItem.objects.filter(pk__in=list(items), issuer=issuer, payer=payer, moved_to=None)
        .exclude(pk__in=kept)
        .order_by("due_on", "pk")
    )
    currencies = {item.currency for item in found}
    is_open = receiving.open_of([item.pk for item in found])
    wanted = {item.pk: is_open[item.pk] for item in found if is_open.get(item.pk, NOTHING) > 0}
    need = sum(wanted.values(), NOTHING)
    for item in found:
        used = min(need, -is_open.get(item.pk, NOTHING))
        if used > 0:
            wanted[item.pk] = -used
            need -= used
    if need <= 0 or len(currencies) != 1:
        raise NothingToPay(gettext_lazy("Nothing of it is open any more. Thank you."))
    return wanted, currencies.pop()


def _same(payer: Tenant, wanted: dict[int, Decimal], now: datetime) -> Collection | None:
    """The attempt whose page is open for just these items and amounts."""
    pages = Collection.objects.filter(
        payer=payer,
        outcome__in=[Outcome.PENDING, Outcome.CUSTOMER],
        order__page_until__gt=now,
        items__open_item__in=wanted,
        items__is_unsettled=True,
    ).distinct()
    for page in pages.select_related("order"):
        parts = dict(page.items.values_list("open_item", "amount"))
        until = page.order.page_until
        if parts == wanted and until and (page.order.page_url or until - now >= SHORTEST):
            return page
    return None


def _make_way(issuer: Issuer, payer: Tenant, items: Sequence[int], clock: Callable[[], datetime]) -> None:
    """Close pages that are open for some of the items, but not for just what is open of them now."""
    now = clock()
    with transaction.atomic():
        lock_payers([payer.pk])
        wanted, _currency = _open(issuer, payer, items)
        same = _same(payer, wanted, now)
        others = Collection.objects.filter(
            payer=payer,
            outcome__in=[Outcome.PENDING, Outcome.CUSTOMER],
            order__page_until__isnull=False,
            items__open_item__in=wanted,
        ).distinct()
        keys = [key for key in others.values_list("pk", flat=True) if same is None or key != same.pk]
    for key in keys:
        order = ProviderOrder.objects.select_related("customer__account").get(collection=key)
        if order.page_id:
            try:
                stripe_api.close_page(access_of(order.customer.account), order.page_id, key=f"kontor-close-{order.pk}")
            except stripe_api.Refused:
                if not _close(key, now):
                    raise UnderWay(
                        gettext_lazy("A payment of it is under way already. Please wait until it is settled.")
                    ) from None
                continue
            except stripe_api.Silent as error:
                raise payment_methods.no_answer() from error
        give_up(key, at=now)


def _asked(
    collection: Collection,
    order: ProviderOrder,
    access: stripe_api.Access,
    back: str,
    clock: Callable[[], datetime],
) -> str:
    assert order.page_until is not None
    try:
        page = stripe_api.payment_page(
            access,
            key=collection.key,
            amount=collection.amount.amount,
            currency=collection.currency,
            customer=order.customer.external_id,
            text=order.text,
            back=back,
            language=order.language,
            expires_at=order.page_until,
        )
    except stripe_api.Refused as error:
        give_up(collection.pk, at=clock())
        raise payment_methods.NoAnswer(_("The payment provider refuses this payment: %s") % error) from error
    except stripe_api.Silent as error:
        raise payment_methods.no_answer() from error
    with transaction.atomic():
        ProviderOrder.objects.filter(pk=order.pk).update(page_id=page.id, page_url=page.url)
        Collection.objects.filter(pk=collection.pk, outcome=Outcome.PENDING).update(
            state=Collection.State.DONE, outcome=Outcome.CUSTOMER, sent_at=clock()
        )
    return page.url


def _close(key: int, now: datetime) -> bool:
    """Ask what became of a page; whether it is settled now. One that was never heard of leads nobody anywhere."""
    order = ProviderOrder.objects.select_related("customer__account__issuer").get(collection=key)
    account = order.customer.account
    if not order.page_id:
        return bool(give_up(key, at=now))
    try:
        session = stripe_api.session(access_of(account), order.page_id)
        if session.intent:
            found = stripe_api.payment(access_of(account), session.intent)
            said = card_collection.take(key, found, account=account, at=now)
            if said:
                return True
        if session.status == "expired":
            return bool(give_up(key, at=now))
    except (stripe_api.Silent, NoAccess):
        return False
    return False
