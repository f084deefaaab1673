"""Bill runs through the real stations: who is billed, who is parked and why, what a person decides, what it costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from billing import contracts
from billing.models import Charge, Item, Subscription
from config import books
from invoicing import bill_run, issuing, review
from invoicing.models import BillRun, ExchangeRate, Invoice, JournalEntry, NumberRange, OpenItem
from tenants.models import Issuer, Tenant
from tests.bench.book import make_book
from tests.builders import make_grant, make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db

APRIL = date(2026, 4, 1)


def outcomes(run: BillRun) -> dict[str, tuple[str, int, int]]:
    """By payer: state, documents, lines."""
    return {
        reference: tuple(rest)
        for reference, *rest in run.outcomes.values_list("payer__reference", "state", "documents", "lines")
    }


def documents() -> list[tuple[str, str, str, Decimal]]:
    """Number, payer, currency and gross of what is issued."""
    return list(
        Invoice.objects.issued()
        .order_by("kind", "sequence")
        .values_list("number", "payer__reference", "currency", "gross")
    )


def sound() -> bool:
    return list(books.check(with_files=False)) == []


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN")


def customer(issuer: Issuer, reference: str, **contract) -> Tenant:
    tenant = make_tenant(reference=reference)
    make_contract(issuer, tenant, reference=f"V-{reference}", **contract)
    return tenant


def test_what_is_beyond_the_issuers_bounds_is_looked_at_first(issuer):
    customer(issuer, "A")
    customer(issuer, "B", quantity=Decimal(9_000))
    customer(issuer, "C", starts_on=date(2022, 12, 1))
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"A": ("issued", 1, 1), "B": ("parked", 0, 0), "C": ("parked", 0, 0)}
    reasons = dict(run.outcomes.exclude(reason="").values_list("payer__reference", "reason"))
    assert reasons == {
        "B": "B: Ein Beleg über 1071000.00 EUR liegt über dem größten, den MAIN zulässt (1000000).",
        "C": "Vertrag V-C: Auf einmal sind 39 Zeiträume fällig, mehr als die 36, die MAIN zulässt. Wenn ein anderes"
        " System sie abgerechnet hat, tragen Sie das im Vertrag ein.",
    }
    assert NumberRange.objects.get().next_number == 2

    Issuer.objects.update(largest_document=2_000_000, most_periods=39)
    run = BillRun.objects.get()
    assert review.again(run, list(run.outcomes.filter(state="parked").values_list("payer_id", flat=True))) == 2
    bill_run.bill(run)
    assert documents()[1:] == [
        ("RE-2026-00002", "B", "EUR", Decimal("1071000.00")),
        ("RE-2026-00003", "C", "EUR", Decimal("4641.00")),
    ]


def test_one_that_cannot_be_billed_stops_no_other(issuer):
    """Halved down to the one without a street, in a chunk of five; it is billed by the same run once that is mended."""
    for name in ("A", "B", "C", "D", "E"):
        customer(issuer, name)
    Tenant.objects.filter(reference="B").update(street="")
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == dict.fromkeys(("A", "C", "D", "E"), ("issued", 1, 1)) | {"B": ("parked", 0, 0)}
    reason = run.outcomes.get(payer__reference="B").reason
    assert reason == "B: Es fehlt Straße; eine Rechnung braucht das (§ 14 Abs. 4 UStG)."
    assert [number for number, *_ in documents()] == [f"RE-2026-0000{n}" for n in (1, 2, 3, 4)]
    assert not Charge.objects.filter(item__subscription__reference="V-B").exists()
    assert run.state == "finished"

    Tenant.objects.filter(reference="B").update(street="Neuer Weg 1")
    assert review.again(run, [run.outcomes.get(payer__reference="B").payer_id]) == 1
    bill_run.bill(run)
    assert documents()[-1] == ("RE-2026-00005", "B", "EUR", Decimal("119.00"))
    assert outcomes(run)["B"] == ("issued", 1, 1)
    assert sound()


def test_a_run_joins_the_one_of_its_day_and_refuses_another(issuer):
    customer(issuer, "A")
    first = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True)
    again = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True)
    assert again == first
    with pytest.raises(bill_run.RunInProgress):
        bill_run.start(issuer=issuer, through=MARCH, issue_on=FEBRUARY, issues_by_itself=True)
    with pytest.raises(bill_run.RunInProgress):
        bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=False)
    assert BillRun.objects.count() == 1


def test_accounts_that_are_set_aside_are_skipped(issuer):
    customer(issuer, "A")
    customer(issuer, "B")
    group = customer(issuer, "GROUP")
    branch = make_tenant(reference="BRANCH", kind="branch", parent=group, invoice_to=group, pay_by=group)
    make_contract(issuer, branch)
    Tenant.objects.filter(reference__in=["B", "BRANCH"]).update(status="suspended")
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"A": ("issued", 1, 1), "B": ("skipped", 0, 0), "GROUP": ("issued", 1, 1)}
    assert run.outcomes.get(payer__reference="B").reason == "Der Mandant ist nicht aktiv."
    assert run.outcomes.get(payer__reference="GROUP").reason == "Nicht aktiv, ausgelassen: BRANCH"

    Tenant.objects.filter(reference__in=["B", "BRANCH"]).update(status="active")
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"A": ("nothing_due", 0, 0), "B": ("issued", 1, 1), "GROUP": ("issued", 1, 1)}
    assert sound()


def test_only_parts_of_a_legal_entity_share_its_invoice(issuer):
    """A company below another one, and what belongs to it, are invoiced to the other only if that resells to it."""
    group = customer(issuer, "GROUP")
    other = make_tenant(reference="OTHER", kind="company", parent=group, invoice_to=group, pay_by=group)
    make_contract(issuer, other)
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"GROUP": ("issued", 2, 2)}
    assert parties() == [("GROUP", "GROUP"), ("OTHER", "GROUP")]

    part = make_tenant(reference="PART", kind="department", parent=other, invoice_to=group, pay_by=group)
    make_contract(issuer, part)
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"GROUP": ("issued", 1, 1)}
    assert parties()[2:] == [("OTHER", "GROUP")]

    Tenant.objects.filter(reference="OTHER").update(contracting_party=group)
    run = bill(issuer, MARCH)
    assert outcomes(run) == {"GROUP": ("issued", 1, 3)}
    assert parties()[3:] == [("GROUP", "GROUP")]
    assert sound()


def parties() -> list[tuple[str, str]]:
    """Recipient and payer of each document."""
    return list(Invoice.objects.order_by("pk").values_list("recipient__reference", "payer__reference"))


def test_currencies_and_po_numbers_have_documents_of_their_own(issuer):
    tenant = customer(issuer, "A")
    ExchangeRate.objects.create(currency="USD", day=FEBRUARY, rate=Decimal("1.2"), source="EZB")
    make_contract(issuer, tenant, currency="USD", price=make_price((None, "120.00", "0"), currency="USD"))
    make_contract(issuer, tenant, po_number="PO-7")
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"A": ("issued", 3, 3)}
    found = Invoice.objects.order_by("currency", "po_number").values_list("currency", "po_number", "gross")
    assert list(found) == [
        ("EUR", "", Decimal("119.00")),
        ("EUR", "PO-7", Decimal("119.00")),
        ("USD", "", Decimal("142.80")),
    ]
    assert sound()


def test_a_document_of_nothing_is_closed_and_its_days_count_as_billed(issuer):
    tenant = customer(issuer, "A")
    make_grant(subscription=Subscription.objects.get(tenant=tenant), percent=Decimal(100))
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"A": ("nothing_due", 0, 1)}
    assert [(i.state, i.number, i.gross.amount) for i in Invoice.objects.all()] == [("closed", None, 0)]
    assert not (JournalEntry.objects.exists() or OpenItem.objects.exists() or NumberRange.objects.exists())
    assert outcomes(bill(issuer, FEBRUARY)) == {"A": ("nothing_due", 0, 0)}
    assert sound()


def test_trial_days_are_free_and_arrears_come_when_they_are_over(issuer):
    customer(issuer, "TRIAL", starts_on=date(2026, 1, 20), trial_ends_before=date(2026, 2, 15))
    customer(issuer, "ARREARS", timing="arrears")
    assert outcomes(bill(issuer, FEBRUARY)) == {"TRIAL": ("nothing_due", 0, 0), "ARREARS": ("nothing_due", 0, 0)}
    assert outcomes(bill(issuer, date(2026, 2, 15))) == {"TRIAL": ("issued", 1, 1), "ARREARS": ("nothing_due", 0, 0)}
    assert outcomes(bill(issuer, MARCH)) == {"TRIAL": ("issued", 1, 1), "ARREARS": ("issued", 1, 1)}
    assert documents() == [
        ("RE-2026-00001", "TRIAL", "EUR", Decimal("59.50")),  # 14 of 28 days
        ("RE-2026-00002", "TRIAL", "EUR", Decimal("119.00")),
        ("RE-2026-00003", "ARREARS", "EUR", Decimal("119.00")),
    ]
    assert sound()


def test_a_run_for_an_earlier_day_takes_nothing_back(issuer):
    customer(issuer, "A")
    bill(issuer, MARCH)
    before = documents()
    assert before == [("RE-2026-00001", "A", "EUR", Decimal("238.00"))]
    assert outcomes(bill(issuer, FEBRUARY, date(2026, 3, 2))) == {"A": ("nothing_due", 0, 0)}
    assert documents() == before
    assert sound()


def test_a_contract_that_ends_earlier_is_credited_by_a_document_that_names_the_first(issuer):
    tenant = customer(issuer, "A")
    bill(issuer, FEBRUARY)
    Subscription.objects.filter(tenant=tenant).update(ends_before=date(2026, 2, 15))
    run = bill(issuer, FEBRUARY, date(2026, 2, 15))
    assert outcomes(run) == {"A": ("issued", 1, 1)}
    credit = Invoice.objects.get(kind="credit_note")
    assert (credit.number, credit.net.amount, credit.vat.amount) == ("RK-2026-00001", Decimal(-50), Decimal("-9.50"))
    (line,) = credit.lines.all()
    assert (line.starts_on, line.ends_before) == (date(2026, 2, 15), MARCH)
    assert line.details["corrects"] == {"number": "RE-2026-00001", "issued_on": "2026-02-01"}
    assert line.charge.corrects == Charge.objects.get(kind="fee")
    assert outcomes(bill(issuer, FEBRUARY, date(2026, 2, 16))) == {"A": ("nothing_due", 0, 0)}
    assert sound()


def test_what_stands_on_a_draft_is_not_corrected_by_another_document(issuer):
    """The correction would have to name a document that has no number; a person decides about the draft first."""
    tenant = customer(issuer, "A")
    customer(issuer, "B")
    drafts = bill(issuer, FEBRUARY, issues=False)
    Subscription.objects.filter(tenant=tenant).update(ends_before=date(2026, 2, 15))
    run = bill(issuer, FEBRUARY, date(2026, 2, 15))
    assert outcomes(run) == {"A": ("parked", 0, 0), "B": ("nothing_due", 0, 0)}
    assert "V-A" in run.outcomes.get(payer=tenant).reason
    assert Charge.objects.count() == 2

    review.discard(drafts.invoices.filter(payer=tenant))
    bill_run.bill(drafts)
    assert Invoice.objects.get(payer=tenant).net.amount == Decimal(50)
    assert sound()


# A person decides


def test_drafts_are_held_released_and_issued(issuer):
    for name in ("A", "B", "C"):
        customer(issuer, name)
    run = bill(issuer, FEBRUARY, issues=False)
    assert outcomes(run) == dict.fromkeys(("A", "B", "C"), ("proposed", 1, 1))
    assert documents() == []

    assert review.release(run.invoices.all()) == 3
    assert review.hold(run.invoices.filter(payer__reference="B"), reason="Preis klären") == 1
    assert issuing.issue_released(run) == 2
    assert [payer for _number, payer, *_ in documents()] == ["A", "C"]
    assert outcomes(run) == {"A": ("issued", 1, 1), "B": ("proposed", 1, 1), "C": ("issued", 1, 1)}
    held = run.invoices.get(payer__reference="B")
    assert (held.state, held.reason, held.number) == ("held", "Preis klären", None)
    assert issuing.issue([held.pk]) == 0

    assert review.release(run.invoices.filter(state="held")) == 1
    assert issuing.issue_released(run) == 1
    assert issuing.issue_released(run) == 0
    assert outcomes(run)["B"] == ("issued", 1, 1)
    assert documents()[-1] == ("RE-2026-00003", "B", "EUR", Decimal("119.00"))
    assert sound()


@pytest.mark.parametrize("decide", [review.release, review.discard, lambda i: review.hold(i, reason="")])
def test_what_is_issued_is_no_longer_decided(issuer, decide):
    customer(issuer, "A")
    customer(issuer, "B")
    bill(issuer, FEBRUARY)
    customer(issuer, "C")
    run = bill(issuer, FEBRUARY, issues=False)
    before = list(Invoice.objects.order_by("id").values())
    with pytest.raises(review.NotADraft, match="RE-2026-00001"):
        decide(Invoice.objects.all())
    assert list(Invoice.objects.order_by("id").values()) == before
    assert outcomes(run)["C"] == ("proposed", 1, 1)


def test_master_data_changed_after_the_release_stop_the_issue(issuer):
    for name in ("A", "B"):
        customer(issuer, name)
    run = bill(issuer, FEBRUARY, issues=False)
    review.release(run.invoices.all())
    Tenant.objects.filter(reference="B").update(name="Umbenannt GmbH")
    with pytest.raises(issuing.Outdated, match=r"^B:"):
        issuing.issue_released(run)
    assert documents() == []
    assert not (JournalEntry.objects.exists() or OpenItem.objects.exists() or NumberRange.objects.exists())

    review.discard(run.invoices.filter(payer__reference="B"))
    bill_run.bill(run)
    review.release(run.invoices.drafts())
    assert issuing.issue_released(run) == 2
    assert Invoice.objects.get(payer__reference="B").parties["buyer"]["name"] == "Umbenannt GmbH"
    assert sound()


def test_documents_of_several_runs_are_issued_at_once(issuer):
    """Two days of issue are two groups in one transaction."""
    customer(issuer, "A")
    first = bill(issuer, FEBRUARY, issues=False)
    customer(issuer, "B")
    second = bill(issuer, FEBRUARY, date(2027, 1, 1), issues=False)
    drafts = Invoice.objects.drafts()
    review.release(drafts)
    assert issuing.issue(list(drafts.values_list("pk", flat=True))) == 2
    assert sorted(number for number, *_ in documents()) == ["RE-2026-00001", "RE-2027-00001"]
    assert (outcomes(first)["A"], outcomes(second)["B"]) == (("issued", 1, 1), ("issued", 1, 1))
    assert sound()


def test_a_discarded_draft_is_computed_again_from_the_corrected_contract(issuer):
    tenant = customer(issuer, "A")
    make_contract(issuer, tenant, reference="V-PO", po_number="PO-7")
    run = bill(issuer, FEBRUARY, issues=False)
    assert outcomes(run) == {"A": ("proposed", 2, 2)}

    assert review.discard(run.invoices.filter(po_number="PO-7")) == 1
    assert outcomes(run) == {"A": ("proposed", 1, 1)}  # the other draft of the payer stands
    assert Charge.objects.count() == 1
    assert sound()

    assert review.discard(run.invoices.all()) == 1
    Item.objects.filter(subscription__reference="V-PO").update(quantity=3)
    run.refresh_from_db()
    assert (outcomes(run), run.state, run.finished_at) == ({"A": ("pending", 0, 0)}, "running", None)
    bill_run.bill(run)
    found = run.invoices.order_by("po_number").values_list("po_number", "net")
    assert list(found) == [("", Decimal(100)), ("PO-7", Decimal(300))]
    assert outcomes(run) == {"A": ("proposed", 2, 2)}
    assert sound()


def test_what_a_discarded_draft_took_back_stands_again(issuer):
    """A contract is ended by mistake: March is taken back by a draft, which the clerk discards."""
    tenant = customer(issuer, "A")
    contract = Subscription.objects.filter(tenant=tenant)
    bill(issuer, MARCH)
    before = list(Charge.objects.order_by("pk").values())
    contract.update(ends_before=MARCH)
    run = bill(issuer, MARCH, date(2026, 3, 2), issues=False)
    assert [(draft.kind, draft.net.amount) for draft in run.invoices.all()] == [("credit_note", Decimal(-100))]
    assert Charge.objects.exclude(reverses=None).count() == 1

    assert review.discard(run.invoices.all()) == 1
    assert list(Charge.objects.order_by("pk").values()) == before
    contract.update(ends_before=None)
    bill_run.bill(run)
    assert outcomes(run) == {"A": ("nothing_due", 0, 0)}
    assert sound()


def test_a_draft_stays_if_what_it_takes_back_was_charged_again(issuer):
    tenant = customer(issuer, "A")
    contract = Subscription.objects.filter(tenant=tenant)
    bill(issuer, MARCH)
    contract.update(ends_before=MARCH)
    drafts = bill(issuer, MARCH, date(2026, 3, 2), issues=False)
    contract.update(ends_before=None)
    assert outcomes(bill(issuer, MARCH, date(2026, 3, 3))) == {"A": ("issued", 1, 1)}
    charges = Charge.objects.count()
    with pytest.raises(review.NotADraft, match="die der Entwurf zurücknimmt"):
        review.discard(drafts.invoices.all())
    assert (drafts.invoices.count(), Charge.objects.count()) == (1, charges)
    assert sound()


def test_a_payer_whose_last_draft_is_discarded_counts_as_issued(issuer):
    tenant = customer(issuer, "A")
    make_contract(issuer, tenant, po_number="PO-7")
    run = bill(issuer, FEBRUARY, issues=False)
    review.release(run.invoices.filter(po_number=""))
    issuing.issue_released(run)
    assert outcomes(run) == {"A": ("proposed", 2, 2)}
    review.discard(run.invoices.drafts())
    assert outcomes(run) == {"A": ("issued", 1, 1)}
    assert sound()


def test_a_run_is_not_opened_again_beside_another_one_of_its_day(issuer):
    """The database has one open run per issuer and day; the person is told, and the draft stays."""
    customer(issuer, "A")
    first = bill(issuer, FEBRUARY, issues=False)
    customer(issuer, "B")
    second = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=False)
    with pytest.raises(review.AnotherRun):
        review.discard(first.invoices.all())
    assert (first.invoices.count(), Charge.objects.count()) == (1, 1)
    assert outcomes(first) == {"A": ("proposed", 1, 1)}
    assert not review.decisions(first).exists()

    bill_run.bill(second)
    assert review.discard(first.invoices.all()) == 1
    bill_run.bill(first)
    assert outcomes(first) == {"A": ("proposed", 1, 1)}
    assert sound()


def test_a_run_is_compared_with_the_one_before(issuer):
    stays, more, gone = (customer(issuer, name) for name in ("STAYS", "MORE", "GONE"))
    bill(issuer, FEBRUARY)
    contracts.change_quantity(
        Subscription.objects.get(tenant=more),
        line=1,
        quantity=Decimal(2),
        on=FEBRUARY,
        effective=MARCH,
        reason="",
        by=None,
        channel="command",
    )
    Subscription.objects.filter(tenant=gone).update(ends_before=MARCH)
    new = customer(issuer, "NEW", starts_on=MARCH)
    run = bill(issuer, MARCH, issues=False)
    flags = {flag.payer: (flag.kind, flag.before, flag.now) for flag in review.compare(run)}
    assert flags == {
        more.pk: ("changed", Decimal(100), Decimal(200)),
        gone.pk: ("gone", Decimal(100), None),
        new.pk: ("new", None, Decimal(100)),
    }
    assert stays.pk not in flags
    assert [(t.currency, t.state, t.vat_case, t.documents, t.net, t.gross) for t in review.totals(run)] == [
        ("EUR", "draft", "S", 3, Decimal(400), Decimal(476))
    ]


# What it costs


def test_a_chunk_takes_the_same_few_statements_however_many_payers():
    issuer = make_book(511)
    run = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True)

    def statements(payers: int) -> list[str]:
        run.chunk_size = payers
        with CaptureQueriesContext(connection) as queries:
            assert bill_run.step(run) == payers
        return [query["sql"].split()[0].lower() for query in queries]

    statements(1)  # makes the number range
    of_ten, of_many = statements(10), statements(500)
    assert len(of_ten) == len(of_many) <= 40
    assert of_many.count("copy") == 7
    assert Invoice.objects.issued().count() == 511


def test_a_chunk_of_corrections_of_what_another_owes_takes_the_same_few_statements(issuer):
    group, price = make_tenant(reference="GROUP"), make_price()
    for n in range(16):
        make_contract(issuer, make_tenant(reference=f"T{n:02}", pay_by=group), price=price)
    bill(issuer, FEBRUARY)
    Tenant.objects.update(pay_by=None)
    Subscription.objects.update(ends_before=date(2026, 2, 15))
    run = bill_run.start(issuer=issuer, through=MARCH, issue_on=MARCH, issues_by_itself=True)

    def statements(payers: int) -> int:
        run.chunk_size = payers
        with CaptureQueriesContext(connection) as queries:
            assert bill_run.step(run) == payers
        return len(queries)

    statements(1)  # makes the number range
    assert statements(3) == statements(12) <= 45
    assert set(run.invoices.values_list("payer__reference", "kind", "net")) == {
        ("GROUP", "credit_note", Decimal("-50.00"))
    }
    assert set(run.outcomes.values_list("state", "documents")) == {("issued", 1)}


@pytest.mark.parametrize(
    ("through", "issue_on", "today", "said"),
    [
        (date(2027, 4, 3), APRIL, None, "Charged through 2027-04-03 is more than a year after the invoice date"),
        (date(9999, 12, 31), date(9999, 12, 31), None, "The invoice date 9999-12-31 is not between 1900 and 2199."),
        (date(1, 1, 1), date(1, 1, 1), None, "The invoice date 0001-01-01 is not between 1900 and 2199."),
        (date(2062, 4, 1), date(2062, 4, 1), APRIL, "The invoice date 2062-04-01 is more than a year ahead."),
    ],
)
def test_a_day_that_is_a_slip_of_the_pen_is_refused(through, issue_on, today, said):
    with translation.override("en"), pytest.raises(bill_run.ImplausibleDay, match=said):
        bill_run.refuse_slips(through=through, issue_on=issue_on, today=today)
    bill_run.refuse_slips(through=date(2027, 4, 2), issue_on=APRIL, today=APRIL)


def test_no_run_is_opened_that_charges_for_years_ahead():
    issuer = make_issuer()
    with pytest.raises(bill_run.ImplausibleDay):
        bill_run.start(issuer=issuer, through=date(2062, 4, 1), issue_on=APRIL, issues_by_itself=False)
    with pytest.raises(bill_run.ImplausibleDay):
        list(bill_run.rehearse(issuer, through=date(2062, 4, 1), issue_on=APRIL))
    assert not BillRun.objects.exists()


@pytest.mark.parametrize("where", ["account", "order"])
def test_what_cannot_be_printed_gets_no_number(where):
    issuer = make_issuer()
    payer = make_tenant(reference="A", name="Café 漢" if where == "account" else "Café Łódź – „5 €“")
    make_contract(issuer, payer, po_number="漢" if where == "order" else "")
    run = bill(issuer, FEBRUARY)
    assert outcomes(run) == {"A": ("parked", 0, 0)}
    assert "(U+6F22)" in run.outcomes.get().reason
    assert documents() == []
    Tenant.objects.update(name="Café")
    Subscription.objects.update(po_number="")
    review.again(run, [payer.pk])
    bill_run.bill(run)
    assert outcomes(run) == {"A": ("issued", 1, 1)}


def test_exports_hold_no_formulas(capsys):
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant(reference="=A"), reference="+V", po_number="@SUM(1)")
    bill(issuer, FEBRUARY)
    call_command("export_invoices", issued_on=FEBRUARY)
    call_command("export_charges", through=FEBRUARY)
    _head, document, _head, charge = capsys.readouterr().out.splitlines()
    assert document == "'=A;'=A;EUR;'@SUM(1);invoice;1;1;S;100.00;19.00;119.00"
    assert charge == f"'{contract.reference};2026-02-01;2026-03-01;100.00"
