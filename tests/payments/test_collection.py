"""Collecting by direct debit, from the due item to the settled or returned payment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import translation

from config import business_day
from invoicing import correction, credit_balance, delivery, judging, pdf
from invoicing.correction import Wanted
from invoicing.einvoice import writing
from invoicing.models import Invoice, JournalEntry, OpenItem, Posting
from payments import collection, disputes, dunning
from payments.collection import NotSettled, NotToBeReleased
from payments.models import (
    Collection,
    CollectionBlock,
    CollectionItem,
    Debit,
    DunningBlock,
    LeftOut,
    Letter,
    Payment,
    PaymentRun,
)
from tenants import files, mandates
from tenants.models import Creditor, Issuer, Message, Tenant
from tests.builders import make_issuer
from tests.judges import fatal_findings, needs_judges, needs_sepa_judge, sepa_findings
from tests.payments.debits import (
    IBAN,
    NOON,
    ON,
    OTHER_IBAN,
    issue,
    make_creditor,
    make_mandate,
    make_payer,
    make_user,
    released,
    sent,
)

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=1)
VALUE = date(2026, 2, 16)


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def kept_here(settings, tmp_path):
    settings.FILES_ROOT = tmp_path / "files"


@pytest.fixture
def issuer() -> Issuer:
    return make_creditor().issuer


def open_of(payer: Tenant) -> Decimal:
    postings = Posting.objects.filter(open_item__payer=payer)
    return sum((posting.amount.amount for posting in postings), Decimal(0))


def credit(invoice: Invoice, net: str) -> None:
    """Give so much of the first line back; what is not owed any more stays a credit."""
    correction.credit(invoice.pk, [Wanted(1, amount=Decimal(net))], on=date(2026, 2, 2), reason="Kulanz")


def collected(run: PaymentRun) -> dict[str, Decimal]:
    rows = run.collections.exclude(outcome="discarded").order_by("payer__reference")
    return {one.payer.reference: one.amount.amount for one in rows}


def left_out(run: PaymentRun) -> dict[str, tuple[str, Decimal]]:
    return {one.payer.reference: (one.reason, one.amount.amount) for one in run.left_out.order_by("pk")}


# What is collected


def test_b_16_the_balance_is_collected_not_the_invoice(issuer):
    payer = make_payer(issuer, "8387.30", "230.74", reference="SAMPLE")
    invoice = issue(issuer)[0]
    assert invoice.gross.amount == Decimal("10255.47")
    credit(invoice, "230.74")  # 274.58 with VAT
    assert open_of(payer) == Decimal("9980.89")
    assert collected(collection.propose(issuer, on=ON)) == {"SAMPLE": Decimal("9980.89")}


def test_b2_7_a_credit_of_another_document_is_netted_and_the_oldest_claim_gets_it(issuer):
    payer = make_payer(issuer, "230.74", reference="SAMPLE")
    [paid] = issue(issuer)
    run = sent(issuer)
    collection.settle([run.collections.get().pk], value_on=VALUE, on=VALUE)
    credit(paid, "230.74")
    assert open_of(payer) == Decimal("-274.58")
    second = make_payer(issuer, "8387.30", mandate=False, pay_by=payer, reference="BRANCH", parent=payer, kind="branch")
    issue(issuer)
    assert open_of(payer) == Decimal("9706.31")
    run = collection.propose(issuer, on=date(2026, 2, 10))
    one = run.collections.get()
    assert (one.payer, one.amount.amount) == (payer, Decimal("9706.31"))
    assert sorted(one.items.values_list("amount", flat=True)) == [Decimal("-274.58"), Decimal("9980.89")]
    assert not one.debit.is_announced
    collection.release(run.pk, now=LATER)
    collection.mark_sent(run.pk, now=LATER)
    [payment] = collection.settle([one.pk], value_on=VALUE, on=VALUE)
    assert payment.amount.amount == Decimal("9706.31")
    assert [(a.amount.amount, a.rule) for a in payment.allocations.all()] == [(Decimal("9706.31"), "collection")]
    assert open_of(payer) == 0
    assert set(OpenItem.objects.with_open_amount().values_list("open_amount", flat=True)) == {Decimal(0)}
    assert second.pay_by == payer


@pytest.mark.parametrize(("net", "expected"), [("4.19", None), ("4.20", Decimal("5.00"))])
def test_b_17_from_5_00_on(issuer, net, expected):
    make_payer(issuer, net, collection_threshold=Decimal("5.00"), reference="SMALL")
    [invoice] = issue(issuer)
    assert invoice.gross.amount == (expected or Decimal("4.99"))
    run = collection.propose(issuer, on=ON)
    assert collected(run) == ({"SMALL": expected} if expected else {})
    assert left_out(run) == ({} if expected else {"SMALL": ("threshold", Decimal("4.99"))})


def test_b_17_a_credit_balance_is_never_collected(issuer):
    make_payer(issuer, "100.00", reference="OWED")
    [invoice] = issue(issuer)
    run = sent(issuer)
    collection.settle([run.collections.get().pk], value_on=VALUE, on=VALUE)
    credit(invoice, "50.00")
    assert collected(collection.propose(issuer, on=date(2026, 3, 2))) == {}


def test_b_18_a_second_run_in_the_month_collects_nothing_more(issuer):
    payer = make_payer(issuer, "100.00", collection_rhythm="monthly", reference="RHYTHM")
    issue(issuer)
    run = sent(issuer)
    collection.settle([run.collections.get().pk], value_on=VALUE, on=VALUE)
    make_payer(issuer, "50.00", mandate=False, pay_by=payer, reference="BRANCH", parent=payer, kind="branch")
    issue(issuer)
    second = collection.propose(issuer, on=date(2026, 2, 17))
    assert (collected(second), left_out(second)) == ({}, {"RHYTHM": ("rhythm", Decimal("59.50"))})
    third = collection.propose(issuer, on=date(2026, 2, 27))
    assert collected(third) == {"RHYTHM": Decimal("59.50")}
    assert third.collections.get().debit.collect_on == date(2026, 3, 3)


def test_b_20_another_way_of_payment_changes_collection_alone(issuer):
    payer = make_payer(issuer, "100.00")
    [invoice] = issue(issuer)
    before = (invoice.content_hash, invoice.gross, invoice.number)
    Tenant.objects.filter(pk=payer.pk).update(collection="invoice")
    run = collection.propose(issuer, on=ON)
    assert (collected(run), left_out(run)) == ({}, {})
    invoice.refresh_from_db()
    assert (invoice.content_hash, invoice.gross, invoice.number) == before


def test_each_payer_left_out_has_its_reason(issuer):
    payers = {name: make_payer(issuer, "100.00", reference=name) for name in ("BLOCK", "REVOKED", "DISPUTE", "GOOD")}
    make_payer(issuer, "100.00", reference="NONE", mandate=False)
    old = make_payer(issuer, "100.00", reference="OLD", mandate=False)
    make_mandate(issuer, old, signed_on=date(2023, 2, 8))
    issue(issuer)
    CollectionBlock.objects.create(tenant=payers["BLOCK"], reason="Insolvenz", starts_on=ON)
    mandates.revoke(payers["REVOKED"].mandates.get().pk, on=ON, reason="Widerruf")
    line = Invoice.objects.get(payer=payers["DISPUTE"]).lines.get()
    disputes.contest(line.pk, on=date(2026, 2, 3), reason="Nicht bestellt")
    run = collection.propose(issuer, on=ON)
    assert collected(run) == {"GOOD": Decimal("119.00")}
    assert {name: reason for name, (reason, _amount) in left_out(run).items()} == {
        "BLOCK": "block",
        "REVOKED": "revoked",
        "DISPUTE": "dispute",
        "NONE": "no_mandate",
        "OLD": "expired",
    }


def test_bank_details_that_nobody_approved_are_not_used():
    issuer = make_creditor(checks_bank_details=True).issuer
    payer = make_payer(issuer, "100.00", reference="NEW")
    issue(issuer)
    assert left_out(collection.propose(issuer, on=ON)) == {"NEW": ("unapproved", Decimal("119.00"))}
    mandates.decide(payer.mandates.get().accounts.get().pk, approves=True, by=make_user("berta"))
    assert collected(collection.propose(issuer, on=date(2026, 2, 10))) == {"NEW": Decimal("119.00")}


def test_of_a_disputed_invoice_the_rest_is_collected(issuer):
    make_payer(issuer, "850.00", "7537.30", reference="PART")
    [invoice] = issue(issuer)
    disputes.contest(invoice.lines.get(net=850).pk, on=date(2026, 2, 3), reason="Nicht bestellt")
    run = collection.propose(issuer, on=ON)
    assert (collected(run), left_out(run)) == (
        {"PART": Decimal("8969.39")},
        {"PART": ("dispute", Decimal("1011.50"))},
    )


def test_a_wanted_refund_is_not_netted(issuer):
    payer = make_payer(issuer, "100.00", reference="WANTS")
    [invoice] = issue(issuer)
    run = sent(issuer)
    collection.settle([run.collections.get().pk], value_on=VALUE, on=VALUE)
    credit(invoice, "50.00")
    item = OpenItem.objects.get(invoice__kind="credit_note")
    credit_balance.want_refund(item.pk, on=VALUE, reason="Auszahlung")
    make_payer(issuer, "80.00", mandate=False, pay_by=payer, reference="BRANCH", parent=payer, kind="branch")
    issue(issuer)
    assert collected(collection.propose(issuer, on=date(2026, 2, 17))) == {"WANTS": Decimal("95.20")}


# Runs


def test_a_second_call_finds_the_same_run_and_rows(issuer):
    for _each in range(3):
        make_payer(issuer, "100.00")
    make_payer(issuer, "100.00", mandate=False)
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    rows = (list(Debit.objects.values()), list(LeftOut.objects.values()), list(CollectionItem.objects.values()))
    assert collection.propose(issuer, on=ON) == run
    assert collection.propose(issuer, on=ON + timedelta(days=1)) == run
    assert rows == (list(Debit.objects.values()), list(LeftOut.objects.values()), list(CollectionItem.objects.values()))


def test_a_rehearsal_says_the_same_and_writes_nothing(issuer):
    make_payer(issuer, "100.00")
    make_payer(issuer, "200.00", mandate=False)
    issue(issuer)
    [told] = collection.rehearse(issuer, on=ON)
    assert (told.total, len(told.debits), len(told.left)) == (Decimal("119.00"), 1, 1)
    assert PaymentRun.objects.count() == 0


def test_a_proposal_that_the_bank_cannot_carry_out_any_more_is_made_anew(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    first = collection.propose(issuer, on=ON)
    second = collection.propose(issuer, on=date(2026, 2, 16))
    first.refresh_from_db()
    assert (first.state, second.state) == ("discarded", "proposed")
    assert second.collections.get().debit.collect_on == date(2026, 2, 20)  # a day's notice and three to look at it


@needs_sepa_judge
def test_the_released_file_stands_before_the_judge(issuer, tmp_path):
    make_payer(issuer, "100.00", name="Müller & Söhne „Größe“ GmbH")
    twice = make_payer(issuer, "200.00", name="Çedille Łódź")
    issue(issuer)
    run = released(issuer)
    content = files.read(run.file)
    path = tmp_path / "run.xml"
    path.write_bytes(content)
    assert sepa_findings(path, "2026-02-09") == []
    assert content.count(b"<SeqTp>FRST</SeqTp>") == 1
    assert b"Mueller + Soehne 'Groesse' GmbH" in content
    collection.mark_sent(run.pk, now=NOON)
    collection.settle([one.pk for one in run.collections.all()], value_on=VALUE, on=VALUE)
    mandates.change_account(twice.mandates.get().pk, mandates.Bank("Cedille", OTHER_IBAN))
    for payer in Tenant.objects.filter(collection="direct_debit"):
        make_payer(issuer, "10.00", mandate=False, pay_by=payer, parent=payer, kind="branch", collection="")
    issue(issuer)
    second = collection.propose(issuer, on=date(2026, 2, 17))
    second = collection.release(second.pk, now=datetime(2026, 2, 17, 9, tzinfo=UTC))
    path.write_bytes(files.read(second.file))
    assert sepa_findings(path, "2026-02-17") == []
    again = path.read_bytes()
    assert again.count(b"<SeqTp>RCUR</SeqTp>") == 1
    assert (again.count(b"SMNDA"), again.count(OTHER_IBAN.encode())) == (1, 1)


def test_what_changed_since_is_refused_named_and_can_be_taken_out(issuer):
    payers = [make_payer(issuer, "100.00", reference=f"P{number}") for number in range(3)]
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    mandates.revoke(payers[0].mandates.get().pk, on=ON, reason="Widerruf")
    mandates.change_account(payers[1].mandates.get().pk, mandates.Bank("Neu", OTHER_IBAN))
    with pytest.raises(NotToBeReleased, match="2 payers have changed, such as P0, P1"):
        collection.release(run.pk, now=NOON)
    assert collection.take_out(run.pk, now=NOON) == 2
    assert collected(collection.release(run.pk, now=NOON)) == {"P2": Decimal("119.00")}
    assert CollectionItem.objects.filter(is_unsettled=True).count() == 1


def test_a_dispute_or_block_since_stops_the_release(issuer):
    payer = make_payer(issuer, "100.00", reference="P0")
    [invoice] = issue(issuer)
    run = collection.propose(issuer, on=ON)
    tomorrow = ON + timedelta(days=1)
    disputes.contest(invoice.lines.get().pk, on=tomorrow, reason="Nicht bestellt")
    with pytest.raises(NotToBeReleased, match="P0"):
        collection.release(run.pk, now=LATER)
    disputes.reject(invoice.lines.get().disputes.get().pk, on=tomorrow, resolution="Doch")
    CollectionBlock.objects.create(tenant=payer, reason="Ratenzahlung", starts_on=tomorrow)
    with pytest.raises(NotToBeReleased, match="P0"):
        collection.release(run.pk, now=LATER)


def test_nobody_releases_another_run_than_he_looked_at(issuer):
    make_payer(issuer, "100.00")
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    seen = collection.content_hash(run)
    collection.take_out(run.pk, now=NOON, collections=[run.collections.first().pk])
    with pytest.raises(NotToBeReleased, match="no longer what you looked at"):
        collection.release(run.pk, now=NOON, seen=seen)


def test_c_15_above_the_limit_another_person_approves():
    issuer = make_creditor(run_limit=Decimal("100.00")).issuer
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    anna, berta = make_user("anna"), make_user("berta")
    with pytest.raises(NotToBeReleased, match="another person must approve"):
        collection.release(run.pk, now=NOON, by=anna)
    asked = collection.request(run.pk, reason="Februar", by=anna)
    with pytest.raises(NotToBeReleased, match="cannot approve"):
        collection.approve(asked.pk, now=NOON, by=anna)
    assert collection.approve(asked.pk, now=NOON, by=berta)
    run.refresh_from_db()
    assert (run.state, run.released_by) == ("released", berta)


def test_c_15_an_approval_lapses_when_the_run_changes():
    issuer = make_creditor(run_limit=Decimal("100.00")).issuer
    make_payer(issuer, "100.00")
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    asked = collection.request(run.pk, reason="Februar", by=make_user("anna"))
    collection.take_out(run.pk, now=NOON, collections=[run.collections.first().pk])
    assert not collection.approve(asked.pk, now=NOON, by=make_user("berta"))
    asked.refresh_from_db()
    run.refresh_from_db()
    assert (asked.decision, run.state) == ("lapsed", "proposed")


def test_a_run_goes_forward_only(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    with pytest.raises(NotToBeReleased, match="proposed already"):
        collection.mark_sent(run.pk, now=NOON)
    collection.release(run.pk, now=NOON)
    with pytest.raises(NotToBeReleased, match="released already"):
        collection.release(run.pk, now=NOON)
    with pytest.raises(NotToBeReleased, match="with a reason"):
        collection.discard(run.pk, reason=" ")
    collection.mark_sent(run.pk, now=NOON)
    with pytest.raises(NotToBeReleased, match="sent already"):
        collection.discard(run.pk, reason="x")


def test_a_file_that_is_too_late_for_the_bank_is_not_marked_as_sent(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = released(issuer)
    with pytest.raises(NotToBeReleased, match="no longer takes debits"):
        collection.mark_sent(run.pk, now=datetime(2026, 2, 16, 9, tzinfo=UTC))
    collection.discard(run.pk, reason="zu spät")
    assert not CollectionItem.objects.filter(is_unsettled=True).exists()


# What the payer is told


def test_b_27_who_was_not_told_by_the_invoice_gets_a_notice_with_day_and_amount(issuer):
    make_payer(issuer, "100.00", email="zahler@example.com", language="de")
    issue(issuer)
    run = collection.propose(issuer, on=date(2026, 2, 16))
    collection.release(run.pk, now=datetime(2026, 2, 16, 9, tzinfo=UTC))
    message = Message.objects.get(recipient="zahler@example.com")
    assert message.subject == "Lastschrift über 119,00 € am 20.02.2026"
    assert "am 20.02.2026 ziehen wir 119,00\N{NO-BREAK SPACE}€ per SEPA-Lastschrift von Ihrem Konto" in message.body
    assert "Gläubiger-Identifikationsnummer DE98ZZZ09999999999, Mandat M-T" in message.body
    assert "IBAN auf 2051 endet" in message.body
    assert IBAN not in message.body
    assert run.collections.get().debit.notice == message


# What the bank says


def test_a_batch_credit_settles_all_its_debits(issuer):
    for number in range(3):
        make_payer(issuer, "100.00", reference=f"P{number}")
    issue(issuer)
    run = sent(issuer)
    found = collection.expected(issuer, Decimal("357.00"))
    assert len(found) == 3
    assert collection.expected(issuer, Decimal("356.99")) == []
    made = collection.settle([one.pk for one in found], value_on=VALUE, on=VALUE)
    assert [payment.amount.amount for payment in made] == [Decimal("119.00")] * 3
    assert {payment.source for payment in made} == {"direct_debit"}
    run.refresh_from_db()
    assert (run.state, set(run.collections.values_list("outcome", flat=True))) == ("settled", {"succeeded"})
    assert collection.settle([one.pk for one in found], value_on=VALUE, on=VALUE) == []
    assert Payment.objects.count() == 3
    assert collection.expected(issuer, Decimal("357.00")) == []


def test_what_the_bank_cannot_have_is_neither_settled_nor_refused(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    one = run.collections.get()
    with pytest.raises(NotSettled, match="not sent yet"):
        collection.settle([one.pk], value_on=VALUE, on=VALUE)
    with pytest.raises(NotSettled, match="not sent yet"):
        collection.fail(one.pk, code="AM04", on=VALUE)


def test_what_the_bank_credits_was_sent_whether_anybody_noted_it_or_not(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = released(issuer)
    [one] = collection.expected(issuer, Decimal("119.00"))
    assert len(collection.settle([one.pk], value_on=VALUE, on=VALUE)) == 1
    run.refresh_from_db()
    assert run.state == "settled"


def test_a_return_opens_the_items_blocks_them_and_tells_the_payer(issuer):
    payer = make_payer(issuer, "100.00", email="zahler@example.com", reference="RETURNS")
    issue(issuer)
    run = sent(issuer)
    one = run.collections.get()
    [payment] = collection.settle([one.pk], value_on=VALUE, on=VALUE)
    assert open_of(payer) == 0
    back = collection.take_back(one.pk, origin="line 7", code="AM04", charges=Decimal("3.00"), on=date(2026, 2, 18))
    assert (back.payment, back.amount.amount, back.charges.amount) == (payment, Decimal("119.00"), Decimal("3.00"))
    assert collection.take_back(one.pk, origin="line 7", code="AM04", on=date(2026, 2, 18)) == back
    one.refresh_from_db()
    assert (one.outcome, one.failure_code, open_of(payer)) == ("returned", "AM04", Decimal("119.00"))
    message = Message.objects.get(subject__startswith="Rücklastschrift")
    assert "Das Konto war nicht gedeckt." in message.body
    second = collection.propose(issuer, on=date(2026, 2, 19))
    assert left_out(second) == {"RETURNS": ("returned", Decimal("119.00"))}
    assert payer.mandates.get().revoked_on is None
    CollectionBlock.objects.update(ends_before=date(2026, 3, 2))
    collection.discard(second.pk, reason="")
    third = collection.propose(issuer, on=date(2026, 3, 2))
    assert collected(third) == {"RETURNS": Decimal("119.00")}
    assert third.collections.get().debit.sequence == "RCUR"


@pytest.mark.parametrize("code", ["MD01", "AC04", "AC01", "MD07"])
def test_a_return_that_ends_the_mandate_revokes_it(issuer, code):
    payer = make_payer(issuer, "100.00")
    issue(issuer)
    run = sent(issuer)
    collection.take_back(run.collections.get().pk, origin="line 7", code=code, on=VALUE)
    mandate = payer.mandates.get()
    assert (mandate.revoked_on, mandate.revocation[:4]) == (VALUE, code)
    assert Payment.objects.get().returns.count() == 1  # credited with its batch before it came back


def test_a_refused_debit_frees_its_items_and_is_first_again(issuer):
    payer = make_payer(issuer, "100.00", reference="P0")
    issue(issuer)
    run = sent(issuer)
    collection.fail(run.collections.get().pk, code="AM04", on=VALUE)
    run.refresh_from_db()
    assert (run.state, open_of(payer), Payment.objects.count()) == ("settled", Decimal("119.00"), 0)
    CollectionBlock.objects.update(ends_before=VALUE)
    second = collection.propose(issuer, on=VALUE)
    assert second.collections.get().debit.sequence == "FRST"


def test_the_books_say_where_the_money_lies(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = sent(issuer)
    collection.settle([run.collections.get().pk], value_on=VALUE, on=VALUE)
    entry = JournalEntry.objects.get(kind="payment")
    assert sorted(
        (posting.account.role, posting.amount.amount) for posting in entry.postings.select_related("account")
    ) == [("debits_in_transit", Decimal("119.00")), ("receivables", Decimal("-119.00"))]


def test_who_is_collected_from_is_not_reminded(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = sent(issuer)
    Tenant.objects.update(collection="invoice")
    dunning.remind(issuer, on=date(2026, 3, 20))
    assert Letter.objects.count() == 0
    assert run.collections.get().outcome == "sent" and DunningBlock.objects.count() == 0


def test_an_issuer_without_a_creditor_identifier_collects_nothing():
    with pytest.raises(collection.NoCreditor, match="no creditor identifier"):
        collection.propose(make_issuer(reference="NONE"), on=ON)


def test_one_debit_is_refused_by_the_database_while_another_is_under_way(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    assert Collection.objects.count() == 1
    assert run.collections.get().key == f"LS{run.collections.get().pk:010}"


# What the document says


def test_b_27_the_invoice_tells_day_amount_creditor_and_mandate_and_no_notice_is_needed(issuer):
    make_payer(issuer, "100.00", email="zahler@example.com", language="de", reference="TOLD")
    [invoice] = issue(issuer)
    assert (invoice.due_on, invoice.parties["debit"]["mandate"]) == (date(2026, 2, 15), "M-TOLD")
    assert IBAN not in str(invoice.parties)
    pdf.render_document(invoice.pk)
    delivery.deliver([invoice.pk])
    body = " ".join(Message.objects.get().body.split())
    assert "Wir ziehen 119,00 EUR am 16.02.2026 per SEPA-Lastschrift von Ihrem Konto …2051 ein." in body
    assert "Gläubiger-Identifikationsnummer DE98ZZZ09999999999, Mandat M-TOLD." in body
    run = released(issuer)
    one = run.collections.get()
    assert (one.debit.collect_on, one.debit.is_announced, one.debit.notice) == (date(2026, 2, 16), True, None)
    assert Message.objects.count() == 1


def test_a_notice_is_sent_where_the_document_names_another_account(issuer):
    payer = make_payer(issuer, "100.00", email="zahler@example.com")
    issue(issuer)
    mandates.change_account(payer.mandates.get().pk, mandates.Bank("Neu", OTHER_IBAN))
    run = released(issuer)
    assert not run.collections.get().debit.is_announced
    assert "5030" in Message.objects.get().body


@needs_judges
@pytest.mark.parametrize("form", ["zugferd", "xrechnung_cii", "xrechnung_ubl"])
def test_the_e_invoice_names_mandate_creditor_and_account_and_passes_the_judge(issuer, tmp_path, form):
    Issuer.objects.update(phone="+49 7525 1234", contact="Buchhaltung")
    issuer.refresh_from_db()
    make_payer(issuer, "100.00", reference="EINV", document_format=form, leitweg_id="991-11111-06")
    assert issue(issuer) == []
    assert judging.judge_pending() == judging.Judged(judged=1, issued=1)
    [facts] = pdf.facts_of([Invoice.objects.get().pk])
    xml = writing.written(facts)
    text = xml.decode()
    for value in ("M-EINV", "DE98ZZZ09999999999", IBAN, ">59<"):
        assert value in text
    path = tmp_path / "invoice.xml"
    path.write_bytes(xml)
    assert fatal_findings(path) == {"invoice.xml": []}


# The night


def test_the_night_proposes_a_run_and_releases_it_only_where_the_issuer_lets_it(issuer):
    make_payer(issuer, "100.00")
    issue(issuer)
    run = business_day.collect(issuer, on=ON)
    assert (run.state, run.collections.count()) == ("proposed", 1)
    Creditor.objects.update(releases_by_itself=True, run_limit=Decimal("100.00"))
    assert business_day.collect(issuer, on=ON).state == "proposed"  # above what one may release alone
    Creditor.objects.update(run_limit=None)
    done = business_day.collect(issuer, on=ON)
    assert (done.pk, done.state, done.released_by) == (run.pk, "released", None)
    assert business_day.collect(issuer, on=ON).collections.count() == 0


def test_the_night_leaves_alone_who_collects_nothing():
    assert business_day.collect(make_issuer(reference="NONE"), on=ON) is None


def test_the_command_says_what_it_would_collect_and_proposes_it(issuer):
    make_payer(issuer, "100.00", reference="P0", name="Alpha GmbH")
    make_payer(issuer, "50.00", reference="P1", mandate=False)
    issue(issuer)
    said = StringIO()
    call_command("collect", on=ON, dry_run=True, stdout=said)
    assert said.getvalue().splitlines() == [
        "P0 Alpha GmbH; 2026-02-16; 119.00 EUR; M-P0; RE-2026-00001",
        "1 debit, 119.00 EUR.",
        "1 × no mandate",
        "Dry run: nothing was written.",
    ]
    assert PaymentRun.objects.count() == 0
    call_command("collect", on=ON, stdout=said)
    assert PaymentRun.objects.get().collections.count() == 1
