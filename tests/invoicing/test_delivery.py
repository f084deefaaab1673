"""Documents go out by mail once, to whom they should."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from invoicing import bill_run, delivery, judging, pdf
from invoicing.models import Delivery, DocumentFile, Invoice
from tenants import files, messages
from tenants.models import Contact, Message
from tests.builders import make_issuer, make_item, make_subscription, make_tenant
from tests.concurrency import in_thread
from tests.server_process import ROOT
from tests.smtp_server import mail_server

DAY = date(2026, 2, 1)
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)


def bill_one(tenant, issuer=None) -> Invoice:
    """An issued invoice of ``tenant``, without a PDF."""
    subscription = make_subscription(tenant=tenant, issuer=issuer or make_issuer(), starts_on=DAY)
    make_item(subscription=subscription, quantity=Decimal(1))
    run = bill_run.start(issuer=subscription.issuer, through=DAY, issue_on=DAY, issues_by_itself=True)
    bill_run.bill(run)
    return run.invoices.get()


@pytest.fixture
def kept_here(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"


@pytest.mark.django_db
def test_one_mail_with_the_pdf_to_each_billing_contact(kept_here):
    tenant = make_tenant(language="en")
    Contact.objects.create(tenant=tenant, name="A", email="a@example.com", is_billing=True)
    Contact.objects.create(tenant=tenant, name="A again", email="A@example.com", is_billing=True)
    Contact.objects.create(tenant=tenant, name="B", email="b@example.com", is_billing=True)
    Contact.objects.create(tenant=tenant, name="C", email="c@example.com", is_technical=True)
    invoice = bill_one(tenant)

    assert delivery.deliver_pending() == delivery.Decided()  # not before there is a PDF
    pdf.render_document(invoice.pk)
    assert delivery.deliver_pending() == delivery.Decided(mails=2)
    assert delivery.deliver_pending() == delivery.Decided()

    written = Message.objects.order_by("recipient")
    assert [message.recipient.lower() for message in written] == ["a@example.com", "b@example.com"]
    assert {message.subject for message in written} == {f"Invoice {invoice.number} from Beispiel Telefonie GmbH"}
    assert {message.file_name for message in written} == {f"Invoice-{invoice.number}.pdf"}
    assert {message.file_id for message in written} == {DocumentFile.objects.get().file_id}
    assert {message.sender for message in written} == {'"Beispiel Telefonie GmbH" <rechnung@example.com>'}
    assert "119.00\N{NO-BREAK SPACE}EUR" in written[0].body


@pytest.mark.django_db
def test_a_payer_by_direct_debit_is_told_before(kept_here):
    invoice = bill_one(make_tenant(collection="direct_debit"))
    pdf.render_document(invoice.pk)
    delivery.deliver([invoice.pk])
    told = pdf.facts_of([invoice.pk])[0]
    message = Message.objects.get()
    assert "SEPA" in message.body
    assert "119,00\N{NO-BREAK SPACE}EUR" in message.body
    assert f"{told.due_on:%d.%m.%Y}" in message.body


@pytest.mark.django_db
def test_who_wants_no_mail_gets_none_also_later(kept_here):
    group = make_tenant(auto_mail=False)
    branch = make_tenant(parent=group)  # inherits it
    invoice = bill_one(branch)
    pdf.render_document(invoice.pk)
    assert delivery.deliver_pending() == delivery.Decided(not_wanted=1)
    assert Delivery.objects.get().channel == "none"

    group.auto_mail = True
    group.save()
    assert delivery.deliver_pending() == delivery.Decided()  # switching it on sends nothing of the past
    assert Message.objects.count() == 0

    assert delivery.send_anyway([invoice.pk]) == 1  # but a person may
    assert delivery.send_anyway([invoice.pk]) == 0
    assert Message.objects.get().recipient == branch.email


@pytest.mark.django_db
@pytest.mark.parametrize("wanted", [None, True], ids=["the XML alone", "a PDF beside it"])
def test_an_xrechnung_goes_out_as_the_account_wants(kept_here, settings, tmp_path, wanted):
    group = make_tenant(pdf_beside_xml=wanted)
    tenant = make_tenant(
        parent=group, document_format="xrechnung_ubl", leitweg_id="04011000-12345-03", email="amt@example.com"
    )
    issuer = make_issuer(phone="+49 7525 12345", contact="Buchhaltung")
    invoice = bill_one(tenant, issuer)
    judging.judge_pending()
    pdf.render_document(invoice.pk)
    assert delivery.deliver_pending() == delivery.Decided(mails=1)
    group.pdf_beside_xml = not wanted  # decided once
    group.save()
    assert delivery.send_anyway([invoice.pk]) == 0

    names = [f"Rechnung-RE-2026-00001.{kind}" for kind in (["xml", "pdf"] if wanted else ["xml"])]
    with mail_server(tmp_path / "mail") as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        Message.objects.update(next_at=NOON)
        assert [messages.send_pending(now=NOON), messages.send_pending(now=NOON)] == [1, 0]
        (mail,) = server.mails
    sent = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    assert list(sent) == names
    kept = {one.kind: files.read(one.file) for one in DocumentFile.objects.select_related("file")}
    assert list(sent.values()) == [kept[name.rpartition(".")[2]] for name in names]


@pytest.mark.django_db
def test_an_address_written_otherwise_is_the_same(kept_here):
    tenant = make_tenant(email="rechnung@example.org")
    invoice = bill_one(tenant)
    pdf.render_document(invoice.pk)
    assert delivery.deliver_pending() == delivery.Decided(mails=1)
    tenant.email = "Rechnung@Example.org"
    tenant.save()
    assert delivery.send_anyway([invoice.pk]) == 0
    assert Message.objects.get().recipient == "rechnung@example.org"


@pytest.mark.django_db
def test_a_document_without_an_address_waits_in_sight(kept_here):
    tenant = make_tenant(email="")
    invoice = bill_one(tenant)
    pdf.render_document(invoice.pk)
    assert delivery.deliver_pending() == delivery.Decided(without_address=1)
    assert list(delivery.without_address()) == [invoice]
    with pytest.raises(delivery.NotDeliverable, match=invoice.number):
        delivery.send_anyway([invoice.pk])

    Contact.objects.create(tenant=tenant, name="A", email="a@example.com", is_billing=True)
    assert not delivery.without_address().exists()
    assert delivery.deliver_pending() == delivery.Decided(mails=1)


@pytest.mark.django_db
def test_the_database_refuses_a_second_delivery(kept_here):
    invoice = bill_one(make_tenant())
    pdf.render_document(invoice.pk)
    delivery.deliver_pending()
    sent = Delivery.objects.get()
    second = messages.compose(
        "other", issuer=invoice.issuer, tenant=invoice.recipient, recipient=sent.recipient, subject="x", body="x"
    )
    second.save()
    with pytest.raises(IntegrityError, match="delivery_once_per_recipient"), transaction.atomic():
        Delivery.objects.create(invoice=invoice, recipient=sent.recipient, message=second)
    with pytest.raises(IntegrityError, match="delivery_by_mail_has_a_message"), transaction.atomic():
        Delivery.objects.create(invoice=invoice, recipient="other@example.com")


def test_two_processes_send_each_document_once(own_database, kept_here, tmp_path):
    issuer = make_issuer()
    for _ in range(12):
        make_item(subscription=make_subscription(tenant=make_tenant(), issuer=issuer, starts_on=DAY))
    run = bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True)
    bill_run.bill(run)
    with mail_server(tmp_path / "smtp") as server:
        environment = own_database.environment | {
            "EMAIL_URL": f"smtp://127.0.0.1:{server.port}",
            "KONTOR_HOME": str(tmp_path / "home"),
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
        }
        commands = [
            subprocess.Popen(
                [sys.executable, "manage.py", "deliver"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        said = [command.communicate(timeout=120)[0] for command in commands]
        assert [command.returncode for command in commands] == [0, 0], said
        assert Message.objects.filter(state="done").count() == 12
        assert sorted(mail["Message-ID"] for mail in server.mails) == sorted(
            Message.objects.values_list("message_id", flat=True)
        )
        assert sorted(mail["To"] for mail in server.mails) == sorted(
            Invoice.objects.values_list("recipient__email", flat=True)
        )


@pytest.mark.django_db
def test_a_chunk_takes_as_many_statements_for_one_document_as_for_many(kept_here):
    def statements() -> int:
        while pdf.render_pending(10):
            pass
        with CaptureQueriesContext(connection) as seen:
            delivery.deliver_pending()
        return len(seen)

    issuer = make_issuer()
    bill_one(make_tenant(), issuer)
    one = statements()
    with connection.cursor() as cursor:
        cursor.execute("set constraints all deferred")
    for _ in range(4):
        make_item(subscription=make_subscription(tenant=make_tenant(), issuer=issuer, starts_on=DAY))
    bill_run.bill(bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True))
    assert statements() == one
    assert Message.objects.count() == 5


@pytest.mark.parametrize("wanted", [True, False])
def test_two_sessions_decide_about_a_document_once(own_database, kept_here, wanted):
    invoice = bill_one(make_tenant(auto_mail=wanted))
    pdf.render_document(invoice.pk)
    read_before = list(delivery.undelivered())
    with transaction.atomic():
        assert delivery.deliver_pending() == delivery.Decided(mails=wanted, not_wanted=not wanted)
        assert in_thread(delivery.deliver_pending).result(timeout=30) == delivery.Decided()
    assert delivery._decide(read_before) == delivery.Decided()  # it reads again, under the lock
    assert Delivery.objects.count() == 1
