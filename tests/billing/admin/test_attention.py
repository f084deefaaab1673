"""Contracts that wait for their start, and renewals ahead: what the page shows, and the files it gives."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.contracts import renewals
from billing.models import Subscription
from tests.builders import make_issuer, make_item, make_price, make_subscription, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def march():
    with time_machine.travel("2026-03-20 09:00:00+01:00", tick=False):
        yield


@pytest.fixture
def clerk(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    return client


def make_renewing(reference: str, **fields) -> Subscription:
    """100.00 a month; a year's term that ends in about a month, and renews itself for a year."""
    contract = make_subscription(
        reference=reference,
        starts_on=date(2025, 4, 20),
        term_months=12,
        renewal_months=12,
        notice_days=7,
        **fields,
    )
    make_item(subscription=contract, price=make_price((None, "100.00", "0")))
    return contract


def page(client, **query: str):
    return client.get(reverse("contracts_attention"), query, headers={"accept-language": "en"})


def account(client, contract: Subscription):
    """The contracts on the page of an account."""
    url = reverse("account", args=[contract.tenant_id])
    return client.get(url, headers={"accept-language": "en"}).context["contracts"]


def test_a_contract_without_its_day_waits_and_says_for_what(clerk):
    issuer = make_issuer()
    common = {"issuer": issuer, "tenant": make_tenant(name="=Bad & Co")}
    make_subscription(reference="V-ACT", billing_starts_with="activation", **common)
    make_subscription(reference="V-ACC", billing_starts_with="acceptance", **common)
    make_subscription(reference="V-RUNS", billing_starts_with="activation", activated_on=date(2026, 1, 5), **common)
    context = page(clerk).context
    assert [row["contract"] for row in context["starts"]] == ["V-ACC", "V-ACT"]
    assert "kind=activation" in context["starts"][0]["amend"]
    rows = page(clerk, csv="starts").content.decode("utf-8-sig").splitlines()
    assert rows[0] == "contract;account;name;first day;waits for"
    assert rows[1].endswith(";'=Bad & Co;2026-01-01;the day of the acceptance")


def test_renewals_ahead_have_their_amount_at_risk(clerk):
    issuer = make_issuer()
    make_renewing("V-SOON", issuer=issuer)
    make_subscription(reference="V-OPEN", issuer=issuer)
    context = page(clerk, days="60").context
    assert [row["contract"] for row in context["renewals"]] == ["V-SOON"]
    assert context["renewals"][0]["at_risk"] == context["sums"][0] == "€1,200.00"
    assert page(clerk, days="1").context["renewals"] == []
    rows = page(clerk, csv="renewals").content.decode("utf-8-sig").splitlines()
    assert rows[1].split(";")[0] == "V-SOON"
    assert rows[1].split(";")[3:] == ["2026-04-20", "2026-04-12", "1200.00", "EUR"]
    german = clerk.get(reverse("contracts_attention"), {"csv": "renewals"}, headers={"accept-language": "de"})
    rows = german.content.decode("utf-8-sig").splitlines()
    assert rows[0] == "Vertrag;Mandant;Name;verlängert sich am;kündbar bis;gefährdeter Betrag;Währung"
    assert rows[1].split(";")[3:] == ["20.04.2026", "12.04.2026", "1200,00", "EUR"]


def test_an_overdue_renewal_stands_apart_and_is_not_at_risk(clerk):
    """The term that ended on 20 April 2025 was never renewed; the next one ends on 20 April 2026."""
    contract = make_renewing("V-LATE", issuer=make_issuer())
    Subscription.objects.filter(pk=contract.pk).update(starts_on=date(2024, 4, 20))
    context = page(clerk, days="60").context
    assert [(row["contract"], row["renews_on"]) for row in context["overdue"]] == [("V-LATE", "20 Apr 2025")]
    assert [(row["renews_on"], row["is_settled"]) for row in context["renewals"]] == [("20 Apr 2026", False)]
    assert context["sums"] == ["€1,200.00"]
    (row,) = account(clerk, contract)
    assert (row["renews_on"], row["notice_by"]) == tuple(
        context["renewals"][0][name] for name in ("renews_on", "notice_by")
    )
    assert "Overdue renewals" in page(clerk, days="60").content.decode()
    rows = page(clerk, csv="renewals").content.decode("utf-8-sig").splitlines()
    assert [row.split(";")[3] for row in rows[1:]] == ["2025-04-20", "2026-04-20"]


def test_what_can_no_longer_be_cancelled_is_listed_but_not_at_risk(clerk):
    issuer = make_issuer()
    make_renewing("V-SOON", issuer=issuer)
    gone = make_renewing("V-GONE", issuer=issuer)
    Subscription.objects.filter(pk=gone.pk).update(notice_days=60)
    context = page(clerk, days="60").context
    assert [(row["contract"], row["is_settled"]) for row in context["renewals"]] == [
        ("V-GONE", True),
        ("V-SOON", False),
    ]
    assert (context["sums"], context["overdue"]) == (["€1,200.00"], [])


def test_a_renewal_on_record_is_over_for_both_pages(clerk):
    contract = make_renewing("V-DONE", issuer=make_issuer())
    renewals.renew(contract, renews_on=date(2026, 4, 20), reason="", by=None, channel="schedule")
    assert page(clerk, days="60").context["renewals"] == []
    (ahead,) = page(clerk, days="730").context["renewals"]
    (row,) = account(clerk, contract)
    assert ahead["renews_on"] == row["renews_on"] == "20 Apr 2027"


def test_the_page_asks_the_same_number_of_questions_however_many_contracts(clerk):
    issuer = make_issuer()

    def questions() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert page(clerk).status_code == 200
        return len(queries)

    make_renewing("V-1", issuer=issuer)
    make_subscription(reference="V-2", issuer=issuer, billing_starts_with="activation")
    questions()
    few = questions()
    for n in range(5):
        make_renewing(f"V-R{n}", issuer=issuer)
        make_subscription(reference=f"V-W{n}", issuer=issuer, billing_starts_with="activation")
    assert questions() == few


def test_the_files_need_a_right_of_their_own(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("guest", is_staff=True))
    assert page(client).status_code == 403
    client.logout()
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client.force_login(clerk)
    assert page(client).status_code == 200
    assert page(client, csv="starts").status_code == 403
