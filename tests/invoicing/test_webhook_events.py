"""Documents issued and invoices paid become messages to those endpoints that want them, each once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invoicing import correction, webhook_events
from invoicing.models import Invoice
from tenants import webhooks
from tenants.models import WebhookEndpoint, WebhookMessage
from tests.builders import make_issuer, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract, make_small_book

pytestmark = pytest.mark.django_db
ALL = ["invoice.issued", "credit_note.issued", "cancellation.issued", "invoice.paid"]


def now() -> datetime:
    """A little after what was written last, by the database's clock."""
    return WebhookEndpoint.objects.latest("created_at").created_at + timedelta(minutes=1)


def make_endpoint(issuer, *events: str, url: str = "https://shop.example.com/") -> WebhookEndpoint:
    endpoint = WebhookEndpoint(issuer=issuer, url=url, name="Shop", events=list(events or ALL))
    webhooks.open_endpoint(endpoint)
    return endpoint


def told() -> list[tuple[str, str]]:
    return list(WebhookMessage.objects.order_by("pk").values_list("event", "about"))


def test_each_document_is_told_once_to_whom_it_concerns():
    issuer = make_issuer(reference="MAIN")
    make_endpoint(issuer)
    make_endpoint(make_issuer(), url="https://other.example.com/")
    make_endpoint(issuer, "invoice.paid", url="https://paid.example.com/")
    make_contract(issuer, make_tenant(reference="ONE"), reference="V-ONE")
    bill(issuer, FEBRUARY)
    assert webhook_events.waiting(now=now())
    assert webhook_events.queue_pending(now=now()) == 1
    assert webhook_events.queue_pending(now=now()) == 0
    assert not webhook_events.waiting(now=now())
    message = WebhookMessage.objects.get()
    assert (message.event, message.about) == ("invoice.issued", "RE-2026-00001")
    assert json.loads(message.payload)["data"] == {
        "number": "RE-2026-00001",
        "kind": "invoice",
        "issuer": "MAIN",
        "issued_on": "2026-02-01",
        "due_on": "2026-02-15",
        "recipient": "ONE",
        "payer": "ONE",
        "currency": "EUR",
        "net": "100.00",
        "vat": "19.00",
        "gross": "119.00",
        "corrects": None,
    }


def test_all_kinds_and_nothing_of_before_the_endpoint_was_there():
    issuer = make_small_book()
    make_endpoint(issuer)
    with connection.cursor() as cursor:
        cursor.execute("update tenants_webhookendpoint set created_at = clock_timestamp() + interval '1 second'")
    assert webhook_events.queue_pending(now=now()) == 0
    with connection.cursor() as cursor:
        cursor.execute("update tenants_webhookendpoint set created_at = now() - interval '1 second'")
    webhook_events.queue_pending(now=now())
    assert told() == [
        *[("invoice.issued", f"RE-2026-0000{n}") for n in (1, 2, 3, 4)],
        ("credit_note.issued", "RK-2026-00001"),
    ]


def test_who_is_switched_off_is_told_nothing():
    issuer = make_issuer()
    make_endpoint(issuer)
    WebhookEndpoint.objects.update(is_active=False)
    make_contract(issuer, make_tenant(), reference="V-ONE")
    bill(issuer, FEBRUARY)
    assert webhook_events.queue_pending(now=now()) == 0


def test_as_many_questions_for_many_documents_as_for_one():
    issuer = make_issuer()
    make_endpoint(issuer)
    counts = []
    for n in (1, 5):
        for k in range(n):
            make_contract(issuer, make_tenant(), reference=f"V-{n}-{k}")
        bill(issuer, FEBRUARY)
        with CaptureQueriesContext(connection) as asked:
            assert webhook_events.queue_pending(now=now()) == n
        counts.append(len(asked))
    assert counts[0] == counts[1]


def credit(number: str, amount: str) -> None:
    invoice = Invoice.objects.get(number=number)
    correction.credit(invoice.pk, [correction.Wanted(position=1, amount=Decimal(amount))], on=FEBRUARY, reason="Kulanz")


def test_an_invoice_of_which_nothing_is_open_any_more_is_paid():
    issuer = make_issuer()
    make_endpoint(issuer, "invoice.paid")
    make_contract(issuer, make_tenant(), reference="V-ONE")
    bill(issuer, FEBRUARY)
    credit("RE-2026-00001", "40")
    assert webhook_events.queue_pending(now=now()) == 0
    credit("RE-2026-00001", "60")
    assert webhook_events.queue_pending(now=now()) == 1
    assert webhook_events.queue_pending(now=now()) == 0
    message = WebhookMessage.objects.get()
    assert (message.event, message.about) == ("invoice.paid", "RE-2026-00001")
    assert json.loads(message.payload)["data"]["paid_on"] == "2026-02-01"


def test_a_cancelled_invoice_is_not_paid():
    issuer = make_issuer()
    make_endpoint(issuer)
    make_contract(issuer, make_tenant(), reference="V-ONE")
    bill(issuer, FEBRUARY)
    correction.cancel([Invoice.objects.get().pk], on=FEBRUARY, reason="falsch")
    webhook_events.queue_pending(now=now())
    assert [event for event, _about in told()] == ["invoice.issued", "cancellation.issued"]
    (cancelled,) = WebhookMessage.objects.filter(event="cancellation.issued")
    assert json.loads(cancelled.payload)["data"]["corrects"] == "RE-2026-00001"
