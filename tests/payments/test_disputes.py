"""Disputed lines: left out of reminders with their VAT, upheld by a credit note, or rejected."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import translation

from invoicing.models import Invoice, Line
from payments import disputes, dunning
from payments.disputes import NotDisputable
from payments.kernel.reminders import Item, Left, Level, decide
from payments.models import Dispute, Letter
from tests.builders import make_issuer, make_item, make_price, make_subscription, make_tenant
from tests.guards import copy_of
from tests.small_book import FEBRUARY, bill

pytestmark = pytest.mark.django_db
LATE = date(2026, 3, 20)


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


@pytest.fixture
def invoice():
    """9,980.89 gross, of which a line of 850.00 net."""
    issuer = make_issuer(reference="MAIN")
    contract = make_subscription(
        issuer=issuer, tenant=make_tenant(reference="ALONE"), starts_on=FEBRUARY, billing_day=1
    )
    for amount in ("850.00", "7537.30"):
        make_item(subscription=contract, price=make_price((None, amount, "0")))
    bill(issuer, FEBRUARY)
    return Invoice.objects.get()


def line_of_850(invoice: Invoice) -> Line:
    return invoice.lines.get(net=850)


def test_a_disputed_line_is_left_out_with_its_vat_and_the_rest_is_reminded_of(invoice):
    assert invoice.gross.amount == Decimal("9980.89")
    disputes.contest(line_of_850(invoice).pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    dunning.remind(invoice.issuer, on=LATE)
    assert Letter.objects.get().total.amount == Decimal("8969.39")  # 9,980.89 less 850.00 and 161.50


def test_a_rejected_dispute_is_reminded_of_again(invoice):
    dispute = disputes.contest(line_of_850(invoice).pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    disputes.reject(dispute.pk, on=date(2026, 3, 1), resolution="Auftrag liegt vor")
    dunning.remind(invoice.issuer, on=LATE)
    assert Letter.objects.get().total.amount == Decimal("9980.89")
    with pytest.raises(NotDisputable, match="resolved already"):
        disputes.reject(dispute.pk, on=LATE, resolution="noch einmal")


def test_a_rejected_line_may_be_contested_again_and_each_dispute_is_kept(invoice):
    line = line_of_850(invoice)
    first = disputes.contest(line.pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    disputes.reject(first.pk, on=date(2026, 3, 1), resolution="Auftrag liegt vor")
    second = disputes.contest(line.pk, on=date(2026, 3, 5), reason="Nicht geliefert")
    dunning.remind(invoice.issuer, on=LATE)
    assert Letter.objects.get().total.amount == Decimal("8969.39")
    assert disputes.uphold(second.pk, on=LATE, resolution="Nicht geliefert")
    with pytest.raises(NotDisputable, match="credited already"):
        disputes.contest(line.pk, on=LATE, reason="noch einmal")
    assert list(Dispute.objects.order_by("pk").values_list("state", "reason")) == [
        ("rejected", "Nicht bestellt"),
        ("upheld", "Nicht geliefert"),
    ]


def test_an_upheld_dispute_is_credited_and_no_longer_open(invoice):
    dispute = disputes.contest(line_of_850(invoice).pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    note = Invoice.objects.get(pk=disputes.uphold(dispute.pk, on=date(2026, 3, 1), resolution="Nicht bestellt"))
    assert (note.number, note.gross.amount) == ("RK-2026-00001", Decimal("-1011.50"))
    dispute.refresh_from_db()
    assert (dispute.state, dispute.resolved_on) == ("upheld", date(2026, 3, 1))
    dunning.remind(invoice.issuer, on=LATE)
    assert Letter.objects.get().total.amount == Decimal("8969.39")


def test_all_lines_disputed_come_to_the_whole_document(invoice):
    for line in invoice.lines.all():
        disputes.contest(line.pk, on=date(2026, 2, 10), reason="Falsch")
    found = disputes.contested(invoice.issuer_id, [invoice.payer_id], on=LATE)
    assert list(found.values()) == [Decimal("9980.89")]
    dunning.remind(invoice.issuer, on=LATE)
    assert not Letter.objects.exists()


def test_what_cannot_be_disputed(invoice):
    line = line_of_850(invoice)
    disputes.contest(line.pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    with pytest.raises(NotDisputable, match="disputed already"):
        disputes.contest(line.pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    other = invoice.lines.exclude(pk=line.pk).get()
    with pytest.raises(NotDisputable, match="needs a reason"):
        disputes.contest(other.pk, on=date(2026, 2, 10), reason=" ")
    with pytest.raises(NotDisputable, match="before it is issued"):
        disputes.contest(other.pk, on=date(2026, 1, 10), reason="x")
    assert Dispute.objects.count() == 1


def test_an_item_is_disputed_wholly_or_in_part():
    item = Item(1, "EUR", date(2026, 2, 1), Decimal(100), disputed=Decimal(40))
    levels = [Level(0, 3, 7)]
    assert decide([item], levels, LATE).letters[0].total == 60
    whole = Item(1, "EUR", date(2026, 2, 1), Decimal(30), disputed=Decimal(40))
    assert decide([whole], levels, LATE).left == {1: Left.DISPUTED}


@pytest.mark.parametrize(
    ("guard", "statement"),
    [
        ("dispute_one_open_per_line", copy_of("payments_dispute", "true")),
        ("dispute_open_or_resolved", "update payments_dispute set resolved_on = '2026-03-01'"),
        ("dispute_open_or_resolved", "update payments_dispute set state = 'upheld', resolved_on = '2026-01-01'"),
    ],
)
def test_guards_of_disputes(invoice, guard, statement):
    disputes.contest(line_of_850(invoice).pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert refusal.value.__cause__.diag.constraint_name == guard
