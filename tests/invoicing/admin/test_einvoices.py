"""E-invoices in the admin: their XML as it was sent, what the rules say, and where what is wrong is put right."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from invoicing import judging, pdf
from invoicing.models import DocumentFile, Invoice
from tenants import files
from tenants.models import Tenant
from tests.builders import make_issuer, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings, tmp_path):
    settings.LANGUAGE_CODE = "en"
    settings.FILES_ROOT = tmp_path


@pytest.fixture
def documents() -> dict[str, Invoice]:
    """Issued as ZUGFeRD; held for want of a Leitweg-ID; paper."""
    issuer = make_issuer(phone="+49 7525 12345", contact="Buchhaltung", document_format="zugferd")
    for reference, form in [("GUT", ""), ("AMT", "xrechnung_ubl"), ("PAPIER", "pdf")]:
        make_contract(issuer, make_tenant(reference=reference, document_format=form))
    bill(issuer, FEBRUARY)
    while judging.judge_pending():
        pass
    pdf.render_pending(10)
    return {invoice.recipient.reference: invoice for invoice in Invoice.objects.select_related("recipient")}


def page_of(client, invoice) -> str:
    return client.get(reverse("admin:invoicing_invoice_change", args=[invoice.pk])).content.decode()


def test_the_xml_is_the_file_that_is_kept(admin_client, documents):
    answer = admin_client.get(reverse("admin:invoicing_invoice_xml", args=[documents["GUT"].pk]))
    kept = DocumentFile.objects.get(invoice=documents["GUT"], kind="xml")
    assert answer.content == files.read(kept.file)
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/xml", "no-store")
    assert answer["Content-Disposition"] == f'attachment; filename="{documents["GUT"].number}.xml"'


def test_of_a_draft_it_is_a_preview(admin_client, documents):
    answer = admin_client.get(reverse("admin:invoicing_invoice_xml", args=[documents["AMT"].pk]))
    assert b"<cbc:ID>ENTWURF</cbc:ID>" in answer.content
    assert not DocumentFile.objects.filter(invoice=documents["AMT"]).exists()


def test_paper_has_none(admin_client, documents):
    url = reverse("admin:invoicing_invoice_xml", args=[documents["PAPIER"].pk])
    page = admin_client.get(url, follow=True).content.decode()
    assert "This document is no e-invoice." in page
    assert url not in page


def test_the_page_says_what_the_rules_say(admin_client, documents):
    assert "keeps the rules" in page_of(admin_client, documents["GUT"])
    page = page_of(admin_client, documents["AMT"])
    assert "breaks rules" in page
    assert "Leitweg-ID (BT-10) is missing at account AMT. (rule BR-DE-15)" in page
    assert f'href="{reverse("admin:tenants_tenant_change", args=[documents["AMT"].recipient_id])}">put right' in page


def test_a_held_draft_whose_account_was_corrected_is_computed_again(admin_client, client, documents):
    draft, said = documents["AMT"], "The account was changed since: discard this draft and compute it again."
    again = reverse("admin:invoicing_billrun_do", args=[draft.run_id, "discard"])
    assert said not in page_of(admin_client, draft)
    Tenant.objects.filter(pk=draft.recipient_id).update(leitweg_id="04011000-12345-03")
    page = page_of(admin_client, draft)
    assert said in page and f'action="{again}"' in page and f'name="invoice" value="{draft.pk}"' in page
    german = admin_client.get(
        reverse("admin:invoicing_invoice_change", args=[draft.pk]), headers={"accept-language": "de"}
    ).content.decode()
    assert "Der Mandant wurde seither geändert: Verwerfen Sie diesen Entwurf" in german
    user = User.objects.create_user("leserin", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    client.force_login(user)
    looked_at = page_of(client, draft)
    assert said in looked_at and "Discard and compute again" not in looked_at
    admin_client.post(again, {"invoice": draft.pk})
    assert not Invoice.objects.filter(pk=draft.pk).exists()


def test_nobody_fetches_it_without_the_right(client, documents):
    user = User.objects.create_user("fremd", is_staff=True)
    client.force_login(user)
    url = reverse("admin:invoicing_invoice_xml", args=[documents["GUT"].pk])
    assert client.get(url).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    client.logout()  # a change of rights ends sessions
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get(url).status_code == 200


def test_a_held_document_is_not_released_by_hand(admin_client, documents):
    admin_client.post(
        reverse("admin:invoicing_invoice_changelist"),
        {"action": "release", "_selected_action": [documents["AMT"].pk]},
    )
    documents["AMT"].refresh_from_db()
    assert documents["AMT"].state == "held"
