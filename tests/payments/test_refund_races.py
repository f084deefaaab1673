"""Two clerks pay back at once: never more than the payment was, whosever the credits are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from invoicing import posting
from payments import card_refunds, provider_money
from payments.models import Collection, CollectionMethod, Payment, ProviderCustomer, ProviderOrder, Refund
from tenants.models import Issuer, Tenant
from tests.builders import make_issuer, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.payments.cards import DUE, NOW, make_account


def paid_by_card(issuer: Issuer, payer: Tenant, amount: str) -> Payment:
    """A payment by way of the provider, none of which is applied: a credit of the payer."""
    account = make_account(issuer)
    customer = ProviderCustomer.objects.create(account=account, tenant=payer, external_id="cus_1")
    payment = provider_money.receive(
        issuer, payer.pk, Decimal(amount), currency="EUR", origin="pi_1", reference="Karte", on=DUE
    )
    collection = Collection.objects.create(
        issuer=issuer,
        payer=payer,
        method=CollectionMethod.PROVIDER,
        key="kc-1",
        currency="EUR",
        amount=Decimal(amount),
        outcome="succeeded",
        state="done",
        settled_on=DUE,
        payment=payment,
    )
    ProviderOrder.objects.create(
        collection=collection, customer=customer, charge_id="ch_1", text="Karte", language="de", page_until=NOW
    )
    return payment


def test_two_accounts_of_a_tree_get_back_no_more_than_one_payment_was(own_database):
    issuer = make_issuer(reference="MAIN")
    posting.ensure_chart(issuer)
    top = make_tenant()
    below = make_tenant(parent=top)
    payment = paid_by_card(issuer, top, "100.00")
    cash = posting.account_of(issuer, "cash")
    told = posting.Receipt(payer=below.pk, currency="EUR", amount=Decimal(100), account=cash, reference="bar")
    with transaction.atomic():
        [other] = posting.post_receipts(issuer, [told], on=DUE)
    anna = User.objects.create_user("anna")

    def ask(credit: int) -> Any:
        try:
            return card_refunds.request(credit, payment.pk, Decimal(100), grounds="zurück", by=anna)
        except card_refunds.NotRefundable as refusal:
            return refusal

    with transaction.atomic():
        ask(payment.open_item_id)
        second = in_thread(lambda: ask(other.item))
        wait_until_blocked()
    assert isinstance(second.result(timeout=30), card_refunds.NotRefundable)
    assert Refund.objects.count() == 1
