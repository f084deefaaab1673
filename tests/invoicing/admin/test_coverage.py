"""The page that shows whether any day of a contract was forgotten."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from tests.builders import make_tenant
from tests.small_book import make_contract, make_small_book

pytestmark = pytest.mark.django_db


def seen(client, **query) -> str:
    response = client.get(reverse("coverage"), query)
    assert response.status_code == 200
    return response.content.decode()


def test_sums_shares_and_what_is_in_error(admin_client):
    issuer = make_small_book()
    context = admin_client.get(reverse("coverage"), {"through": "2026-03-01"}).context
    assert (context["item_days"], context["fault_count"]) == ("159", 0)
    assert [row["days"] for row in context["answers"]] == ["159", "0", "0", "0"]
    forgotten = make_contract(issuer, make_tenant(reference="FORGOTTEN"), reference="V-FORGOTTEN")
    with connection.cursor() as cursor:
        cursor.execute("update invoicing_billrun set started_at = clock_timestamp() + interval '2 hours'")
    admin_client.cookies["django_language"] = "de"
    html = seen(admin_client, through="2026-03-01")
    assert reverse("admin:billing_subscription_change", args=[forgotten.pk]) in html
    assert "fällig, nicht abgerechnet und ohne erkennbaren Grund" in html
    assert "01.02.2026 – 28.02.2026" in html
    assert "84,5\N{NO-BREAK SPACE}%" in html  # 159 of 188 days


def test_a_day_that_is_none_is_today_and_an_empty_book_has_no_day(admin_client):
    admin_client.cookies["django_language"] = "en"
    html = seen(admin_client, through="2026-02-31")
    assert "No contract has a day yet." in html


def test_only_who_sees_charges_sees_the_report(client):
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(reverse("coverage")).status_code == 403
    assert client.get(reverse("metrics")).status_code == 403
