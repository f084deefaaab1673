"""One billing day and one day of renewal for chosen contracts: on the page, by command, all or none."""

from __future__ import annotations

from datetime import date
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.urls import reverse

from billing import contracts
from billing.models import Amendment, Subscription
from tenants.models import Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.pages import filled
from tests.small_book import bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_the_end_of_january(settings):
    settings.LANGUAGE_CODE = "en"
    with time_machine.travel("2026-01-31 12:00:00+00:00", tick=False):
        yield


@pytest.fixture
def group() -> Tenant:
    """GROUP with two contracts of 310.00 a month, billed on the 5th and the 17th; one of them has a term."""
    issuer, group, price = make_issuer(), make_tenant(reference="GROUP"), make_price((None, "310.00", "0"))
    for reference, day, term in [("V-A", 5, {"term_months": 12, "renewal_months": 12}), ("V-B", 17, {})]:
        fields = {"starts_on": date(2026, 1, day), "billing_day": day, "reference": reference, **term}
        make_contract(issuer, group, price=price, **fields)
    bill(issuer, date(2026, 1, 31))
    return group


def test_the_page_shows_each_stub_and_moves_what_is_chosen(admin_client, group):
    url = reverse("account_align", args=[group.pk])
    chosen = [str(key) for key in Subscription.objects.values_list("pk", flat=True)]
    said = {"billing_day": "1", "renews_on": "2027-01-01", "reason": "ein Termin", "contract": chosen}
    shown = admin_client.post(url, said | {"_check": "1"})
    html = shown.content.decode()
    assert "5 Feb 2026, before 1 Mar 2026: €265.71" in html and "€132.86" in html
    assert not Amendment.objects.exists()
    assert admin_client.post(url, said | {"_confirm": "1"}).status_code == 302
    kinds = Amendment.objects.exclude(kind="start").order_by("subscription__reference", "sequence")
    assert list(kinds.values_list("subscription__reference", "kind", "effective_on")) == [
        ("V-A", "alignment", date(2026, 2, 5)),
        ("V-A", "coterm", date(2026, 1, 5)),
        ("V-B", "alignment", date(2026, 2, 17)),
    ]
    assert contracts.term_of(Subscription.objects.get(reference="V-A"), date(2026, 6, 1)).renews_on == date(2027, 1, 1)


def test_nothing_is_moved_if_one_contract_refuses(admin_client, group):
    Subscription.objects.filter(reference="V-B").update(ends_before=date(2026, 2, 10))
    url = reverse("account_align", args=[group.pk])
    fields = filled(admin_client.get(url))
    fields["contract"] = [str(key) for key in Subscription.objects.values_list("pk", flat=True)]
    refused = admin_client.post(url, fields | {"billing_day": "1", "_confirm": "1"})
    assert "Contract V-B" in refused.content.decode()
    assert not Amendment.objects.exists()
    nobody = admin_client.post(url, {"billing_day": "1", "_confirm": "1"})
    assert "Choose at least one contract." in nobody.content.decode()


def test_the_command_does_the_same_and_rehearses(group):
    out = StringIO()
    call_command("align", "GROUP", billing_day=1, dry_run=True, stdout=out)
    assert not Amendment.objects.exists()
    call_command("align", "GROUP", billing_day=1, contract=["V-A"], stdout=out)
    assert Amendment.objects.filter(kind="alignment").get().subscription.reference == "V-A"
    assert out.getvalue().splitlines() == ["2 contracts aligned.", "1 contracts aligned."]
