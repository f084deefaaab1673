"""Warnings about VAT ids of customers in other member states: on the account, on the run; VIES asked at once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from config.rights import ensure_roles
from invoicing import bill_run, vat_waiting, vat_warnings
from invoicing.models import Invoice, Outcome
from invoicing.vat_warnings import Fault
from tenants import vat_inquiries
from tenants.models import Issuer, Tenant, VatCheck, VatInquiry
from tests.builders import make_issuer, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract
from tests.vies_server import register

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 2, 1, 3, 0, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)  # than any day on which this is tried
ID = {"vat_id": "ATU13585627", "vat_id_valid": True}


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN")


@pytest.fixture
def vies(tmp_path: Path, settings):
    with register(tmp_path / "vies") as server:
        settings.VIES_URL = server.url
        settings.VIES_TIMEOUT = 1
        yield server


def austrian(**fields: Any) -> Tenant:
    return make_tenant(**{"country": "AT"} | fields)


def check(tenant: Tenant, method: str, is_valid: bool = True, at: datetime = NOW) -> VatCheck:
    return VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method=method, is_valid=is_valid, checked_at=at)


@pytest.mark.parametrize(
    ("account", "checked", "fault"),
    [
        pytest.param({}, None, Fault.NO_ID, id="no id"),
        pytest.param({"vat_id": "ATU1"}, ("check_digits", False, 0), Fault.NOT_VALID, id="wrong check digits"),
        pytest.param({"vat_id": "ATU13585627"}, ("vies", False, 0), Fault.NOT_VALID, id="refused by VIES"),
        pytest.param(ID, ("check_digits", True, 0), Fault.UNCONFIRMED, id="check digits alone"),
        pytest.param(ID, None, Fault.UNCONFIRMED, id="never checked"),
        pytest.param(ID, ("vies", True, 200), Fault.OLD, id="confirmed long ago"),
        pytest.param(ID, ("vies", True, 5), None, id="confirmed"),
        pytest.param({"country": "DE"}, None, None, id="at home"),
        pytest.param({"country": "CH"}, None, None, id="third country"),
        pytest.param({"buys_as": "consumer"}, None, None, id="consumer"),
    ],
)
def test_what_is_wrong_with_an_account(issuer, account, checked, fault):
    tenant = austrian(**account)
    found = None
    if checked:
        method, is_valid, days = checked
        found = check(tenant, method, is_valid, NOW - timedelta(days=days))
    warned = vat_warnings.of_account(issuer, tenant, found, on=FEBRUARY)
    assert (warned and warned.fault) == fault


def test_who_is_not_invoiced_is_not_warned_of(issuer):
    head = austrian(**ID)
    branch = austrian(kind="branch", parent=head, invoice_to=head)
    assert vat_warnings.of_account(issuer, branch, None, on=FEBRUARY) is None


@pytest.mark.parametrize(
    ("language", "policy", "sentence"),
    [
        ("de", "", "Die USt-IdNr. ist nicht durch VIES bestätigt. Geprüft wurden am 01.02.2026 nur die Prüfziffern."),
        ("en", "", "The VAT id is not confirmed by VIES. Only its check digits were checked, on 1 Feb 2026."),
        ("de", "wait", "Belege ohne Umsatzsteuer warten, bis sie bestätigt ist."),
        ("en", "charge", "Its invoices show VAT of DE."),
        ("de", "accept", "Belege werden trotzdem ohne Umsatzsteuer ausgestellt."),
    ],
)
def test_the_account_page_says_it(issuer, admin_client, settings, language, policy, sentence):
    tenant = austrian(**ID)
    check(tenant, "check_digits")
    if policy:
        settings.VIES_URL = "http://127.0.0.1:9"
        Issuer.objects.filter(pk=issuer.pk).update(without_confirmation=policy)
    html = admin_client.get(reverse("account", args=[tenant.pk]), headers={"accept-language": language}).content
    assert sentence in html.decode()
    assert (b"ask-vies" in html) == bool(policy)


def test_vies_is_asked_from_the_account_page(vies, issuer, admin_client):
    tenant = austrian(**ID)
    check(tenant, "check_digits")
    page = admin_client.post(reverse("account_ask_vies", args=[tenant.pk]), follow=True)
    assert page.redirect_chain[-1][0] == reverse("account", args=[tenant.pk])
    inquiry = VatInquiry.objects.get()
    assert (inquiry.tenant, inquiry.issuer, inquiry.state) == (tenant, issuer, "waiting")
    vat_inquiries.answer_pending(clock=lambda: LATER)
    html = admin_client.get(reverse("account", args=[tenant.pk])).content.decode()
    assert "k-warned" not in html
    assert admin_client.get(reverse("account_ask_vies", args=[tenant.pk])).status_code == 405


def test_asking_needs_the_right(vies, issuer, client):
    ensure_roles("default", reset=True)
    tenant = austrian(**ID)
    for role, status in (("support", 403), ("auditor", 403), ("operator", 302)):
        user = User.objects.create_user(role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        assert client.post(reverse("account_ask_vies", args=[tenant.pk])).status_code == status, role
    assert VatInquiry.objects.count() == 1


def test_an_inquiry_that_was_given_up_is_asked_again_from_its_list(vies, issuer, admin_client):
    tenant = austrian(**ID)
    gone = VatInquiry.objects.create(issuer=issuer, tenant=tenant, vat_id=tenant.vat_id, state="parked", reason="x")
    url = reverse("admin:tenants_vatinquiry_changelist")
    admin_client.post(url, {"action": "ask_again", "_selected_action": [gone.pk]})
    assert list(VatInquiry.objects.order_by("pk").values_list("state", flat=True)) == ["parked", "waiting"]
    VatInquiry.objects.filter(state="waiting").update(next_at=LATER)
    admin_client.post(url, {"action": "ask_again", "_selected_action": [gone.pk]})
    assert VatInquiry.objects.get(state="waiting").next_at < LATER
    assert VatInquiry.objects.count() == 2


def test_without_an_address_nobody_is_asked_and_it_says_so(issuer, admin_client):
    tenant = austrian(**ID)
    page = admin_client.post(
        reverse("account_ask_vies", args=[tenant.pk]), follow=True, headers={"accept-language": "de"}
    )
    assert "VIES wird nicht befragt" in page.content.decode()
    assert not VatInquiry.objects.exists()


def test_the_run_counts_documents_that_rest_on_check_digits_alone(issuer, admin_client, settings):
    for number, fields in enumerate((ID, ID, {})):
        make_contract(issuer, austrian(reference=f"A{number}", **fields))
    run = bill(issuer, FEBRUARY)
    assert vat_warnings.on_check_digits(run) == 2
    url = reverse("admin:invoicing_billrun_change", args=[run.pk])
    said = "2 Belege weisen keine USt aus, weil USt-IdNrn. vorliegen, von denen nur die Prüfziffern geprüft sind"
    assert said in admin_client.get(url, headers={"accept-language": "de"}).content.decode()
    assert "2 documents show no VAT because of VAT ids" in (
        admin_client.get(url, headers={"accept-language": "en"}).content.decode()
    )
    settings.VIES_URL = "http://127.0.0.1:9"
    assert vat_warnings.on_check_digits(run) == 0
    assert said not in admin_client.get(url, headers={"accept-language": "de"}).content.decode()


def test_the_issuer_is_told_that_vies_is_not_connected(issuer, admin_client, settings):
    url = reverse("admin:tenants_issuer_change", args=[issuer.pk])
    said = "VIES ist an diese Installation nicht angebunden: Niemand wird befragt"
    assert said in admin_client.get(url, headers={"accept-language": "de"}).content.decode()
    settings.VIES_URL = "http://127.0.0.1:9"
    assert said not in admin_client.get(url, headers={"accept-language": "de"}).content.decode()


def test_the_run_names_eu_customers_who_are_charged(issuer, admin_client):
    for tenant in (
        austrian(reference="NONE"),
        austrian(reference="WRONG", vat_id="ATU13585628"),
        austrian(reference="GOOD", **ID),
        austrian(reference="PRIVATE", buys_as="consumer"),
        make_tenant(reference="HOME"),
    ):
        make_contract(issuer, tenant)
    run = bill(issuer, FEBRUARY)
    charged = vat_warnings.of_run(run)
    assert [(one.payer.reference, one.rate, one.vat_id) for one in charged] == [
        ("NONE", Decimal(19), ""),
        ("WRONG", Decimal(19), "ATU13585628"),
    ]
    for language, sentences in (
        ("de", ["EU-Kunde ohne USt-IdNr.: 19 % berechnet", "EU-Kunde ohne gültige USt-IdNr.: 19 % berechnet"]),
        ("en", ["EU customer without a VAT id: charged 19 %", "EU customer without a valid VAT id: charged 19 %"]),
    ):
        url = reverse("admin:invoicing_billrun_change", args=[run.pk])
        html = admin_client.get(url, headers={"accept-language": language}).content.decode()
        assert [html.count(sentence) for sentence in sentences] == [1, 1]
    assert Invoice.objects.filter(state="issued").count() == 5


def test_a_08_a_run_waits_for_vies_reports_it_and_goes_on_with_the_answer(vies, issuer, admin_client):
    """A-08, A-09: VIES is down; the document waits in review and says why; with the answer the next pass issues it."""

    vies.does("fault", "MS_UNAVAILABLE")
    make_contract(issuer, austrian(reference="A", **ID))
    make_contract(issuer, make_tenant(reference="B"))
    run = bill(issuer, FEBRUARY)
    assert list(Invoice.objects.order_by("recipient__reference").values_list("state", "waits_for")) == [
        ("held", "vat_check"),
        ("issued", ""),
    ]
    assert dict(Outcome.objects.filter(run=run).values_list("payer__reference", "state")) == {
        "A": "proposed",
        "B": "issued",
    }
    page = reverse("admin:invoicing_billrun_change", args=[run.pk])
    for language, reason in (("de", "Prüfung der USt-IdNr. steht aus"), ("en", "Prüfung der USt-IdNr. steht aus")):
        assert reason in admin_client.get(page, headers={"accept-language": language}).content.decode()
    VatInquiry.objects.update(next_at=NOW)
    assert vat_inquiries.answer_pending(clock=lambda: NOW).unanswered == 1
    assert vat_waiting.settle() == 0  # no answer is no answer

    vies.does("confirm")
    VatInquiry.objects.update(next_at=NOW)
    assert vat_inquiries.answer_pending(clock=lambda: NOW + timedelta(hours=1)).answered == 1
    assert vat_waiting.settle() == 1

    run.refresh_from_db()
    bill_run.bill(run)
    invoice = Invoice.objects.get(recipient__reference="A")
    assert (invoice.state, invoice.vat_case, invoice.issued_on) == ("issued", "AE", date(2026, 2, 1))
    assert dict(Outcome.objects.filter(run=run).values_list("payer__reference", "state")) == {
        "A": "issued",
        "B": "issued",
    }
