"""An issuer made by hand: what stands on every invoice is looked at before it is kept."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from tenants.models import Issuer

pytestmark = pytest.mark.django_db

FORM = {
    "reference": "ZEIT",
    "name": "Zeitwerk Software GmbH",
    "street": "Hafenstraße 1",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
    "vat_id": "DE 271 828 180",
    "email": "rechnung@zeitwerk.example",
    "iban": "de02 1203 0000 0000 2020 51",
    "bic": "byladem1001",
    "language": "de",
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "payment_days": "14",
    "document_format": "pdf",
    "without_confirmation": "wait",
    "vat_check_max_age_days": "90",
    "largest_document": "1000000",
    "most_periods": "36",
}


@pytest.fixture
def url(settings) -> str:
    settings.LANGUAGE_CODE = "en"
    return reverse("admin:tenants_issuer_add")


def test_the_country_is_chosen_and_not_the_first_of_the_alphabet(admin_client, url):
    form = admin_client.get(url).context["adminform"].form
    assert form["country"].value() == "DE"
    assert admin_client.post(url, {**FORM, "country": ""}).context["errors"] == [["This field is required."]]
    assert not Issuer.objects.exists()


def test_bank_and_vat_id_are_checked(admin_client, url):
    wrong = {"iban": "DE02120300000000202052", "bic": "NONSENSE1"}
    errors = admin_client.post(url, {**FORM, **wrong}).context["adminform"].form.errors
    assert errors == {"iban": ["The check digits of the IBAN are wrong."], "bic": ["“NONSENSE1” is no BIC."]}

    admin_client.post(url, {**FORM, "correction_limit": "500"})
    issuer = Issuer.objects.get()
    assert issuer.correction_limit == 500
    assert (issuer.vat_id, issuer.iban, issuer.bic) == ("DE271828180", "DE02120300000000202051", "BYLADEM1001")

    page = admin_client.post(
        reverse("admin:tenants_issuer_change", args=[issuer.pk]), {**FORM, "vat_id": "DE123"}, follow=True
    )
    assert "Please check the VAT id: the check digits of the VAT id are wrong." in [
        str(message) for message in page.context["messages"]
    ]


def test_who_corrects_documents_does_not_set_the_limit_of_it(client, admin_client, url):
    admin_client.post(url, {**FORM, "correction_limit": "500"})
    issuer = Issuer.objects.get()
    approver = User.objects.create_user("approver", is_staff=True)
    approver.groups.set(Group.objects.filter(name="approver"))
    client.force_login(approver)
    changed = {**FORM, "payment_days": "30", "correction_limit": "1000000"}
    assert client.post(reverse("admin:tenants_issuer_change", args=[issuer.pk]), changed).status_code == 302
    issuer.refresh_from_db()
    assert (issuer.payment_days, issuer.correction_limit) == (30, 500)
