"""Documents in the admin: what is issued stays, its file is what was sent, and nobody sees it without the right."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.test import RequestFactory
from django.urls import reverse

from invoicing import pdf
from invoicing.admin.documents import InvoiceAdmin
from invoicing.models import DocumentFile, Invoice, JournalEntry, OpenItem, Posting
from tenants import files
from tenants.errors import OperatorError
from tests.small_book import make_small_book

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings, tmp_path):
    settings.LANGUAGE_CODE = "en"
    settings.FILES_ROOT = tmp_path


@pytest.fixture
def invoice() -> Invoice:
    make_small_book()
    return Invoice.objects.get(number="RE-2026-00001")


def test_an_issued_document_can_neither_be_changed_nor_deleted(admin_client, invoice):
    url = reverse("admin:invoicing_invoice_change", args=[invoice.pk])
    before = Invoice.objects.filter(pk=invoice.pk).values().get()
    assert admin_client.post(url, {"reason": "x", "gross_0": "1"}).status_code == 403
    assert (
        admin_client.post(reverse("admin:invoicing_invoice_delete", args=[invoice.pk]), {"post": "yes"}).status_code
        == 403
    )
    admin_client.post(
        reverse("admin:invoicing_invoice_changelist"), {"action": "discard", "_selected_action": [invoice.pk]}
    )
    admin_client.post(
        reverse("admin:invoicing_invoice_changelist"), {"action": "delete_selected", "_selected_action": [invoice.pk]}
    )
    assert Invoice.objects.filter(pk=invoice.pk).values().get() == before
    assert "RE-2026-00001 is issued: nothing was changed." in [
        str(message) for message in admin_client.get(url).context["messages"]
    ]


def test_what_a_guard_of_the_database_refuses_is_one_sentence(admin_user, admin_client, invoice):
    request = RequestFactory().post("/")
    request.user, request.session = admin_user, admin_client.session
    request._messages = CookieStorage(request)
    screen = InvoiceAdmin(Invoice, admin.site)

    worked, _answer = screen.call(request, lambda: Invoice.objects.filter(pk=invoice.pk).update(reason="x"))
    done = screen.each(
        request, [invoice], lambda document: Invoice.objects.filter(pk=document.pk)._raw_delete("default")
    )

    assert (worked, done) == (False, 0)
    sentence = "This record is issued or booked and stays as it is. It is corrected by a new record, never changed."
    assert [str(message) for message in get_messages(request)] == [sentence, f"RE-2026-00001: {sentence}"]
    assert Invoice.objects.get(pk=invoice.pk).reason == ""


def test_the_page_shows_lines_shares_booking_and_what_is_open(admin_client, invoice):
    html = admin_client.get(reverse("admin:invoicing_invoice_change", args=[invoice.pk])).content.decode()
    for shown in ("€119.00", "€100.00", "€19.00", "€119.00 open", "1400", "Königsplatz 13", "1 Feb 2026 – 28 Feb 2026"):
        assert shown in html, shown


def test_the_pdf_is_the_kept_file_and_never_stored_by_the_browser(admin_client, invoice):
    file = files.store("documents/RE-2026-00001.pdf", b"%PDF-kept", content_type="application/pdf")
    DocumentFile.objects.create(invoice=invoice, kind="pdf", file=file)
    response = admin_client.get(reverse("admin:invoicing_invoice_pdf", args=[invoice.pk]))
    assert (response.content, response["Content-Type"], response["Cache-Control"]) == (
        b"%PDF-kept",
        "application/pdf",
        "no-store",
    )
    assert response["Content-Disposition"] == 'inline; filename="RE-2026-00001.pdf"'


def test_an_issued_document_without_its_file_is_not_drawn_a_second_time(admin_client, invoice):
    response = admin_client.get(reverse("admin:invoicing_invoice_pdf", args=[invoice.pk]), follow=True)
    assert "still being made" in str(next(iter(response.context["messages"])))


def test_a_draft_is_drawn_as_a_preview_and_not_kept(admin_client, invoice):
    draft = Invoice.objects.drafts().first()
    assert admin_client.get(reverse("admin:invoicing_invoice_pdf", args=[draft.pk])).content.startswith(b"%PDF")
    assert not DocumentFile.objects.exists()


def test_a_file_needs_the_right_to_see_documents(client, invoice):
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_openitem"))
    client.force_login(user)
    url = reverse("admin:invoicing_invoice_pdf", args=[invoice.pk])
    assert client.get(url).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    assert client.get(url).status_code == 302
    client.logout()
    assert "/admin/login/" in client.get(url).url


def test_a_search_finds_by_number_and_by_account(admin_client, invoice):
    url = reverse("admin:invoicing_invoice_changelist")

    def found(term: str) -> set[str]:
        return {i.number for i in admin_client.get(url, {"q": term}).context["cl"].result_list if i.number}

    assert found("RE-2026-00001") == {"RE-2026-00001"}
    assert found("AUSTRIA") == {i.number for i in Invoice.objects.issued().filter(payer__reference="AUSTRIA")}
    assert found("nobody") == set()


def test_what_was_closed_without_a_document_is_shown_only_if_asked_for(admin_client, invoice):
    closed = Invoice.objects.drafts().first()
    Invoice.objects.filter(pk=closed.pk).update(state="closed")
    url = reverse("admin:invoicing_invoice_changelist")
    listed = admin_client.get(url).context["cl"]
    assert listed.result_count == Invoice.objects.exclude(state="closed").count()
    assert closed not in listed.result_list
    assert closed in admin_client.get(url, {"state__exact": "closed"}).context["cl"].result_list


def test_entries_are_called_by_their_document(admin_client, invoice):
    html = admin_client.get(reverse("admin:invoicing_journalentry_change", args=[invoice.entries.get().pk])).content
    assert "document issued RE-2026-00001" in html.decode()


def test_a_document_that_cannot_be_printed_says_why(admin_client, invoice, monkeypatch):
    def refuse(_invoice: int) -> bytes:
        raise OperatorError("The fonts lack “\u2603”.")

    monkeypatch.setattr(pdf, "preview", refuse)
    response = admin_client.get(reverse("admin:invoicing_invoice_pdf", args=[invoice.pk]), follow=True)
    assert [str(message) for message in response.context["messages"]] == ["The fonts lack “\u2603”."]


@pytest.mark.parametrize("harm", ["gone", "changed", "unprintable"])
def test_a_pdf_that_cannot_be_shown_is_one_sentence(admin_client, invoice, monkeypatch, tmp_path, harm):
    def refuse(_invoice: int) -> bytes:
        raise pdf.UnprintableText("The fonts lack “\u2603”.")

    monkeypatch.setattr(pdf, "preview", refuse)
    if harm == "unprintable":
        shown, sentence = Invoice.objects.drafts().first(), "The fonts lack “\u2603”."
    else:
        file = files.store("documents/RE-2026-00001.pdf", b"%PDF-kept", content_type="application/pdf")
        DocumentFile.objects.create(invoice=invoice, kind="pdf", file=file)
        kept = tmp_path / file.path
        kept.unlink() if harm == "gone" else kept.write_bytes(b"%PDF-else")
        shown, sentence = invoice, f"The file {file.path} "
    response = admin_client.get(reverse("admin:invoicing_invoice_pdf", args=[shown.pk]), follow=True)
    assert response.redirect_chain == [(reverse("admin:invoicing_invoice_change", args=[shown.pk]), 302)]
    (message,) = response.context["messages"]
    assert str(message).startswith(sentence)


def test_open_items_show_what_the_postings_leave_open(admin_client, invoice):
    url = reverse("admin:invoicing_openitem_changelist")
    rows = {item.invoice.number: item.open_amount for item in admin_client.get(url).context["cl"].result_list}
    assert rows["RE-2026-00001"] == 119
    assert rows["RK-2026-00001"] < 0
    settled = OpenItem.objects.get(invoice__number="RE-2026-00002")
    own = settled.postings.get()
    entry = JournalEntry.objects.create(issuer=own.entry.issuer, kind="issue", booked_on=own.entry.booked_on)
    both = {"entry": entry, "account": own.account, "currency": own.currency}
    paid = own.amount.amount
    Posting.objects.bulk_create([Posting(**both, open_item=settled, amount=-paid), Posting(**both, amount=paid)])

    def shown(**query: str) -> set[str]:
        return {item.invoice.number for item in admin_client.get(url, query).context["cl"].result_list}

    assert "RE-2026-00002" not in shown()
    assert "RE-2026-00002" not in shown(state="open")
    assert shown(state="settled") == {"RE-2026-00002"}
    assert shown(state="all") == {*shown(), "RE-2026-00002"}
    assert shown(q="RE-2026-00002") == {"RE-2026-00002"}
    assert [chosen for _url, _label, chosen in admin_client.get(url).context["states"]] == [True, False, False, False]
    overdue = admin_client.get(url, {"state": "overdue"}).context["cl"].result_list
    assert "RK-2026-00001" not in {item.invoice.number for item in overdue}
