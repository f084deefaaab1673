"""Money that a payer's bank takes back from the provider: the payment is undone, and made anew if we win."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from payments import provider_money
from payments.card_collection import day_of
from payments.gateways.stripe_answers import Chargeback, RefundState
from payments.models import Allocation, Collection, Payment, ProviderAccount
from tenants.errors import OperatorError
from tenants.transactions import lock_payers


class DoesNotFit(OperatorError):
    """What the provider took back does not go with the payment in our books."""


@transaction.atomic
def take(account: ProviderAccount, found: Chargeback, *, at: datetime) -> str:
    """Book a chargeback as far as it has come; what changed, in words. An inquiry moves no money.

    Raises ``DoesNotFit``.
    """
    payment = payment_of(account, found.intent)
    if payment is None or found.status.startswith("warning_"):
        return ""
    lock_payers([payment.payer_id])
    if found.is_live != account.is_live or found.currency != payment.currency or found.amount > payment.amount.amount:
        raise DoesNotFit(
            _("Chargeback %(id)s over %(amount)s %(currency)s does not go with the payment over %(paid)s.")
            % {
                "id": found.id,
                "amount": found.amount,
                "currency": found.currency,
                "paid": provider_money.plain(payment.amount.amount, payment.currency),
            }
        )
    on = day_of(account.issuer, at)
    if found.status == "won":
        return _win(payment, found, at)
    done = provider_money.take_back(
        payment, found.amount, origin=found.id, code=found.reason, reason=_("Chargeback: %s") % found.reason, on=on
    )
    Collection.objects.filter(payment=payment).update(
        outcome=Collection.Outcome.RETURNED, failure_code=found.reason[:60]
    )
    return _("was charged back") if done else ""


@transaction.atomic
def take_refund(account: ProviderAccount, found: RefundState, *, at: datetime) -> str:
    """Book a refund that somebody made at the provider and not here: what it had settled is open again.

    One that failed afterwards is received anew. Raises ``DoesNotFit``.
    """
    payment = payment_of(account, found.intent)
    if payment is None:
        return ""
    lock_payers([payment.payer_id])
    on = day_of(account.issuer, at)
    if found.status in ("failed", "canceled"):
        return _again(payment, found.id, at)
    if found.currency != payment.currency or found.amount > payment.amount.amount:
        raise DoesNotFit(
            _("Refund %(id)s over %(amount)s %(currency)s does not go with the payment over %(paid)s.")
            % {
                "id": found.id,
                "amount": found.amount,
                "currency": found.currency,
                "paid": provider_money.plain(payment.amount.amount, payment.currency),
            }
        )
    done = provider_money.take_back(
        payment, found.amount, origin=found.id, code="refund", reason=_("Paid back at the provider"), on=on
    )
    return _("was paid back at the provider") if done else ""


def payment_of(account: ProviderAccount, intent: str) -> Payment | None:
    """The payment in our books that came from a payment at the provider."""
    found = Payment.objects.filter(issuer=account.issuer_id, source=Payment.Source.PROVIDER, origin=intent)
    return found.select_related("issuer").first() if intent else None


def _win(payment: Payment, found: Chargeback, at: datetime) -> str:
    said = _again(payment, found.id, at)
    if said:
        Collection.objects.filter(payment=payment).update(outcome=Collection.Outcome.SUCCEEDED, failure_code="")
    return said


def _again(payment: Payment, origin: str, at: datetime) -> str:
    """Receive what was taken back anew, if it was, and apply it to what it had settled."""
    returned = payment.returns.filter(origin=origin).first()
    origin = f"{origin}:again"
    if returned is None or Payment.objects.filter(issuer=payment.issuer_id, origin=origin).exists():
        return ""
    on = day_of(payment.issuer, at)
    again = provider_money.receive(
        payment.issuer,
        payment.payer_id,
        returned.amount.amount,
        currency=payment.currency,
        origin=origin,
        reference=payment.reference,
        on=on,
    )
    undone = Allocation.objects.filter(payment=payment, reversed_by__isnull=False).order_by("pk")
    items = list(dict.fromkeys(undone.values_list("open_item", flat=True)))
    provider_money.apply(again, items, on=on)
    return _("came back to us")
