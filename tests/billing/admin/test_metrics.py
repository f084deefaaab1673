"""The page on recurring revenue: months as columns, movements that add up, contracts worth less."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from billing.admin.metrics import month_ends
from billing.models import Item
from tests.builders import make_issuer, make_item, make_price, make_subscription, make_tenant

pytestmark = pytest.mark.django_db
NBSP = "\N{NO-BREAK SPACE}"


def test_movements_and_months_of_all_and_of_one_account(admin_client):
    issuer = make_issuer()
    for reference, amount in (("ONE", "1000"), ("TWO", "200")):
        contract = make_subscription(
            issuer=issuer, tenant=make_tenant(reference=reference), reference=f"V-{reference}", term_months=12
        )
        make_item(subscription=contract, price=make_price((None, amount, "0")))
    item = Item.objects.get(subscription__reference="V-ONE")
    Item.objects.filter(pk=item.pk).update(ends_before=date(2026, 2, 1))
    make_item(subscription=item.subscription, price=make_price((None, "700", "0")), starts_on=date(2026, 2, 1))
    admin_client.cookies["django_language"] = "de"
    query = {"from": "2026-01-31", "to": "2026-02-28"}
    response = admin_client.get(reverse("metrics"), query)
    (flow,) = response.context["flows"]
    assert (flow["opening"], flow["now"]) == (f"1.200,00{NBSP}€", f"900,00{NBSP}€")
    assert [row["amount"] for row in flow["months"]][-3:] == ["", "1.200", "900"]
    assert [row["height"] for row in flow["months"]][-3:] == [0, 100, 75]
    (lost,) = response.context["decreases"]
    assert (lost["contract"], lost["monthly"], lost["months"]) == ("V-ONE", f"300,00{NBSP}€", "11")
    assert lost["value"] == f"3.300,00{NBSP}€"
    html = response.content.decode()
    assert "Minderung" in html
    assert f"-300,00{NBSP}€" in html
    (flow,) = admin_client.get(reverse("metrics"), query | {"account": "TWO"}).context["flows"]
    assert (flow["opening"], flow["now"]) == (f"200,00{NBSP}€", f"200,00{NBSP}€")
    assert "Es gibt keinen Mandanten NONE" in admin_client.get(reverse("metrics"), {"account": "NONE"}).content.decode()


def test_the_last_days_of_twelve_months():
    days = month_ends(date(2026, 3, 10))
    assert (len(days), days[0], days[-3:]) == (
        12,
        date(2025, 4, 30),
        [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 10)],
    )
