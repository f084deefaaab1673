"""Corrections by hand: what a cancellation and a credit note are, what they book, and what is billed afterwards."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db.models import Sum

from billing.models import Charge, Item
from config import books
from invoicing import correction
from invoicing.correction import NotCorrectable, Wanted
from invoicing.models import Invoice, JournalEntry, Line, OpenItem
from invoicing.replay import replay
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db
TENTH = date(2026, 2, 10)


@pytest.fixture
def issuer():
    return make_issuer(reference="MAIN")


@pytest.fixture
def price():
    return make_price((None, "100.00", "0"))


def figures(document: Invoice) -> tuple[Decimal, Decimal, Decimal]:
    return document.net.amount, document.vat.amount, document.gross.amount


def left(document: Invoice) -> Decimal:
    return document.open_items.aggregate(left=Sum("postings__amount"))["left"]


def cancel(document: Invoice, on: date = TENTH) -> Invoice:
    return Invoice.objects.get(pk=correction.cancel([document.pk], on=on, reason="Falsche Menge")[0])


def credit(document: Invoice, *wanted: Wanted, on: date = TENTH) -> Invoice:
    return Invoice.objects.get(pk=correction.credit(document.pk, wanted, on=on, reason="Kulanz"))


def assert_sound() -> None:
    assert [str(breach) for breach in books.check(limit=20, with_files=False)] == []
    assert [difference for one in replay() for difference in one.differences] == []


class TestCancelling:
    def test_a_cancellation_negates_its_document_and_settles_it(self, issuer, price):
        make_contract(issuer, make_tenant(), price=price, quantity=Decimal(3))
        bill(issuer, FEBRUARY)
        original = Invoice.objects.get()

        made = cancel(original)

        assert (made.number, made.kind, made.corrects) == ("ST-2026-00001", "cancellation", original)
        assert figures(original) == (Decimal("300.00"), Decimal("57.00"), Decimal("357.00"))
        assert figures(made) == (Decimal("-300.00"), Decimal("-57.00"), Decimal("-357.00"))
        assert (made.issued_on, made.due_on) == (TENTH, TENTH)
        line = Line.objects.get(invoice=made)
        assert (line.net.amount, line.quantity) == (Decimal(-300), Decimal(3))
        assert line.details["corrects"] == {"number": "RE-2026-00001", "issued_on": "2026-02-01"}
        fee = Line.objects.get(invoice=original).charge
        assert (line.charge.reverses, fee.reversed_by) == (fee, line.charge)
        assert (left(original), left(made)) == (0, 0)
        assert [(e.kind, e.booked_on) for e in JournalEntry.objects.filter(invoice=made).order_by("pk")] == [
            ("issue", TENTH),
            ("offset", TENTH),
        ]
        assert_sound()

    def test_the_next_run_bills_the_days_anew_as_the_contract_is_then(self, issuer, price):
        contract = make_contract(issuer, make_tenant(), price=price, quantity=Decimal(3))
        bill(issuer, FEBRUARY)
        cancel(Invoice.objects.get())
        Item.objects.filter(subscription=contract).update(quantity=Decimal(2))

        bill(issuer, FEBRUARY, TENTH)

        anew = Invoice.objects.get(kind="invoice", issued_on=TENTH)
        assert figures(anew) == (Decimal("200.00"), Decimal("38.00"), Decimal("238.00"))
        assert Charge.objects.standing().get().net.amount == Decimal(200)
        assert bill(issuer, FEBRUARY, date(2026, 2, 11)).invoices.count() == 0

    def test_what_was_paid_stays_as_a_credit_balance(self, issuer, price):
        from invoicing import posting

        payer = make_tenant()
        make_contract(issuer, payer, price=price)
        bill(issuer, FEBRUARY)
        bill(issuer, FEBRUARY, TENTH)
        original = Invoice.objects.get()
        pay(issuer, original, Decimal("100.00"))
        made = cancel(original)
        assert (left(original), left(made)) == (0, Decimal("-100.00"))
        assert posting.open_of_documents([made.pk])[made.pk][1] == Decimal("-100.00")

    def test_a_consolidated_document_is_negated_section_by_section(self, issuer, price):
        group = make_tenant(reference="GROUP")
        branch = make_tenant(reference="BRANCH", kind="branch", parent=group, invoice_to=group, pay_by=group)
        make_contract(issuer, group, price=price)
        make_contract(issuer, branch, price=price, quantity=Decimal(2))
        bill(issuer, FEBRUARY)
        made = cancel(Invoice.objects.get())
        assert [(s.tenant.reference, s.net.amount) for s in made.sections.all()] == [
            ("GROUP", Decimal(-100)),
            ("BRANCH", Decimal(-200)),
        ]
        assert [line.section.tenant.reference for line in made.lines.all()] == ["GROUP", "BRANCH"]
        assert_sound()

    @pytest.mark.parametrize(
        ("fields", "case", "gross"),
        [
            ({"country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True}, "AE", "-100.00"),
            ({"country": "CH"}, "O", "-100.00"),
            ({"currency": "USD"}, "S", "-119.00"),
        ],
    )
    def test_case_rate_and_currency_are_those_of_the_document(self, issuer, fields, case, gross):
        currency = fields.get("currency", "EUR")
        tenant = make_tenant(**fields)
        price = make_price((None, "100.00", "0"), currency=currency)
        make_contract(issuer, tenant, price=price, currency=currency)
        bill(issuer, FEBRUARY)
        tenant.country = "DE"  # what changed since is no matter
        tenant.save()
        made = cancel(Invoice.objects.get())
        assert (made.vat_case, made.currency, made.gross.amount) == (case, currency, Decimal(gross))

    def test_a_credit_note_of_a_contract_is_cancelled_and_comes_again(self, issuer, price):
        contract = make_contract(issuer, make_tenant(), price=price)
        bill(issuer, FEBRUARY)
        contract.ends_before = date(2026, 2, 15)
        contract.save()
        bill(issuer, FEBRUARY, TENTH)
        note = Invoice.objects.get(kind="credit_note")
        made = cancel(note, date(2026, 2, 12))
        assert figures(made) == (Decimal("50.00"), Decimal("9.50"), Decimal("59.50"))
        assert (made.due_on - made.issued_on) == (note.due_on - note.issued_on)
        assert left(note) + left(made) == 0
        bill(issuer, FEBRUARY, date(2026, 2, 13))
        again = Invoice.objects.filter(kind="credit_note").latest("pk")
        assert figures(again) == figures(note)
        assert_sound()


def pay(issuer, document: Invoice, amount: Decimal) -> None:
    """Take so much off an open item, as a payment will."""
    from invoicing.models import LedgerAccount, Posting

    entry = JournalEntry.objects.create(issuer=issuer, kind="issue", booked_on=TENTH)
    bank = LedgerAccount.objects.exclude(role="receivables").filter(issuer=issuer).first()
    receivables = LedgerAccount.objects.get(role="receivables", issuer=issuer)
    item = OpenItem.objects.get(invoice=document)
    Posting.objects.bulk_create(
        [
            Posting(entry=entry, account=bank, currency=document.currency, amount=amount),
            Posting(entry=entry, account=receivables, open_item=item, currency=document.currency, amount=-amount),
        ]
    )
