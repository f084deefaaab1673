"""The tree on one page: branches when they are opened, at a fixed price; a drop shows first what it does."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import tree_pages
from tenants import tree
from tenants.models import Tenant, TreeChange
from tenants.tree_numbers import number_trees
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(admin_client: Any) -> None:
    admin_client.cookies["django_language"] = "en"


def make_large_tree(levels: int, width: int) -> Tenant:
    """``levels`` levels of ``width`` children each, filled up by leaves in one branch."""
    root = make_tenant(reference="ROOT", name="Root")
    above = [root]
    for level in range(1, levels):
        below = [
            Tenant(
                reference=f"L{level}-{parent.pk}-{n}",
                name=f"Node {n}",
                parent=parent,
                lft=0,
                rght=0,
                tree_id=0,
                level=0,
            )
            for parent in above[:width]
            for n in range(width)
        ]
        above = Tenant.objects.bulk_create(below)
    number_trees([root.pk])
    root.refresh_from_db()
    return root


def asked(client: Any, url: str, **query: Any) -> tuple[Any, int]:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url, query)
    assert response.status_code == 200
    return response.json(), len(captured)


def test_branches_and_search_cost_the_same_in_a_small_and_in_a_large_tree(admin_client):
    make_tenant(reference="SMALL", name="Node small", parent=make_tenant(reference="ABOVE"))
    below, search = reverse("account_tree_children"), reverse("account_tree_search")
    asked(admin_client, below)
    small = [asked(admin_client, below)[1], asked(admin_client, search, q="Node")[1]]
    root = make_large_tree(6, 12)
    assert (Tenant.objects.under(root).count(), list(tree.faults())) == (1 + 12 + 4 * 144, [])
    large = [asked(admin_client, below)[1], asked(admin_client, search, q="Node")[1]]
    assert large == small
    found, _count = asked(admin_client, below, parent=root.pk)
    assert (len(found["nodes"]), found["more"]) == (12, None)
    assert sum(one["below"] + 1 for one in found["nodes"]) == Tenant.objects.under(root).count() - 1


def test_many_children_come_a_page_at_a_time(admin_client, monkeypatch):
    monkeypatch.setattr(tree_pages, "AT_ONCE", 2)
    root = make_tenant(reference="ROOT")
    for name in ("Anna", "Bert", "Cleo"):
        make_tenant(reference=name, name=name, parent=root)
    url = reverse("account_tree_children")
    first, _count = asked(admin_client, url, parent=root.pk)
    rest, _count = asked(admin_client, url, parent=root.pk, after=first["more"])
    assert [one["name"] for one in first["nodes"] + rest["nodes"]] == ["Anna", "Bert", "Cleo"]
    assert (first["more"], rest["more"]) == (2, None)


def test_a_hit_names_what_is_above_it(admin_client):
    root = make_tenant(reference="ROOT", name="Gruppe")
    middle = make_tenant(reference="MID", name="Mitte", parent=root)
    make_tenant(reference="LEAF", name="Blatt", parent=middle)
    found, _count = asked(admin_client, reverse("account_tree_search"), q="leaf")
    assert [(one["reference"], one["path"], one["line"]) for one in found["found"]] == [
        ("LEAF", [root.pk, middle.pk], "Gruppe › Mitte")
    ]


def test_a_drop_shows_what_it_does_and_a_second_press_does_it(admin_client):
    old, new = make_tenant(reference="OLD"), make_tenant(reference="NEW")
    shop = make_tenant(reference="SHOP", parent=old, pay_by=old)
    url = reverse("restructure", args=[shop.pk, "move"])
    shown = admin_client.get(url, {"parent": new.pk}, headers={"X-Fragment": "1"})
    assert [row[1:] for row in shown.context["effect"]["fields"]] == [
        ("parent", "OLD", "NEW"),
        ("paid by", "OLD", "NEW"),
    ]
    assert "<html" not in shown.content.decode()
    assert Tenant.objects.get(pk=shop.pk).parent == old

    sent = {"target": "NEW", "effective_on": "2026-01-01", "follows": "on", "reason": "Verkauf", "_confirm": "1"}
    done = admin_client.post(url, sent, headers={"X-Fragment": "1"})
    assert done.json() == {"said": "The account tree was changed."}
    shop.refresh_from_db()
    assert (shop.parent, shop.pay_by) == (new, new)
    page = admin_client.get(reverse("account", args=[shop.pk])).content.decode()
    assert "Changes of the account tree" in page and "SHOP: OLD → NEW" in page

    refused = admin_client.post(url, sent, headers={"X-Fragment": "1"})
    assert "SHOP stands below NEW already." in refused.content.decode()
    assert TreeChange.objects.planned().count() == 0


def test_a_later_day_is_planned_and_can_be_withdrawn(admin_client):
    shop = make_tenant(reference="SHOP", parent=make_tenant(reference="OLD"))
    sent = {"target": "", "effective_on": "2099-01-01", "follows": "on", "reason": "", "_confirm": "1"}
    response = admin_client.post(reverse("restructure", args=[shop.pk, "move"]), sent, follow=True)
    assert [str(one) for one in response.context["messages"]] == ["Planned for 1 Jan 2099: the night makes the change."]
    plan = TreeChange.objects.get()
    assert plan.state == "planned"
    admin_client.post(reverse("withdraw_tree_change", args=[plan.pk]))
    plan.refresh_from_db()
    assert plan.state == "withdrawn"


@pytest.mark.parametrize("kind", ["move", "merge", "split", "close"])
def test_only_who_may_restructure_does(client, kind):
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_tenant"))
    client.force_login(user)
    shop = make_tenant()
    url = reverse("restructure", args=[shop.pk, kind])
    assert (client.get(url).status_code, client.post(url).status_code) == (403, 403)
    assert client.get(reverse("account_tree")).status_code == 200
    assert "data-movable" not in client.get(reverse("account_tree")).content.decode()
    user.user_permissions.add(Permission.objects.get(codename="restructure_tenant"))
    client.logout()  # other rights end a session
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get(url).status_code == 200
    client.force_login(User.objects.create_user("bert", is_staff=True))
    for name in ("account_tree", "account_tree_children", "account_tree_search"):
        assert client.get(reverse(name)).status_code == 403


def test_the_figures_of_a_subtree_cost_the_same_for_one_account_below_and_for_many(admin_client):
    def asked_for(account: Tenant) -> int:
        url = reverse("account", args=[account.pk])
        admin_client.get(url)
        with CaptureQueriesContext(connection) as captured:
            page = admin_client.get(url)
        assert [scope["below"] for scope in page.context["roll_up"]] == ["", "1"]
        return len(captured)

    issuer, price = make_issuer(), make_price()
    small = make_tenant(reference="SMALL")
    make_contract(issuer, make_tenant(parent=small), price=price)
    large = make_large_tree(4, 6)
    for leaf in Tenant.objects.under(large).filter(lft=F("rght") - 1)[:30]:
        make_contract(issuer, leaf, price=price)
    bill(issuer, FEBRUARY)
    assert asked_for(large) == asked_for(Tenant.objects.get(pk=small.pk))
