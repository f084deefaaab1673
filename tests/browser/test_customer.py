"""A clerk changes what a group passes on, reads its calendar and aligns its contracts; both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from billing.models import Amendment
from tenants.models import Tenant
from tests.browser.conftest import CLERK, PASSWORD, Desk, from_database
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import make_contract

pytestmark = pytest.mark.browser


def group() -> int:
    """GROUP over NORTH and SOUTH, for whom it receives and pays; billed on different days."""
    issuer, price = make_issuer(), make_price((None, "300.00", "0"))
    top = make_tenant(reference="GROUP", name="Gruppe Süd AG", payment_days=30)
    first = datetime.now(UTC).date().replace(day=1)
    for n, reference in enumerate(("NORTH", "SOUTH")):
        child = make_tenant(
            reference=reference,
            name=f"Filiale {reference}",
            kind="branch",
            parent=top,
            invoice_to=top,
            pay_by=top,
            language="",
            collection="",
        )
        fields = {"starts_on": first + timedelta(days=10 * n), "billing_day": 1 + 10 * n, "reference": f"V-{reference}"}
        terms = {"term_months": 12, "renewal_months": 12, "notice_days": 30} if n else {}
        make_contract(issuer, child, price=price, quantity=Decimal(n + 1), **fields, **terms)
    return top.pk


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_customer_is_kept_as_a_whole(desk_in: Callable[[str], Desk], language: str) -> None:
    key = from_database(group)
    desk = desk_in(language)
    page = desk.page
    page.context.add_cookies([{"name": "django_language", "value": language, "url": desk.address}])
    page.goto(f"{desk.address}/admin/accounts/{key}/")
    page.locator("[name=username]").fill(CLERK)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")

    desk.follow("Show or change the settings")
    page.locator("[name=payment_days]").fill("21")
    desk.look("50 settings of a group")
    desk.click("Show whom it affects")
    effect = page.locator("#effect")
    expect(effect.get_by_role("row")).to_have_count(4)
    desk.look("51 whom a change affects")
    effect.get_by_role("button", name=desk.said("Save"), exact=True).click()
    page.get_by_text(
        desk.counted("Saved; %(count)s account is affected.", "Saved; %(count)s accounts are affected.", 3)
    ).wait_for()
    assert from_database(lambda: Tenant.objects.get(pk=key).payment_days) == 21

    page.goto(f"{desk.address}/admin/accounts/{key}/")
    desk.follow("Calendar")
    expect(page.get_by_text(desk.money("600.00"), exact=True).first).to_be_visible()
    desk.look("52 calendar of a group")
    desk.click("Make an address to subscribe to")
    address = page.locator("input[readonly]").input_value()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/calendar/\S+\.ics", address)
    desk.follow("Month")
    desk.look("53 month of a group")

    desk.follow("Align contracts")
    page.locator("[name=billing_day]").fill("1")
    desk.click("Show what is booked for it")
    expect(page.locator("#effect").get_by_role("row")).to_have_count(3)
    desk.look("54 contracts are aligned")
    desk.click("Align these contracts")
    page.get_by_text(desk.counted("%(count)s contract was aligned.", "%(count)s contracts were aligned.", 2)).wait_for()
    assert from_database(lambda: Amendment.objects.filter(kind="alignment").count()) == 2
    assert desk.complaints == []
