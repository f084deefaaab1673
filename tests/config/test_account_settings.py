"""The page of an account's settings: where each value comes from, and whom a change affects before it is saved."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from payments.models import DunningPolicy
from tenants import inheritance
from tenants.models import Activity, Issuer, Tenant
from tenants.responsibility import origins
from tests.builders import make_issuer, make_tenant
from tests.pages import filled
from tests.small_book import bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def tree() -> dict[str, Tenant]:
    """GROUP above SITE above TEAM, and OWN, which has days to pay of its own."""
    make_issuer(reference="MAIN", payment_days=14)
    group = make_tenant(reference="GROUP", payment_days=30)
    plain = {"kind": "department", "language": "", "collection": "", "payment_days": None}
    site = make_tenant(reference="SITE", parent=group, **plain)
    team = make_tenant(reference="TEAM", parent=site, **plain)
    own = make_tenant(reference="OWN", parent=group, **plain | {"payment_days": 7})
    return {"GROUP": group, "SITE": site, "TEAM": team, "OWN": own}


def page(tenant: Tenant) -> str:
    return reverse("account_settings", args=[tenant.pk])


def told(html: str) -> list[tuple[str, ...]]:
    """The rows of the effect: account, setting, so far, from now on."""
    effect = html.partition('id="effect"')[2].partition("</table>")[0]
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", effect)
    return [tuple(re.sub("<.*?>", "", cell).split(" ")[0] for cell in row.split("</td><td>")) for row in rows]


def test_d02_a_change_shows_whom_it_affects_and_saves_when_confirmed(admin_client, tree):
    make_contract(Issuer.objects.get(), tree["TEAM"])
    bill(Issuer.objects.get(), date(2026, 2, 1), issues=False)
    fields = filled(admin_client.get(page(tree["GROUP"]))) | {"payment_days": "21"}
    shown = admin_client.post(page(tree["GROUP"]), fields | {"_check": "1"})
    html = shown.content.decode()
    assert told(html) == [
        ("GROUP", "days", "30", "21"),
        ("SITE", "days", "30", "21"),
        ("TEAM", "days", "30", "21"),
    ]
    assert "Running contracts of these: 1. Drafts that were made with the old settings and keep them: 1." in html
    assert Tenant.objects.get(reference="GROUP").payment_days == 30

    saved = admin_client.post(page(tree["GROUP"]), filled(shown) | {"_confirm": "1"})
    assert saved.status_code == 302
    assert Tenant.objects.get(reference="GROUP").payment_days == 21
    assert Activity.objects.filter(table="tenants_tenant", row=tree["GROUP"].pk).first().after == {"payment_days": 21}


def test_d02_an_own_value_is_reset_to_what_is_inherited(admin_client, tree):
    html = admin_client.get(page(tree["OWN"])).content.decode()
    assert 'name="reset" value="payment_days"' in html and 'name="reset" value="collection"' not in html
    fields = filled(admin_client.get(page(tree["OWN"])))
    shown = admin_client.post(page(tree["OWN"]), fields | {"reset": "payment_days"})
    assert told(shown.content.decode()) == [("OWN", "days", "7", "30")]
    admin_client.post(page(tree["OWN"]), filled(shown) | {"_confirm": "1"})
    assert Tenant.objects.get(reference="OWN").payment_days is None
    link = f'href="{page(tree["GROUP"])}">GROUP</a>'
    assert link in admin_client.get(page(tree["OWN"])).content.decode()


def test_d02_the_dunning_policy_is_chosen_and_inherited_like_all_else(admin_client, tree):
    issuer = Issuer.objects.get()
    for name in ("Kulant", "Streng"):
        DunningPolicy.objects.create(issuer=issuer, name=name)
    fields = filled(admin_client.get(page(tree["SITE"])))
    refused = admin_client.post(page(tree["SITE"]), fields | {"dunning_policy": "Milde", "_confirm": "1"})
    assert "Milde" in refused.content.decode() and Tenant.objects.get(reference="SITE").dunning_policy == ""
    shown = admin_client.post(page(tree["SITE"]), fields | {"dunning_policy": "Kulant", "_check": "1"})
    assert told(shown.content.decode()) == [("SITE", "dunning", "–", "Kulant"), ("TEAM", "dunning", "–", "Kulant")]
    admin_client.post(page(tree["SITE"]), filled(shown) | {"_confirm": "1"})
    assert Tenant.objects.get(reference="SITE").dunning_policy == "Kulant"
    found = origins(Tenant.objects.get(reference="TEAM"), issuer)["dunning_policy"]
    assert (found.value, found.origin) == ("Kulant", "SITE")
    shown = admin_client.post(page(tree["SITE"]), filled(shown) | {"reset": "dunning_policy"})
    admin_client.post(page(tree["SITE"]), filled(shown) | {"_confirm": "1"})
    assert Tenant.objects.get(reference="SITE").dunning_policy == ""


def test_a_change_that_was_overtaken_saves_nothing(admin_client, tree):
    fields = filled(admin_client.get(page(tree["GROUP"]))) | {"payment_days": "21"}
    shown = filled(admin_client.post(page(tree["GROUP"]), fields | {"_check": "1"}))
    Tenant.objects.filter(reference="SITE").update(payment_days=3)
    refused = admin_client.post(page(tree["GROUP"]), shown | {"_confirm": "1"})
    assert "somebody changed these settings meanwhile" in refused.content.decode()
    assert Tenant.objects.get(reference="GROUP").payment_days == 30


def test_settings_that_others_inherit_are_not_in_the_form_of_the_account(admin_client, tree):
    form = admin_client.get(reverse("admin:tenants_tenant_change", args=[tree["GROUP"].pk])).content.decode()
    assert 'name="payment_days"' not in form and page(tree["GROUP"]) in form
    leaf = admin_client.get(reverse("admin:tenants_tenant_change", args=[tree["TEAM"].pk])).content.decode()
    assert 'name="payment_days"' in leaf


def test_who_may_only_look_changes_nothing(client, tree, django_user_model):
    user = django_user_model.objects.create_user("leserin", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_tenant"))
    client.force_login(user)
    html = client.get(page(tree["GROUP"])).content.decode()
    assert "_check" not in html and "30" in html
    assert client.post(page(tree["GROUP"]), {"payment_days": "1", "_confirm": "1"}).status_code == 403


def test_the_effect_stops_where_an_account_has_its_own_value(tree):
    group = Tenant.objects.get(reference="GROUP")
    found = inheritance.effects(group, {"payment_days": None}, Issuer.objects.get())
    assert [(one.account.reference, one.before, one.after) for one in found] == [
        ("GROUP", 30, 14),
        ("SITE", 30, 14),
        ("TEAM", 30, 14),
    ]


def test_what_comes_from_the_issuer_says_so_and_amounts_have_their_currency(admin_client, tree):
    Tenant.objects.filter(pk=tree["GROUP"].pk).update(currency="EUR", collection_threshold="250.00", payment_days=None)
    rows = {row["name"]: row for row in admin_client.get(page(tree["GROUP"])).context["rows"]}
    assert (rows["payment_days"]["value"], rows["payment_days"]["origin"]) == ("14", "issuer MAIN")
    assert (rows["collection_threshold"]["value"], rows["collection_threshold"]["origin"]) == ("€250.00", "GROUP")
    html = admin_client.get(reverse("account", args=[tree["SITE"].pk])).content.decode()
    assert "<td>€250.00</td>" in html and "<td>issuer MAIN</td>" in html
    assert "balance, from the customer&#x27;s side" in html
