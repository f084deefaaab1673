"""A book in which payers pay by methods saved at a provider, which runs as a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from invoicing.models import Invoice
from payments import card_collection, card_selection, payment_methods, provider_accounts, provider_events
from payments.models import Collection, EventHandling, PaymentMethod, ProviderAccount, ProviderEvent
from tenants.models import Issuer, Tenant
from tests.builders import make_issuer, make_item, make_price, make_subscription, make_tenant
from tests.small_book import FEBRUARY, bill
from tests.stripe_server import Stripe

DUE = date(2026, 2, 15)  # of what is billed on 1 February
NOW = datetime(2026, 2, 15, 6, tzinfo=UTC)
WEBHOOK_SECRET = "whsec_test"


def at(now: datetime = NOW) -> Callable[[], datetime]:
    return lambda: now


def make_account(issuer: Issuer | None = None, **fields: Any) -> ProviderAccount:
    given = {"name": "Stripe", "secret_key": "sk_test_1", "webhook_secret": WEBHOOK_SECRET}
    return provider_accounts.open_account(issuer or make_issuer(reference="MAIN"), **given | fields)


def make_payer(account: ProviderAccount, *amounts: str, **fields: Any) -> Tenant:
    """A payer with a document of 1 February over positions at these net prices; nothing is issued yet."""
    payer = make_tenant(**{"collection": "card"} | fields)
    contract = make_subscription(issuer=account.issuer, tenant=payer, starts_on=FEBRUARY, billing_day=1)
    for amount in amounts or ("100.00",):
        make_item(subscription=contract, price=make_price((None, amount, "0")))
    return payer


def issue(account: ProviderAccount) -> list[Invoice]:
    bill(account.issuer, FEBRUARY)
    return list(Invoice.objects.issued().order_by("number"))


def save_method(server: Stripe, account: ProviderAccount, payer: Tenant, name: str = "pm_card_visa") -> PaymentMethod:
    """The payer saves a method on the provider's page, and the provider tells us."""
    page = payment_methods.start(account.issuer, payer, back="https://k.example/", language="de")
    done = server.does("page", session=page.id, payment_method=name)
    told(account, done)
    return PaymentMethod.objects.get(customer__tenant=payer, is_default=True)


def told(account: ProviderAccount, event: dict[str, Any], now: datetime = NOW) -> ProviderEvent:
    """An event arrives and is worked off."""
    stored, is_new = ProviderEvent.objects.get_or_create(
        account=account,
        event_id=event["id"],
        defaults={
            "kind": event["type"],
            "about": event["data"]["object"]["id"],
            "is_live": event["livemode"],
            "happened_at": now,
            "payload": "{}",
        },
    )
    if is_new:
        EventHandling.objects.create(event=stored, next_at=now)
    provider_events.work_off(clock=at(now))
    return ProviderEvent.objects.select_related("handling").get(pk=stored.pk)


def tell_all(server: Stripe, account: ProviderAccount, *, now: datetime = NOW, backwards: bool = False) -> None:
    """Every event of the provider arrives, in its order or the other way round."""
    events = server.all("event")
    for event in reversed(events) if backwards else events:
        told(account, event, now)


def select(account: ProviderAccount, *, on: date = DUE) -> list[Collection]:
    card_selection.select(account.issuer, on=on)
    waiting = card_collection.waiting().filter(state=Collection.State.WAITING)
    waiting.update(next_at=NOW - timedelta(days=30))
    return list(waiting.order_by("pk"))


def charge(now: datetime = NOW) -> int:
    return card_collection.charge_pending(clock=at(now))


def outcome(collection: Collection) -> tuple[str, str, str]:
    collection.refresh_from_db()
    return collection.outcome, collection.state, collection.failure_code
