"""Issued documents get their PDF once, whoever asks and however often."""

from __future__ import annotations

import errno
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader

from invoicing import bill_run
from invoicing.einvoice.facts import Kind
from invoicing.models import DocumentFile, Invoice, JournalEntry, PrintTrouble
from invoicing.pdf import UnprintableText, facts_of, filing, overdue, preview, render_document, render_pending, waiting
from tenants import files
from tenants.models import File
from tests import builders

DAY = date(2026, 2, 1)


@pytest.fixture(autouse=True)
def files_root(tmp_path, settings):
    settings.FILES_ROOT = tmp_path
    return tmp_path


def billed(issuer, *, through=DAY, by_itself=True):
    run = bill_run.start(issuer=issuer, through=through, issue_on=through, issues_by_itself=by_itself)
    bill_run.bill(run)
    return list(run.invoices.order_by("pk"))


def make_contract(issuer, *tiers, model="per_unit", quantity="44", product=None, **fields):
    subscription = builders.make_subscription(issuer=issuer, **{"billing_day": 1, "starts_on": DAY} | fields)
    price = builders.make_price(
        *(tiers or [(None, "12.90", "0")]),
        model=model,
        price_class=subscription.price_class,
        currency=subscription.currency,
        product=product,
    )
    builders.make_item(subscription=subscription, price=price, quantity=Decimal(quantity))
    return subscription


@pytest.mark.django_db
def test_the_facts_of_an_invoice_are_those_of_its_contract():
    issuer = builders.make_issuer(register_entry="Amtsgericht Ulm, HRB 1")
    subscription = make_contract(issuer, term_months=12, renewal_months=12, notice_days=90)
    (invoice,) = billed(issuer)
    (facts,) = facts_of([invoice.pk])
    assert facts.kind is Kind.INVOICE
    assert facts.number == invoice.number is not None
    assert (facts.net, facts.vat_total, facts.gross) == (Decimal("567.60"), Decimal("107.84"), Decimal("675.44"))
    assert facts.seller.register_entry == "Amtsgericht Ulm, HRB 1"
    assert facts.buyer.name == subscription.tenant.name
    assert not facts.is_consolidated
    (line,) = facts.lines
    assert (line.quantity, line.net) == (Decimal(44), Decimal("567.60"))
    assert (line.starts_on, line.last_day) == (date(2026, 2, 1), date(2026, 2, 28))
    assert line.explanation.unit_price == Decimal("12.9")
    (contract,) = facts.contracts
    assert contract.reference == subscription.reference
    assert contract.starts_on == DAY
    assert (contract.term_months, contract.next_renewal_on, contract.notice_by) == (
        12,
        date(2027, 2, 1),
        date(2026, 11, 2),
    )
    assert contract.licences == 44


@pytest.mark.django_db
def test_licences_are_those_of_the_latest_days_billed():
    issuer = builders.make_issuer()
    make_contract(issuer, starts_on=date(2026, 1, 1))
    (invoice,) = billed(issuer)
    (facts,) = facts_of([invoice.pk])
    assert [line.quantity for line in facts.lines] == [44, 44]
    assert facts.contracts[0].licences == 44


@pytest.mark.django_db
def test_a_base_fee_is_no_licence(files_root):
    issuer, tenant = builders.make_issuer(), builders.make_tenant()
    make_contract(issuer, tenant=tenant)
    make_contract(issuer, tenant=tenant, quantity="6")
    make_contract(issuer, (None, "0", "49.00"), model="flat", quantity="1", tenant=tenant)
    (invoice,) = billed(issuer)
    (facts,) = facts_of([invoice.pk])
    assert sorted(contract.licences for contract in facts.contracts) == [0, 6, 44]
    text = " ".join(PdfReader(BytesIO(preview(invoice.pk))).pages[-1].extract_text().split())
    assert "Lizenzen insgesamt 50" in text


@pytest.mark.django_db
def test_the_same_questions_are_asked_for_one_document_and_for_many():
    issuer = builders.make_issuer()
    for _ in range(3):
        make_contract(issuer)
    keys = [invoice.pk for invoice in billed(issuer)]
    counts = []
    for wanted in (keys[:1], keys):
        with CaptureQueriesContext(connection) as asked:
            assert len(facts_of(wanted)) == len(wanted)
        counts.append(len(asked))
    assert counts == [5, 5]
    assert [facts.number for facts in facts_of(reversed(keys))] == [
        Invoice.objects.get(pk=key).number for key in reversed(keys)
    ]


@pytest.mark.django_db
def test_a_consolidated_invoice_keeps_its_sections():
    issuer = builders.make_issuer()
    head = builders.make_tenant(name="Zentrale GmbH")
    for name in ("Filiale Süd", "Filiale Nord"):
        branch = builders.make_tenant(name=name, kind="branch", parent=head, invoice_to=head, pay_by=head)
        make_contract(issuer, tenant=branch)
    (invoice,) = billed(issuer)
    (facts,) = facts_of([invoice.pk])
    assert facts.is_consolidated
    assert [(section.tenant_name, section.net) for section in facts.sections] == [
        ("Filiale Süd", Decimal("567.60")),
        ("Filiale Nord", Decimal("567.60")),
    ]
    assert [contract.tenant_name for contract in facts.contracts] == ["Filiale Süd", "Filiale Nord"]


@pytest.mark.django_db
def test_a_document_is_printed_once(files_root):
    issuer = builders.make_issuer()
    make_contract(issuer)
    (invoice,) = billed(issuer)
    file = render_document(invoice.pk)
    content = (files_root / file.path).read_bytes()
    assert (file.size, file.sha256) == (len(content), sha256(content).hexdigest())
    assert invoice.number in PdfReader(BytesIO(content)).pages[0].extract_text()
    assert render_document(invoice.pk) == file
    assert render_pending(10) == 0
    assert DocumentFile.objects.get().file == file
    assert sum(path.is_file() for path in Path(files_root).rglob("*")) == 1


@pytest.mark.django_db
def test_the_sweep_makes_what_is_missing_up_to_its_limit():
    issuer = builders.make_issuer()
    for _ in range(5):
        make_contract(issuer)
    invoices = billed(issuer)
    render_document(invoices[2].pk)
    assert render_pending(3) == 3
    assert render_pending(10) == 1
    assert DocumentFile.objects.count() == File.objects.count() == 5


def test_two_workers_share_the_documents(own_database, files_root):
    issuer = builders.make_issuer()
    for _ in range(60):
        make_contract(issuer)
    invoices = billed(issuer)
    script = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        f"settings.FILES_ROOT = {str(files_root)!r}\n"
        "from invoicing.pdf import render_pending\n"
        "print(render_pending(1000))"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=own_database.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    answers = [worker.communicate(timeout=120) for worker in workers]
    assert [complaints.decode() for _, complaints in answers] == ["", ""]
    assert sum(int(made) for made, _ in answers) == len(invoices) == 60
    assert DocumentFile.objects.count() == 60


@pytest.mark.django_db
def test_a_killed_attempt_leaves_no_row_and_the_next_one_the_same_file(files_root, monkeypatch):
    issuer = builders.make_issuer()
    make_contract(issuer)
    (invoice,) = billed(issuer)
    with monkeypatch.context() as patch:
        patch.setattr(DocumentFile.objects, "create", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            render_document(invoice.pk)
    assert not File.objects.exists()
    render_document(invoice.pk)
    assert sum(path.is_file() for path in files_root.rglob("*")) == 1


@pytest.mark.django_db
def test_one_document_s_trouble_stops_no_other(caplog, monkeypatch):
    issuer = builders.make_issuer()
    make_contract(issuer, tenant=builders.make_tenant(name="Stein GmbH"))
    make_contract(issuer)
    assert len(billed(issuer)) == 2

    def drawn(facts, style) -> bytes:
        if facts.buyer.name == "Stein GmbH":
            raise UnprintableText("no glyph")
        return b"%PDF"

    monkeypatch.setattr(filing, "render", drawn)
    assert render_pending(10) == 1
    assert "cannot be printed" in caplog.text
    assert DocumentFile.objects.count() == 1


@pytest.mark.django_db
def test_what_cannot_be_printed_rests_longer_each_time_and_is_tried_at_once_by_hand(caplog, monkeypatch):
    issuer = builders.make_issuer()
    make_contract(issuer)
    (invoice,) = billed(issuer)

    def refuse(_facts, _style) -> bytes:
        raise UnprintableText("no glyph")

    waits = []
    with monkeypatch.context() as patch:
        patch.setattr(filing, "render", refuse)
        for _ in range(11):
            assert waiting().exists()
            assert (render_pending(10), render_pending(10)) == (0, 0)
            assert not waiting().exists()
            trouble = PrintTrouble.objects.annotate(wait=F("next_at") - Now()).get(table="invoicing_invoice")
            waits.append(round(trouble.wait / timedelta(minutes=1)))
            PrintTrouble.objects.update(next_at=Now())
        assert (trouble.row, trouble.attempts, trouble.reason) == (invoice.pk, 11, "no glyph")
        render_pending(10)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert len(caplog.records) == 12
    far = JournalEntry.objects.get(invoice=invoice).created_at + timedelta(minutes=11)
    assert overdue(far).get() == invoice  # for the start page: whether it rests or not
    render_document(invoice.pk)
    assert DocumentFile.objects.count() == 1


@pytest.mark.django_db
def test_a_full_disk_stops_the_making_at_once(monkeypatch):
    issuer = builders.make_issuer()
    for _ in range(2):
        make_contract(issuer)
    billed(issuer)
    tried = []

    def full(name: str, content: bytes, **_named) -> None:
        tried.append(name)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "store", full)
        with pytest.raises(OSError, match="No space left"):
            render_pending(10)
    assert len(tried) == 1
    assert render_pending(10) == 2


@pytest.mark.django_db
def test_a_draft_has_a_preview_and_no_file():
    issuer = builders.make_issuer()
    make_contract(issuer)
    (invoice,) = billed(issuer, by_itself=False)
    assert "ENTWURF" in PdfReader(BytesIO(preview(invoice.pk))).pages[0].extract_text()
    with pytest.raises(Invoice.DoesNotExist):
        render_document(invoice.pk)
    assert render_pending(10) == 0
    assert not File.objects.exists()
