"""A minimum commitment of a contract: what is missing to it is charged when its period is over, and explained."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from billing.charging import positions_of
from billing.kernel.recurring import monthly_value
from billing.models import Charge, Item, Subscription
from config import books
from invoicing import explanation
from invoicing.models import Invoice, Line
from invoicing.replay import replay
from tests.builders import make_grant, make_issuer, make_item, make_price, make_product, make_subscription, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db
APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)


@pytest.fixture
def issuer():
    return make_issuer(reference="MAIN")


def commit(contract: Subscription, amount: str, **fields) -> Item:
    product = make_product(name_de="Mindestumsatz", name_en="Minimum commitment")
    price = make_price((None, "0", amount), product=product, model="commitment", agreed_for=contract)
    return make_item(subscription=contract, price=price, line=9, **fields)


def true_ups() -> list[tuple[date, Decimal, Decimal]]:
    """First day, what is missing, and for how many days."""
    rows = Charge.objects.filter(item__line=9).order_by("pk")
    return [(row.starts_on, row.net.amount, (row.ends_before - row.starts_on).days) for row in rows]


def assert_sound() -> None:
    assert [str(breach) for breach in books.check(limit=20, with_files=False)] == []
    assert [str(difference) for one in replay() for difference in one.differences] == []


def test_what_is_missing_is_charged_when_the_period_is_over(issuer):
    contract = make_contract(issuer, make_tenant(), price=make_price((None, "200.00", "0")))
    commit(contract, "500.00")
    bill(issuer, FEBRUARY)
    assert true_ups() == []
    bill(issuer, MARCH)
    assert true_ups() == [(FEBRUARY, Decimal("300.00"), 28)]
    document = Invoice.objects.latest("pk")
    assert [(line.text, line.net.amount) for line in document.lines.all()] == [
        ("Mindestumsatz", Decimal(300)),
        ("Telefonie-Connector, Arbeitsplatz", Decimal(200)),
    ]
    assert bill(issuer, MARCH, date(2026, 3, 2)).invoices.count() == 0
    with translation.override("en"):
        told = explanation.told(Charge.objects.get(item__line=9))
    assert "Charged for these days: 200.00\N{NO-BREAK SPACE}EUR." in told
    assert "To be booked: 300.00\N{NO-BREAK SPACE}EUR." in told
    assert_sound()


def test_the_first_days_are_prorated_as_the_vector_says(issuer):
    """500.00 a month for 12 of 31 days: 193.55 (semantics e1); nothing else is charged."""
    contract = make_subscription(issuer=issuer, tenant=make_tenant(), starts_on=date(2026, 3, 20), billing_day=1)
    commit(contract, "500.00")
    bill(issuer, APRIL)
    assert true_ups() == [(date(2026, 3, 20), Decimal("193.55"), 12)]
    assert_sound()


def test_it_is_never_due_in_the_trial(issuer):
    contract = make_subscription(
        issuer=issuer, tenant=make_tenant(), starts_on=FEBRUARY, trial_ends_before=MARCH, billing_day=1
    )
    commit(contract, "500.00")
    bill(issuer, MAY)
    assert true_ups() == [(MARCH, Decimal(500), 31), (APRIL, Decimal(500), 30)]
    assert_sound()


def test_discounts_of_lines_count_and_discounts_of_documents_do_not(issuer):
    contract = make_contract(issuer, make_tenant(), price=make_price((None, "400.00", "0")))
    commit(contract, "500.00")
    make_grant(subscription=contract, percent=Decimal(50))
    make_grant(subscription=contract, percent=Decimal(10), level="document")
    bill(issuer, FEBRUARY)
    bill(issuer, MARCH)
    assert true_ups() == [(FEBRUARY, Decimal(300), 28)]
    assert [document.net.amount for document in Invoice.objects.order_by("pk")] == [180, 450]
    assert_sound()


def test_a_commitment_that_is_reached_is_charged_with_nothing_and_every_day_is_covered(issuer):
    contract = make_contract(issuer, make_tenant(), price=make_price((None, "600.00", "0")))
    commit(contract, "500.00")
    bill(issuer, MARCH)
    assert true_ups() == [(FEBRUARY, Decimal(0), 28)]
    assert monthly_value([position.terms for position in positions_of([contract.pk])], MARCH) == 600
    assert_sound()


def test_what_comes_in_late_is_charged_anew(issuer):
    """A credit for February raises what is missing: the first true-up is undone, another takes its place."""
    contract = make_contract(issuer, make_tenant(), price=make_price((None, "280.00", "0")))
    commit(contract, "500.00")
    bill(issuer, MARCH)
    assert true_ups() == [(FEBRUARY, Decimal(220), 28)]
    Item.objects.filter(line=1).update(ends_before=date(2026, 2, 15))
    bill(issuer, MARCH, date(2026, 3, 5))
    assert true_ups() == [
        (FEBRUARY, Decimal(220), 28),
        (FEBRUARY, Decimal(-220), 28),
        (FEBRUARY, Decimal(360), 28),
    ]
    assert bill(issuer, MARCH, date(2026, 3, 6)).invoices.count() == 0
    assert_sound()


def test_a_commitment_that_ends_inside_a_charged_period_gives_back_what_is_too_much(issuer):
    contract = make_contract(issuer, make_tenant(), price=make_price((None, "28.00", "0")))
    committed = commit(contract, "280.00")
    bill(issuer, MARCH)
    Item.objects.filter(pk=committed.pk).update(ends_before=date(2026, 2, 15))
    bill(issuer, MARCH, date(2026, 3, 5))
    assert true_ups() == [
        (FEBRUARY, Decimal(252), 28),
        (FEBRUARY, Decimal(112), 14),
        (FEBRUARY, Decimal(-252), 28),
    ]
    assert Line.objects.filter(net=112).count() == 1
    assert_sound()
