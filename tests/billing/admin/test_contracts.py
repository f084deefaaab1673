"""Contracts and prices in the admin: what was charged stays as it was."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse
from django.utils.html import strip_tags

from billing import contracts
from billing.models import Item, Price, Subscription
from tests.builders import make_issuer, make_price, make_price_class, make_product, make_tenant
from tests.pages import filled
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def contract() -> Subscription:
    return make_contract(make_issuer(), make_tenant(), price=make_price((None, "100.00", "0")))


def page(record) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def test_a_contract_that_was_not_charged_is_edited_freely(admin_client, contract):
    form = filled(admin_client.get(page(contract)))
    assert form["items-0-quantity"] == "1"
    form |= {"starts_on": "2026-03-01", "items-0-quantity": "2.5", "_reason": "Auftrag geändert"}
    assert admin_client.post(page(contract), form).status_code == 302
    contract.refresh_from_db()
    assert contract.starts_on == date(2026, 3, 1)
    assert contract.items.get().quantity == Decimal("2.5")


def test_a_contract_begun_at_an_account_has_its_currency_and_price_class(admin_client):
    issuer, price_class = make_issuer(), make_price_class(7)
    parent = make_tenant(currency="CHF", price_class=price_class.number)
    branch = make_tenant(parent=parent, kind="branch", currency="", price_class=None)
    url = reverse("admin:billing_subscription_add")
    form = admin_client.get(url, {"tenant": branch.pk}).context["adminform"].form
    assert {name: str(form[name].value()) for name in ("issuer", "tenant", "currency", "price_class")} == {
        "issuer": str(issuer.pk),
        "tenant": str(branch.pk),
        "currency": "CHF",
        "price_class": str(price_class.pk),
    }
    make_issuer()
    assert admin_client.get(url).context["adminform"].form["issuer"].value() is None


def test_a_contract_without_a_position_is_pointed_out(admin_client, contract):
    response = admin_client.post(page(contract), filled(admin_client.get(page(contract))), follow=True)
    warning = f"{contract} has no position yet, so nothing of it is billed."
    assert warning not in [str(message) for message in response.context["messages"]]
    contract.items.all().delete()
    response = admin_client.post(page(contract), filled(admin_client.get(page(contract))), follow=True)
    assert warning in [str(message) for message in response.context["messages"]]


def test_what_charges_rest_on_is_closed_with_the_reason(admin_client, contract):
    bill(contract.issuer, FEBRUARY)
    response = admin_client.get(page(contract))
    assert "This contract has been charged." in response.content.decode()
    form = filled(response)
    assert "starts_on" not in form
    form |= {"starts_on": "2025-01-01", "currency": "USD", "items-0-quantity": "99", "items-0-starts_on": "2025-01-01"}
    form |= {"ends_before": "2026-12-31", "items-0-ends_before": "2026-12-31", "po_number": "PO-7"}
    form |= {"items-TOTAL_FORMS": "1", "items-0-id": contract.items.get().pk}
    assert admin_client.post(page(contract), form).status_code == 302
    contract.refresh_from_db()
    item = contract.items.get()
    assert (contract.starts_on, contract.currency, contract.po_number) == (FEBRUARY, "EUR", "PO-7")
    assert (item.quantity, item.starts_on) == (1, FEBRUARY)
    assert (contract.ends_before, item.ends_before) == (None, None)


def test_an_agreed_price_shows_its_amount_and_which_rows_run(admin_client, admin_user, contract):
    with time_machine.travel("2026-02-10 12:00:00+01:00", tick=False):
        admin_client.force_login(admin_user)
        bill(contract.issuer, FEBRUARY)
        contracts.agree_price(
            contract,
            line=1,
            flat_amount=Decimal("200.00"),
            on=date(2026, 2, 10),
            effective=date(2026, 3, 1),
            reason="",
            by=None,
            channel="admin",
        )
        html = admin_client.get(page(contract)).content.decode()
        assert '200.00\xa0EUR, flat<br><span class="k-flag">agreed price</span>' in html
        assert "100.00\xa0EUR, per unit" in html
        assert rows_of(admin_client, contract) == [
            ("running", "100.00\xa0EUR, per unit"),
            ("to come", "200.00\xa0EUR, flat"),
        ]
    with time_machine.travel("2026-03-10 12:00:00+01:00", tick=False):
        admin_client.force_login(admin_user)
        assert rows_of(admin_client, contract) == [
            ("over", "100.00\xa0EUR, per unit"),
            ("running", "200.00\xa0EUR, flat"),
        ]


def rows_of(client, contract: Subscription) -> list[tuple[str, str]]:
    """State and price of each position on the page of a contract, in its order of days."""
    positions = next(
        one for one in client.get(page(contract)).context["inline_admin_formsets"] if one.opts.model is Item
    )
    items = sorted((form.original for form in positions if form.original), key=lambda item: item.starts_on)
    return [
        (
            strip_tags(positions.opts.standing(item)),
            strip_tags(positions.opts.figure(item)).removesuffix("agreed price"),
        )
        for item in items
    ]


def test_a_position_of_a_charged_contract_cannot_be_deleted(admin_client, contract):
    bill(contract.issuer, FEBRUARY)
    admin_client.post(page(contract), filled(admin_client.get(page(contract))) | {"items-0-DELETE": "on"})
    assert Item.objects.filter(subscription=contract).exists()
    delete = reverse("admin:billing_subscription_delete", args=[contract.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_a_new_position_takes_the_terms_of_its_product(admin_client, contract):
    yearly = make_price(
        (None, "900", "0"), product=make_product(interval="yearly", timing="arrears", proration="month_first")
    )
    form = filled(admin_client.get(page(contract)))
    form |= {
        "items-TOTAL_FORMS": "2",
        "items-1-price": yearly.pk,
        "items-1-quantity": "3",
        "items-1-starts_on": "2026-02-01",
    }
    form |= {"items-1-subscription": contract.pk}
    assert admin_client.post(page(contract), form).status_code == 302
    item = contract.items.get(price=yearly)
    assert (item.product, item.interval, item.timing, item.proration) == (
        yearly.product,
        "yearly",
        "arrears",
        "month_first",
    )


def price_form(**fields) -> dict[str, object]:
    return {
        "product": make_product().pk,
        "price_class": make_price_class().pk,
        "currency": "EUR",
        "model": "graduated",
        "free_quantity": "0",
        "tiers-TOTAL_FORMS": "2",
        "tiers-INITIAL_FORMS": "0",
        "tiers-0-up_to": "10",
        "tiers-0-unit_price": "0,9",
        "tiers-0-flat_amount": "0",
        "tiers-1-unit_price": "0,0047",
        "tiers-1-flat_amount": "1234,5",
    } | fields


def test_prices_are_typed_with_the_decimal_comma_in_german(admin_client, settings):
    settings.LANGUAGE_CODE = "de"
    url = reverse("admin:billing_price_add")
    assert admin_client.post(url, price_form()).status_code == 302
    price = Price.objects.get()
    assert [(tier.up_to, tier.unit_price, tier.flat_amount) for tier in price.tiers.all()] == [
        (Decimal(10), Decimal("0.9"), 0),
        (None, Decimal("0.0047"), Decimal("1234.5")),
    ]
    html = admin_client.get(page(price)).content.decode()
    assert 'value="0,0047"' in html
    assert 'value="1234,5"' in html
    refused = admin_client.post(url, price_form(**{"tiers-1-flat_amount": "1.234,50"}))
    assert "ohne Tausendertrennzeichen" in refused.content.decode()
    assert Price.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tiers-1-up_to": "20"}, "Exactly one tier has no upper bound"),
        ({"model": "per_unit"}, "has no tiers"),
        ({"model": "package"}, "A package price needs a package size above zero."),
        ({"minimum": "2", "cap": "1"}, "The minimum is above the maximum."),
    ],
)
def test_a_price_that_cannot_be_reckoned_is_refused_in_words(admin_client, fields, words):
    english = {"tiers-0-unit_price": "0.9", "tiers-1-unit_price": "0.0047", "tiers-1-flat_amount": "0"}
    response = admin_client.post(reverse("admin:billing_price_add"), price_form(**english | fields))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not Price.objects.exists()


def test_a_cell_of_the_price_list_holds_one_price_on_a_day(admin_client):
    price = make_price((None, "1", "0"))
    form = price_form(product=price.product_id, price_class=price.price_class_id)
    form |= {"tiers-0-unit_price": "0.9", "tiers-1-unit_price": "0.0047", "tiers-1-flat_amount": "0"}
    response = admin_client.post(reverse("admin:billing_price_add"), form)
    assert "Another price stands in this cell of the price list on these days." in response.content.decode()
    product = admin_client.get(page(price.product)).content.decode()
    assert "1.00\N{NO-BREAK SPACE}EUR, per unit" in product


def test_the_figures_of_a_price_that_was_charged_are_closed(admin_client, contract):
    bill(contract.issuer, FEBRUARY)
    price = contract.items.get().price
    response = admin_client.get(page(price))
    assert "Contracts were charged by this price" in response.content.decode()
    form = filled(response) | {"tiers-0-unit_price": "1", "currency": "USD", "ends_before": "2026-06-01"}
    assert admin_client.post(page(price), form).status_code == 302
    price.refresh_from_db()
    assert (price.currency, price.tiers.get().unit_price, price.ends_before) == ("EUR", 100, date(2026, 6, 1))
