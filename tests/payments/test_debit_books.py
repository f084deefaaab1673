"""A sound book with debits and refunds, then one thing broken behind the database's back: the proof names it alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.utils import translation

from config import books
from invoicing import correction
from invoicing.correction import Wanted
from invoicing.models import OpenItem
from payments import collection, refunds
from tenants.mandates import Bank
from tests.databases import copy_database, drop_database, use_database
from tests.payments.debits import IBAN, NOON, ON, issue, make_creditor, make_payer, sent

VALUE = date(2026, 2, 16)
RUN = "(select min(id) from payments_paymentrun)"


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[None]:
    """Debits settled and proposed, a refund in a released run; from then on the connection is the owner's."""
    before = settings.DATABASES["default"]["NAME"]
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch, translation.override("en"):
        patch.setattr(settings, "FILES_ROOT", tmp_path_factory.mktemp("files"))
        name = copy_database(template_database)
        use_database(name)
        try:
            fill()
            connection.close()
            for key in ("USER", "PASSWORD"):
                patch.setitem(connection.settings_dict, key, connections["owner"].settings_dict[key])
            yield
        finally:
            connection.close()
            use_database(before)
            drop_database(name)


def fill() -> None:
    issuer = make_creditor(refund_limit=Decimal(1000)).issuer
    payers = [make_payer(issuer, "100.00", reference=f"P{number}") for number in range(2)]
    issue(issuer)
    run = sent(issuer)
    collection.settle([one.pk for one in run.collections.all()], value_on=VALUE, on=VALUE)
    correction.credit(
        payers[0].open_items.get(amount__gt=0).invoice_id, [Wanted(1, amount=Decimal(50))], on=VALUE, reason="Kulanz"
    )
    item = OpenItem.objects.get(invoice__kind="credit_note")
    refunds.request(item.pk, Decimal("59.50"), bank=Bank("A", IBAN), grounds="Kulanz", on=VALUE)
    refunds.release(refunds.propose(issuer, on=VALUE).pk, now=NOON)
    make_payer(issuer, "10.00", reference="P2")
    issue(issuer)
    collection.propose(issuer, on=ON)


def found() -> set[tuple[str, str]]:
    with translation.override("en"):
        return {(breach.invariant, breach.record) for breach in books.check(with_files=False)}


def test_a_sound_book_has_no_breach(book):
    assert found() == set()


@pytest.mark.parametrize(
    ("table", "statement", "breaches"),
    [
        (
            "tenants_mandate",
            "update tenants_mandate set payer_id = (select id from tenants_tenant where reference = 'P1')"
            " where reference = 'M-P0'",
            {("debits", "direct debit LS0000000001")},
        ),
        (
            "tenants_mandateaccount",
            "update tenants_mandateaccount set decision = null, decided_at = null where mandate_id ="
            " (select id from tenants_mandate where reference = 'M-P0')",
            {("debits", "direct debit LS0000000001")},
        ),
        (
            "payments_paymentrun",
            f"update payments_paymentrun set file_id = null where id = {RUN}",
            {("payment runs", "payment run KTR-1")},
        ),
        (
            "payments_debit",
            "update payments_debit set batch = null where collection_id = 1",
            {("payment runs", "payment run KTR-1")},
        ),
        (
            "payments_refund",
            "update payments_refund set amount = 60",
            {("refunds", "refund ER0000000001")},
        ),
    ],
)
def test_what_is_broken_is_named(book, table, statement, breaches):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set constraints all immediate")
            cursor.execute(f"alter table {table} disable trigger user")
            cursor.execute(statement)
            cursor.execute(f"alter table {table} enable trigger user")
        assert found() == breaches
        transaction.set_rollback(True)


def test_more_paid_back_than_there_was_is_named(book):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set constraints all immediate")
            cursor.execute("alter table invoicing_posting disable trigger user")
            cursor.execute(
                "update invoicing_posting set amount = amount * 2 where entry_id in (select entry_id from"
                " payments_refund)"
            )
        named = {record for invariant, record in found() if invariant == "refunds"}
        item = OpenItem.objects.get(invoice__kind="credit_note")
        assert named == {"refund ER0000000001", f"open item {item.pk}"}
        transaction.set_rollback(True)
