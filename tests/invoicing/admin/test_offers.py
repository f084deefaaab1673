"""Pro forma invoices and quotes: what will be invoiced, and what a change would cost; nothing of it stays."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Amendment, Charge, Subscription
from invoicing.models import Invoice, NumberRange
from tenants.models import File
from tests.builders import make_issuer, make_price, make_tenant
from tests.invoicing.test_pdf import words_of
from tests.pages import filled
from tests.small_book import bill, make_contract

pytestmark = pytest.mark.django_db
TODAY = date(2026, 2, 11)


@pytest.fixture(autouse=True)
def english(settings, monkeypatch, tmp_path):
    settings.LANGUAGE_CODE = "en"
    settings.FILES_ROOT = tmp_path
    monkeypatch.setattr(timezone, "localdate", lambda *_: TODAY)


@pytest.fixture
def contract() -> Subscription:
    """Two seats at 28.00 a month from January, billed through February."""
    subscription = make_contract(
        make_issuer(), make_tenant(), reference="V-1", price=make_price((None, "28.00", "0")), quantity=Decimal(2)
    )
    bill(subscription.issuer, date(2026, 2, 1))
    return subscription


def kept() -> list[int]:
    counts = [model.objects.count() for model in (Charge, Invoice, File, Amendment)]
    return counts + list(NumberRange.objects.order_by("pk").values_list("next_number", flat=True))


def test_the_pro_forma_is_what_the_next_run_invoices(admin_client, contract):
    before = kept()
    for url in (
        reverse("contract_proforma", args=[contract.pk]),
        reverse("account_proforma", args=[contract.tenant_id]),
    ):
        answer = admin_client.get(url)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
        said = words_of(answer.content)
        assert "Proforma-Rechnung" in said and "PROFORMA" in said
        assert "Erwartet am 01.03.2026" in said
        assert "Summe netto 56,00 EUR" in said and "Voraussichtlicher Gesamtbetrag 66,64 EUR" in said
        assert "keine Rechnung" in said
        for absent in ("10,64", "USt 19 %", "Rechnungsbetrag", "Bitte überweisen", "Nummer RE"):
            assert absent not in said
    assert kept() == before
    bill(contract.issuer, date(2026, 3, 1))
    assert Invoice.objects.latest("pk").gross.amount == Decimal("66.64")


def test_an_account_that_pays_for_others_sees_all_on_one(admin_client, contract):
    child = make_tenant(parent=contract.tenant, pay_by=contract.tenant)
    make_contract(contract.issuer, child, reference="V-2", price=make_price((None, "5.00", "0")), quantity=Decimal(1))
    said = words_of(admin_client.get(reverse("account_proforma", args=[contract.tenant_id])).content)
    assert "V-2" in said


def test_nothing_to_come_is_said(admin_client, contract):
    contract.items.update(ends_before=date(2026, 3, 1))
    for name, key in (("contract_proforma", contract.pk), ("account_proforma", contract.tenant_id)):
        answer = admin_client.get(reverse(name, args=[key]))
        assert answer.status_code == 302
        assert "Nothing more will be invoiced" in str([*get_messages(answer.wsgi_request)][-1])


def test_a_quote_says_what_the_form_shows_and_keeps_nothing(admin_client, contract):
    form_url = reverse("admin:billing_subscription_amend", args=[contract.pk]) + "?kind=quantity"
    form = filled(admin_client.get(form_url)) | {"quantity": "3", "when": "immediate", "reason": "intern"}
    before = kept()
    shown = admin_client.post(form_url, form | {"_preview": "1"})
    assert reverse("amendment_quote", args=[contract.pk]) in shown.content.decode()
    answer = admin_client.post(
        reverse("amendment_quote", args=[contract.pk]), form | {"kind": "quantity", "valid_until": "2026-03-15"}
    )
    said = words_of(answer.content)
    for part in (
        "Angebot zum Vertrag V-1",
        "Gültig bis 15.03.2026",
        "mit Wirkung ab dem 11.02.2026",
        "Menge: 3",
        "11.02.2026 – 28.02.2026 3 54,00",
        "Änderung des bis 11.02.2026 berechneten Betrags, netto 18,00 EUR",
        "im Monat 56,00 EUR 84,00 EUR 28,00 EUR",
        "keine Rechnung",
    ):
        assert part in said, part
    assert "intern" not in said
    assert kept() == before


@pytest.mark.parametrize("until", ["2026-02-10", "morgen"])
def test_a_quote_that_is_over_is_refused(admin_client, contract, until):
    values = {"kind": "quantity", "line": "1", "quantity": "3", "when": "", "valid_until": until}
    answer = admin_client.post(reverse("amendment_quote", args=[contract.pk]), values)
    assert answer.status_code == 302 and len([*get_messages(answer.wsgi_request)]) == 1


def test_without_the_right_there_is_neither(contract):
    client = Client()
    user = User.objects.create_user("nobody", is_staff=True)
    client.force_login(user)
    assert client.get(reverse("contract_proforma", args=[contract.pk])).status_code == 403
    assert client.get(reverse("account_proforma", args=[contract.tenant_id])).status_code == 403
    assert client.post(reverse("amendment_quote", args=[contract.pk])).status_code == 403
    user.groups.add(Group.objects.get(name="operator"))
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get(reverse("amendment_quote", args=[contract.pk])).status_code == 405
