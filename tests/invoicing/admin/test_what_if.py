"""What if: figures of both sides to the cent, nothing kept, and only for who may see contracts."""

from __future__ import annotations

from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from billing.models import Amendment, Charge, Discount
from invoicing.models import Invoice, NumberRange
from tests.builders import make_issuer, make_item, make_price, make_product, make_subscription, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def march():
    with time_machine.travel("2026-02-20 09:00:00+01:00", tick=False):
        yield


@pytest.fixture
def contract():
    """Five seats at 12.50, billed for February; another contract of the same payer beside it."""
    issuer, tenant = make_issuer(), make_tenant()
    price = make_price((None, "12.50", "0"))
    made = make_contract(issuer, tenant, reference="V-1", price=price, quantity=Decimal(5))
    make_contract(issuer, tenant, reference="V-2", price=price, quantity=Decimal(99))
    bill(issuer, FEBRUARY)
    return made


def rows(response) -> list[tuple[str, str, str, str]]:
    def plain(text: str) -> str:
        return str(text).partition(">")[2].removesuffix("</span>") if "<" in str(text) else str(text)

    return [
        (row["day"], plain(row["without"]["net"]), plain(row["changed"]["net"]), plain(row["difference"]))
        for row in response.context["rows"]
    ]


def test_the_next_twelve_documents_of_a_contract(admin_client, contract):
    response = admin_client.get(reverse("what_if_contract", args=[contract.pk]))
    found = rows(response)
    assert len(found) == 12
    assert found[0] == ("1 Mar 2026", "€62.50", "€62.50", "–")
    assert found[11] == ("1 Feb 2027", "€62.50", "€62.50", "–")
    assert "€74.38" in response.content.decode()  # gross
    assert "€750.00" in str(response.context["sums"]["without"])


@pytest.mark.parametrize(
    ("asked", "first", "following"),
    [
        # eight seats from 20 February: nine of 28 days of three more, then whole months
        ({"kind": "quantity", "value": "8", "day": "2026-02-20"}, ("–", "€12.05"), ("€62.50", "€100.00")),
        ({"kind": "quantity", "value": "2", "day": "2026-03-01"}, ("€62.50", "€25.00"), ("€62.50", "€25.00")),
        ({"kind": "price", "value": "10.00", "day": "2026-03-01"}, ("€62.50", "€50.00"), ("€62.50", "€50.00")),
        ({"kind": "discount", "value": "10", "day": "2026-03-01"}, ("€62.50", "€56.25"), ("€62.50", "€56.25")),
    ],
)
def test_a_change_is_told_beside_it_and_not_kept(admin_client, contract, asked, first, following):
    before = [model.objects.count() for model in (Charge, Invoice, Discount, Amendment)]
    ranges = list(NumberRange.objects.values_list("prefix", "next_number"))
    found = rows(admin_client.get(reverse("what_if_contract", args=[contract.pk]), asked))
    assert (found[0][1:3], found[1][1:3]) == (first, following)
    assert [model.objects.count() for model in (Charge, Invoice, Discount, Amendment)] == before
    assert list(NumberRange.objects.values_list("prefix", "next_number")) == ranges
    contract.refresh_from_db()
    assert [item.quantity for item in contract.items.all()] == [Decimal(5)]


def test_a_refusal_stands_where_the_figures_would(admin_client, contract):
    asked = {"kind": "quantity", "value": "5", "day": "2026-03-01"}
    response = admin_client.get(reverse("what_if_contract", args=[contract.pk]), asked)
    assert response.context["refusal"] == "Contract V-1: the quantity is 5 already."
    assert response.context["rows"] == []
    response = admin_client.get(reverse("what_if_contract", args=[contract.pk]), {"kind": "discount", "value": "101"})
    assert "A percentage is at most 100." in response.content.decode()


def test_yearly_and_ending_contracts_are_looked_at_as_far_as_they_go(admin_client):
    product = make_product(interval="yearly", proration="month_first")
    price = make_price((None, "0", "1200.00"), model="flat", product=product)
    subscription = make_subscription(reference="V-9", starts_on=FEBRUARY, ends_before="2028-05-01")
    make_item(subscription=subscription, price=price, proration="month_first", ends_before=None)
    found = rows(admin_client.get(reverse("what_if_contract", args=[subscription.pk])))
    assert [(day, net) for day, net, _changed, _difference in found] == [
        ("20 Feb 2026", "€1,200.00"),  # due since the first, not billed yet
        ("1 Feb 2027", "€1,200.00"),
        ("1 Feb 2028", "€300.00"),
    ]


def test_a_price_is_tried_on_a_contract_that_nobody_has(admin_client):
    price = make_price(
        ("10", "2.50", "0"), ("20", "2.40", "0"), ("30", "2.30", "0"), (None, "2.20", "0"), model="graduated"
    )
    url = reverse("what_if_price", args=[price.pk])
    asked = {"quantity": "25", "starts_on": "2026-01-31"}
    found = rows(admin_client.get(url, asked))
    assert (len(found), found[0]) == (12, ("31 Jan 2026", "€60.50", "€60.50", "–"))
    assert found[1][0] == "28 Feb 2026"
    change = {"kind": "quantity", "value": "31", "day": "2026-03-31"}
    assert rows(admin_client.get(url, asked | change))[1:3] == [
        ("28 Feb 2026", "€60.50", "€60.50", "–"),
        ("31 Mar 2026", "€60.50", "€74.20", "€13.70"),
    ]
    half = {"kind": "discount", "value": "50", "day": "2026-02-28"}
    assert rows(admin_client.get(url, asked | half))[1] == ("28 Feb 2026", "€60.50", "€30.25", "-€30.25")


def test_it_speaks_german_and_is_for_who_may_see_contracts(client, contract):
    user = User.objects.create_user("clerk", is_staff=True)
    client.force_login(user)
    urls = [
        reverse("what_if_contract", args=[contract.pk]),
        reverse("what_if_price", args=[contract.items.get().price_id]),
    ]
    assert [client.get(url).status_code for url in urls] == [403, 403]
    user.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client.logout()
    client.force_login(user)
    client.cookies["django_language"] = "de"
    for url in urls:
        response = client.get(url, {"kind": "quantity", "value": "7,5", "day": "2026-03-01"})
        html = response.content.decode()
        assert response.status_code == 200
        for text in ("Was wäre, wenn", "mit der Änderung", "93,75", "andere Menge"):
            assert text in html, (url, text)
