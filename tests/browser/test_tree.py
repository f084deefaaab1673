"""A clerk moves accounts in the tree, by dragging and by the keyboard, after having seen what it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tenants import tree
from tenants.models import Tenant
from tests.browser.conftest import CLERK, PASSWORD, Desk, from_database
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.browser


def group_and_another() -> int:
    """OLD over SHOP (for which it pays: February is issued) over TILL; NEW, in English, with WEST below it."""
    issuer = make_issuer()
    old = make_tenant(reference="OLD", name="Alte Gruppe AG")
    new = make_tenant(reference="NEW", name="Neue Gruppe SE", language="en")
    make_tenant(reference="WEST", name="Filiale West", parent=new)
    shop = make_tenant(
        reference="SHOP", name="Filiale Süd", kind="branch", parent=old, invoice_to=old, pay_by=old, language=""
    )
    make_tenant(reference="TILL", name="Kasse 1", kind="department", parent=shop, pay_by=old, language="")
    make_contract(issuer, shop, price=make_price())
    bill(issuer, FEBRUARY)
    return old.pk


def parents() -> dict[str, tuple[str | None, str | None]]:
    return {
        tenant.reference: (tenant.parent and tenant.parent.reference, tenant.pay_by and tenant.pay_by.reference)
        for tenant in Tenant.objects.select_related("parent", "pay_by")
    }


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_account_is_moved_by_mouse_and_back_by_keyboard(desk_in: Callable[[str], Desk], language: str) -> None:
    old = from_database(group_and_another)
    desk = desk_in(language)
    page = desk.page
    page.context.add_cookies([{"name": "django_language", "value": language, "url": desk.address}])
    page.goto(f"{desk.address}/admin/accounts/tree/")
    page.locator("[name=username]").fill(CLERK)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")

    def item(name: str):
        return page.get_by_role("treeitem", name=name, exact=True)

    item("OLD Alte Gruppe AG").locator(".k-tree-twist").first.click()
    item("NEW Neue Gruppe SE").locator(".k-tree-twist").first.click()
    expect(item("WEST Filiale West")).to_be_visible()
    desk.look("40 the account tree")

    item("SHOP Filiale Süd").locator(".k-tree-row").first.drag_to(
        item("NEW Neue Gruppe SE").locator(".k-tree-row").first
    )
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("RE-2026-00001")).to_be_visible()
    expect(dialog.get_by_text(desk.money("119.00"))).to_be_visible()
    desk.look("41 what a move does")
    assert from_database(parents)["SHOP"] == ("OLD", "OLD")
    dialog.get_by_role("button", name=desk.said("Move")).click()
    expect(page.locator("#tree-said")).to_have_text(desk.said("The account tree was changed."))
    assert from_database(parents)["SHOP"] == ("NEW", "NEW")
    assert from_database(parents)["TILL"] == ("SHOP", "NEW")

    expect(item("SHOP Filiale Süd")).to_be_visible()
    item("SHOP Filiale Süd").focus()
    page.keyboard.press("m")
    item("OLD Alte Gruppe AG").focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name=desk.said("Move"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#tree-said")).to_have_text(desk.said("The account tree was changed."))
    assert from_database(parents)["SHOP"] == ("OLD", "OLD")
    assert from_database(lambda: list(tree.faults())) == []

    page.locator("#tree-search").fill("Kasse")
    page.get_by_role("button", name="TILL Kasse 1").click()
    expect(item("TILL Kasse 1")).to_be_focused()
    desk.look("42 an account found in the tree")
    page.goto(f"{desk.address}/admin/accounts/{old}/")
    desk.look("43 an account with figures and history")
    page.goto(f"{desk.address}/admin/accounts/{old}/statement/?from=2026-01-01&below=1")
    expect(page.get_by_text("RE-2026-00001")).to_be_visible()
    desk.look("44 an account statement")
    page.goto(f"{desk.address}/admin/reports/invoiced/?from=2026-01-01&to=2026-12-31")
    desk.look("45 invoiced revenue")
    page.goto(f"{desk.address}/admin/invoicing/openitem/?account=OLD&below=1")
    desk.look("46 open items of a subtree")
    page.goto(f"{desk.address}/admin/accounts/{old}/restructure/close/")
    page.get_by_role("button", name=desk.said("Show what it does")).click()
    desk.look("47 closing an account")
    assert desk.complaints == []
