"""Two clerks correct the same document at once: one succeeds, the other gets a sentence; nothing is half done."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection, transaction

from config import books
from invoicing import correction, judging
from invoicing.correction import NotCorrectable, Wanted
from invoicing.einvoice import judge
from invoicing.models import Invoice, JournalEntry
from tests.builders import make_issuer, make_price, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.small_book import FEBRUARY, bill, make_contract

TENTH = date(2026, 2, 10)


@pytest.fixture
def invoice(own_database) -> Invoice:
    issuer = make_issuer(reference="MAIN")
    make_contract(issuer, make_tenant(), price=make_price((None, "100.00", "0")))
    bill(issuer, FEBRUARY)
    return Invoice.objects.get()


def cancel(invoice: Invoice) -> list[int]:
    return correction.cancel([invoice.pk], on=TENTH, reason="Falsch")


def credit(invoice: Invoice, amount: str) -> int:
    return correction.credit(invoice.pk, [Wanted(1, amount=Decimal(amount))], on=TENTH, reason="Kulanz")


def test_two_clerks_cancel_one_document(invoice):
    with transaction.atomic():
        cancel(invoice)
        second = in_thread(lambda: cancel(invoice))
        wait_until_blocked()
    with pytest.raises(NotCorrectable, match="ST-2026-00001"):
        second.result(timeout=30)
    assert Invoice.objects.filter(kind="cancellation").count() == 1


def test_a_document_is_not_cancelled_while_it_is_credited(invoice):
    with transaction.atomic():
        credit(invoice, "1.00")
        second = in_thread(lambda: cancel(invoice))
        wait_until_blocked()
    with pytest.raises(NotCorrectable, match="RK-2026-00001"):
        second.result(timeout=30)


def test_two_credits_never_give_back_more_than_the_line(invoice):
    with transaction.atomic():
        credit(invoice, "60.00")
        second = in_thread(lambda: credit(invoice, "60.00"))
        wait_until_blocked()
    with pytest.raises(NotCorrectable, match=r"40\.00"):
        second.result(timeout=30)


def test_what_breaks_off_leaves_nothing_behind(invoice):
    before = JournalEntry.objects.count()

    class Killed(BaseException):
        pass

    with pytest.raises(Killed), transaction.atomic():
        cancel(invoice)
        raise Killed
    assert (Invoice.objects.count(), JournalEntry.objects.count()) == (1, before)
    assert cancel(invoice)
    assert Invoice.objects.get(kind="cancellation").number == "ST-2026-00001"
    assert [str(breach) for breach in books.check(limit=5, with_files=False)] == []


def bill_again(invoice: Invoice) -> list[int]:
    correction.bill_again(invoice, on=TENTH, reason="Falsch")
    return [Invoice.objects.get(corrects=invoice).pk]


@pytest.mark.parametrize(
    "correct",
    [cancel, lambda invoice: [credit(invoice, "10.00")], bill_again],
    ids=["cancel", "credit", "bill again"],
)
def test_an_e_invoice_is_judged_while_no_payer_is_locked(own_database, correct, monkeypatch):
    issuer = make_issuer(reference="MAIN", document_format="zugferd")
    make_contract(issuer, make_tenant(), price=make_price((None, "100.00", "0")))
    bill(issuer, FEBRUARY)
    judging.judge_pending()
    invoice = Invoice.objects.get()
    judged, inside = judge.findings_apart, []

    def watched(documents):
        if documents:
            inside.append(connection.in_atomic_block)
        return judged(documents)

    monkeypatch.setattr(judge, "findings_apart", watched)
    [made] = correct(invoice)
    assert inside == [False]  # once, and issuing found the verdict
    assert Invoice.objects.get(pk=made).state == "issued"
