"""A small book billed by the real stations: one document of each sort, and what was sent of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from billing import contracts
from billing.models import PriceCampaign, PriceChange, PriceNotice, Subscription
from invoicing import bill_run
from invoicing.models import (
    BillRun,
    CalendarFeed,
    CollectiveStatement,
    Delivery,
    DocumentFile,
    ExchangeRate,
    Invoice,
    Section,
    SectionCopy,
    StatementDelivery,
    StatementEntry,
    Verdict,
)
from payments import dunning
from payments.models import Letter, LetterDelivery
from tenants import files, messages
from tenants.models import Issuer, Tenant
from tests.builders import make_grant, make_issuer, make_item, make_price, make_subscription, make_tenant
from tests.databases import copy_database, drop_database, use_database

FEBRUARY = date(2026, 2, 1)
MARCH = date(2026, 3, 1)


def bill(
    issuer: Issuer, through: date, issue_on: date | None = None, *, issues: bool = True, chunk: int = 500
) -> BillRun:
    """A whole run, as the command does it."""
    run = bill_run.start(
        issuer=issuer,
        through=through,
        issue_on=issue_on or through,
        issues_by_itself=issues,
        chunk_size=chunk,
    )
    bill_run.bill(run)
    run.refresh_from_db()
    return run


def make_contract(issuer: Issuer, tenant: Tenant, **fields) -> Subscription:
    """One position at 100.00 a month, in calendar months from February on."""
    item = {name: fields.pop(name) for name in ("price", "quantity", "timing", "interval") if name in fields}
    subscription = make_subscription(
        **{"issuer": issuer, "tenant": tenant, "starts_on": FEBRUARY, "billing_day": 1} | fields
    )
    make_item(subscription=subscription, **item)
    return subscription


def make_small_book() -> Issuer:
    """Issued: RE-2026-00001 to 00004 (own account; consolidated; reverse charge; one that is corrected) and the
    correction of the last one, RK-2026-00001. One document of nothing is closed; the drafts of March wait.
    """
    issuer = make_issuer(reference="MAIN")
    alone = make_tenant(reference="ALONE")
    group = make_tenant(reference="GROUP", currency="EUR")
    branch = make_tenant(reference="BRANCH", kind="branch", parent=group, invoice_to=group, pay_by=group)
    austrian = make_tenant(reference="AUSTRIA", country="AT", vat_id="ATU13585627", vat_id_valid=True)
    leaving = make_tenant(reference="LEAVING")
    given = make_tenant(reference="GIVEN")
    price = make_price((None, "100.00", "0"))
    resting = make_contract(issuer, alone, reference="V-ALONE", price=price)
    make_contract(issuer, group, reference="V-GROUP", price=price)
    make_contract(issuer, branch, reference="V-BRANCH", price=price, quantity=Decimal(2))
    make_contract(issuer, austrian, reference="V-AUSTRIA", price=price)
    ending = make_contract(issuer, leaving, reference="V-LEAVING", price=price)
    make_grant(subscription=make_contract(issuer, given, reference="V-GIVEN", price=price), percent=Decimal(100))
    bill(issuer, FEBRUARY)
    Subscription.objects.filter(pk=ending.pk).update(ends_before=date(2026, 2, 15))
    bill(issuer, FEBRUARY, date(2026, 2, 15))
    bill(issuer, MARCH, issues=False)
    contracts.pause(
        resting,
        effective=date(2026, 5, 1),
        until=date(2026, 6, 1),
        reason="Betriebsferien",
        by=None,
        channel="command",
    )
    return issuer


def send_something(issuer: Issuer) -> None:
    """RE-2026-00001 has a file and a mail that carries it, and was reminded of by a letter that was mailed, too."""
    invoice = Invoice.objects.get(number="RE-2026-00001")
    file = files.store("documents/RE-2026-00001.pdf", b"%PDF", content_type="application/pdf")
    DocumentFile.objects.create(invoice=invoice, kind="pdf", file=file)
    mail = {"issuer": issuer, "tenant": invoice.payer, "recipient": "a@example.com", "subject": "Rechnung", "body": ""}
    message = messages.compose("invoice", **mail, file=file)
    message.save()
    Delivery.objects.create(invoice=invoice, recipient="a@example.com", message=message)
    dunning.remind(issuer, on=date(2026, 2, 20))
    reminder = messages.compose("letter", **mail)
    reminder.save()
    letter = Letter.objects.get(payer=invoice.payer)
    LetterDelivery.objects.create(letter=letter, recipient="a@example.com", message=reminder)
    collect_something(issuer, invoice, mail)


def collect_something(issuer: Issuer, invoice: Invoice, mail: dict[str, Any]) -> None:
    """RE-2026-00001 stands on a collective statement that was mailed; of a section of RE-2026-00002 there is a copy; a
    user has a link to a calendar; some content passed as e-invoice."""
    statement = CollectiveStatement.objects.create(
        issuer=issuer,
        payer=invoice.payer,
        reference="SA-2026-00001",
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        language="de",
        currency=invoice.currency,
        collection=invoice.collection,
        total=invoice.gross.amount,
    )
    StatementEntry.objects.create(
        statement=statement, invoice=invoice, position=1, currency=invoice.currency, amount=invoice.gross.amount
    )
    message = messages.compose("statement", **mail)
    message.save()
    StatementDelivery.objects.create(statement=statement, recipient="a@example.com", message=message)
    SectionCopy.objects.create(section=Section.objects.filter(invoice__number="RE-2026-00002").earliest("position"))
    ExchangeRate.objects.create(currency="USD", day=FEBRUARY, rate=Decimal("1.25"), source="EZB")
    CalendarFeed.objects.create(user=User.objects.create_user("kalender"), tenant=invoice.payer, nonce="n")
    Verdict.objects.create(content_hash="0" * 64, rules="none", passed=True)


def change_prices(contract: Subscription) -> None:
    """A campaign that was announced to one account, and what it means for a position that waits."""
    campaign = PriceCampaign.objects.create(
        issuer=contract.issuer,
        name="2027",
        state="announced",
        announced_on="2026-11-01",
        wanted_on="2027-01-01",
        percent=3,
        reason="Kosten",
    )
    notice = PriceNotice.objects.create(
        campaign=campaign, tenant=contract.tenant, written_on="2026-11-01", language="de"
    )
    PriceChange.objects.create(
        campaign=campaign,
        subscription=contract,
        line=1,
        effective_on="2027-01-01",
        price_before=contract.items.earliest("pk").price,
        currency="EUR",
        mrr_before=100,
        mrr_after=103,
        notice=notice,
    )


@contextmanager
def committed_small_book(template: str, files_root: Path) -> Iterator[str]:
    """The small book in a database of its own, in use until it is dropped; for the tests of one module."""
    before = settings.DATABASES["default"]["NAME"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "FILES_ROOT", files_root)
        name = copy_database(template)
        use_database(name)
        try:
            send_something(make_small_book())
            yield name
        finally:
            use_database(before)
            drop_database(name)
