"""A clerk changes a contract, sees its money first, and the next run books just that; in both languages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from billing.models import Charge, Subscription
from tests.browser.conftest import CLERK, PASSWORD, Desk, from_database
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import bill, make_contract

pytestmark = pytest.mark.browser
# Far ahead: the money of a change is shown through its day, or through today if that is later.
BEGUN, CHANGED = date(2090, 3, 1), date(2090, 3, 11)
TYPED = {"de": "11.03.2090", "en": "2090-03-11"}


def billed_contract() -> Subscription:
    """Two seats at 31.00 a month, paid in advance."""
    price = make_price((None, "31.00", "0"))
    contract = make_contract(
        make_issuer(), make_tenant(), price=price, quantity=Decimal(2), starts_on=BEGUN, reference="V-1"
    )
    bill(contract.issuer, BEGUN)
    return contract


def booked_then(contract: Subscription) -> Decimal:
    """What the next run books beyond what was there."""
    before = set(Charge.objects.values_list("pk", flat=True))
    bill(contract.issuer, CHANGED)
    return sum((charge.net.amount for charge in Charge.objects.exclude(pk__in=before)), Decimal(0))


@pytest.mark.parametrize("language", ["de", "en"])
def test_what_a_change_shows_is_what_the_next_run_books(desk_in: Callable[[str], Desk], language: str) -> None:
    contract = from_database(billed_contract)
    desk = desk_in(language)
    page = desk.page
    page.context.add_cookies([{"name": "django_language", "value": language, "url": desk.address}])
    page.goto(f"{desk.address}/admin/billing/subscription/{contract.pk}/change/")
    page.locator("[name=username]").fill(CLERK)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#change")).to_be_visible()
    desk.look("20 a contract and the ways to change it")

    page.locator("#change").get_by_role("link", name=desk.said("other quantity")).click()
    page.locator("[name=quantity]").fill("5")
    page.locator("[name=when]").select_option("on_date")
    page.locator("[name=day]").fill(TYPED[language])
    page.locator("[name=reason]").fill("Auftrag 4711")
    desk.click("Show the money")
    shown = page.locator("tr", has_text=desk.said("difference")).first.locator("td").last
    expect(shown).to_have_text(desk.money("63.00"))  # 105.00 for the rest of the month, 42.00 given back
    desk.look("21 the money of a change")
    desk.click("Change the contract")
    expect(page.locator("#history").get_by_text("Auftrag 4711")).to_be_visible()
    desk.look("22 the contract after it")

    assert from_database(lambda: booked_then(contract)) == Decimal("63.00")
    assert desk.complaints == []
