"""The activity record names records, columns and values as people know them, and leads to their pages."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Item, Subscription
from invoicing.models import BillRun, Invoice
from tenants.admin.names import names_of
from tenants.models import Activity, Tenant
from tenants.transactions import record
from tests.builders import make_issuer, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:tenants_activity_changelist")


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def contract() -> Subscription:
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant(reference="K1", name="Café Zentral"), reference="V-1")
    bill(issuer, FEBRUARY)
    return contract


def rows(client, **query) -> list:
    return list(client.get(PAGE, query).context["cl"].result_list)


def page(client, activity: Activity) -> str:
    return client.get(reverse("admin:tenants_activity_change", args=[activity.pk])).content.decode()


def test_records_of_all_tables_are_named_in_one_query(contract):
    item, run, invoice = Item.objects.get(), BillRun.objects.get(), Invoice.objects.get()
    keys = [
        ("tenants_tenant", contract.tenant_id),
        ("billing_subscription", contract.pk),
        ("billing_item", item.pk),
        ("invoicing_billrun", run.pk),
        ("invoicing_invoice", invoice.pk),
        ("tenants_tenant", 10**9),
        ("no_table", 1),
    ]
    with CaptureQueriesContext(connection) as captured:
        names = names_of(keys)
    assert len(captured) == 1
    product = item.product.reference
    started = item.starts_on or contract.starts_on
    assert {key: named.name for key, named in names.items()} == {
        keys[0]: "K1 Café Zentral",
        keys[1]: "V-1",
        keys[2]: f"V-1 {product} {started.day} {started:%b %Y}",
        keys[3]: f"{run.issuer.reference} 1 Feb 2026",
        keys[4]: "RE-2026-00001",
    }
    assert names[keys[2]].owner == ("billing_subscription", contract.pk)


def test_a_change_says_columns_values_and_records_in_the_readers_words(admin_client, contract):
    other = make_tenant(reference="K2", name="Bistro Süd")
    Tenant.objects.filter(pk=contract.tenant_id).update(pay_by=other, status="suspended", auto_mail=False)
    activity = Activity.objects.filter(table="tenants_tenant", row=contract.tenant_id, action="update").latest("pk")
    html = page(admin_client, activity)
    for shown in (
        f'<a class="k-link" href="{reverse("account", args=[contract.tenant_id])}">K1 Café Zentral</a>',
        f'<td><a class="k-link" href="{reverse("account", args=[other.pk])}">K2 Bistro Süd</a></td>',
        f"<td>{Tenant.Status.SUSPENDED.label}</td>",
        "<td>no</td>",
    ):
        assert shown in html, shown
    for raw in ("pay_by_id", "auto_mail", "suspended</td>"):
        assert raw not in html, raw


def test_a_part_leads_to_its_owner_and_what_is_gone_keeps_its_name(admin_client, contract):
    item = Activity.objects.get(table="billing_item", action="insert")
    assert f'href="{reverse("admin:billing_subscription_change", args=[contract.pk])}">V-1 ' in page(admin_client, item)
    gone = make_tenant(reference="K9", name="Weg GmbH")
    key = gone.pk
    gone.delete()
    html = page(admin_client, Activity.objects.get(table="tenants_tenant", row=key, action="delete"))
    assert "K9 Weg GmbH" in html
    assert reverse("account", args=[key]) not in html


def test_decisions_name_their_documents_and_are_in_the_users_language(admin_client, contract):
    run, invoice = BillRun.objects.get(), Invoice.objects.get()
    record("invoicing_billrun", run.pk, "held", {"documents": 1, "keys": [invoice.pk]})
    html = page(admin_client, Activity.objects.latest("pk"))
    assert "<td>which</td><td>–</td><td>RE-2026-00001</td>" in html
    admin_client.cookies["django_language"] = "de"
    billed = page(admin_client, Activity.objects.get(table="invoicing_billrun", action="billed"))
    for german in ("<td>Zahler</td><td>–</td><td>1</td>", "<td>Belege</td><td>–</td><td>1</td>"):
        assert german in billed


def test_a_link_is_for_who_may_see_the_record(client, contract):
    user = User.objects.create_user("auditor", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_activity"))
    client.force_login(user)
    link = reverse("admin:billing_subscription_change", args=[contract.pk])
    assert link not in client.get(PAGE, {"table": "billing_subscription"}).content.decode()
    user.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client.logout()
    client.force_login(user)  # a session ends with the rights it began with
    assert link in client.get(PAGE, {"table": "billing_subscription"}).content.decode()


def test_a_longer_page_asks_no_more(admin_client, contract):
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            rows(admin_client)
        return len(captured)

    asked()  # the first page notes when the session began
    before = asked()
    bill(make_issuer(reference="OTHER"), date(2026, 2, 2))
    make_tenant(reference="K3")
    assert asked() == before
