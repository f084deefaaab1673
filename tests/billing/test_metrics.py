"""MRR over a book: a function of the day, per account tree, whose movements add up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import metrics
from billing.kernel.recurring import Change
from billing.models import Item, Subscription
from tests.builders import make_grant, make_issuer, make_item, make_price, make_subscription, make_tenant

pytestmark = pytest.mark.django_db

JANUARY, FEBRUARY, MARCH = date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)


@pytest.fixture
def group():
    """A group with a branch, and a customer beside it. January: 100 + 200/12 in the group, 50 beside; 80 CHF."""
    issuer = make_issuer()
    group = make_tenant(reference="GROUP")
    branch = make_tenant(reference="BRANCH", kind="branch", parent=group)
    beside = make_tenant(reference="BESIDE")
    swiss = make_tenant(reference="SWISS", currency="CHF")
    make_contract(issuer, group, "G", "100", term_months=12)
    make_contract(issuer, branch, "B", "200", interval="yearly")
    make_contract(issuer, beside, "A", "50")
    make_contract(issuer, swiss, "S", "80", currency="CHF")
    group.refresh_from_db()
    return group


def make_contract(issuer, tenant, reference, amount, *, interval="monthly", **fields):
    currency = fields.get("currency", "EUR")
    subscription = make_subscription(issuer=issuer, tenant=tenant, reference=reference, **fields)
    make_item(subscription=subscription, price=make_price((None, amount, "0"), currency=currency), interval=interval)
    return subscription


def replaced(reference: str, amount: str, on: date) -> None:
    """From a day on another price, as an amendment leaves it."""
    item = Item.objects.get(subscription__reference=reference)
    Item.objects.filter(pk=item.pk).update(ends_before=on)
    price = make_price((None, amount, "0"), currency=item.subscription.currency)
    make_item(subscription=item.subscription, price=price, interval=item.interval, starts_on=on)


def test_on_a_day_by_currency_and_below_an_account(group):
    assert metrics.mrr(JANUARY) == {"EUR": 150 + Fraction(200, 12), "CHF": 80}
    assert metrics.mrr(JANUARY, under=group) == {"EUR": 100 + Fraction(200, 12)}
    assert metrics.mrr(date(2025, 12, 31)) == {}


def test_editing_february_leaves_january_as_it_is(group):
    before = metrics.mrr(JANUARY)
    replaced("G", "60", date(2026, 2, 1))
    Subscription.objects.filter(reference="A").update(ends_before=date(2026, 2, 10))
    make_grant(subscription=Subscription.objects.get(reference="S"), after_periods=1)
    assert metrics.mrr(JANUARY) == before
    assert metrics.mrr(FEBRUARY) == {"EUR": 60 + Fraction(200, 12), "CHF": 72}


def test_movements_add_up_from_opening_to_closing(group):
    replaced("G", "60", date(2026, 2, 1))
    replaced("B", "400", date(2026, 2, 1))
    Subscription.objects.filter(reference="A").update(ends_before=date(2026, 2, 10))
    issuer, beside = group.subscriptions.get().issuer, make_tenant(reference="NEW")
    make_contract(issuer, beside, "N", "33.33", starts_on=date(2026, 3, 1))
    make_contract(
        issuer,
        Subscription.objects.get(reference="A").tenant,
        "A2",
        "10",
        interval="weekly",
        starts_on=date(2026, 3, 5),
    )
    report = metrics.report(JANUARY, MARCH, days=[JANUARY, FEBRUARY, MARCH])
    flow = report.flows["EUR"]
    assert flow.amounts == {
        Change.NEW: Fraction("33.33"),
        Change.EXPANSION: Fraction(200, 12),
        Change.CONTRACTION: -40,
        Change.CHURN: -50,
        Change.REACTIVATION: Fraction(520, 12),
    }
    assert flow.opening + sum(flow.amounts.values()) == flow.closing == metrics.mrr(MARCH)["EUR"]
    assert (flow.customers, flow.movements[Change.CHURN]) == ((3, 4), 1)
    assert flow.course == [metrics.mrr(day)["EUR"] for day in (JANUARY, FEBRUARY, MARCH)]
    opening, amounts, closing = flow.rounded(2)
    assert (opening, sum(amounts.values()), closing) == (Decimal("166.67"), Decimal("3.33"), Decimal("170.00"))
    assert report.flows["CHF"].opening == report.flows["CHF"].closing == 80
    # a way in two legs is the whole way
    for one, other in pairwise([JANUARY, FEBRUARY, MARCH]):
        leg = metrics.report(one, other).flows["EUR"]
        assert leg.opening + sum(leg.amounts.values()) == leg.closing
    # 40 less a month from 1 February on, in a term of twelve months from 1 January: eleven are left
    lost = {one.contract: (one.monthly, one.months, one.value) for one in report.decreases}
    assert lost == {"G": (40, 11, 440), "A": (50, None, None)}


def test_the_value_of_a_contract_over_its_term(group):
    contract = Subscription.objects.get(reference="G")
    make_item(subscription=contract, price=make_price((None, "250", "0")), interval="once")
    value = metrics.contract_value(contract, JANUARY)
    assert (value.total, value.currency, value.ends_before) == (1450, "EUR", date(2027, 1, 1))
    assert metrics.contract_value(Subscription.objects.get(reference="A"), JANUARY) is None


def test_a_contract_that_cannot_be_reckoned_spoils_no_other(group):
    issuer = group.subscriptions.get().issuer
    broken = make_subscription(issuer=issuer, tenant=group, reference="X")
    make_item(subscription=broken, price=make_price(("5", "10", "0")))
    report = metrics.report(JANUARY, FEBRUARY)
    assert list(report.refused) == [broken.pk]
    assert report.flows["EUR"].closing == 150 + Fraction(200, 12)


def test_many_customers_take_no_more_queries_than_few(group):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            metrics.report(JANUARY, MARCH)
        return len(captured)

    before = queries()
    for n in range(3):
        make_contract(group.subscriptions.get().issuer, make_tenant(), f"M{n}", "10")
    assert queries() == before


def test_the_command(group, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    replaced("G", "60", date(2026, 2, 1))
    call_command("mrr", "--on", "2026-01-31")
    assert capsys.readouterr().out.splitlines() == ["CHF 80.00", "EUR 166.67"]
    call_command("mrr", "--from", "2026-01-31", "--to", "2026-02-28", "--account", "GROUP")
    assert capsys.readouterr().out.splitlines() == [
        "EUR 2026-01-31: 116.67 (customers: 2)",
        "    new customers: +0.00 (0)",
        "    expansion: +0.00 (0)",
        "    contraction: -40.00 (1)",
        "    churn: +0.00 (0)",
        "    reactivation: +0.00 (0)",
        "EUR 2026-02-28: 76.67 (customers: 2)",
        "G: 40.00 EUR less per month from 2026-02-01, 440.00 until its term ends",
    ]
    call_command("mrr", "--on", "2026-01-31", "--contract", "G")
    assert capsys.readouterr().out == "EUR 760.00 (< 2027-01-01)\n"
    with pytest.raises(CommandError, match="Say --on DAY"):
        call_command("mrr", "--from", "2026-02-28", "--to", "2026-01-31")
