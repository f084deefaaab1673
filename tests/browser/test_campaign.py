"""A clerk raises prices: makes a campaign, looks at it, announces it, and a worker does the rest; in both languages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from playwright.sync_api import expect

from billing.models import Amendment, PriceCampaign
from tenants.models import Issuer
from tests.billing.test_campaigns import make_mixed_book
from tests.browser.conftest import CLERK, PASSWORD, Desk, from_database
from tests.builders import make_issuer, make_tenant
from tests.small_book import make_contract

pytestmark = pytest.mark.browser
WANTED = {"de": "01.01.2091", "en": "2091-01-01"}


def mixed_book() -> Issuer:
    issuer = make_issuer()
    make_mixed_book(issuer, 20)
    ending = make_tenant(name="Hotel Ende GmbH")
    make_contract(issuer, ending, reference="V-OVER", ends_before=date(2091, 1, 20), notice_days=32000)
    return issuer


def done() -> tuple[str, int]:
    return PriceCampaign.objects.get().state, Amendment.objects.filter(kind="override").count()


@pytest.mark.parametrize("language", ["de", "en"])
def test_prices_are_raised_as_shown(desk_in: Callable[[str], Desk], language: str) -> None:
    from_database(mixed_book)
    desk = desk_in(language)
    page = desk.page
    page.context.add_cookies([{"name": "django_language", "value": language, "url": desk.address}])
    page.goto(f"{desk.address}/admin/billing/pricecampaign/add/")
    page.locator("[name=username]").fill(CLERK)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("[name=name]").fill("Preise 2091")
    page.locator("[name=reason]").fill("Höhere Kosten für Energie und Personal")
    page.locator("[name=issuer]").evaluate("select => { select.selectedIndex = 1 }")
    page.locator("[name=wanted_on]").fill(WANTED[language])
    page.locator("[name=percent]").fill("3")
    desk.look("30 a price campaign")
    page.locator("[name=_save]").click()
    expect(page.locator("h2.k-name")).to_contain_text("Preise 2091")
    desk.look("31 what it would do")

    shown = page.locator(".k-big").inner_text()
    desk.click("Announce and apply")
    expect(page.locator(".k-chip.k-good b")).to_have_text("22", timeout=60_000)
    expect(page.locator(".k-big")).to_have_text(shown)
    expect(page.locator("[data-progress-url]")).to_have_count(0, timeout=60_000)
    desk.look("32 a campaign applied")
    assert from_database(done) == ("applied", 22)
    assert len(desk.asked) == 1
    assert desk.complaints == []
