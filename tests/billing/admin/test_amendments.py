"""Changing a contract in the admin: its money first, then the change; both languages; the right of its own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from billing import contracts
from billing.admin.amendments import ICONS, RecordField
from billing.models import Amendment, Discount, Pause, Subscription
from tests.billing.test_contracts import nets
from tests.builders import make_grant, make_issuer, make_price, make_product, make_tenant
from tests.pages import filled
from tests.small_book import bill, make_contract

pytestmark = pytest.mark.django_db
TODAY = date(2026, 2, 11)


@pytest.fixture(autouse=True)
def english(settings, monkeypatch):
    settings.LANGUAGE_CODE = "en"
    monkeypatch.setattr(timezone, "localdate", lambda *_: TODAY)


@pytest.fixture
def contract() -> Subscription:
    subscription = make_contract(
        make_issuer(), make_tenant(), reference="V-1", price=make_price((None, "28.00", "0")), quantity=Decimal(2)
    )
    bill(subscription.issuer, date(2026, 2, 1))
    return subscription


def url(contract: Subscription, kind: str = "quantity") -> str:
    return reverse("admin:billing_subscription_amend", args=[contract.pk]) + f"?kind={kind}"


def page(contract: Subscription) -> str:
    return reverse("admin:billing_subscription_change", args=[contract.pk])


def test_the_money_is_shown_then_the_change_is_made_and_billed_as_shown(admin_client, contract):
    form = filled(admin_client.get(url(contract))) | {"quantity": "3", "when": "immediate", "reason": "Auftrag 4711"}
    shown = admin_client.post(url(contract), form | {"_preview": "1"})
    assert not Amendment.objects.exists()
    money = shown.context["preview"]
    assert [line["period"] for line in money["lines"]] == ["11 Feb 2026 – 28 Feb 2026"] * 2
    assert (money["net"], money["net_without"], money["difference"]) == ("€18.00", "€0.00", "€18.00")
    assert [row[1:] for row in money["months"]] == [("€56.00", "€84.00", "€28.00"), ("–", "–", "–")]
    html = unescape(shown.content.decode())
    assert "-€36.00" in html
    assert "Change the contract" in html

    answer = admin_client.post(url(contract), filled(shown) | {"_confirm": "1"})
    assert (answer.status_code, answer["Location"]) == (302, page(contract))
    amendment = Amendment.objects.get(sequence=2)
    assert (amendment.reason, amendment.channel, amendment.author.username) == ("Auftrag 4711", "admin", "admin")
    bill(contract.issuer, TODAY)
    assert nets(contract) == ["56.00", "-36.00", "54.00"]
    html = unescape(admin_client.get(page(contract)).content.decode())
    for words in ("This contract has been charged.", "Change this contract", "other quantity", "Auftrag 4711"):
        assert words in html


def test_a_change_of_a_later_day_shows_the_run_of_that_day(admin_client, contract):
    form = filled(admin_client.get(url(contract))) | {"quantity": "1"}
    money = admin_client.post(url(contract), form | {"_preview": "1"}).context["preview"]
    assert (money["effective_on"], money["through"], money["net"]) == ("1 Mar 2026", "1 Mar 2026", "€28.00")


def test_a_refusal_stands_above_the_form_and_nothing_is_changed(admin_client, contract):
    for button in ("_preview", "_confirm"):
        answer = admin_client.post(
            url(contract, "resume"), {"kind": "resume", "day": "2026-02-11", button: "1"}, follow=True
        )
        assert "Contract V-1: it does not rest on 11 Feb 2026." in unescape(answer.content.decode())
    answer = admin_client.post(url(contract), {"kind": "quantity", "line": "1", "quantity": "", "_preview": "1"})
    assert answer.context["form"].errors == {"quantity": ["This field is required."]}
    answer = admin_client.post(
        url(contract), {"kind": "quantity", "line": "1", "quantity": "3", "when": "on_date", "_preview": "1"}
    )
    assert answer.context["form"].errors == {"day": ["Say the day from which the change holds."]}
    assert not Amendment.objects.exists()


def test_every_kind_of_change_has_its_form_in_german(admin_client, contract):
    make_grant(subscription=contract)
    admin_client.cookies["django_language"] = "de"
    for kind in ICONS:
        html = admin_client.get(url(contract, kind)).content.decode()
        assert '<html lang="de"' in html
        assert "Beträge anzeigen" in html


def test_what_is_asked_reaches_the_station(admin_client, contract):
    product = make_product(reference="EXTRA")
    make_price((None, "5.00", "0"), product=product)
    for kind, values in {
        "add": {"product": product.pk, "quantity": "2", "day": "2026-03-01"},
        "override": {"line": "1", "unit_price": "20", "when": "on_date", "day": "2026-03-01"},
        "pause": {"day": "2026-04-01", "until": "2026-05-01", "policy": "extend_term"},
        "cancellation": {"when": "on_date", "day": "2026-08-01", "money": "none"},
    }.items():
        answer = admin_client.post(url(contract, kind), {"kind": kind, "reason": "", "_confirm": "1", **values})
        assert answer.status_code == 302, (kind, answer.context["form"].errors)
    assert list(contract.amendments.values_list("kind", flat=True)) == [
        "start",
        "add",
        "override",
        "pause",
        "cancellation",
    ]
    assert Pause.objects.get().policy == "extend_term"
    contract.refresh_from_db()
    assert (contract.ends_before, contract.keeps_last_period) == (date(2026, 8, 1), True)
    moved = {"kind": "transfer", "tenant": "NONE", "reference": "V-2", "day": "2026-03-01", "_confirm": "1"}
    answer = admin_client.post(url(contract, "transfer"), moved)
    assert answer.context["form"].errors == {"tenant": ["There is no account “NONE”."]}


def test_amending_is_a_right_of_its_own(client, contract):
    user = User.objects.create_user("anna", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client.force_login(user)
    assert client.get(url(contract)).status_code == 403
    assert 'id="change"' not in client.get(page(contract)).content.decode()
    user.user_permissions.add(Permission.objects.get(codename="amend_subscription"))
    client.logout()
    client.force_login(user)
    assert client.get(url(contract)).status_code == 200
    assert 'id="change"' in client.get(page(contract)).content.decode()


def test_an_amended_contract_is_closed_even_if_it_was_never_charged(admin_client):
    contract = make_contract(make_issuer(), make_tenant(), starts_on=date(2026, 6, 1))
    contracts.change_quantity(
        contract,
        line=1,
        quantity=Decimal(3),
        on=TODAY,
        effective=date(2026, 7, 1),
        reason="",
        by=None,
        channel="command",
    )
    form = filled(admin_client.get(page(contract)))
    assert "starts_on" not in form
    assert "items-0-quantity" not in form


def test_a_discount_is_chosen_by_its_name_and_by_a_reference_that_people_gave_it():
    for reference in ("file:10/3", "TREUE"):
        Discount.objects.create(reference=reference, name_de="x", name_en="Discount 10 %", kind="percent", percent=10)
    offered = [label for _value, label in RecordField(Discount.objects.order_by("reference")).choices][1:]
    assert sorted(offered) == ["Discount 10 %", "TREUE Discount 10 %"]
