"""One row of each record of payments by way of a provider, for tests of pages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from django.contrib.auth.models import User

from invoicing import posting
from payments import payouts, provider_money
from payments.gateways.stripe_answers import BalanceLine, Payout
from payments.models import (
    Collection,
    CollectionItem,
    EventHandling,
    PaymentMethod,
    ProviderAccount,
    ProviderComparison,
    ProviderCustomer,
    ProviderEvent,
    ProviderFinding,
    ProviderOrder,
    ProviderRefund,
    Refund,
)
from tenants.models import Issuer, Tenant

PAID_ON = date(2026, 3, 5)
AT = datetime(2026, 3, 5, 9, tzinfo=UTC)


def provide(issuer: Issuer, payer: Tenant, serial: int) -> None:
    """A payment that was collected by a saved card, a refund of it that waits, an event, a payout, a difference."""
    posting.ensure_chart(issuer)
    account = ProviderAccount.objects.create(issuer=issuer, name=f"Stripe {serial}", secret_key="encrypted")
    customer = ProviderCustomer.objects.create(account=account, tenant=payer, external_id=f"cus_{serial}")
    method = PaymentMethod.objects.create(
        customer=customer,
        external_id=f"pm_{serial}",
        kind="card",
        brand="visa",
        last4="4242",
        expires_month=12,
        expires_year=2030,
        is_default=True,
    )
    payment = provider_money.receive(
        issuer, payer.pk, Decimal("119.00"), currency="EUR", origin=f"pi_{serial}", reference="RE-1", on=PAID_ON
    )
    collection = Collection.objects.create(
        issuer=issuer,
        payer=payer,
        method="provider",
        key=f"kc-{serial}",
        currency="EUR",
        amount=Decimal("119.00"),
        outcome="succeeded",
        state="done",
        payment=payment,
        settled_on=PAID_ON,
        external_id=f"pi_{serial}",
    )
    CollectionItem.objects.create(
        collection=collection, open_item=payment.open_item, currency="EUR", amount=119, is_unsettled=False
    )
    order = ProviderOrder.objects.create(
        collection=collection, customer=customer, payment_method=method, text="RE-1", language="de", charge_id="ch_1"
    )
    refund = Refund.objects.create(
        issuer=issuer,
        payer=payer,
        open_item=payment.open_item,
        method="provider",
        key=f"kr-{serial}",
        currency="EUR",
        amount=Decimal("10.00"),
        grounds="Ausfall",
    )
    requester = User.objects.create_user(f"refunds{serial}")
    ProviderRefund.objects.create(refund=refund, payment=payment, order=order, requested_by=requester)
    event = ProviderEvent.objects.create(
        account=account,
        event_id=f"evt_{serial}",
        kind="payment_intent.succeeded",
        about=f"pi_{serial}",
        is_live=False,
        happened_at=AT,
        payload="{}",
    )
    EventHandling.objects.create(event=event, state="done", said="was paid")
    line = BalanceLine("txn_1", "charge", "ch_1", Decimal("119.00"), Decimal("2.03"), Decimal("116.97"), "EUR")
    payouts.note(account, Payout(f"po_{serial}", Decimal("116.97"), "EUR", "paid", AT, False, AT), [line])
    ProviderComparison.objects.create(
        account=account,
        day=PAID_ON,
        compared_at=AT,
        payments=1,
        refunds=0,
        chargebacks=0,
        payouts=1,
        differences=1,
    )
    ProviderFinding.objects.create(
        account=account, day=PAID_ON, kind="missing_payment", external_id=f"pi_9{serial}", theirs="119.00 EUR"
    )
