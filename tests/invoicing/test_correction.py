"""Corrections by hand: what a cancellation and a credit note are, what they book, and what is billed afterwards."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import contracts
from billing.kernel.coverage import Reason
from billing.models import Charge
from config import books
from invoicing import correction, coverage, credit_balance, pdf
from invoicing.correction import NeedsApproval, NotCorrectable, Wanted, approving
from invoicing.correction.approving import NotToBeDecided
from invoicing.correction.drafts import refuse_without_reason
from invoicing.einvoice.terms import TYPE_CODES
from invoicing.models import (
    BookVat,
    ExchangeRate,
    Invoice,
    JournalEntry,
    LedgerAccount,
    Line,
    OpenItem,
    Posting,
)
from invoicing.replay import replay
from invoicing.review import LookAgain
from tenants.models import Approval
from tests.builders import make_grant, make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db
TENTH = date(2026, 2, 10)


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


@pytest.fixture
def issuer():
    return make_issuer(reference="MAIN")


@pytest.fixture
def price():
    return make_price((None, "100.00", "0"))


@pytest.fixture
def invoice(issuer, price):
    """300.00 net, 357.00 gross, of one contract."""
    make_contract(issuer, make_tenant(reference="ALONE"), reference="V-1", price=price, quantity=Decimal(3))
    bill(issuer, FEBRUARY)
    return Invoice.objects.get()


def figures(document: Invoice) -> tuple[Decimal, Decimal, Decimal]:
    return document.net.amount, document.vat.amount, document.gross.amount


def left(document: Invoice) -> Decimal:
    return OpenItem.objects.filter(invoice=document).aggregate(left=Sum("postings__amount"))["left"]


def cancel(document: Invoice, on: date = TENTH) -> Invoice:
    return Invoice.objects.get(pk=correction.cancel([document.pk], on=on, reason="Falsche Menge")[0])


def credit(document: Invoice, *wanted: Wanted, on: date = TENTH) -> Invoice:
    return Invoice.objects.get(pk=correction.credit(document.pk, wanted, on=on, reason="Kulanz"))


def pay(document: Invoice, amount: Decimal) -> None:
    """Take so much off an open item, as a payment will."""
    entry = JournalEntry.objects.create(issuer=document.issuer, kind="offset", booked_on=TENTH)
    common = {"entry": entry, "currency": document.currency}
    account = LedgerAccount.objects.get(issuer=document.issuer, role="receivables")
    item = OpenItem.objects.get(invoice=document)
    other = LedgerAccount.objects.get(issuer=document.issuer, role="revenue_O")
    Posting.objects.bulk_create(
        [
            Posting(**common, account=other, amount=amount),
            Posting(**common, account=account, open_item=item, amount=-amount),
        ]
    )


def assert_sound() -> None:
    assert [str(breach) for breach in books.check(limit=20, with_files=False)] == []
    assert [str(difference) for one in replay() for difference in one.differences] == []


def assert_unchanged(document: Invoice) -> None:
    assert list(Invoice.objects.all()) == [document]
    assert not Charge.objects.exclude(reverses=None).exists()
    assert not JournalEntry.objects.exclude(invoice=document).exists()


class TestCancelling:
    def test_a_cancellation_negates_its_document_and_settles_it(self, invoice):
        made = cancel(invoice)

        assert (made.number, made.kind, made.corrects) == ("ST-2026-00001", "cancellation", invoice)
        assert figures(invoice) == (Decimal("300.00"), Decimal("57.00"), Decimal("357.00"))
        assert figures(made) == (Decimal("-300.00"), Decimal("-57.00"), Decimal("-357.00"))
        assert (made.issued_on, made.due_on, made.reason) == (TENTH, TENTH, "Falsche Menge")
        line = Line.objects.get(invoice=made)
        assert (line.net.amount, line.quantity) == (Decimal(-300), Decimal(3))
        assert line.details["corrects"] == {"number": "RE-2026-00001", "issued_on": "2026-02-01"}
        fee = Line.objects.get(invoice=invoice).charge
        assert (line.charge.reverses, fee.reversed_by) == (fee, line.charge)
        assert (left(invoice), left(made)) == (0, 0)
        assert list(JournalEntry.objects.filter(invoice=made).order_by("pk").values_list("kind", "booked_on")) == [
            ("issue", TENTH),
            ("offset", TENTH),
        ]
        assert_sound()

    def test_the_next_run_bills_the_days_anew_as_the_contract_is_then(self, issuer, invoice):
        contract = Line.objects.get().charge.item.subscription
        cancel(invoice)
        contracts.change_quantity(
            contract,
            line=1,
            quantity=Decimal(2),
            on=TENTH,
            effective=FEBRUARY,
            reason="Falsche Menge",
            by=None,
            channel="command",
        )

        bill(issuer, FEBRUARY, TENTH)

        anew = Invoice.objects.get(kind="invoice", issued_on=TENTH)
        assert figures(anew) == (Decimal("200.00"), Decimal("38.00"), Decimal("238.00"))
        assert Charge.objects.standing().get().net.amount == Decimal(200)
        assert bill(issuer, FEBRUARY, date(2026, 2, 11)).invoices.count() == 0
        assert_sound()

    def test_what_was_paid_stays_as_a_credit_balance(self, invoice):
        pay(invoice, Decimal("100.00"))
        made = cancel(invoice)
        assert (left(invoice), left(made)) == (0, Decimal("-100.00"))

    def test_a_consolidated_document_is_negated_section_by_section(self, issuer, price):
        group = make_tenant(reference="GROUP")
        branch = make_tenant(reference="BRANCH", kind="branch", parent=group, invoice_to=group, pay_by=group)
        make_contract(issuer, group, price=price)
        make_contract(issuer, branch, price=price, quantity=Decimal(2))
        bill(issuer, FEBRUARY)
        made = cancel(Invoice.objects.get())
        assert [(section.tenant.reference, section.net.amount) for section in made.sections.all()] == [
            ("GROUP", Decimal(-100)),
            ("BRANCH", Decimal(-200)),
        ]
        assert [line.section.tenant.reference for line in made.lines.all()] == ["GROUP", "BRANCH"]
        assert_sound()

    @pytest.mark.parametrize(
        ("fields", "case", "gross"),
        [
            pytest.param({"country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True}, "AE", "-100", id="reverse"),
            pytest.param({"country": "CH"}, "O", "-100", id="third country"),
            pytest.param({"currency": "USD"}, "S", "-119", id="dollars"),
        ],
    )
    def test_case_rate_and_currency_are_those_of_the_document(self, issuer, fields, case, gross):
        currency = fields.get("currency", "EUR")
        tenant = make_tenant(**fields)
        ExchangeRate.objects.create(currency="USD", day=FEBRUARY, rate=Decimal("1.25"), source="ECB")
        make_contract(issuer, tenant, price=make_price((None, "100.00", "0"), currency=currency), currency=currency)
        bill(issuer, FEBRUARY)
        type(tenant).objects.filter(pk=tenant.pk).update(country="DE", vat_id="")  # what changed since is no matter
        made = cancel(Invoice.objects.get())
        assert (made.vat_case, made.currency, made.gross.amount) == (case, currency, Decimal(gross))
        assert left(made) == 0
        in_books = BookVat.objects.filter(invoice=made).values_list("currency", "net", "vat", "rate_on")
        assert list(in_books) == ([("EUR", Decimal(-80), Decimal("-15.20"), FEBRUARY)] if currency == "USD" else [])

    def test_a_credit_note_in_dollars_is_in_the_books_at_the_rate_of_its_invoice(self, issuer):
        ExchangeRate.objects.create(currency="USD", day=FEBRUARY, rate=Decimal("1.25"), source="ECB")
        tenant = make_tenant(currency="USD")
        make_contract(issuer, tenant, price=make_price((None, "100.00", "0"), currency="USD"), currency="USD")
        bill(issuer, FEBRUARY)
        made = credit(Invoice.objects.get(), Wanted(1, amount=Decimal("10.00")))
        assert list(BookVat.objects.filter(invoice=made).values_list("net", "vat", "rate")) == [
            (Decimal(-8), Decimal("-1.52"), Decimal("1.25"))
        ]
        assert_sound()

    def test_a_credit_note_of_a_contract_is_cancelled_and_comes_again(self, issuer, invoice):
        contract = Line.objects.get().charge.item.subscription
        contract.ends_before = date(2026, 2, 15)
        contract.save()
        bill(issuer, FEBRUARY, TENTH)
        note = Invoice.objects.get(kind="credit_note")
        with pytest.raises(NotCorrectable, match="RK-2026-00001"):
            cancel(invoice)

        made = cancel(note, date(2026, 2, 12))

        assert figures(made) == (Decimal("150.00"), Decimal("28.50"), Decimal("178.50"))
        assert made.due_on - made.issued_on == note.due_on - note.issued_on
        assert left(note) + left(made) == 0
        bill(issuer, FEBRUARY, date(2026, 2, 13))
        again = Invoice.objects.filter(kind="credit_note").latest("pk")
        assert (again.issued_on, figures(again)) == (date(2026, 2, 13), figures(note))
        assert_sound()

    def test_a_document_is_cancelled_once_and_a_cancellation_never(self, invoice):
        made = cancel(invoice)
        with pytest.raises(NotCorrectable, match="cancelled already, by ST-2026-00001"):
            cancel(invoice)
        with pytest.raises(NotCorrectable, match="ST-2026-00001 is a cancellation"):
            cancel(made)
        assert Invoice.objects.count() == 2

    def test_a_draft_is_not_cancelled(self, issuer, price):
        make_contract(issuer, make_tenant(), price=price)
        bill(issuer, FEBRUARY, issues=False)
        with pytest.raises(NotCorrectable, match="a draft is discarded"):
            cancel(Invoice.objects.get())

    def test_it_is_not_dated_before_its_document_and_has_a_reason(self, invoice):
        with pytest.raises(NotCorrectable, match="1 Feb 2026"):
            cancel(invoice, date(2026, 1, 31))
        with pytest.raises(NotCorrectable, match="reason"):
            correction.cancel([invoice.pk], on=TENTH, reason=" ")
        assert_unchanged(invoice)

    def test_a_preview_is_what_is_issued_and_writes_nothing(self, invoice):
        preview = correction.preview_cancellation(invoice.pk, on=TENTH, reason="Falsche Menge", with_pdf=True)
        assert (preview.facts.number, preview.facts.gross) == (None, Decimal("-357.00"))
        assert preview.pdf.startswith(b"%PDF")
        assert_unchanged(invoice)
        with pytest.raises(LookAgain):
            correction.cancel([invoice.pk], on=TENTH, reason="Falsche Menge", seen="0" * 64)
        assert_unchanged(invoice)
        made = correction.cancel([invoice.pk], on=TENTH, reason="Falsche Menge", seen=preview.content_hash)
        assert Invoice.objects.get(pk=made[0]).content_hash == preview.content_hash

    def test_bill_again_is_looked_at_as_a_difference_and_leaves_a_draft(self, issuer, invoice):
        contract = Line.objects.get().charge.item.subscription
        contracts.change_quantity(
            contract,
            line=1,
            quantity=Decimal(5),
            on=TENTH,
            effective=FEBRUARY,
            reason="Mehr",
            by=None,
            channel="command",
        )
        seen = correction.compare(invoice, on=TENTH, reason="Falsche Menge")
        assert [(row.before, row.after) for row in seen.rows] == [(Decimal("300.00"), Decimal("500.00"))]
        assert (seen.net_before, seen.net_after, seen.gross_after) == (300, 500, 595)
        assert_unchanged(invoice)

        run = correction.bill_again(invoice, on=TENTH, reason="Falsche Menge")

        draft = run.invoices.get()
        assert (draft.state, draft.net.amount) == ("draft", Decimal(500))
        assert_sound()


class TestCrediting:
    def test_part_of_a_line_is_given_back_and_settles_the_invoice_first(self, issuer, invoice):
        made = credit(invoice, Wanted(1, amount=Decimal("50.00")))

        assert (made.number, made.kind, made.corrects) == ("RK-2026-00001", "credit_note", invoice)
        assert figures(made) == (Decimal("-50.00"), Decimal("-9.50"), Decimal("-59.50"))
        line = Line.objects.get(invoice=made)
        assert (line.charge, line.corrects.invoice, line.quantity, line.unit) == (None, invoice, 1, "C62")
        assert (left(invoice), left(made)) == (Decimal("297.50"), 0)
        assert bill(issuer, FEBRUARY, date(2026, 2, 11)).invoices.count() == 0  # it releases no days
        assert_sound()

    @pytest.mark.parametrize(
        ("wanted", "net", "quantity"),
        [
            pytest.param(Wanted(1, quantity=Decimal(2)), "-200.00", 2, id="two of three licences"),
            pytest.param(Wanted(1, percent=Decimal("12.5")), "-37.50", 1, id="an eighth"),
            pytest.param(Wanted(1), "-300.00", 3, id="all"),
        ],
    )
    def test_by_quantity_by_percentage_or_all_that_is_left(self, invoice, wanted, net, quantity):
        made = credit(invoice, wanted)
        assert (made.net.amount, Line.objects.get(invoice=made).quantity) == (Decimal(net), quantity)

    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [
            (Wanted(1, amount=Decimal("300.01")), "300.00 EUR net is left"),
            (Wanted(1, amount=Decimal("0")), "cannot be given back"),
            (Wanted(1, amount=Decimal("-1")), "cannot be given back"),
            (Wanted(1, amount=Decimal("0.001")), "too many decimals"),
            (Wanted(1, amount=Decimal("1e400")), "cannot be given back"),
            (Wanted(1, quantity=Decimal(4)), "at most 3"),
            (Wanted(1, percent=Decimal(101)), "at most 100"),
            (Wanted(2), "has no line 2"),
        ],
    )
    def test_no_more_than_is_left(self, invoice, wanted, sentence):
        with pytest.raises(NotCorrectable, match=sentence):
            credit(invoice, wanted)
        assert_unchanged(invoice)

    def test_what_was_given_back_before_counts(self, invoice):
        credit(invoice, Wanted(1, amount=Decimal("250.00")))
        with pytest.raises(NotCorrectable, match=r"50\.00 EUR net is left"):
            credit(invoice, Wanted(1, amount=Decimal("50.01")))
        with pytest.raises(NotCorrectable, match="corrected by RK-2026-00001"):
            cancel(invoice)

    def test_three_credits_of_an_odd_sum_add_up_to_the_document(self, issuer):
        make_contract(issuer, make_tenant(), price=make_price((None, "0.10", "0")))
        bill(issuer, FEBRUARY)
        invoice = Invoice.objects.get()
        assert figures(invoice) == (Decimal("0.10"), Decimal("0.02"), Decimal("0.12"))
        made = [
            credit(invoice, Wanted(1, amount=Decimal("0.03"))),
            credit(invoice, Wanted(1, amount=Decimal("0.03"))),
            credit(invoice, Wanted(1)),
        ]
        assert [figures(one)[1] for one in made] == [Decimal("-0.01"), Decimal("-0.01"), Decimal("0.00")]
        assert [sum(column) for column in zip(*map(figures, [invoice, *made]), strict=True)] == [0, 0, 0]
        assert left(invoice) == 0
        assert_sound()

    def test_the_share_of_a_document_discount_goes_back_with_the_lines(self, issuer, price):
        contract = make_contract(issuer, make_tenant(), price=price, quantity=Decimal(3))
        make_grant(subscription=contract, percent=Decimal(10), level="document")
        bill(issuer, FEBRUARY)
        invoice = Invoice.objects.get()
        assert figures(invoice) == (Decimal("270.00"), Decimal("51.30"), Decimal("321.30"))
        first = credit(invoice, Wanted(1, amount=Decimal("100.00")))
        assert figures(first) == (Decimal("-90.00"), Decimal("-17.10"), Decimal("-107.10"))
        assert list(first.allowances.values_list("base", "amount")) == [(Decimal(-100), Decimal(-10))]
        second = credit(invoice, Wanted(1))
        assert [sum(column) for column in zip(*map(figures, [invoice, first, second]), strict=True)] == [0, 0, 0]
        assert_sound()
        cancel(second, date(2026, 2, 12))
        cancel(first, date(2026, 2, 12))
        made = cancel(invoice, date(2026, 2, 12))
        assert figures(made) == (Decimal("-270.00"), Decimal("-51.30"), Decimal("-321.30"))
        assert_sound()

    def test_a_credit_note_is_cancelled_and_leaves_the_line_whole(self, issuer, invoice):
        note = credit(invoice, Wanted(1, amount=Decimal("50.00")))
        made = cancel(note, date(2026, 2, 12))
        assert figures(made) == (Decimal("50.00"), Decimal("9.50"), Decimal("59.50"))
        assert (left(invoice), left(note), left(made)) == (Decimal("297.50"), 0, Decimal("59.50"))
        line = correction.creditable(invoice)[0]
        assert line.left == Decimal("300.00")
        assert (line.contract, line.starts_on, line.last_day) == ("V-1", date(2026, 2, 1), date(2026, 2, 28))
        cancel(invoice, date(2026, 2, 13))
        assert_sound()

    def test_what_a_contract_gives_back_later_goes_no_further(self, issuer, invoice):
        credit(invoice, Wanted(1, amount=Decimal("200.00")))
        contract = Line.objects.filter(invoice=invoice).get().charge.item.subscription
        contract.ends_before = date(2026, 2, 15)
        contract.save()
        run = bill(issuer, FEBRUARY, date(2026, 2, 12))
        outcome = run.outcomes.get()
        assert outcome.state == "parked"
        assert "RK-2026-00001" in outcome.reason

    def test_sections_of_a_consolidated_document_keep_their_place(self, issuer, price):
        group = make_tenant(reference="GROUP")
        branch = make_tenant(reference="BRANCH", kind="branch", parent=group, invoice_to=group, pay_by=group)
        make_contract(issuer, group, price=price)
        make_contract(issuer, branch, price=price, quantity=Decimal(2))
        bill(issuer, FEBRUARY)
        made = credit(Invoice.objects.get(), Wanted(2, amount=Decimal("30.00")))
        assert [(section.tenant, section.net.amount) for section in made.sections.all()] == [(branch, Decimal(-30))]
        assert_sound()

    def test_a_cancelled_document_and_a_credit_note_are_not_credited(self, invoice):
        note = credit(invoice, Wanted(1, amount=Decimal("50.00")))
        with pytest.raises(NotCorrectable, match="is no invoice"):
            credit(note, Wanted(1))
        cancel(note, date(2026, 2, 12))
        cancel(invoice, date(2026, 2, 12))
        with pytest.raises(NotCorrectable, match="cancelled already"):
            credit(invoice, Wanted(1), on=date(2026, 2, 13))

    def test_roundings_up_never_give_back_more_vat_than_there_is(self, issuer):
        make_contract(issuer, make_tenant(), price=make_price((None, "0.10", "0")))
        bill(issuer, FEBRUARY)
        invoice = Invoice.objects.get()  # with 0.02 of VAT; 0.03 at 19 percent are 0.01, three times
        made = [credit(invoice, Wanted(1, amount=Decimal("0.03"))) for _n in range(3)]
        made.append(credit(invoice, Wanted(1)))
        assert [figures(one)[1] for one in made] == [Decimal("-0.01"), Decimal("-0.01"), 0, 0]
        assert sum(figures(one)[2] for one in [invoice, *made]) == 0
        assert_sound()

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_whatever_the_parts_a_document_given_back_wholly_comes_to_nothing(self, data, django_db_blocker):
        from django.db import transaction

        with transaction.atomic():
            issuer = make_issuer()
            unit = data.draw(st.integers(1, 99_999), label="cents")
            price = make_price((None, f"{Decimal(unit).scaleb(-2)}", "0"))
            payer = make_tenant()
            for _n in range(data.draw(st.integers(1, 3), label="lines")):
                make_contract(issuer, payer, price=price)
            bill(issuer, FEBRUARY)
            document = Invoice.objects.get(issuer=issuer)
            documents = [document]
            while open_lines := [line for line in correction.creditable(document) if line.left]:
                line = data.draw(st.sampled_from(open_lines))
                cents = data.draw(st.integers(1, int(line.left * 100)))
                if len(documents) > 6:
                    cents = int(line.left * 100)
                documents.append(credit(document, Wanted(line.position, amount=Decimal(cents).scaleb(-2))))
            assert [sum(column) for column in zip(*map(figures, documents), strict=True)] == [0, 0, 0]
            assert left(document) == 0
            transaction.set_rollback(True)


class TestFourEyes:
    @pytest.fixture
    def people(self, issuer):
        issuer.correction_limit = Decimal("100.00")
        issuer.save()
        return User.objects.create_user("anna"), User.objects.create_user("bernd")

    def test_above_the_limit_another_person_must_approve(self, people, invoice):
        anna, bernd = people
        with pytest.raises(NeedsApproval, match="above 100"):
            cancel(invoice)
        assert_unchanged(invoice)
        asked = approving.request(invoice.pk, None, on=TENTH, reason="Falsche Menge", by=anna)
        assert_unchanged(invoice)
        with pytest.raises(NotToBeDecided, match="cannot approve it"):
            approving.approve(asked.pk, by=anna)
        made = Invoice.objects.get(pk=approving.approve(asked.pk, by=bernd))
        assert (made.number, made.content_hash) == ("ST-2026-00001", asked.content_hash)
        asked.refresh_from_db()
        assert (asked.decision, asked.decided_by) == ("approved", bernd)
        with pytest.raises(NotToBeDecided, match="decided already"):
            approving.approve(asked.pk, by=bernd)

    def test_up_to_the_limit_nobody_is_asked(self, people, invoice):
        assert credit(invoice, Wanted(1, amount=Decimal("84.03"))).gross.amount == Decimal("-100.00")
        with pytest.raises(NeedsApproval):
            credit(invoice, Wanted(1, amount=Decimal("84.04")))

    def test_many_small_ones_are_as_one_large(self, people, invoice):
        anna, bernd = people
        first = credit(invoice, Wanted(1, amount=Decimal("50.00")))
        credit(invoice, Wanted(1, amount=Decimal("34.03")))
        with pytest.raises(NeedsApproval, match=r"by 100\.01 EUR is above 100"):
            credit(invoice, Wanted(1, amount=Decimal("0.01")))
        asked = approving.request(invoice.pk, [Wanted(1, amount=Decimal("0.01"))], on=TENTH, reason="Kulanz", by=anna)
        assert approving.approve(asked.pk, by=bernd) is not None
        cancel(first)  # what no longer stands does not count
        credit(invoice, Wanted(1, amount=Decimal("40.00")))

    def test_an_approval_lapses_when_the_content_changes(self, people, invoice):
        anna, bernd = people
        asked = approving.request(invoice.pk, [Wanted(1)], on=TENTH, reason="Kulanz", by=anna)
        credit(invoice, Wanted(1, amount=Decimal("10.00")))
        assert approving.approve(asked.pk, by=bernd) is None
        asked.refresh_from_db()
        assert asked.decision == Approval.Decision.LAPSED
        assert Invoice.objects.count() == 2

    def test_it_is_asked_for_once_refused_and_withdrawn(self, people, invoice):
        anna, bernd = people
        asked = approving.request(invoice.pk, None, on=TENTH, reason="Falsche Menge", by=anna)
        with pytest.raises(NotCorrectable, match="asked for already"):
            approving.request(invoice.pk, None, on=TENTH, reason="Falsche Menge", by=anna)
        with pytest.raises(NotToBeDecided):
            approving.withdraw(asked.pk, by=bernd)
        approving.refuse(asked.pk, by=bernd, note="Erst den Vertrag ändern")
        again = approving.request(invoice.pk, None, on=TENTH, reason="Falsche Menge", by=anna)
        approving.withdraw(again.pk, by=anna)
        assert list(Approval.objects.order_by("pk").values_list("decision", flat=True)) == ["refused", "withdrawn"]


class TestWholeRun:
    def test_a_run_is_cancelled_as_a_whole_and_twice_does_nothing(self, issuer, price):
        for _n in range(5):
            make_contract(issuer, make_tenant(), price=price)
        run = bill(issuer, FEBRUARY)
        credited = Invoice.objects.earliest("pk")
        credit(credited, Wanted(1, amount=Decimal("1.00")))

        done = correction.cancel_run(run, on=TENTH, reason="Falscher Preis")

        assert (done.documents, list(done.parked), done.is_done) == (4, [credited.pk], True)
        assert "RK-2026-00001" in str(done.parked[credited.pk])
        again = correction.cancel_run(run, on=TENTH, reason="Falscher Preis")
        assert (again.documents, list(again.parked)) == (0, [credited.pk])
        numbers = Invoice.objects.filter(kind="cancellation").order_by("sequence").values_list("number", flat=True)
        assert list(numbers) == [f"ST-2026-0000{n}" for n in range(1, 5)]
        assert_sound()
        bill(issuer, FEBRUARY, date(2026, 2, 12))
        assert Invoice.objects.filter(kind="invoice", issued_on=date(2026, 2, 12)).count() == 4


class TestCreditBalance:
    def test_a_credit_is_set_off_against_what_is_due_first(self, issuer, price):
        payer = make_tenant(reference="ALONE")
        make_contract(issuer, payer, price=price)
        bill(issuer, FEBRUARY)
        bill(issuer, date(2026, 3, 1))
        first, second = Invoice.objects.order_by("pk")
        pay(first, Decimal("119.00"))
        note = credit(first, Wanted(1, amount=Decimal("50.00")))
        assert (left(note), left(second)) == (Decimal("-59.50"), Decimal("119.00"))

        uses = credit_balance.apply(issuer, payer, on=date(2026, 3, 2))

        assert [(use.credit.document, use.claim.document, use.amount) for use in uses] == [
            ("RK-2026-00001", "RE-2026-00002", Decimal("59.50"))
        ]
        assert (left(note), left(second)) == (0, Decimal("59.50"))
        with pytest.raises(credit_balance.NoCredit):
            credit_balance.apply(issuer, payer, on=date(2026, 3, 2))

    def test_a_wanted_refund_is_not_set_off(self, issuer, price):
        payer = make_tenant(reference="ALONE")
        make_contract(issuer, payer, price=price)
        bill(issuer, FEBRUARY)
        bill(issuer, date(2026, 3, 1))
        first = Invoice.objects.earliest("pk")
        with pytest.raises(credit_balance.NoCredit, match="leaves no credit"):
            credit_balance.want_refund(OpenItem.objects.get(invoice=first).pk, on=TENTH, reason="Umzug")
        pay(first, Decimal("119.00"))
        item = OpenItem.objects.get(invoice=credit(first, Wanted(1)))
        credit_balance.want_refund(item.pk, on=TENTH, reason="Umzug")
        with pytest.raises(credit_balance.NoCredit, match="wanted already"):
            credit_balance.want_refund(item.pk, on=TENTH, reason="Umzug")
        assert credit_balance.propose(issuer, payer) == []
        credit_balance.withdraw_refund(item.pk)
        assert [use.amount for use in credit_balance.propose(issuer, payer)] == [Decimal("119.00")]


def test_a_reason_that_cannot_be_printed_is_refused():
    from invoicing.pdf import UnprintableText

    with pytest.raises(UnprintableText):
        refuse_without_reason("\N{PILE OF POO}")


def test_cancelled_days_are_no_gap_but_wait_for_the_next_run(issuer, invoice):
    cancel(invoice)
    found = coverage.report(through=FEBRUARY)
    assert found.faults == []
    assert found.days[Reason.CHANGED_SINCE] == 1
    bill(issuer, FEBRUARY, TENTH)
    assert coverage.report(through=FEBRUARY).days[Reason.STANDS] == 1


@pytest.mark.parametrize(
    ("kind", "german", "english", "code"),
    [
        ("invoice", "Rechnung", "Invoice", "380"),
        ("credit_note", "Rechnungskorrektur", "Credit note", "381"),
        ("cancellation", "Stornorechnung", "Cancellation invoice", "384"),
    ],
)
def test_titles_and_codes_of_documents(invoice, kind, german, english, code):
    """c-18: never "Gutschrift"; a correction names number and date of the document it corrects."""
    document = {
        "invoice": lambda: invoice,
        "credit_note": lambda: credit(invoice, Wanted(1)),
        "cancellation": lambda: cancel(invoice),
    }[kind]()
    facts = pdf.facts_of([document.pk])[0]
    for language, title in (("de", german), ("en", english)):
        with translation.override(language):
            assert pdf.title_of(facts.kind) == title
    assert TYPE_CODES[facts.kind] == code
    named = (facts.original.number, facts.original.issued_on, facts.reason) if facts.original else None
    reason = {"credit_note": "Kulanz", "cancellation": "Falsche Menge"}.get(kind)
    assert named == (("RE-2026-00001", FEBRUARY, reason) if reason else None)
