"""Accounts in the admin: the tree, what is inherited, evidence of VAT ids, and who did what and why."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tenants.models import Activity, Tenant
from tests.builders import make_issuer, make_tenant
from tests.pages import filled

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def group() -> Tenant:
    make_issuer(payment_days=21, reference="MAIN")
    return make_tenant(reference="GROUP", collection="card")


def page(tenant: Tenant) -> str:
    return reverse("admin:tenants_tenant_change", args=[tenant.pk])


def edit(client, tenant: Tenant, **fields):
    return client.post(page(tenant), filled(client.get(page(tenant))) | fields)


def test_a_change_is_on_record_with_who_through_what_and_why(admin_client, group):
    assert edit(admin_client, group, city="Ravensburg", _reason="Umzug laut E-Mail vom 3.2.").status_code == 302
    activity = Activity.objects.filter(table="tenants_tenant", row=group.pk).first()
    assert (activity.actor, activity.channel, activity.reason) == ("admin", "admin", "Umzug laut E-Mail vom 3.2.")
    assert (activity.before, activity.after) == ({"city": "München"}, {"city": "Ravensburg"})
    history = admin_client.get(reverse("admin:tenants_tenant_history", args=[group.pk]), follow=True)
    assert "city: München → Ravensburg" in history.content.decode()


def test_settings_name_the_account_they_come_from(admin_client, group):
    child = make_tenant(parent=group, reference="CHILD", collection="", payment_days=None)
    html = admin_client.get(page(child)).content.decode()
    link = f'<a class="k-link" href="{reverse("account_settings", args=[group.pk])}">GROUP</a>'
    assert f"<tr><td>collection</td><td>card</td><td>{link}</td></tr>" in html
    assert "<tr><td>days to pay</td><td>21</td><td>issuer MAIN</td></tr>" in html
    assert "<tr><td>currency</td><td>EUR</td><td>own</td></tr>" in html


def test_the_form_neither_moves_nor_closes_an_account(admin_client, group):
    """Who pays would stay behind above, and nobody would have seen what is left open: there are pages for that."""
    branch = make_tenant(parent=group, kind="branch")
    assert edit(admin_client, branch, parent=make_tenant().pk).status_code == 302
    branch.refresh_from_db()
    assert branch.parent == group
    assert edit(admin_client, branch, status="closed").status_code == 200
    branch.refresh_from_db()
    assert branch.status == "active"
    Tenant.objects.filter(pk=branch.pk).update(status="closed")
    assert edit(admin_client, branch, status="active").status_code == 302


def test_a_reseller_stands_above_who_buys_from_it(admin_client, group):
    stranger, child = make_tenant(), make_tenant(parent=group)
    assert "is an account above this one" in edit(admin_client, child, contracting_party=stranger.pk).content.decode()
    assert edit(admin_client, child, contracting_party=group.pk).status_code == 302


def test_a_vat_id_is_checked_when_it_is_written_and_the_answer_is_kept(admin_client, group):
    edit(admin_client, group, vat_id="de 489 068 288")
    group.refresh_from_db()
    assert (group.vat_id, group.vat_id_valid) == ("DE489068288", True)
    response = admin_client.get(page(group))
    edit(admin_client, group, vat_id="DE489068289")
    group.refresh_from_db()
    assert (group.vat_id, group.vat_id_valid) == ("DE489068289", False)
    checks = group.vat_checks.order_by("pk").values_list("vat_id", "is_valid")
    assert list(checks) == [("DE489068288", True), ("DE489068289", False)]
    assert "vat_id_valid" not in filled(response)


def test_an_account_with_others_below_it_cannot_be_deleted(admin_client, group):
    make_tenant(parent=group)
    delete = reverse("admin:tenants_tenant_delete", args=[group.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert Tenant.objects.filter(pk=group.pk).exists()


def test_the_list_stands_in_the_order_of_the_tree(admin_client, group):
    other = make_tenant(reference="OTHER")
    child = make_tenant(parent=group, reference="CHILD")
    rows = admin_client.get(reverse("admin:tenants_tenant_changelist")).context["cl"].result_list
    assert [row.pk for row in rows] == [group.pk, child.pk, other.pk]


@pytest.mark.parametrize(
    "wrong",
    ["04011000-12345-04", "4", "0401100012345-03", "ABC-12345-03", "04011000-123_45-03", "0401100000000-03"],
)
def test_a_leitweg_id_is_checked_when_it_is_entered(admin_client, group, wrong):
    answer = edit(admin_client, group, leitweg_id=wrong)
    assert answer.context["adminform"].form.errors["leitweg_id"] == [
        f"“{wrong}” is no Leitweg-ID: its form or its check digits are wrong (example: 04011000-1234512345-06)."
    ]
    settings_page = reverse("account_settings", args=[group.pk])
    answer = admin_client.post(settings_page, {"leitweg_id": wrong, "_check": "1"})
    (said,) = answer.context["form"].errors["leitweg_id"]
    assert said.startswith(f"“{wrong}” is no Leitweg-ID")
    assert edit(admin_client, group, leitweg_id="04011000-1234512345-06").status_code == 302
    group.refresh_from_db()
    assert group.leitweg_id == "04011000-1234512345-06"


def test_xrechnung_without_leitweg_id_warns_at_once(admin_client, group):
    warning = "XRechnung needs a Leitweg-ID, and none is in force for this account: its documents would be held back."

    def said(tenant: Tenant, **fields) -> list[str]:
        edit(admin_client, tenant, **fields)
        return [str(one) for one in admin_client.get(page(tenant)).context["messages"]]

    child = make_tenant(parent=group, reference="CHILD")
    assert warning in said(child, document_format="xrechnung_cii")
    assert warning not in said(child, city="Ulm")
    Tenant.objects.filter(pk=group.pk).update(leitweg_id="04011000-12345-03")
    assert warning not in said(child, document_format="xrechnung_ubl")
