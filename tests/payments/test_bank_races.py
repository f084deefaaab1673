"""Files taken in and matched by several at once: each line once, booked once, and nobody waits for ever."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from payments import bank_import, bank_lines, matching
from payments.models import BankAccount, BankLine, Payment
from tenants.models import Tenant
from tests.builders import make_issuer, make_tenant
from tests.concurrency import in_thread
from tests.payments.bank_files import OURS, Entry, camt
from tests.payments.test_bank_matching import make_bank_account, owe

ONE = Entry("119.00", "RE-2026-00001", name="Eins GmbH", reference="R1")
TWO = Entry("238.00", "RE-2026-00002", name="Zwei GmbH", reference="R2")


@pytest.fixture
def account(own_database, settings, tmp_path) -> BankAccount:
    settings.FILES_ROOT = tmp_path / "files"
    issuer = make_issuer(reference="MAIN", iban=OURS)
    account = make_bank_account(issuer)
    one, two = make_tenant(reference="K1", name="Eins GmbH"), make_tenant(reference="K2", name="Zwei GmbH")
    owe(issuer, [(one, 1), (two, 2)])
    return account


def test_overlapping_files_at_once_book_each_line_once(account):
    statement, notification = camt(ONE, TWO), camt(ONE, message="054")

    def work(data: bytes) -> Any:
        bank_import.take_in(data)
        return matching.match(account)

    for one in [in_thread(lambda data=data: work(data)) for data in (statement, notification) * 2]:
        one.result(timeout=60)
    assert BankLine.objects.count() == 2
    assert sorted(payment.amount.amount for payment in Payment.objects.all()) == [119, 238]


def test_a_line_is_booked_while_another_one_proposes_for_it(account):
    bank_import.take_in(camt(ONE))
    payer = Tenant.objects.get(reference="K1")
    with transaction.atomic(), connection.cursor() as cursor:
        matching.propose(account)
        cursor.execute("set constraints all immediate")  # as at its commit
        booked = in_thread(lambda: bank_lines.book(BankLine.objects.get(), payer, amount=Decimal("19.00")))
        assert booked.result(timeout=30).amount.amount == Decimal("19.00")
