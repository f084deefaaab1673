"""Money paid back by way of the provider: asked for, approved by a second person, booked, and then carried out once.

It comes out of a credit of the payer, what is left of a payment or of a credit note, and goes back the way one of his
payments came. Never more than that credit, nor than what is left of that payment at the provider.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invoicing import posting
from invoicing.kernel.entries import PROVIDER_CLEARING, REFUNDS_IN_TRANSIT
from invoicing.models import JournalEntry, OpenItem
from payments import receiving
from payments.card_collection import ASK_AFTER, ASK_AGAIN, KEY_LIVES, PATIENCE, day_of
from payments.gateways import stripe_api
from payments.gateways.stripe_answers import RefundState
from payments.models import Payment, ProviderOrder, ProviderRefund, Refund
from payments.provider_accounts import NoAccess, access_of
from payments.provider_money import plain
from tenants import intents
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models.intent import IntentQuerySet
from tenants.transactions import lock_payers, record, wake

logger = logging.getLogger(__name__)

NOTHING: Final = Decimal(0)
State = Refund.State
TAKEN: Final = ("pending", "requires_action", "succeeded")
GONE: Final = ("failed", "canceled")


class NotRefundable(OperatorError):
    """So much cannot be paid back in this way."""


def payments_of(credit: int) -> list[tuple[Payment, Decimal]]:
    """The payments at the provider by way of which a credit (the key of its open item) can be paid back, and how much
    is left of each; those that paid the corrected document or left this very credit first.
    """
    item = OpenItem.objects.select_related("invoice").get(pk=receiving.last_of(credit))
    found = Payment.objects.filter(
        issuer=item.issuer_id,
        payer__tree_id=item.payer.tree_id,
        currency=item.currency,
        source=Payment.Source.PROVIDER,
        collection__order__isnull=False,
    ).select_related("collection__order", "issuer")
    corrected = item.invoice.corrects_id if item.invoice else None
    near = (
        set(found.filter(allocations__open_item__invoice=corrected).values_list("pk", flat=True))
        if corrected
        else set()
    )
    near |= set(found.filter(open_item=credit).values_list("pk", flat=True))
    rows = [(payment, left_of(payment)) for payment in found.order_by("-received_on", "-pk")[:200]]
    return sorted(((p, left) for p, left in rows if left > 0), key=lambda row: row[0].pk not in near)


def left_of(payment: Payment) -> Decimal:
    """How much of a payment the provider can still pay back."""
    refunded = ProviderRefund.objects.filter(payment=payment).exclude(refund__state=State.WITHDRAWN)
    back = refunded.aggregate(sum=Sum("refund__amount"))["sum"] or NOTHING
    again = Payment.objects.filter(
        issuer=payment.issuer_id, origin__in=[f"{r.origin}:again" for r in payment.returns.all()]
    )
    returned = payment.returns.aggregate(sum=Sum("amount"))["sum"] or NOTHING
    returned -= again.aggregate(sum=Sum("amount"))["sum"] or NOTHING
    left: Decimal = payment.amount.amount - back - returned
    return left


@transaction.atomic
def request(credit: int, payment: int, amount: Decimal, *, grounds: str, by: Any) -> Refund:
    """Ask for a refund of so much of a credit (key) by way of a payment (key). Raises ``NotRefundable``."""
    item = OpenItem.objects.select_related("issuer", "payer").get(pk=receiving.last_of(credit))
    way = Payment.objects.select_related("collection__order", "payer").get(pk=payment)
    lock_payers(sorted({item.payer_id, way.payer_id}))  # another account of the tree may get back of it at this moment
    if not grounds.strip():
        raise NotRefundable(gettext_lazy("A refund needs its grounds."))
    if (
        way.source != Payment.Source.PROVIDER
        or way.issuer_id != item.issuer_id
        or way.currency != item.currency
        or way.payer.tree_id != item.payer.tree_id
        or not (order := ProviderOrder.objects.filter(collection__payment=way).exclude(charge_id="").first())
    ):
        raise NotRefundable(gettext_lazy("This payment did not come by way of the provider, or is another payer's."))
    _check(item, way, amount)
    refund = Refund.objects.create(
        issuer=item.issuer,
        payer=item.payer,
        open_item=item,
        method=Refund.Method.PROVIDER,
        key=f"kr-{uuid.uuid4().hex}",
        currency=item.currency,
        amount=amount,
        grounds=grounds.strip()[:200],
        requested_by=by,
    )
    ProviderRefund.objects.create(refund=refund, payment=way, order=order, requested_by=by)
    return refund


@transaction.atomic
def approve(refund: int, *, on: date, now: datetime, by: Any) -> None:
    """Agree to what another person asked for, and book it: it is carried out next. Raises ``NotRefundable``."""
    found = _asked_for(refund)
    if found.at_provider.requested_by_id == by.pk:
        raise NotRefundable(gettext_lazy("Whoever asks for a refund cannot approve it."))
    item = OpenItem.objects.get(pk=receiving.last_of(found.open_item_id))
    _check(item, found.at_provider.payment, found.amount.amount, besides=found)
    entry = posting.post_paid_back(
        found.issuer,
        item.pk,
        found.amount.amount,
        currency=found.currency,
        account=posting.account_of(found.issuer, REFUNDS_IN_TRANSIT),
        kind=JournalEntry.Kind.REFUND,
        on=on,
    )
    Refund.objects.filter(pk=refund).update(entry=entry, next_at=now)
    ProviderRefund.objects.filter(refund=refund).update(approved_by=by, approved_at=now)
    wake("payments.pay_back")


@transaction.atomic
def withdraw(refund: int, *, reason: str, by: Any = None) -> None:
    """Give up what was asked for and not approved yet. Raises ``NotRefundable``."""
    found = _asked_for(refund)
    Refund.objects.filter(pk=refund).update(state=State.WITHDRAWN, reason=reason.strip())
    record(table_of(Refund), found.pk, "withdrawn", {"amount": f"{found.amount.amount:f}"}, by=by, reason=reason)


@transaction.atomic
def give_up(refund: int, *, on: date, reason: str, by: Any = None) -> None:
    """Give up a refund that the provider refuses: the payer has his credit back. Raises ``NotRefundable``."""
    found = Refund.objects.select_related("issuer").get(pk=refund)
    lock_payers([found.payer_id])
    found = Refund.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=refund)
    if found.state != State.PARKED or found.entry_id is None or found.external_id:
        raise NotRefundable(gettext_lazy("Only a refund that the provider has refused can be given up."))
    _undo(found, REFUNDS_IN_TRANSIT, on, reason)
    record(table_of(Refund), found.pk, "given up", {"amount": f"{found.amount.amount:f}"}, by=by, reason=reason)


def pay_pending(*, clock: Callable[[], datetime], limit: int = 20) -> int:
    """Carry out at most ``limit`` of the refunds that wait; returns how many were tried."""
    made = 0
    while made < limit:
        lease = stripe_api.longest_call() + timedelta(minutes=2)
        claimed: list[Refund] = intents.claim(waiting(), now=clock(), lease=lease, limit=1)
        if not claimed:
            break
        made += 1
        _pay(claimed[0], clock)
    return made


def ask_pending(*, clock: Callable[[], datetime], limit: int = 50) -> int:
    """Ask what became of refunds without an answer; returns how many are settled now."""
    settled = 0
    for key in lost(now=clock()).order_by("next_at", "pk").values_list("pk", flat=True)[:limit]:
        settled += _ask(key, clock)
    return settled


def waiting() -> IntentQuerySet[Refund]:
    """Refunds by way of the provider that two persons agreed to."""
    return Refund.objects.filter(method=Refund.Method.PROVIDER, at_provider__approved_by__isnull=False)


def lost(*, now: datetime) -> IntentQuerySet[Refund]:
    """Refunds of which nobody knows what became, and whose turn to be asked about has come."""
    return Refund.objects.filter(method=Refund.Method.PROVIDER, state=State.UNKNOWN, next_at__lte=now)


def expire(*, now: datetime) -> int:
    """What a dead worker was about to pay back is unknown."""
    return intents.expire(Refund.objects.filter(method=Refund.Method.PROVIDER), now=now)  # type: ignore[arg-type]


@transaction.atomic
def take(refund: int, found: RefundState, *, at: datetime) -> str:
    """Bring a refund (key) to what the provider says of it, forward only; what changed, in words, or nothing.

    Raises ``NotRefundable`` where it is not the one that was asked for.
    """
    payer = Refund.objects.values_list("payer_id", flat=True).get(pk=refund)
    lock_payers([payer])
    own = Refund.objects.select_for_update(of=("self",)).select_related("issuer", "at_provider__order").get(pk=refund)
    if (
        (found.key, found.amount, found.currency) != (own.key, own.amount.amount, own.currency)
        or found.charge != own.at_provider.order.charge_id
        or own.entry_id is None
    ):
        raise NotRefundable(
            _("Refund %(id)s over %(amount)s %(currency)s does not go with the one asked for, %(key)s.")
            % {"id": found.id, "amount": found.amount, "currency": found.currency, "key": own.key}
        )
    on = day_of(own.issuer, at)
    if found.status in TAKEN and not own.external_id and own.state != State.WITHDRAWN:
        posting.move(
            own.issuer,
            own.amount.amount,
            currency=own.currency,
            debit=posting.account_of(own.issuer, REFUNDS_IN_TRANSIT),
            credit=posting.account_of(own.issuer, PROVIDER_CLEARING),
            kind=JournalEntry.Kind.REFUND,
            on=on,
        )
        Refund.objects.filter(pk=own.pk).update(
            state=State.DONE, reason="", external_id=found.id, settled_on=on, lease_until=None, token=None
        )
        return _("was paid back")
    if found.status in GONE and own.state != State.WITHDRAWN:
        where = PROVIDER_CLEARING if own.external_id else REFUNDS_IN_TRANSIT
        _undo(own, where, on, _("The provider could not pay it back: %s") % (found.code or found.status))
        return _("could not be paid back")
    return ""


def _asked_for(refund: int) -> Refund:
    payers = Refund.objects.values_list("payer", "at_provider__payment__payer").get(pk=refund)
    lock_payers(sorted(set(payers)))
    found = (
        Refund.objects.select_for_update(of=("self",)).select_related("issuer", "at_provider__payment").get(pk=refund)
    )
    if found.state != State.WAITING or found.entry_id is not None or found.at_provider.approved_by_id is not None:
        raise NotRefundable(gettext_lazy("This refund is decided about already."))
    return found


def _check(item: OpenItem, payment: Payment, amount: Decimal, besides: Refund | None = None) -> None:
    """Whether so much of a credit and of a payment is left, less what else is asked for."""
    pending = Refund.objects.filter(open_item=item, entry=None).exclude(state=State.WITHDRAWN)
    if besides is not None:
        pending = pending.exclude(pk=besides.pk)
    credit = -receiving.open_of([item.pk]).get(item.pk, NOTHING)
    credit -= pending.aggregate(sum=Sum("amount"))["sum"] or NOTHING
    left = left_of(payment) + (besides.amount.amount if besides is not None else NOTHING)
    if amount <= 0 or amount > credit:
        raise NotRefundable(
            _("Of the credit %(item)s %(left)s %(currency)s are left, less than %(wanted)s.")
            % {"item": item, "left": plain(credit, item.currency), "currency": item.currency, "wanted": amount}
        )
    if amount > left:
        raise NotRefundable(
            _("Of the payment %(left)s %(currency)s are left at the provider, less than %(wanted)s.")
            % {"left": plain(left, item.currency), "currency": item.currency, "wanted": amount}
        )


def _undo(refund: Refund, role: str, on: date, reason: str) -> None:
    """Book a refund backwards: the payer's credit is there again. In the caller's transaction."""
    posting.post_paid_back(
        refund.issuer,
        receiving.last_of(refund.open_item_id),
        -refund.amount.amount,
        currency=refund.currency,
        account=posting.account_of(refund.issuer, role),
        kind=JournalEntry.Kind.REFUND,
        on=on,
    )
    Refund.objects.filter(pk=refund.pk).update(
        state=State.WITHDRAWN, reason=reason.strip(), lease_until=None, token=None
    )


def _pay(refund: Refund, clock: Callable[[], datetime]) -> None:
    order = ProviderOrder.objects.select_related("customer__account").get(refunds__refund=refund.pk)
    try:
        found = stripe_api.give_back(
            access_of(order.customer.account),
            key=refund.key,
            charge=order.charge_id,
            amount=refund.amount.amount,
            currency=refund.currency,
        )
    except NoAccess as refusal:
        intents.park(refund, str(refusal))
    except stripe_api.Later as silence:
        intents.retry(refund, str(silence), now=clock(), patience=PATIENCE)
    except stripe_api.Refused as refusal:
        logger.error("The provider refuses a refund", extra={"refund": refund.pk, "code": refusal.code})
        intents.park(refund, _("Stripe refuses the request: %s") % refusal)
    except stripe_api.Unknown as silence:
        logger.warning("No answer about a refund", extra={"refund": refund.pk})
        intents.leave_unknown(refund, str(silence))
        Refund.objects.filter(pk=refund.pk, state=State.UNKNOWN).update(next_at=clock() + ASK_AFTER)
    else:
        _take_answer(refund.pk, found, clock())


def _take_answer(key: int, found: RefundState, now: datetime) -> None:
    try:
        take(key, found, at=now)
    except NotRefundable as refusal:
        logger.error("The provider's answer does not go with the refund", extra={"refund": key})
        Refund.objects.filter(pk=key).update(state=State.UNKNOWN, reason=str(refusal), next_at=now + ASK_AGAIN)


def _ask(key: int, clock: Callable[[], datetime]) -> bool:
    now = clock()
    with transaction.atomic(durable=True):
        mine = lost(now=now).filter(pk=key).update(next_at=now + ASK_AGAIN)
    if not mine:
        return False
    refund = Refund.objects.select_related("at_provider").get(pk=key)
    order = ProviderOrder.objects.select_related("customer__account").get(refunds__refund=key)
    try:
        made = stripe_api.refunds_of(access_of(order.customer.account), order.charge_id)
        found = next((one for one in made if one.key == refund.key), None)
    except (stripe_api.Silent, NoAccess) as silence:
        Refund.objects.filter(pk=key, state=State.UNKNOWN).update(reason=str(silence))
        return False
    if found is not None:
        _take_answer(key, found, now)
        return not Refund.objects.filter(pk=key, state=State.UNKNOWN).exists()
    approved_at = refund.at_provider.approved_at
    if approved_at is not None and now - approved_at < KEY_LIVES:
        again = {"state": State.WAITING, "token": None, "lease_until": None, "reason": ""}
    else:  # the key may be forgotten there: a person looks, and lets it go or gives it up
        again = {
            "state": State.PARKED,
            "token": None,
            "lease_until": None,
            "reason": _("It never reached the provider."),
        }
    return bool(Refund.objects.filter(pk=key, state=State.UNKNOWN).update(**again))
