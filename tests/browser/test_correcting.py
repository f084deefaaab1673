"""A clerk cancels a document and credits part of another one, each looked at before it is issued; in both languages."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from invoicing.models import Invoice
from tests.browser.conftest import CLERK, PASSWORD, Desk, from_database
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.browser
TYPED = {"de": "10.02.2026", "en": "2026-02-10"}
FIFTY = {"de": "50,00", "en": "50.00"}


def two_invoices() -> list[int]:
    """RE-2026-00001 and RE-2026-00002, 300.00 net each."""
    issuer, price = make_issuer(reference="MAIN"), make_price((None, "100.00", "0"))
    for name in ("V-1", "V-2"):
        make_contract(issuer, make_tenant(), price=price, quantity=Decimal(3), reference=name)
    bill(issuer, FEBRUARY)
    return list(Invoice.objects.order_by("sequence").values_list("pk", flat=True))


@pytest.mark.parametrize("language", ["de", "en"])
def test_cancel_a_document_and_credit_another(desk_in: Callable[[str], Desk], language: str) -> None:
    cancelled, credited = from_database(two_invoices)
    desk = desk_in(language)
    page = desk.page
    page.context.add_cookies([{"name": "django_language", "value": language, "url": desk.address}])
    page.goto(f"{desk.address}/admin/invoicing/invoice/{cancelled}/change/")
    page.locator("[name=username]").fill(CLERK)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=desk.said("Cancel document"), exact=True)).to_be_visible()
    desk.look("30 a document and how to correct it")

    desk.follow("Cancel document")
    page.locator("[name=reason]").fill("Falsche Menge")
    page.locator("[name=on]").fill(TYPED[language])
    desk.click("Show the document")
    expect(page.get_by_text(desk.money("-357.00")).first).to_be_visible()
    desk.look("31 a cancellation before it is issued")
    desk.click("Issue")
    expect(page.get_by_text("ST-2026-00001").first).to_be_visible()
    desk.look("32 the cancellation")

    page.goto(f"{desk.address}/admin/invoicing/invoice/{credited}/credit/")
    page.locator("[name=reason]").fill("Kulanz")
    page.locator("[name=on]").fill(TYPED[language])
    page.locator("[name=amount_1]").fill(FIFTY[language])
    desk.click("Show the document")
    expect(page.get_by_text(desk.money("-59.50")).first).to_be_visible()
    desk.look("33 a credit note before it is issued")
    desk.click("Issue")
    expect(page.get_by_text("RK-2026-00001").first).to_be_visible()
    desk.look("34 the credit note")

    page.goto(f"{desk.address}/admin/payments/dispute/of/{credited}/")
    page.locator("[name=reason]").fill("Nicht bestellt")
    desk.look("35 a line is disputed")
    desk.click("Note the dispute")
    noted = desk.said("The line is disputed: nobody is reminded of it until the dispute is resolved.")
    expect(page.get_by_text(noted)).to_be_visible()
    desk.look("36 a dispute")

    made = from_database(lambda: list(Invoice.objects.filter(corrects__isnull=False).order_by("pk")))
    assert [(one.number, one.gross.amount) for one in made] == [
        ("ST-2026-00001", Decimal("-357.00")),
        ("RK-2026-00001", Decimal("-59.50")),
    ]
    assert desk.complaints == []
