"""What the bank says of our own files: batches credited, debits returned, transfers carried out; to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import translation

from config import books
from invoicing import correction, credit_balance, posting
from invoicing.correction import Wanted
from invoicing.models import LedgerAccount, OpenItem, Posting
from payments import bank_import, bank_lines, collection, matching, payouts, receiving, refunds
from payments.gateways.stripe_answers import BalanceLine, Payout
from payments.models import (
    BankAccount,
    BankLine,
    Collection,
    CollectionBlock,
    LineBooking,
    Payment,
    PaymentReturn,
    ProviderAccount,
)
from tenants import files
from tenants.mandates import Bank
from tenants.models import Approval, Issuer
from tests.builders import make_issuer
from tests.judges import needs_sepa_judge, sepa_findings
from tests.payments.bank_files import OURS, Entry, camt, returned
from tests.payments.debits import IBAN, issue, make_creditor, make_payer, make_user, sent

pytestmark = pytest.mark.django_db
VALUE = date(2026, 2, 16)


@pytest.fixture(autouse=True)
def kept_here(settings, tmp_path):
    settings.FILES_ROOT = tmp_path / "files"
    with translation.override("en"):
        yield


@pytest.fixture
def issuer() -> Issuer:
    issuer = make_issuer(reference="MAIN", iban=OURS)
    make_creditor(issuer)
    return issuer


@pytest.fixture
def account(issuer) -> BankAccount:
    bank, _ = LedgerAccount.objects.get_or_create(issuer=issuer, role="bank", defaults={"code": "1200", "name": "Bank"})
    return BankAccount.objects.create(issuer=issuer, name="Hausbank", iban=OURS, ledger_account=bank)


@pytest.fixture(autouse=True)
def books_are_right():
    yield
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
    assert list(books.check(with_files=False)) == []


def take_in(account: BankAccount, *entries: Entry, day: str) -> matching.Result:
    bank_import.take_in(camt(*entries, day=day), f"{day}.xml")
    return matching.match(account)


def balance(role: str) -> Decimal:
    postings = Posting.objects.filter(account__role=role)
    return sum((posting.amount.amount for posting in postings), Decimal(0))


def debit_of(reference: str) -> Collection:
    return Collection.objects.get(payer__reference=reference)


def test_c_6_a_batch_is_one_line_and_settles_each_debit(issuer, account):
    for number in range(3):
        make_payer(issuer, "100.00", reference=f"P{number}")
    issue(issuer)
    run = sent(issuer)
    done = take_in(account, Entry("357.00", f"Sammler KTR-{run.pk}-1", day="2026-02-16"), day="2026-02-16")
    assert (done.looked_at, done.booked) == (1, 1)
    run.refresh_from_db()
    assert (run.state, Payment.objects.count(), LineBooking.objects.count()) == ("settled", 3, 3)
    assert (balance("bank"), balance("receivables"), balance("debits_in_transit")) == (Decimal("357.00"), 0, 0)
    assert take_in(account, Entry("357.00", f"Sammler KTR-{run.pk}-1", day="2026-02-16"), day="2026-02-16").booked == 0


def test_single_credits_name_their_debit(issuer, account):
    for number in range(2):
        make_payer(issuer, "100.00", reference=f"P{number}")
    issue(issuer)
    sent(issuer)
    take_in(account, Entry("119.00", end_to_end_id=debit_of("P1").key, day="2026-02-16"), day="2026-02-16")
    assert [one.outcome for one in (debit_of("P0"), debit_of("P1"))] == ["sent", "succeeded"]


def test_another_sum_is_no_batch(issuer, account):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = sent(issuer)
    take_in(account, Entry("119.01", f"KTR-{run.pk}-1", day="2026-02-16"), day="2026-02-16")
    assert Payment.objects.count() == 0


@pytest.mark.parametrize("stranger", [{"iban": "DE89370400440532013000"}, {"name": "Fremd GmbH"}, {"iban": IBAN}])
def test_a_transfer_as_large_as_a_batch_is_not_taken_for_it(issuer, account, stranger):
    make_payer(issuer, "100.00", reference="P0")
    issue(issuer)
    sent(issuer)
    take_in(account, Entry("119.00", "Rechnung 99", day="2026-02-16", **stranger), day="2026-02-16")
    assert (debit_of("P0").outcome, Payment.objects.count()) == ("sent", 0)


@pytest.mark.parametrize("bank", [{}, {"iban": "0000000000"}, {"iban": OURS, "name": "MAIN"}])
def test_a_batch_that_nothing_names_is_known_by_its_sum(issuer, account, bank):
    """Of a collective booking banks tell no account, zeros, or ours."""
    make_payer(issuer, "100.00", reference="P0")
    issue(issuer)
    sent(issuer)
    Issuer.objects.update(name="MAIN")
    take_in(account, Entry("119.00", "Lastschriften", day="2026-02-16", **bank), day="2026-02-16")
    assert debit_of("P0").outcome == "succeeded"


def test_money_of_another_currency_is_no_debit(issuer, account):
    make_payer(issuer, "100.00", reference="P0")
    issue(issuer)
    sent(issuer)
    BankAccount.objects.filter(pk=account.pk).update(currency="USD")
    account.refresh_from_db()
    key = debit_of("P0").key
    file = camt(Entry("119.00", "Lastschriften", end_to_end_id=key, day="2026-02-16"), day="2026-02-16")
    bank_import.take_in(file.replace(b"EUR", b"USD"), "usd.xml")
    matching.match(account)
    assert (debit_of("P0").outcome, Payment.objects.count()) == ("sent", 0)


def test_a_return_is_booked_with_the_bank_s_charges_and_what_follows(issuer, account):
    payer = make_payer(issuer, "100.00", reference="P0")
    make_payer(issuer, "100.00", reference="P1")
    issue(issuer)
    run = sent(issuer)
    key = debit_of("P0").key
    take_in(account, Entry("238.00", f"KTR-{run.pk}-1", day="2026-02-16"), day="2026-02-16")
    back = returned(Entry("119.00", end_to_end_id=key, day="2026-02-18"), "MD01", fee="3.00")
    take_in(account, back, day="2026-02-18")
    assert (debit_of("P0").outcome, debit_of("P1").outcome) == ("returned", "succeeded")
    told = PaymentReturn.objects.get()
    assert (told.reason_code, told.amount.amount, told.charges.amount) == ("MD01", Decimal("119.00"), Decimal("3.00"))
    assert (balance("bank"), balance("bank_charges")) == (Decimal("116.00"), Decimal("3.00"))
    assert payer.mandates.get().revoked_on == date(2026, 2, 18)
    assert CollectionBlock.objects.get().open_item.payer == payer


def test_a_return_that_comes_before_its_batch_goes_by_way_of_transit(issuer, account):
    for number in range(2):
        make_payer(issuer, "100.00", reference=f"P{number}")
    issue(issuer)
    run = sent(issuer)
    back = returned(Entry("119.00", end_to_end_id=debit_of("P0").key, day="2026-02-16"), "AM04")
    take_in(account, back, day="2026-02-16")
    assert (balance("bank"), balance("debits_in_transit")) == (Decimal("-119.00"), Decimal("119.00"))
    take_in(account, Entry("238.00", f"KTR-{run.pk}-1", day="2026-02-17"), day="2026-02-17")
    assert (balance("bank"), balance("debits_in_transit")) == (Decimal("119.00"), 0)
    assert [one.outcome for one in (debit_of("P0"), debit_of("P1"))] == ["returned", "succeeded"]


# Money paid back


def credited(issuer: Issuer, account: BankAccount) -> OpenItem:
    """A payer whose paid invoice of 119.00 was credited by 59.50."""
    make_payer(issuer, "100.00", reference="P0")
    [invoice] = issue(issuer)
    run = sent(issuer)
    take_in(account, Entry("119.00", f"KTR-{run.pk}-1", day="2026-02-16"), day="2026-02-16")
    correction.credit(invoice.pk, [Wanted(1, amount=Decimal("50.00"))], on=VALUE, reason="Kulanz")
    return OpenItem.objects.get(invoice__kind="credit_note")


@needs_sepa_judge
def test_e_18_a_refund_is_approved_written_as_a_file_and_settled_by_the_bank(issuer, account, tmp_path):
    item = credited(issuer, account)
    anna, berta = make_user("anna"), make_user("berta")
    bank = Bank("Café Zentral", IBAN)
    refund = refunds.request(item.pk, Decimal("59.50"), bank=bank, grounds="Kulanz", on=VALUE, by=anna)
    assert (refund.entry, refunds.left_of(item.pk)) == (None, 0)
    with pytest.raises(refunds.NotRefundable, match=r"0 EUR are left, less than 0\.01"):
        refunds.request(item.pk, Decimal("0.01"), bank=bank, grounds="noch mehr", on=VALUE, by=anna)
    with pytest.raises(refunds.NotRefundable, match="cannot approve"):
        refunds.approve(refund.pk, on=VALUE, by=anna)
    assert refunds.approve(refund.pk, on=VALUE, by=berta)
    assert Approval.objects.get().decision == "approved"
    assert (balance("receivables"), balance("refunds_in_transit")) == (0, Decimal("-59.50"))
    run = refunds.propose(issuer, on=VALUE, by=anna)
    assert refunds.propose(issuer, on=VALUE, by=anna) == run
    run = refunds.release(run.pk, now=datetime(2026, 2, 16, 12, tzinfo=UTC), by=berta)
    content = files.read(run.file)
    path = tmp_path / "refunds.xml"
    path.write_bytes(content)
    assert sepa_findings(path, "2026-02-16") == []
    assert (content.count(IBAN.encode()), content.count(b">59.50<")) == (1, 3)
    refunds.mark_sent(run.pk, now=datetime(2026, 2, 16, 13, tzinfo=UTC))
    take_in(account, Entry("-59.50", "Erstattung", end_to_end_id=refund.key, day="2026-02-17"), day="2026-02-17")
    refund.refresh_from_db()
    run.refresh_from_db()
    assert (refund.state, refund.settled_on, run.state) == ("done", date(2026, 2, 17), "settled")
    assert (balance("bank"), balance("refunds_in_transit")) == (Decimal("59.50"), 0)
    paid = Payment.objects.get().amount.amount
    assert refund.amount.amount <= paid
    with pytest.raises(refunds.NotRefundable, match="on its way"):
        refunds.withdraw(refund.pk, on=VALUE, reason="doch nicht")


def test_an_overpayment_can_be_paid_back(issuer, account):
    payer = make_payer(issuer, "100.00", collection="invoice", mandate=False)
    [invoice] = issue(issuer)
    bank_import.take_in(
        camt(Entry("150.00", invoice.number, name=payer.name, iban=IBAN, day="2026-02-16"), day="2026-02-16"), "x.xml"
    )
    matching.match(account)
    line = BankLine.objects.get()
    if not line.bookings.exists():
        bank_lines.book(line, payer, matching.shares_of(line.proposal))
    item = Payment.objects.get().open_item
    assert refunds.left_of(item.pk) == Decimal("31.00")
    [known] = refunds.known_accounts(issuer, payer.pk)
    assert (known.tail, IBAN in repr(known)) == (IBAN[-4:], False)


def test_within_the_limit_one_person_pays_back_and_gives_it_up_again(issuer, account):
    item = credited(issuer, account)
    issuer.creditor.refund_limit = Decimal("100.00")
    issuer.creditor.save()
    refund = refunds.request(item.pk, Decimal("20.00"), bank=Bank("C", IBAN), grounds="Kulanz", on=VALUE)
    assert (refund.entry is not None, refunds.left_of(item.pk)) == (True, Decimal("39.50"))
    run = refunds.propose(issuer, on=VALUE)
    refunds.withdraw(refund.pk, on=VALUE, reason="doch nicht")
    assert (refunds.left_of(item.pk), balance("refunds_in_transit")) == (Decimal("59.50"), 0)
    with pytest.raises(refunds.NotRefundable, match="pays nothing back"):
        refunds.release(run.pk, now=datetime(2026, 2, 16, 12, tzinfo=UTC))


def test_in_parts_above_the_limit_a_second_person_agrees_as_well(issuer, account):
    item = credited(issuer, account)
    issuer.creditor.refund_limit = Decimal("30.00")
    issuer.creditor.save()
    by = make_user("anna")
    parts = [
        refunds.request(item.pk, Decimal("20.00"), bank=Bank("C", IBAN), grounds="Kulanz", on=VALUE, by=by)
        for _part in range(2)
    ]
    assert [part.entry is None for part in parts] == [False, True]
    assert Approval.objects.get().gross.amount == Decimal("20.00")


def test_an_approval_lapses_when_the_credit_is_gone(issuer, account):
    item = credited(issuer, account)
    refund = refunds.request(
        item.pk, Decimal("59.50"), bank=Bank("C", IBAN), grounds="Kulanz", on=VALUE, by=make_user("anna")
    )
    make_payer(
        issuer, "40.00", mandate=False, collection="invoice", pay_by=item.payer, parent=item.payer, kind="branch"
    )
    issue(issuer)

    credit_balance.apply(issuer, item.payer, on=VALUE)
    assert not refunds.approve(refund.pk, on=VALUE, by=make_user("berta"))
    refund.refresh_from_db()
    assert (refund.state, Approval.objects.get().decision) == ("withdrawn", "lapsed")
    assert collection.with_bank(issuer).count() == 1


def test_a_payout_of_the_payment_provider_empties_what_it_held(issuer, account):
    provider = ProviderAccount.objects.create(issuer=issuer, name="Stripe", secret_key="encrypted")
    posting.ensure_chart(issuer)
    debit = posting.account_of(issuer, "provider_clearing")
    payer = make_payer(issuer, "100.00", mandate=False, collection="card")
    receiving.receive(
        issuer,
        receiving.Receipt(
            payer=payer.pk,
            source=Payment.Source.PROVIDER,
            origin="pi_1",
            amount=Decimal("119.00"),
            currency="EUR",
            account=debit,
            reference="RE-1",
            received_on=VALUE,
        ),
        on=VALUE,
    )
    at = datetime(2026, 2, 18, 9, tzinfo=UTC)
    lines = [BalanceLine("txn_1", "charge", "ch_1", Decimal("119.00"), Decimal("2.03"), Decimal("116.97"), "EUR")]
    payouts.note(provider, Payout("po_1", Decimal("116.97"), "EUR", "paid", at, False, at), lines)
    result = take_in(
        account,
        Entry("116.97", "STRIPE PAYOUT", name="Stripe Technology Europe Ltd", day="2026-02-19"),
        Entry("116.97", "Miete", name="Jemand", day="2026-02-19"),
        day="2026-02-19",
    )
    assert result.booked == 1
    booking = LineBooking.objects.get()
    assert (booking.amount.amount, booking.line.name) == (Decimal("116.97"), "Stripe Technology Europe Ltd")
    assert list(payouts.under_way(issuer)) == []
    held = Posting.objects.filter(account__role="provider_clearing").values_list("amount", flat=True)
    assert sum(held) == 0
    with pytest.raises(payouts.ArrivedBefore):
        payouts.arrive(booking.line.bookings.get().entry.payout.pk, on=VALUE)
