"""The portal as customers meet it: on a phone and on a desk, in German and English."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from playwright.sync_api import Page, ViewportSize, sync_playwright

from billing.models import ChangeRequest
from tests.browser.conftest import CHROMIUM, FLAGS, NAMELESS, PASSWORD
from tests.config.portal.conftest import customer, make_world

SIZES: dict[str, ViewportSize] = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}
WORDS = {
    "de": {
        "": "Übersicht",
        "documents/": "Mit anderen abgerechnet",
        "payments/": "Überweisung an",
        "payments/account/": "Anfangssaldo",
        "calendar/": "Rechnungen der nächsten zwölf Monate",
        "contracts/": "Vertrag kündigen",
        "contacts/": "Ansprechpartner",
        "security/": "Zweiter Faktor",
    },
    "en": {
        "": "Overview",
        "documents/": "Invoiced with others",
        "payments/": "Transfer to",
        "payments/account/": "Opening balance",
        "calendar/": "Invoices of the next twelve months",
        "contracts/": "Cancel the contract",
        "contacts/": "Contacts",
        "security/": "Second factor",
    },
}
PICTURES = Path(os.environ["PICTURES"]) if "PICTURES" in os.environ else None  # where to leave what it looks like


def looked_at(page: Page, name: str) -> None:
    """Nothing sticks out at the side, nothing is without a name; kept as a picture if somebody wants to see it."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert page.evaluate(NAMELESS) == [], name
    assert page.evaluate("document.querySelectorAll('h1').length") == 1, name
    if PICTURES:
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.browser
def test_a_customer_looks_around_and_cancels(served, settings, tmp_path):
    settings.FILES_ROOT = tmp_path / "home" / "files"
    world = make_world()
    user = customer(world.accounts["OWN"])
    user.password = make_password(PASSWORD, hasher=PBKDF2PasswordHasher())  # as the served process expects it
    user.save()
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        for size, viewport in SIZES.items():
            for language, scheme in (("de", "light"), ("en", "dark")):
                context = browser.new_context(viewport=viewport, locale=language, color_scheme=scheme)
                page = context.new_page()
                page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
                page.goto(f"{served}/portal/")
                page.get_by_role("button", name="Deutsch" if language == "de" else "English").click()
                looked_at(page, f"{size}-{language}-sign-in")
                page.locator("[name=username]").fill(user.username)
                page.locator("[name=password]").fill(PASSWORD)
                page.locator("button.main").click()
                page.wait_for_url(f"{served}/portal/")
                for part, words in WORDS[language].items():
                    page.goto(f"{served}/portal/{part}")
                    assert words in page.locator("main").inner_text(), part
                    looked_at(page, f"{size}-{language}-{part.strip('/').replace('/', '-') or 'overview'}")
                page.goto(f"{served}/portal/documents/")
                with page.expect_download() as fetched:
                    page.locator("a[href$='/pdf/']").first.click()
                assert fetched.value.suggested_filename == f"{world.documents['OWN'].number}.pdf"
                context.close()
        context = browser.new_context(viewport=SIZES["phone"], locale="de")
        page = context.new_page()
        page.goto(f"{served}/portal/contracts/{world.contracts['OWN'].pk}/cancel/")
        page.locator("[name=username]").fill(user.username)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("button.main").click()
        page.get_by_role("heading", name="Vertrag kündigen").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        looked_at(page, "phone-de-cancel")
        page.locator("button.danger").click()
        assert page.get_by_role("status").inner_text().startswith("Der Vertrag ist gekündigt.")
        page.goto(f"{served}/portal/contracts/{world.contracts['CHILD'].pk}/change/")
        looked_at(page, "phone-de-change")
        page.locator("[name=wish]").fill("Bitte zwei Plätze mehr.")
        page.locator("button.main").click()
        assert (
            page.get_by_role("status").inner_text()
            == "Ihre Anfrage ist bei uns eingegangen. Wir werden sie beantworten."
        )
        context.close()
        browser.close()
    assert faults == []
    world.contracts["OWN"].refresh_from_db()
    assert world.contracts["OWN"].ends_before is not None
    assert ChangeRequest.objects.get(kind="change").wish == "Bitte zwei Plätze mehr."
