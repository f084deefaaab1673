"""Collections by a method saved at the provider: asked once, and what became of each is found out, never guessed.

The key of an attempt is committed before the provider is called and repeated with it. An answer that does not come
leaves the attempt unknown: nothing else is tried for its items until the provider has said what became of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from invoicing.models import OpenItem
from payments import payment_methods, provider_money, receiving
from payments.failure_notice import tell_payer
from payments.gateways import stripe_api
from payments.gateways.stripe_answers import PaymentState, State
from payments.kernel import declines
from payments.models import (
    Collection,
    CollectionItem,
    CollectionMethod,
    PaymentRun,
    ProviderAccount,
    ProviderOrder,
)
from payments.provider_accounts import NoAccess, access_of, account_of, required
from tenants import intents
from tenants.errors import OperatorError
from tenants.intents import Patience
from tenants.models import Issuer
from tenants.models.intent import IntentQuerySet
from tenants.responsibility import effective
from tenants.transactions import lock_payers

logger = logging.getLogger(__name__)

Outcome = Collection.Outcome
PATIENCE: Final = Patience(attempts=12, first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=2))
ASK_AFTER: Final = timedelta(minutes=2)  # an answer that was lost may still be on its way there
ASK_AGAIN: Final = timedelta(minutes=15)
KEY_LIVES: Final = timedelta(hours=23)  # an hour less than the provider remembers it
NO_METHOD: Final = "no_method"
NEVER_ARRIVED: Final = "never_arrived"
FOR_GOOD: Final = "declined_for_good"
OPEN_RUNS: Final = (PaymentRun.State.PROPOSED, PaymentRun.State.DISCARDED)


class Mismatch(OperatorError):
    """What the provider says does not go with our attempt: amount, currency, mode, customer or key."""


def waiting() -> IntentQuerySet[Collection]:
    """Attempts by a saved method that may be made now as far as people are concerned."""
    return (
        Collection.objects.filter(method=CollectionMethod.PROVIDER, outcome=Outcome.PENDING)
        .exclude(run__state__in=OPEN_RUNS)
        .exclude(order__page_until__isnull=False)
    )


def lost(*, now: datetime) -> IntentQuerySet[Collection]:
    """Attempts of which nobody knows what became, and whose turn to be asked about has come."""
    return Collection.objects.filter(method=CollectionMethod.PROVIDER, state=Collection.State.UNKNOWN, next_at__lte=now)


def charge_pending(*, clock: Callable[[], datetime], limit: int = 20) -> int:
    """Make at most ``limit`` of the attempts that wait; returns how many were made."""
    made = 0
    while made < limit:
        lease = stripe_api.longest_call() + timedelta(minutes=2)
        claimed: list[Collection] = intents.claim(waiting(), now=clock(), lease=lease, limit=1)
        if not claimed:
            break
        made += 1
        _attempt(claimed[0], clock)
    return made


def expire(*, now: datetime) -> int:
    """What a dead worker was about to take is unknown: the provider may have taken it."""
    collections = Collection.objects.filter(method=CollectionMethod.PROVIDER)
    pages = Q(order__page_until__isnull=False)  # opening one moves no money
    waits = intents.expire(collections.filter(pages), now=now, becomes=Collection.State.WAITING)  # type: ignore[arg-type]
    return waits + intents.expire(collections.exclude(pages), now=now)  # type: ignore[arg-type]


def ask_pending(*, clock: Callable[[], datetime], limit: int = 50) -> int:
    """Ask what became of attempts without an answer; returns how many are settled now."""
    settled = 0
    for key in list(lost(now=clock()).order_by("next_at", "pk").values_list("pk", flat=True)[:limit]):
        settled += _ask(key, clock)
    return settled


def order_for(collection: Collection, *, on: date) -> ProviderOrder | None:
    """How an attempt is asked of the provider; made now if it has none. ``None``: the payer has no method to pay by.

    In the caller's transaction or none. Raises ``NoAccess``.
    """
    found = ProviderOrder.objects.filter(collection=collection).select_related("payment_method", "customer__account")
    if order := found.first():
        return order
    account = required(collection.issuer)
    method = payment_methods.default_of(account, collection.payer_id)
    if method is None:
        return None
    ProviderOrder.objects.get_or_create(
        collection=collection,
        defaults={
            "customer": method.customer,
            "payment_method": method,
            "made_on": on,
            "text": text_of(collection),
            "language": language_of(collection),
        },
    )
    return found.get()


def text_of(collection: Collection) -> str:
    """What the payer reads on his statement at the provider: the documents."""
    items = (
        collection.items.filter(amount__gt=0).select_related("open_item__invoice").order_by("open_item__due_on", "pk")
    )
    names = [str(item.open_item) for item in items[:10]]
    text = ", ".join(names)
    return text if len(text) <= 200 else f"{text[:199]}…"


def language_of(collection: Collection) -> str:
    settings = effective([collection.payer], collection.issuer)[collection.payer_id]
    return str(settings.language or collection.issuer.language)


def day_of(issuer: Issuer, at: datetime) -> date:
    return at.astimezone(ZoneInfo(issuer.time_zone)).date()


def _attempt(collection: Collection, clock: Callable[[], datetime]) -> None:
    try:
        order = order_for(collection, on=day_of(collection.issuer, clock()))
        if order is None:
            return fail(collection, NO_METHOD, now=clock())
        access = access_of(order.customer.account)
        if not order.payment_method or not order.payment_method.is_active:
            return fail(collection, NO_METHOD, now=clock())
        now = clock()
        Collection.objects.filter(pk=collection.pk, sent_at=None).update(sent_at=now)
        found = stripe_api.charge(
            access,
            key=collection.key,
            amount=collection.amount.amount,
            currency=collection.currency,
            customer=order.customer.external_id,
            method=order.payment_method.external_id,
            text=order.text,
        )
    except NoAccess as refusal:
        intents.park(collection, str(refusal))
    except stripe_api.Later as silence:
        intents.retry(collection, str(silence), now=clock(), patience=PATIENCE)
    except stripe_api.Refused as refusal:
        if declines.is_for_good(refusal.code):
            fail(collection, refusal.code, now=clock())
        else:
            logger.error("The provider refuses a request", extra={"collection": collection.pk, "code": refusal.code})
            intents.park(collection, _("Stripe refuses the request: %s") % refusal)
    except stripe_api.Unknown as silence:
        logger.warning("No answer about a payment", extra={"collection": collection.pk})
        intents.leave_unknown(collection, str(silence))
        Collection.objects.filter(pk=collection.pk, state=Collection.State.UNKNOWN).update(
            outcome=Outcome.SENT, next_at=clock() + ASK_AFTER
        )
    else:
        _take_answer(collection, order.customer.account, found, clock())


def _take_answer(collection: Collection, account: ProviderAccount, found: PaymentState, now: datetime) -> None:
    try:
        take(collection.pk, found, account=account, at=now)
    except Mismatch as refusal:
        logger.error("The provider's answer does not go with the attempt", extra={"collection": collection.pk})
        intents.leave_unknown(collection, str(refusal))
        Collection.objects.filter(pk=collection.pk).update(outcome=Outcome.SENT, next_at=now + ASK_AGAIN)


def _ask(key: int, clock: Callable[[], datetime]) -> bool:
    """Whether it is known now what became of an attempt."""
    now = clock()
    with transaction.atomic(durable=True):
        mine = lost(now=now).filter(pk=key).update(next_at=now + ASK_AGAIN)  # nobody else asks meanwhile
    if not mine:
        return False
    collection = Collection.objects.select_related("issuer").get(pk=key)
    order = ProviderOrder.objects.select_related("customer__account", "payment_method").filter(collection=key).first()
    sent_at = collection.sent_at or collection.created_at
    if order is None:  # the worker ended before it could ask for anything
        return _send_again(collection)
    account = order.customer.account
    try:
        access = access_of(account)
        since = sent_at - timedelta(days=1)
        payments = stripe_api.payments_of(access, order.customer.external_id, since=since)
        found = next((payment for payment in payments if payment.key == collection.key), None)
    except (stripe_api.Silent, NoAccess) as silence:
        Collection.objects.filter(pk=key, state=Collection.State.UNKNOWN).update(reason=str(silence))
        return False
    if found is not None:
        _take_answer(collection, account, found, now)
        return not Collection.objects.filter(pk=key, state=Collection.State.UNKNOWN).exists()
    if now - sent_at < KEY_LIVES and _is_still_wanted(collection):
        return _send_again(collection)
    fail(collection, NEVER_ARRIVED, now=now, tells=False)
    return True


def _send_again(collection: Collection) -> bool:
    """Let it be made with the same key: if the provider has heard of it after all, it answers as it did then."""
    return bool(
        Collection.objects.filter(pk=collection.pk, state=Collection.State.UNKNOWN).update(
            state=Collection.State.WAITING,
            outcome=Outcome.PENDING,
            reason="",
            token=None,
            lease_until=None,
        )
    )


def _is_still_wanted(collection: Collection) -> bool:
    """Whether all that it collects is still open by at least as much, and owed by the same payer."""
    wanted = dict(collection.items.filter(amount__gt=0).values_list("open_item", "amount"))
    owed = OpenItem.objects.filter(pk__in=wanted, payer=collection.payer_id, moved_to=None).values_list("pk", flat=True)
    is_open = receiving.open_of(owed)
    return all(is_open.get(item, Decimal(0)) >= part for item, part in wanted.items())


@transaction.atomic
def take(key: int, found: PaymentState, *, account: ProviderAccount, at: datetime) -> str:
    """Bring an attempt (key) to what the provider says of it, forward only; what changed, in words, or nothing.

    Raises ``Mismatch`` where the payment is not the one that was asked for: then nothing changes.
    """
    payer = Collection.objects.values_list("payer_id", flat=True).get(pk=key)
    lock_payers([payer])
    collection = Collection.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=key)
    _match(collection, account, found)
    is_page = ProviderOrder.objects.filter(collection=key, page_until__isnull=False).exists()
    if found.state == State.SUCCEEDED:
        return _succeed(collection, found, at)
    if collection.outcome not in Collection.UNSETTLED:
        return ""
    if found.state == State.PROCESSING:
        if collection.outcome == Outcome.PROCESSING:
            return ""
        _settle(collection, outcome=Outcome.PROCESSING, external_id=found.id)
        return _("is being processed")
    if is_page and collection.outcome == Outcome.CUSTOMER:
        return ""  # the payer may still choose another card there
    if found.state == State.OPEN:
        return ""
    code = found.code or found.state.value
    _fail(collection, code, tells=True, external_id=found.id, settled_on=day_of(collection.issuer, at))
    return _("was refused")


def fail(collection: Collection, code: str, *, now: datetime, tells: bool = True) -> None:
    """Note that an attempt took nothing: its items may be collected again. The payer is told, unless not to be."""
    with transaction.atomic():
        lock_payers([collection.payer_id])
        fresh = Collection.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=collection.pk)
        if fresh.outcome in Collection.UNSETTLED:
            _fail(fresh, code, tells=tells, settled_on=day_of(fresh.issuer, now))


def _succeed(collection: Collection, found: PaymentState, at: datetime) -> str:
    if collection.payment_id:
        return ""
    on = day_of(collection.issuer, at)
    order = ProviderOrder.objects.filter(collection=collection)
    text = order.values_list("text", flat=True).first() or collection.key
    payment = provider_money.take_in(collection, found.received, origin=found.id, reference=text, on=on)
    order.update(charge_id=found.charge)
    _settle(collection, outcome=Outcome.SUCCEEDED, external_id=found.id, payment=payment, settled_on=on)
    return _("was paid")


def _fail(collection: Collection, code: str, *, tells: bool, **fields: object) -> None:
    _settle(collection, outcome=Outcome.FAILED, failure_code=code[:60], **fields)
    if tells:
        tell_payer(collection, code)


def _settle(collection: Collection, **fields: object) -> None:
    """Store an outcome; nothing more is to be done by a worker. In the caller's transaction."""
    Collection.objects.filter(pk=collection.pk).update(
        state=Collection.State.DONE, lease_until=None, token=None, reason="", **fields
    )
    if fields["outcome"] not in Collection.UNSETTLED:
        CollectionItem.objects.filter(collection=collection.pk).update(is_unsettled=False)


def _match(collection: Collection, account: ProviderAccount, found: PaymentState) -> None:
    order = ProviderOrder.objects.select_related("customer").filter(collection=collection).first()
    amount = found.received if found.state == State.SUCCEEDED else found.amount
    fits = (
        found.key == collection.key
        and found.currency == collection.currency
        and amount == collection.amount.amount
        and found.is_live == account.is_live
        and account.issuer_id == collection.issuer_id
        and order is not None
        and order.customer.account_id == account.pk
        and found.customer == order.customer.external_id
    )
    if not fits:
        raise Mismatch(
            _("Payment %(id)s over %(amount)s %(currency)s does not go with attempt %(key)s over %(expected)s.")
            % {
                "id": found.id,
                "amount": amount,
                "currency": found.currency,
                "key": collection.key,
                "expected": provider_money.plain(collection.amount.amount, collection.currency),
            }
        )


def _ends(code: str) -> bool:
    return code in (NO_METHOD, FOR_GOOD) or declines.is_for_good(code) or declines.needs_customer(code)


def held_back(issuer: Issuer, payers: list[int], *, on: date) -> dict[int, date | None]:
    """By open item that was refused lately: the day before which it is not tried again; ``None``: until the payer
    gives another method. Attempts on pages where the payer paid himself do not count.
    """
    rows = (
        CollectionItem.objects.filter(
            collection__outcome__in=[Outcome.FAILED, Outcome.RETURNED],
            collection__method=CollectionMethod.PROVIDER,
            collection__issuer=issuer,
            collection__payer__in=payers,
            amount__gt=0,
        )
        .exclude(collection__order__page_until__isnull=False)
        .exclude(collection__failure_code__in=[NEVER_ARRIVED, ""])
        .order_by("collection__pk")
        .values_list(
            "open_item",
            "collection__order__payment_method",
            "collection__order__payment_method__kind",
            "collection__failure_code",
            "collection__settled_on",
            "collection__created_at",
            "collection__payer",
            "collection__outcome",
        )
    )
    account = account_of(issuer)
    current: dict[int, int | None] = {}
    refusals: dict[int, list[tuple[str, str, date]]] = {}
    for item, method, kind, code, settled_on, created_at, payer, outcome in rows:
        if payer not in current:
            default = payment_methods.default_of(account, payer) if account else None
            current[payer] = default.pk if default else None
        if method is not None and method != current[payer]:
            continue  # by a method that was replaced since
        if method is None and current[payer] is not None:
            continue  # there was none then, and there is one now
        day = settled_on or day_of(issuer, created_at)
        reason = FOR_GOOD if outcome == Outcome.RETURNED else code  # who took his money back is not charged unasked
        refusals.setdefault(item, []).append((kind or "", reason, day))
    held: dict[int, date | None] = {}
    for item, tried in refusals.items():
        if any(_ends(code) for _kind, code, _day in tried):
            held[item] = None
        else:
            following = declines.next_attempt(tried[-1][0], [day for _kind, _code, day in tried])
            if following is None or following > on:
                held[item] = following
    return held
