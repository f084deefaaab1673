"""The pages that cancel and credit: rights, previews, approvals, and the commands that do the same."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import translation

from invoicing import correction
from invoicing.models import Invoice, OpenItem, RefundRequest
from tenants.models import Approval
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db
ASKED = {"reason": "Falsche Menge", "on": "2026-02-10"}


@pytest.fixture(autouse=True)
def english(admin_client, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    admin_client.cookies["django_language"] = "en"
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def tenth_of_february():
    with time_machine.travel("2026-02-10 09:00:00+01:00", tick=False):
        yield


@pytest.fixture
def invoice():
    issuer = make_issuer(reference="MAIN")
    make_contract(issuer, make_tenant(), price=make_price((None, "100.00", "0")), quantity=Decimal(3))
    bill(issuer, FEBRUARY)
    return Invoice.objects.get()


def page(name: str, *keys: int) -> str:
    return reverse(f"admin:{name}", args=keys)


def test_a_document_is_cancelled_after_a_preview(admin_client, invoice):
    url = page("invoicing_invoice_cancel", invoice.pk)
    shown = admin_client.post(url, {**ASKED, "_preview": "1"})
    assert "-€357.00" in shown.content.decode()
    assert Invoice.objects.count() == 1
    seen = shown.context["seen"]
    assert admin_client.post(url, {**ASKED, "_pdf": "1"}).content.startswith(b"%PDF")
    answer = admin_client.post(url, {**ASKED, "seen": seen, "_confirm": "1"})
    made = Invoice.objects.get(kind="cancellation")
    assert answer["Location"] == page("invoicing_invoice_change", made.pk)
    assert "corrects RE-2026-00001" in admin_client.get(answer["Location"]).content.decode()
    original = admin_client.get(page("invoicing_invoice_change", invoice.pk)).content.decode()
    assert "corrected by ST-2026-00001" in original
    assert url not in original


def test_what_changed_since_the_preview_is_not_issued(admin_client, invoice):
    url = page("invoicing_invoice_cancel", invoice.pk)
    admin_client.post(url, {**ASKED, "seen": "0" * 64, "_confirm": "1"})
    assert Invoice.objects.count() == 1


def test_cancel_and_bill_again_shows_both_and_leaves_a_draft(admin_client, invoice):
    url = page("invoicing_invoice_cancel", invoice.pk)
    shown = admin_client.post(url, {**ASKED, "bill_again": "on", "_preview": "1"})
    assert shown.context["comparison"]["difference"].endswith("€0.00</span>")
    admin_client.post(url, {**ASKED, "bill_again": "on", "seen": shown.context["seen"], "_confirm": "1"})
    assert list(Invoice.objects.order_by("pk").values_list("kind", "state")) == [
        ("invoice", "issued"),
        ("cancellation", "issued"),
        ("invoice", "draft"),
    ]


def test_lines_are_credited_after_a_preview(admin_client, invoice):
    url = page("invoicing_invoice_credit", invoice.pk)
    assert "how much of it is given back" in admin_client.post(url, {**ASKED, "_preview": "1"}).content.decode()
    wanted = {**ASKED, "amount_1": "50.00"}
    shown = admin_client.post(url, {**wanted, "_preview": "1"})
    assert "-€59.50" in shown.content.decode()
    admin_client.post(url, {**wanted, "seen": shown.context["seen"], "_confirm": "1"})
    assert Invoice.objects.get(kind="credit_note").gross.amount == Decimal("-59.50")
    too_much = admin_client.post(url, {**ASKED, "amount_1": "250.01", "_preview": "1"})
    assert "250.00 EUR net is left" in too_much.content.decode()


def test_above_the_limit_another_person_approves_on_a_page(admin_client, invoice, client):
    invoice.issuer.correction_limit = Decimal(100)
    invoice.issuer.save()
    url = page("invoicing_invoice_cancel", invoice.pk)
    shown = admin_client.post(url, {**ASKED, "_preview": "1"})
    assert "Ask for approval" in shown.content.decode()
    admin_client.post(url, {**ASKED, "seen": shown.context["seen"], "_confirm": "1"})
    asked = Approval.objects.get()
    decide = page("tenants_approval_decide", asked.pk)
    admin_client.post(decide, {"_approve": "1"})
    assert Invoice.objects.count() == 1
    client.force_login(User.objects.create_user("carla", is_staff=True))
    assert client.get(decide).status_code == 403
    other = User.objects.create_user("bernd", is_staff=True)
    codenames = ["decide_approval", "view_approval", "view_invoice"]
    other.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(other)
    assert client.get(decide).status_code == 200
    client.post(decide, {"_approve": "1", "note": "geprüft"})
    assert Invoice.objects.get(kind="cancellation").number == "ST-2026-00001"


@pytest.mark.parametrize("name", ["invoicing_invoice_cancel", "invoicing_invoice_credit"])
def test_each_correction_takes_its_right(client, invoice, name):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    client.force_login(user)
    assert client.get(page(name, invoice.pk)).status_code == 403
    assert client.post(page(name, invoice.pk), {**ASKED, "_confirm": "1"}).status_code == 403
    assert page(name, invoice.pk) not in client.get(page("invoicing_invoice_change", invoice.pk)).content.decode()
    assert Invoice.objects.count() == 1


def test_a_run_is_cancelled_on_its_page(admin_client, invoice):
    url = page("invoicing_billrun_cancel", invoice.run_id)
    assert "1 document would be cancelled" in admin_client.get(url).content.decode()
    admin_client.post(url, ASKED)
    assert Invoice.objects.get(kind="cancellation").corrects == invoice


def test_a_refund_is_noted_and_withdrawn(admin_client, invoice):
    note = Invoice.objects.get(pk=correction.cancel([invoice.pk], on=date(2026, 2, 10), reason="x")[0])
    item = OpenItem.objects.get(invoice=note)
    admin_client.post(page("invoicing_openitem_refund", item.pk), {"refund_reason": "Umzug"})
    assert not RefundRequest.objects.exists()  # it was settled: no credit is left
    assert admin_client.get(page("invoicing_openitem_refund", item.pk)).status_code == 403


class TestCommands:
    def test_cancel_document(self, invoice):
        out = StringIO()
        call_command("cancel_document", invoice.number, reason="x", on=date(2026, 2, 10), dry_run=True, stdout=out)
        assert "gross -357.00 EUR" in out.getvalue()
        assert Invoice.objects.count() == 1
        call_command("cancel_document", invoice.number, reason="x", on=date(2026, 2, 10), stdout=out)
        assert "ST-2026-00001 is issued; it corrects RE-2026-00001." in out.getvalue()
        with pytest.raises(CommandError, match="cancelled already"):
            call_command("cancel_document", invoice.number, reason="x", on=date(2026, 2, 10))

    def test_credit(self, invoice):
        out = StringIO()
        arguments = ["--line", "1", "--amount", "50.00", "--reason", "Kulanz", "--on", "2026-02-10"]
        call_command("credit", invoice.number, *arguments, "--dry-run", stdout=out)
        assert "gross -59.50 EUR" in out.getvalue()
        call_command("credit", invoice.number, *arguments, stdout=out)
        assert Invoice.objects.get(kind="credit_note").net.amount == Decimal(-50)
        with pytest.raises(CommandError, match="There is no document X"):
            call_command("credit", "X", *arguments)

    def test_neither_dates_a_document_ahead(self, invoice):
        refusal = "The document date 11 Feb 2026 lies ahead: .* is dated 10 Feb 2026 at the latest"
        with pytest.raises(CommandError, match=refusal):
            call_command("cancel_document", invoice.number, reason="x", on=date(2026, 2, 11))
        with pytest.raises(CommandError, match=refusal):
            call_command("credit", invoice.number, "--line", "1", "--reason", "x", "--on", "2026-02-11")
        assert Invoice.objects.count() == 1


AHEAD = "The document date 11 Feb 2026 lies ahead: a document that corrects another is dated 10 Feb 2026 at the latest."


def test_a_correction_dated_ahead_is_refused_in_the_form(admin_client, invoice):
    ahead = {"reason": "x", "on": "2026-02-11", "percent_1": "50", "seen": "0" * 64, "_confirm": "1"}
    for name in ("cancel", "credit"):
        answer = admin_client.post(page(f"invoicing_invoice_{name}", invoice.pk), ahead)
        assert answer.context["form"].errors["on"] == [AHEAD]
    with time_machine.travel("2026-01-30 09:00:00+01:00", tick=False):  # the document itself is dated ahead
        for on, errors in (("2026-02-01", []), ("2026-02-02", ["on"])):
            answer = admin_client.post(page("invoicing_invoice_cancel", invoice.pk), {"reason": "x", "on": on})
            assert list(answer.context["form"].errors) == errors


def test_a_dispute_of_a_day_to_come_is_refused(admin_client, invoice):
    url = page("payments_dispute_of_document", invoice.pk)
    line = invoice.lines.get().pk
    answer = admin_client.post(url, {"line": line, "reason": "x", "on": "2026-02-11"})
    assert answer.context["form"].errors["on"] == ["A dispute cannot have been raised on a day that is still to come."]
    assert admin_client.post(url, {"line": line, "reason": "x", "on": "2026-02-10"}).status_code == 302
