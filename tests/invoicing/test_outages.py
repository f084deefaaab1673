"""Documents on their way while something outside is away: nothing is lost or sent twice, and operators see it.

VIES that is away: tests/invoicing/test_vat.py and test_vat_warnings.py; a webhook's receiver: tests/tenants.
"""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse

from invoicing import delivery, pdf
from invoicing.models import Delivery, DocumentFile, Invoice, JournalEntry
from tenants import files, intents, messages
from tenants.models import Contact, Message
from tests.builders import make_tenant
from tests.conftest import ROOT
from tests.invoicing.test_delivery import bill_one
from tests.smtp_server import MailServer, mail_server

THREE = ["a@example.com", "b@example.com", "c@example.com"]
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_TIMEOUT = 1
    with mail_server(tmp_path / "smtp") as server:
        settings.EMAIL_PORT = server.port
        yield server


@pytest.fixture
def invoice(server: MailServer) -> Invoice:
    """An issued and printed document of an account with three who receive its invoices."""
    tenant = make_tenant()
    for address in THREE:
        Contact.objects.create(tenant=tenant, name=address, email=address, is_billing=True)
    invoice = bill_one(tenant)
    pdf.render_document(invoice.pk)
    assert delivery.deliver([invoice.pk]).mails == 3
    return invoice


def states() -> dict[str, str]:
    return dict(Message.objects.order_by("recipient").values_list("recipient", "state"))


def soon():
    return max(Message.objects.values_list("next_at", flat=True)) + HOUR


def addressed(server: MailServer) -> list[str]:
    return sorted(str(mail["To"]) for mail in server.mails)


def test_one_of_three_who_is_refused_keeps_back_no_other_and_is_written_to_again_by_hand(
    server: MailServer, invoice: Invoice, admin_client
):
    server.does("refuse-550", "b@example.com")
    messages.send_pending(now=soon())
    assert states() == {"a@example.com": "done", "b@example.com": "parked", "c@example.com": "done"}
    assert addressed(server) == ["a@example.com", "c@example.com"]
    parked = Message.objects.get(state="parked")
    assert "550 No such user" in parked.reason
    page = admin_client.get(reverse("admin:tenants_message_changelist"), {"state__exact": "parked"})
    assert "b@example.com" in page.content.decode()

    server.does("accept")
    messages.send_pending(now=soon())
    assert len(server.mails) == 2  # not by itself
    intents.release(Message.objects.filter(pk=parked.pk), now=soon())
    messages.send_pending(now=soon())
    assert addressed(server) == THREE
    assert Delivery.objects.filter(invoice=invoice).count() == 3
    assert delivery.deliver_pending() == delivery.Decided()


def test_a_server_that_is_down_holds_all_three_until_it_is_back(server: MailServer, invoice: Invoice, settings):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody.getsockname()[1]
        assert messages.send_pending(now=soon()) == 0
    assert set(states().values()) == {"waiting"}
    assert Message.objects.exclude(reason="").exists()
    settings.EMAIL_PORT = server.port
    assert messages.send_pending(now=soon()) == 3
    assert addressed(server) == THREE
    assert messages.send_pending(now=soon()) == 0


def test_a_server_too_slow_to_answer_leaves_one_in_doubt_and_sends_none_twice(server: MailServer, invoice: Invoice):
    server.does("hang")
    messages.send_pending(now=soon())
    server.does("accept")
    while messages.send_pending(now=soon()):
        pass
    assert sorted(states().values()) == ["done", "done", "unknown"]
    assert addressed(server) == THREE  # the one in doubt arrived; it is not sent again by itself
    assert Message.objects.get(state="unknown").reason


def test_a_server_that_is_busy_is_asked_again(server: MailServer, invoice: Invoice):
    server.does("refuse-450")
    messages.send_pending(now=soon())
    assert "done" not in states().values()
    server.does("accept")
    while messages.send_pending(now=soon()):
        pass
    assert set(states().values()) == {"done"} and addressed(server) == THREE


def test_a_full_disk_while_printing_loses_nothing_and_sends_nothing_half(server: MailServer, monkeypatch, admin_client):
    invoice = bill_one(make_tenant(email="kunde@example.com"))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tenants.files.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            pdf.render_pending(10)
    assert not DocumentFile.objects.exists()
    assert [path for path in Path(files.settings.FILES_ROOT).rglob("*") if path.is_file()] == []  # no half of one
    assert delivery.deliver_pending() == delivery.Decided()
    late = JournalEntry.objects.get(invoice=invoice).created_at + timedelta(minutes=11)
    assert list(pdf.overdue(late)) == [invoice]  # the start page names it

    assert pdf.render_pending(10) == 1
    assert delivery.deliver_pending() == delivery.Decided(mails=1)
    assert messages.send_pending(now=soon()) == 1
    assert addressed(server) == ["kunde@example.com"]
    assert pdf.render_pending(10) == 0 and not pdf.overdue(late).exists()


@pytest.mark.torture
def test_5_000_lines_are_printed_in_bounded_memory(tmp_path):
    """In a process of its own: its peak, and what the lines add to it."""
    peaks = {}
    for sections in (2, 1250):
        command = [sys.executable, "-m", "tests.bench.large_document", str(sections)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=True)
        lines, pages, megabytes, seconds, peak = (float(figure) for figure in done.stdout.split())
        assert lines == sections * 4
        peaks[sections] = peak
        print(f"{lines:.0f} lines, {pages:.0f} pages, {megabytes:.1f} MB, {seconds:.0f} s, {peak:.0f} MiB")
    assert peaks[1250] < 400
