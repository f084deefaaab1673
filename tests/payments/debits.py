"""A book in which payers pay by direct debit: built by the real stations."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.contrib.auth.models import User

from invoicing.models import Invoice
from payments import collection
from payments.models import PaymentRun
from tenants import mandates
from tenants.mandates import Bank
from tenants.models import Creditor, Issuer, Mandate, Tenant
from tests.builders import make_issuer, make_item, make_price, make_subscription, make_tenant
from tests.small_book import FEBRUARY, bill

CREDITOR_ID = "DE98ZZZ09999999999"
IBAN, OTHER_IBAN = "DE02120300000000202051", "DE02500105170137075030"
SIGNED = date(2026, 1, 2)
DUE = date(2026, 2, 15)  # of what is billed on 1 February: a Sunday, so that banks collect on the 16th
ON = date(2026, 2, 9)  # the fifth bank day before
NOON = datetime(2026, 2, 9, 12, tzinfo=UTC)


def make_creditor(issuer: Issuer | None = None, **fields: Any) -> Creditor:
    given = {"identifier": CREDITOR_ID, "prenotification_days": 1, "checks_bank_details": False}
    return Creditor.objects.create(issuer=issuer or make_issuer(reference="MAIN"), **given | fields)


def make_mandate(issuer: Issuer, payer: Tenant, *, iban: str = IBAN, **fields: Any) -> Mandate:
    given = {"reference": f"M-{payer.reference}", "signed_on": SIGNED, "on": ON}
    return mandates.enter(issuer, payer, Bank(payer.name, iban, ""), **given | fields)


def make_payer(issuer: Issuer, *amounts: str, mandate: bool = True, **fields: Any) -> Tenant:
    """A payer with a document of 1 February over positions at these net prices; nothing is issued yet."""
    payer = make_tenant(**{"collection": "direct_debit"} | fields)
    contract = make_subscription(issuer=issuer, tenant=payer, starts_on=FEBRUARY, billing_day=1)
    for amount in amounts:
        make_item(subscription=contract, price=make_price((None, amount, "0")))
    if mandate:
        make_mandate(issuer, payer)
    return payer


def issue(issuer: Issuer) -> list[Invoice]:
    bill(issuer, FEBRUARY)
    return list(Invoice.objects.issued().order_by("number"))


def released(issuer: Issuer, *, on: date = ON, now: datetime = NOON) -> PaymentRun:
    return collection.release(collection.propose(issuer, on=on).pk, now=now)


def sent(issuer: Issuer) -> PaymentRun:
    run = released(issuer)
    collection.mark_sent(run.pk, now=NOON)
    run.refresh_from_db()
    return run


def make_user(name: str) -> User:
    return User.objects.create_user(name)
