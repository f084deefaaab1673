"""What the proof of the books says of collections and of what a provider holds for us."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import translation

from config import books
from payments import card_refunds
from payments.models import Collection
from tests.payments import cards
from tests.payments.test_dunning import defer_constraints
from tests.stripe_server import Stripe, provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(tmp_path, settings) -> Iterator[Stripe]:
    with provider(tmp_path / "stripe") as server, translation.override("en"):
        settings.STRIPE_URL = server.url
        yield server


@pytest.fixture
def paid(server) -> Collection:
    """A collection that was paid, and one that waits."""
    account = cards.make_account()
    cards.save_method(server, account, cards.make_payer(account, reference="PAID"))
    cards.save_method(server, account, cards.make_payer(account, "50.00", reference="WAITS"))
    cards.issue(account)
    defer_constraints()
    first, second = cards.select(account)
    Collection.objects.filter(pk=second.pk).update(state="parked")
    cards.charge()
    first.refresh_from_db()
    assert found() == set()
    return first


def found() -> set[tuple[str, str]]:
    return {(breach.invariant, breach.record) for breach in books.check(with_files=False)}


def tamper(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("statement", "breaches"),
    [
        pytest.param("update payments_collection set payment_id = null", 1, id="a payment is forgotten"),
        pytest.param("update payments_collection set outcome = 'failed' where payment_id is not null", 1, id="refused"),
        pytest.param(
            "update payments_collection set outcome = 'succeeded' where payment_id is null", 2, id="paid by nothing"
        ),
        pytest.param(
            "update payments_collection set amount = 100 where payment_id is not null", 1, id="another amount"
        ),
    ],
)
def test_a_collection_and_its_payment_go_together(paid, statement, breaches):
    tamper(statement)
    assert {invariant for invariant, _record in found()} == {"collections"}
    assert len(list(books.check(with_files=False))) >= breaches


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("update payments_collectionitem set is_unsettled = false", id="an open attempt holds nothing"),
        pytest.param("update payments_collectionitem set is_unsettled = true", id="a settled attempt holds an item"),
        pytest.param("update payments_collectionitem set is_unsettled = not is_unsettled", id="the other way round"),
    ],
)
def test_items_say_what_their_attempt_says(paid, statement):
    tamper(statement)
    assert {invariant for invariant, _record in found()} == {"collections"}


def test_what_went_back_is_no_more_than_what_came(paid):
    from decimal import Decimal

    from invoicing import correction
    from invoicing.correction import Wanted

    invoice = paid.items.get().open_item.invoice
    note = correction.credit(invoice.pk, [Wanted(1, amount=Decimal("20.00"))], on=date(2026, 2, 20), reason="Ausfall")
    defer_constraints()
    from invoicing.models import OpenItem

    credit = OpenItem.objects.get(invoice=note)
    card_refunds.request(
        credit.pk, paid.payment_id, Decimal("23.80"), grounds="Ausfall", by=User.objects.create_user("anna")
    )
    assert found() == set()
    tamper("update payments_refund set amount = 119.01")
    assert ("refunds", f"payment {paid.payment_id}") in found()


def test_clearing_is_what_the_payments_say(paid):
    tamper("update invoicing_ledgeraccount set role = 'other' where role = 'provider_clearing'")
    assert found() == {("provider", "issuer MAIN")}
