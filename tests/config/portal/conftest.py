"""A group with two branches, another customer, and a customer of another issuer: billed, printed and reminded of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.test import Client

from invoicing.models import DocumentFile, Invoice
from payments import dunning
from payments.models import Letter
from tenants import files
from tenants.models import Access, Contact, Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

NOON = "2026-03-02T12:00:00+01:00"


@dataclass
class World:
    """Accounts by name, their contracts, and the document that each is the recipient of."""

    accounts: dict[str, Tenant]
    contracts: dict[str, Any]
    documents: dict[str, Invoice]


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def world(db, settings, tmp_path, clock) -> World:
    settings.FILES_ROOT = tmp_path / "files"
    return make_world()


def make_world() -> World:
    """Needs ``settings.FILES_ROOT`` to be a place of the test's own."""
    main, second = make_issuer(reference="MAIN"), make_issuer(reference="SECOND")
    parent = make_tenant(reference="PARENT", name="Konzern AG")
    own = make_tenant(reference="OWN", name="Filiale Nord", kind="branch", parent=parent)
    child = make_tenant(reference="CHILD", name="Lager", kind="branch", parent=own, invoice_to=parent, pay_by=parent)
    sibling = make_tenant(
        reference="SIBLING", name="Filiale Süd", kind="branch", parent=parent, invoice_to=parent, pay_by=parent
    )
    other = make_tenant(reference="OTHER", name="Fremd GmbH")
    abroad = make_tenant(reference="ABROAD", name="Anders GmbH")
    accounts = {t.reference: t for t in (parent, own, child, sibling, other, abroad)}
    price = make_price((None, "100.00", "0"))
    contracts = {}
    for name, tenant in accounts.items():
        issuer = second if name == "ABROAD" else main
        contracts[name] = make_contract(issuer, tenant, reference=f"V-{name}", price=price)
        Contact.objects.create(tenant=tenant, name=f"Kontakt {name}", email=f"{name.lower()}@example.com")
    for issuer in (main, second):
        bill(issuer, FEBRUARY)
        dunning.remind(issuer, on=date(2026, 2, 25))
    documents = {}
    for invoice in Invoice.objects.issued():
        for kind in ("pdf", "xml"):
            name = f"{invoice.issuer.reference}-{invoice.number}.{kind}"
            file = files.store(name, f"{kind} of {name}".encode(), content_type=f"application/{kind}")
            DocumentFile.objects.create(invoice=invoice, kind=kind, file=file)
        documents[invoice.recipient.reference] = invoice
    for letter in Letter.objects.all():
        Letter.objects.filter(pk=letter.pk).update(
            file=files.store(f"letter-{letter.pk}.pdf", b"letter", content_type="application/pdf")
        )
    return World(accounts, contracts, documents)


def customer(tenant: Tenant, *rights: str, with_descendants: bool = True, name: str = "kundin") -> User:
    user = User.objects.create_user(name, f"{name}@example.com", "ein-langes-Kennwort-7")
    granted = dict.fromkeys(rights or Access.RIGHTS, True)
    Access.objects.create(user=user, tenant=tenant, with_descendants=with_descendants, **granted)
    return user


def staff(*groups: str, name: str = "sachbearbeiterin") -> User:
    user = User.objects.create_user(name, f"{name}@example.com", "ein-langes-Kennwort-7", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def signed_in(user: User) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client
