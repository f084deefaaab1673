"""What accounts at providers, methods, orders, events, payouts and differences cannot be."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from django.contrib.auth.models import User

from invoicing import posting
from invoicing.kernel.entries import BANK_CHARGES, PROVIDER_CLEARING
from invoicing.models import JournalEntry
from payments.models import (
    Collection,
    EventHandling,
    Payment,
    PaymentMethod,
    ProviderAccount,
    ProviderComparison,
    ProviderCustomer,
    ProviderEvent,
    ProviderFinding,
    ProviderOrder,
    ProviderPayout,
    ProviderRefund,
    Refund,
)
from tenants.models import Issuer, Tenant
from tests.guards import FROZEN, NO_RIGHT, copy_of

PAID_OUT_ON = date(2026, 3, 5)


def provide_some(issuer: Issuer, payer: Tenant) -> None:
    """An account at a provider with one of each: customer, method, order, event, refund, payout, difference."""
    account = ProviderAccount.objects.create(issuer=issuer, name="Stripe", secret_key="encrypted")
    customer = ProviderCustomer.objects.create(account=account, tenant=payer, external_id="cus_1")
    method = PaymentMethod.objects.create(
        customer=customer,
        external_id="pm_1",
        kind="card",
        brand="visa",
        last4="4242",
        expires_month=12,
        expires_year=2030,
        is_default=True,
    )
    order = ProviderOrder.objects.create(
        collection=Collection.objects.latest("pk"),
        customer=customer,
        payment_method=method,
        page_id="cs_1",
        text="RE",
        language="de",
    )
    event = ProviderEvent.objects.create(
        account=account, event_id="evt_1", kind="test", is_live=False, happened_at=datetime(2026, 3, 5, tzinfo=UTC)
    )
    EventHandling.objects.create(event=event)
    requester = User.objects.create_user("asks")
    ProviderRefund.objects.create(
        refund=Refund.objects.latest("pk"), payment=Payment.objects.latest("pk"), order=order, requested_by=requester
    )
    charges = posting.move(
        issuer,
        Decimal("2.03"),
        currency="EUR",
        debit=posting.account_of(issuer, BANK_CHARGES),
        credit=posting.account_of(issuer, PROVIDER_CLEARING),
        kind=JournalEntry.Kind.CHARGES,
        on=PAID_OUT_ON,
    )
    ProviderPayout.objects.create(
        account=account,
        external_id="po_1",
        currency="EUR",
        amount=Decimal("116.97"),
        charges=Decimal("2.03"),
        charges_entry_id=charges,
        arrives_on=PAID_OUT_ON,
    )
    ProviderComparison.objects.create(
        account=account,
        day=PAID_OUT_ON,
        compared_at=datetime(2026, 3, 6, tzinfo=UTC),
        payments=1,
        refunds=0,
        chargebacks=0,
        payouts=1,
        differences=1,
    )
    ProviderFinding.objects.create(account=account, day=PAID_OUT_ON, kind="missing_payment", external_id="pi_9")


TRIES = [
    ("provider_account_one_in_use", copy_of("payments_provideraccount", "true")),
    ("provider_account_has_its_key", "update payments_provideraccount set secret_key = ''"),
    ("provider_customer_once", copy_of("payments_providercustomer", "true", external_id="'cus_2'")),
    (
        "provider_customer_once_there",
        copy_of("payments_providercustomer", "true", tenant_id="(select max(id) from tenants_tenant)"),
    ),
    ("payment_method_once", copy_of("payments_paymentmethod", "true", is_default="false")),
    ("payment_method_one_standard", copy_of("payments_paymentmethod", "true", external_id="'pm_2'")),
    ("payment_method_standard_is_active", "update payments_paymentmethod set is_active = false"),
    ("payment_method_last_digits", "update payments_paymentmethod set last4 = '42-2'"),
    ("payment_method_expires_in_a_month", "update payments_paymentmethod set expires_month = 13"),
    ("provider_order_by_method_or_page", "update payments_providerorder set page_until = now()"),
    (
        "provider_order_one_page",
        copy_of("payments_collection", "true", key="'other'", external_id="''")
        + copy_of(
            "payments_providerorder", "true", collection_id="(select id from payments_collection where key = 'other')"
        ),
    ),
    (
        "provider_refund_by_two_persons",
        "update payments_providerrefund set approved_at = now(), approved_by_id = requested_by_id",
    ),
    ("provider_event_once", copy_of("payments_providerevent", "true")),
    ("provider_payout_once", copy_of("payments_providerpayout", "true", charges="0", charges_entry_id="null")),
    ("provider_payout_amounts_fit", copy_of("payments_providerpayout", "true", external_id="'po_2'", amount="0")),
    (
        "provider_payout_charges_are_booked",
        copy_of("payments_providerpayout", "true", external_id="'po_2'", charges="0"),
    ),
    ("provider_comparison_once_a_day", copy_of("payments_providercomparison", "true")),
    ("provider_finding_once", copy_of("payments_providerfinding", "true")),
    ("provider_finding_explained_with_reason", "update payments_providerfinding set explained_at = now()"),
    *(
        (f"payments_{name}_append_only", f"delete from payments_{name}", FROZEN)
        for name in ("providerevent", "providerpayout")
    ),
    *(
        (f"payments_{name}_no_truncate", f"truncate payments_{name} cascade", NO_RIGHT)
        for name in ("providerevent", "providerpayout")
    ),
]
