"""Who reaches what: every page of the portal by every kind of record and role, and every page of the admin.

The pages come from the URL resolver: a new one without a rule, or without a row here, fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from config import bounds
from config.portal import urls
from invoicing.models import Section
from payments.models import Letter
from tenants.admin.base import SeenOnly
from tenants.models import Access, Contact, StaffScope, WebhookEndpoint
from tenants.models.visibility import Visibility, VisibleTo
from tests.config.portal.conftest import World, customer, signed_in, staff

OURS = ("tenants", "billing", "invoicing", "payments")
OPEN = {"sign_in", "link", "redeem", "sign_out"}
LISTS = {
    "overview": Access.RIGHTS,
    "security": Access.RIGHTS,
    "documents": ("sees_invoices",),
    "payments": ("sees_payments",),
    "account_statement": ("sees_payments",),
    "pay": ("pays",),
    "calendar": ("sees_invoices", "sees_subscriptions"),
    "contracts": ("sees_subscriptions",),
    "contacts": ("changes_contacts",),
}
# Pages of one record: the rights it takes, and whose accounts see it with them. OWN is the customer's; CHILD and the
# part of it lie below, and its parent pays both it and the sibling.
BELOW = {"OWN", "CHILD"}
RECORDS = {
    "document_file": ({"sees_invoices"}, {"OWN"}),
    "section": ({"sees_invoices"}, {"CHILD"}),
    "statement_file": ({"sees_payments"}, set()),
    "letter_file": ({"sees_payments"}, {"OWN"}),
    "change": ({"sees_subscriptions", "requests_changes"}, BELOW),
    "cancel": ({"sees_subscriptions", "requests_changes"}, BELOW),
    "contact": ({"changes_contacts"}, BELOW),
}


def addresses(world: World, page: str) -> dict[str, str]:
    """The page of each account's record, by the account's name."""
    if page == "document_file":
        return {
            name: reverse("portal:document_file", args=[document.pk, kind])
            for name, document in world.documents.items()
            for kind in ("pdf",)
        }
    keys: dict[str, dict[str, int]] = {
        "section": {part.tenant.reference: part.pk for part in Section.objects.select_related("tenant")},
        "letter_file": {letter.payer.reference: letter.pk for letter in Letter.objects.select_related("payer")},
        "change": {name: contract.pk for name, contract in world.contracts.items()},
        "cancel": {name: contract.pk for name, contract in world.contracts.items()},
        "contact": {person.tenant.reference: person.pk for person in Contact.objects.select_related("tenant")},
        "statement_file": {"NOBODY": 1},
    }
    return {name: reverse(f"portal:{page}", args=[key]) for name, key in keys[page].items()}


def test_every_page_of_the_portal_has_a_rule_and_a_row_here():
    rules = {pattern.name: pattern.callback.rule for pattern in urls.urlpatterns}
    assert {name for name, rule in rules.items() if rule == "all"} == OPEN
    assert set(rules) - OPEN == {*LISTS, *RECORDS}
    assert {name: rules[name] for name in RECORDS if set(rules[name]) - RECORDS[name][0]} == {}


@pytest.mark.parametrize("right", Access.RIGHTS)
def test_each_right_opens_its_lists_and_no_other(world, right):
    client = signed_in(customer(world.accounts["OWN"], right))
    opened = {name for name in LISTS if client.get(reverse(f"portal:{name}")).status_code == 200}
    assert opened == {name for name, rights in LISTS.items() if right in rights}


@pytest.mark.parametrize("page", RECORDS)
def test_records_are_reached_with_the_right_and_in_the_subtree_alone(world, page):
    """Every right but those it takes reaches nothing; all rights reach nothing beside, above or of somebody else."""
    rights, mine = RECORDS[page]
    everything = signed_in(customer(world.accounts["OWN"], name="alles"))
    found = addresses(world, page)
    assert {"PARENT", "OTHER", "ABROAD"} & set(found) or page in ("section", "statement_file")
    assert {name for name, url in found.items() if everything.get(url).status_code == 200} == mine
    assert {everything.get(url).status_code for name, url in found.items() if name not in mine} <= {404}
    for missing in sorted(rights):
        others = [right for right in Access.RIGHTS if right != missing]
        client = signed_in(customer(world.accounts["OWN"], *others, name=f"ohne-{missing}"))
        assert {client.get(url).status_code for url in found.values()} == {404}


@pytest.mark.parametrize("page", [*LISTS, *RECORDS])
def test_nobody_and_staff_are_sent_to_sign_in(world, page):
    urls_of = [reverse(f"portal:{page}")] if page in LISTS else list(addresses(world, page).values())
    for client in (Client(SERVER_NAME="localhost"), signed_in(staff("operator"))):
        for url in urls_of:
            response = client.get(url)
            assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/portal/sign-in/")


def test_a_right_that_is_taken_away_is_gone_at_once(world):
    user = customer(world.accounts["OWN"], "sees_invoices", "sees_payments")
    client = signed_in(user)
    assert client.get("/portal/payments/").status_code == 200
    Access.objects.filter(user=user).update(sees_payments=False)
    assert client.get("/portal/payments/").status_code == 302  # the session ends with the rights it began with
    client.force_login(user)
    assert client.get("/portal/payments/").status_code == 404


# The admin


def admin_pages(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Route and name of every page below /admin/."""
    for pattern in patterns or get_resolver().url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from admin_pages(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route.startswith("admin/"):
            yield route, pattern.name or ""


def filled(route: str) -> str:
    """A route with the key 1 wherever it wants something."""
    parts = [
        "1"
        if part.startswith("<") and "slug" not in part and "str" not in part
        else "x"
        if part.startswith("<")
        else part
        for part in route.split("/")
    ]
    return "/" + "/".join(parts).replace("^", "").replace("$", "").replace("(?P<url>.*)", "x").replace("\\Z", "")


def test_customers_never_enter_the_admin(world):
    user = customer(world.accounts["PARENT"])
    client = signed_in(user)
    pages = {filled(route) for route, _name in admin_pages()} - {"/admin/login/"}
    assert len(pages) > 150
    for page in sorted(pages):
        for answer in (client.get(page), client.post(page)):
            assert answer.status_code in (302, 403, 404, 405), page
            if answer.status_code == 302 and not page.endswith("/logout/"):
                assert "/login/" in answer["Location"] or page.strip("/") == answer["Location"].strip("/"), page
        client.force_login(user)  # a page may have signed out


def test_every_screen_starts_from_what_the_user_sees():
    for model, screen in admin.site._registry.items():
        if model._meta.app_label in OURS or model._meta.app_label == "auth":
            assert isinstance(screen, SeenOnly), screen
            assert all(issubclass(inline, SeenOnly) for inline in screen.inlines), screen


def test_every_record_says_who_sees_it():
    for app in OURS:
        for model in apps.get_app_config(app).get_models():
            assert isinstance(getattr(model, "visibility", None), Visibility), model
            assert isinstance(model.objects.all(), VisibleTo), model


def test_staff_with_bounds_see_their_part_in_every_list(world):
    user = staff("operator", "approver")
    StaffScope.objects.create(user=user, tenant=world.accounts["OWN"])
    client = signed_in(user)
    for model in admin.site._registry:
        if model._meta.app_label in OURS:
            seen = model._default_manager.filter(pk__in=model.objects.visible_to(user).values("pk"))
            page = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
            assert page.status_code in (200, 403), model
            if page.status_code == 200:
                shown = set(page.context["cl"].root_queryset.values_list("pk", flat=True))
                assert shown <= set(seen.values_list("pk", flat=True)), model


def test_staff_with_bounds_reach_foreign_records_nowhere(world):
    """By guessing keys: pages of records, PDF, changes by POST."""
    user = staff("operator", "approver")
    StaffScope.objects.create(user=user, tenant=world.accounts["OWN"])
    client = signed_in(user)
    assert client.get(reverse("account", args=[world.accounts["OWN"].pk])).status_code == 200
    assert client.get(reverse("account", args=[world.accounts["CHILD"].pk])).status_code == 200
    for name in ("PARENT", "SIBLING", "OTHER", "ABROAD"):
        account, contract = world.accounts[name], world.contracts[name]
        for url in (
            reverse("account", args=[account.pk]),
            reverse("admin:billing_subscription_amend", args=[contract.pk]),
            reverse("what_if_contract", args=[contract.pk]),
        ):
            assert client.get(url).status_code == 404, url
        for url in (
            reverse("admin:tenants_tenant_change", args=[account.pk]),
            reverse("admin:billing_subscription_change", args=[contract.pk]),
        ):
            assert client.get(url).status_code in (302, 404), url  # 302: "does not exist", to the start page
            assert client.post(url, {"name": "geändert"}).status_code in (302, 404)
        account.refresh_from_db()
        assert account.name != "geändert"
        if name in world.documents:
            assert (
                client.get(reverse("admin:invoicing_invoice_pdf", args=[world.documents[name].pk])).status_code == 404
            )
    assert client.get(reverse("admin:invoicing_invoice_pdf", args=[world.documents["OWN"].pk])).status_code == 200


def test_staff_bounded_to_an_issuer_see_its_customers_and_documents(world):
    user = staff("support")
    StaffScope.objects.create(user=user, issuer=world.documents["ABROAD"].issuer)
    seen = {
        model: model.objects.visible_to(user) for model in (type(world.accounts["OWN"]), type(world.documents["OWN"]))
    }
    assert [[str(row.pk) for row in rows] for rows in seen.values()] == [
        [str(world.accounts["ABROAD"].pk)],
        [str(world.documents["ABROAD"].pk)],
    ]


def test_pages_that_know_no_bounds_are_closed_to_staff_with_bounds(world):
    user = staff("operator", "approver")
    StaffScope.objects.create(user=user, tenant=world.accounts["OWN"])
    client = signed_in(user)
    closed = [(route, name) for route, name in admin_pages() if name and name not in bounds.open_pages()]
    assert len(closed) > 20
    for route, name in closed:
        answer = client.get(filled(route))
        assert answer.status_code in (404, 301), (route, name)


def test_what_all_share_is_kept_by_staff_without_bounds(world):
    user = staff("operator", "approver")
    add = reverse("admin:billing_product_add")
    assert signed_in(user).get(add).status_code == 200
    StaffScope.objects.create(user=user, tenant=world.accounts["OWN"])
    assert signed_in(user).get(add).status_code == 403
    assert signed_in(user).get(reverse("admin:tenants_tenant_import")).status_code == 404


def test_choices_of_forms_and_filters_are_those_the_user_sees(world):
    user = staff("operator")
    StaffScope.objects.create(user=user, tenant=world.accounts["OWN"])
    client = signed_in(user)
    found = client.get(
        reverse("admin:autocomplete"),
        {"term": "", "app_label": "billing", "model_name": "subscription", "field_name": "tenant"},
    ).json()
    assert {row["id"] for row in found["results"]} == {str(world.accounts[name].pk) for name in BELOW}
    add = reverse("admin:tenants_contact_add")
    refused = client.post(add, {"tenant": world.accounts["OTHER"].pk, "name": "Spion"})
    assert refused.status_code == 200 and not Contact.objects.filter(name="Spion").exists()


def test_staff_with_bounds_make_nothing_beyond_them(world):
    """Issuers are shown to all; an endpoint would tell of all documents of one."""
    user = staff("operator", "approver")
    StaffScope.objects.create(user=user, tenant=world.accounts["OWN"])
    client = signed_in(user)
    issuer = world.documents["OWN"].issuer
    endpoint = {"name": "Spion", "issuer": issuer.pk, "url": "https://spy.example/", "events": ["invoice.issued"]}
    add = reverse("admin:tenants_webhookendpoint_add")
    answer = client.post(add, endpoint, follow=True)
    assert "„Spion“ läge außerhalb" in answer.content.decode()
    assert not WebhookEndpoint.objects.exists()

    StaffScope.objects.create(user=user, issuer=issuer)
    signed_in(user).post(add, endpoint)
    assert WebhookEndpoint.objects.get().issuer == issuer
