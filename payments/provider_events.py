"""Webhooks of the provider: stored as they came, answered, and worked off later.

What an event says is not believed: the object that it is about is read anew, so that events may come twice, late or in
any order. Whatever moves money goes forward only, once, under the payer's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from payments import card_collection, card_refunds, chargebacks, pay_page, payment_methods, payouts
from payments.gateways import stripe_api
from payments.gateways.stripe_api import Access
from payments.models import (
    Collection,
    EventHandling,
    ProviderAccount,
    ProviderCustomer,
    ProviderEvent,
    ProviderFinding,
    ProviderOrder,
    Refund,
)
from payments.provider_accounts import access_of, webhook_secrets
from tenants import intents
from tenants.errors import OperatorError
from tenants.intents import THREE_DAYS
from tenants.transactions import wake

logger = logging.getLogger(__name__)

LEASE_BEYOND: Final = timedelta(minutes=5)
OBJECTS: Final = ("payment_intent", "checkout.session", "setup_intent", "payment_method", "refund", "dispute", "payout")
Handler = Callable[[ProviderAccount, Access, str, datetime], str]


class WrongMode(OperatorError):
    """An event for real money came to an account for tests, or the other way round."""


def receive(account: ProviderAccount, payload: bytes, signature: str, *, now: datetime) -> bool:
    """Store a webhook and commit; whether it was new. Raises ``stripe_api.Forged`` and then stores nothing."""
    event = stripe_api.read_event(payload, signature, webhook_secrets(account, now=now))
    with transaction.atomic():
        stored, is_new = ProviderEvent.objects.get_or_create(
            account=account,
            event_id=event.id,
            defaults={
                "kind": event.kind[:100],
                "about": event.about[:100],
                "is_live": event.is_live,
                "happened_at": event.created_at,
                "payload": payload.decode(),
            },
        )
        if is_new:
            EventHandling.objects.create(event=stored)
            wake("payments.work_off_events")
    return is_new


def work_off(*, clock: Callable[[], datetime], limit: int = 50) -> int:
    """Apply at most ``limit`` of the events that wait; returns how many were looked at."""
    done = 0
    while done < limit:
        lease = 4 * stripe_api.longest_call() + LEASE_BEYOND
        claimed = intents.claim(EventHandling.objects.all(), now=clock(), lease=lease, limit=1)
        if not claimed:
            break
        done += 1
        _work_off(claimed[0], clock)
    return done


def expire(*, now: datetime) -> int:
    """What a dead worker was about to apply is applied again: a second time changes nothing."""
    return intents.expire(EventHandling.objects.all(), now=now, becomes=EventHandling.State.WAITING)


def _work_off(handling: EventHandling, clock: Callable[[], datetime]) -> None:
    event = ProviderEvent.objects.select_related("account__issuer").get(pk=handling.event_id)
    try:
        if event.is_live != event.account.is_live:
            raise WrongMode(_("The event and the account are of different modes: test and real money."))
        said = apply(event.account, _object_of(event), event.about, at=event.happened_at)
    except stripe_api.Refused as refusal:
        intents.park(handling, _("Stripe refuses the request: %s") % refusal)
    except stripe_api.Silent as silence:
        intents.retry(handling, str(silence), now=clock(), patience=THREE_DAYS)
    except OperatorError as refusal:
        logger.error("An event of the provider is parked", extra={"event": event.pk})
        intents.park(handling, str(refusal))
    else:
        intents.finish(handling, said=said[:200])


def apply(account: ProviderAccount, what: str, key: str, *, at: datetime) -> str:
    """Read an object of the provider (kind and id) and bring our rows to it; what changed, in words, or nothing.

    Raises ``OperatorError`` where it does not fit, and as the gateway does.
    """
    handler = HANDLERS.get(what)
    return handler(account, access_of(account), key, at) if handler and key else ""


def _object_of(event: ProviderEvent) -> str:
    """The kind of object that an event's name begins with; that of its data where another one is named inside."""
    kind = event.kind
    if kind.startswith("charge.dispute."):
        return "dispute"
    if kind.startswith("charge.refund."):
        return "refund"
    if kind.startswith("charge."):
        return "charge"
    return next((name for name in OBJECTS if kind.startswith(f"{name}.")), "")


def _payment(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    found = stripe_api.payment(access, key)
    collection = Collection.objects.filter(key=found.key, issuer=account.issuer_id).values_list("pk", flat=True).first()
    if not found.key or collection is None:
        return _("none of ours")
    return card_collection.take(collection, found, account=account, at=at)


def _charge(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    """What was paid back of a charge, by whomever."""
    said = [_take_refund(account, found, at) for found in stripe_api.refunds_of(access, key)]
    return ", ".join(part for part in said if part)


def _refund(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    return _take_refund(account, stripe_api.refund(access, key), at)


def _take_refund(account: ProviderAccount, found: Any, at: datetime) -> str:
    own = Refund.objects.filter(key=found.key, issuer=account.issuer_id).first() if found.key else None
    if own is not None:
        return card_refunds.take(own.pk, found, at=at)
    return chargebacks.take_refund(account, found, at=at)


def _dispute(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    return chargebacks.take(account, stripe_api.chargeback(access, key), at=at)


def _session(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    session = stripe_api.session(access, key)
    if session.mode == "setup":
        return _setup(account, access, session.setup, at) if session.setup else ""
    if session.intent and (said := _payment(account, access, session.intent, at)):
        return said
    order = ProviderOrder.objects.filter(page_id=session.id, customer__account=account).first()
    if order is not None and session.status == "expired":
        return pay_page.give_up(order.collection_id, at=at)
    return ""


def _setup(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    setup = stripe_api.setup(access, key)
    customer = ProviderCustomer.objects.filter(account=account, external_id=setup.customer).first()
    if customer is None:
        return _("none of ours")
    if not setup.is_done or not setup.method:
        return ""
    if setup.is_live != account.is_live:
        raise WrongMode(_("The event and the account are of different modes: test and real money."))
    kept = payment_methods.keep(customer, stripe_api.method(access, setup.method))
    return _("%(method)s is stored") % {"method": kept}


def _method(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    """A method that changed: taken from its customer, or its card was renewed."""
    method = stripe_api.method(access, key)
    if not method.customer:
        return _("is out of use") if payment_methods.forgotten(account, key) else ""
    return _("was renewed") if payment_methods.renew(account, method) else ""


def _payout(account: ProviderAccount, access: Access, key: str, at: datetime) -> str:
    payout = stripe_api.payout(access, key)
    if payout.is_live != account.is_live:
        raise WrongMode(_("The event and the account are of different modes: test and real money."))
    if payout.status != "paid":
        return ""
    lines = list(stripe_api.lines_of(access, payout.id))
    if not payouts.note(account, payout, lines):
        return ""
    unknown = payouts.unknown_of(account, lines)
    if unknown:
        ProviderFinding.objects.get_or_create(
            account=account,
            kind=ProviderFinding.Kind.PAYOUT_DIFFERS,
            external_id=payout.id,
            defaults={
                "day": card_collection.day_of(account.issuer, payout.arrives_at),
                "theirs": ", ".join(line.source or line.id for line in unknown)[:100],
            },
        )
    return _("was noted")


HANDLERS: Final[dict[str, Handler]] = {
    "payment_intent": _payment,
    "charge": _charge,
    "refund": _refund,
    "dispute": _dispute,
    "checkout.session": _session,
    "setup_intent": _setup,
    "payment_method": _method,
    "payout": _payout,
}
