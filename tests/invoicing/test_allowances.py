"""Discounts of documents from grant to ledger: what they take off, how often, and what corrections give back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import contracts
from billing.models import Grant, Item
from config import books
from invoicing import correction, review
from invoicing.correction import Wanted
from invoicing.models import Allowance, Invoice, OpenItem, Posting, VatShare
from invoicing.replay import replay
from tests.builders import make_grant, make_issuer, make_item, make_price, make_product, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db
APRIL = date(2026, 4, 1)
TENTH = date(2026, 2, 10)


@pytest.fixture
def issuer():
    return make_issuer(reference="MAIN")


@pytest.fixture
def contract(issuer):
    """200.00 a month."""
    return make_contract(issuer, make_tenant(reference="ALONE"), price=make_price((None, "200.00", "0")))


def grant(given_to, **fields) -> Grant:
    """A discount of documents, to a contract or an account."""
    tenant = fields.pop("tenant", None)
    made = make_grant(subscription=given_to, level="document", **fields)
    if tenant is not None:
        Grant.objects.filter(pk=made.pk).update(subscription=None, tenant=tenant)
    return made


def taken_off(document: Invoice) -> list[tuple[Decimal, Decimal, Decimal]]:
    """Rate, base and amount of each allowance."""
    return [(one.vat_rate, one.base.amount, one.amount.amount) for one in document.allowances.all()]


def nets() -> list[Decimal]:
    return list(Invoice.objects.order_by("pk").values_list("net", flat=True))


def assert_sound() -> None:
    assert [str(breach) for breach in books.check(limit=20, with_files=False)] == []
    assert [str(difference) for one in replay() for difference in one.differences] == []


def test_a_percentage_comes_before_an_amount_so_that_a_voucher_is_worth_its_amount(issuer, contract):
    grant(contract, reference="FIX", amount=Decimal(25))
    grant(contract, reference="HALF", percent=Decimal(50))
    bill(issuer, FEBRUARY)

    document = Invoice.objects.get()
    assert (document.net.amount, document.vat.amount, document.gross.amount) == (
        Decimal("75.00"),
        Decimal("14.25"),
        Decimal("89.25"),
    )
    assert taken_off(document) == [(19, 200, 100), (19, 100, 25)]
    assert VatShare.objects.get(invoice=document).base.amount == 75
    assert OpenItem.objects.get().amount.amount == Decimal("89.25")
    revenue = Posting.objects.get(account__role="revenue_S_19")
    assert revenue.amount.amount == -75
    assert_sound()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, ["72.67"], id="sequential, each rounded as printed"),
        pytest.param({"is_stacked": True}, ["70.00"], id="stacked"),
    ],
)
def test_percentages_follow_one_another_or_are_stacked(issuer, fields, expected):
    contract = make_contract(issuer, make_tenant(), price=make_price((None, "100.00", "0")))
    for percent in (5, 10, 15):
        grant(contract, percent=Decimal(percent), sequence=percent, **fields)
    bill(issuer, FEBRUARY)
    assert [format(net, ".2f") for net in nets()] == expected
    assert_sound()


def test_each_vat_rate_has_its_share_by_its_net(issuer, contract):
    book = make_price((None, "100.00", "0"), product=make_product(tax_category="reduced"))
    make_item(subscription=contract, price=book)
    grant(contract, amount=Decimal(10))
    bill(issuer, FEBRUARY)
    document = Invoice.objects.get()
    assert taken_off(document) == [
        (19, 200, Decimal("6.67")),
        (7, 100, Decimal("3.33")),
    ]
    assert [
        (share.vat_rate, share.base.amount, share.vat.amount) for share in document.vat_shares.order_by("-vat_rate")
    ] == [
        (19, Decimal("193.33"), Decimal("36.73")),
        (7, Decimal("96.67"), Decimal("6.77")),
    ]
    assert_sound()


def test_a_discount_of_a_contract_lowers_its_own_lines_alone(issuer, contract):
    other = make_contract(issuer, contract.tenant, price=make_price((None, "100.00", "0")))
    grant(other, percent=Decimal(50))
    bill(issuer, FEBRUARY)
    document = Invoice.objects.get()
    assert (document.net.amount, taken_off(document)) == (250, [(19, 100, 50)])
    assert_sound()


def test_a_discount_of_an_account_lowers_all_that_it_pays(issuer, contract):
    branch = make_tenant(parent=contract.tenant, kind="branch", pay_by=contract.tenant, invoice_to=contract.tenant)
    make_contract(issuer, branch, price=make_price((None, "100.00", "0")))
    grant(contract, percent=Decimal(10), tenant=contract.tenant)
    bill(issuer, FEBRUARY)
    document = Invoice.objects.get()
    assert (document.net.amount, taken_off(document)) == (270, [(19, 300, 30)])
    assert_sound()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"amount": Decimal(50), "periods": 1}, [150, 200, 200], id="once, also where some is left over"),
        pytest.param({"percent": Decimal(10), "periods": 2}, [180, 180, 200], id="two documents"),
        pytest.param({"percent": Decimal(10), "after_periods": 1}, [200, 180, 180], id="after one document"),
        pytest.param({"percent": Decimal(10), "after_periods": 1, "periods": 1}, [200, 180, 200], id="the second one"),
        pytest.param({"amount": Decimal(250), "periods": 1}, [0, 200, 200], id="never below zero; the rest lapses"),
        pytest.param(
            {"amount": Decimal(250), "periods": 1, "carry_remainder": True}, [0, 150, 200], id="the rest is carried"
        ),
    ],
)
def test_billed_documents_are_counted(issuer, contract, fields, expected):
    grant(contract, **fields)
    for day in (FEBRUARY, MARCH, APRIL):
        bill(issuer, day)
    assert nets() == expected
    assert_sound()


def test_a_draft_that_is_discarded_counts_no_longer(issuer, contract):
    grant(contract, amount=Decimal(50), periods=1)
    bill(issuer, FEBRUARY, issues=False)
    assert nets() == [150]
    review.discard(Invoice.objects.all())
    assert Allowance.objects.count() == 0
    bill(issuer, FEBRUARY, TENTH)
    bill(issuer, MARCH)
    assert nets() == [150, 200]
    assert_sound()


def test_a_cancellation_gives_the_discount_back_whole_and_the_next_document_has_it(issuer, contract):
    grant(contract, amount=Decimal(50), periods=1)
    bill(issuer, FEBRUARY)
    correction.cancel([Invoice.objects.get().pk], on=TENTH, reason="Falsch")
    cancellation = Invoice.objects.get(kind="cancellation")
    assert (cancellation.net.amount, taken_off(cancellation)) == (-150, [(19, -200, -50)])
    bill(issuer, FEBRUARY, TENTH)
    assert nets() == [150, -150, 150]
    assert_sound()


def test_credit_notes_by_hand_take_its_share_back_and_the_last_the_rest(issuer, contract):
    grant(contract, percent=Decimal(10))
    bill(issuer, FEBRUARY)
    document = Invoice.objects.get()
    for amount in (Decimal("33.33"), Decimal("33.33"), None):
        correction.credit(document.pk, [Wanted(1, amount)], on=TENTH, reason="Kulanz")
    notes = Invoice.objects.filter(kind="credit_note").order_by("pk")
    assert [(note.net.amount, taken_off(note)[0][2]) for note in notes] == [
        (Decimal("-30.00"), Decimal("-3.33")),
        (Decimal("-29.99"), Decimal("-3.34")),
        (Decimal("-120.01"), Decimal("-13.33")),
    ]
    assert sum(nets()) == 0
    assert_sound()


def test_what_the_contract_gives_back_takes_its_share_back(issuer, contract):
    """28 days for 200.00 less 10 percent; 14 of them given back are worth 90.00, not 100.00."""
    grant(contract, percent=Decimal(10), periods=1)
    bill(issuer, FEBRUARY)
    Item.objects.update(ends_before=date(2026, 2, 15))
    bill(issuer, MARCH)
    note = Invoice.objects.get(kind="credit_note")
    assert (note.net.amount, taken_off(note)) == (-90, [(19, -100, -10)])
    assert note.allowances.get().corrects == Invoice.objects.get(kind="invoice").allowances.get()
    assert_sound()


def test_a_change_in_the_middle_is_lowered_once(issuer, contract):
    """More seats from the 15th: -100.00 and +200.00, and the discount goes along with both."""
    grant(contract, percent=Decimal(10))
    bill(issuer, FEBRUARY)
    contracts.change_quantity(
        contract,
        line=1,
        quantity=Decimal(2),
        on=TENTH,
        effective=date(2026, 2, 15),
        reason="",
        by=None,
        channel="command",
    )
    bill(issuer, date(2026, 2, 15))
    assert nets() == [180, 90]
    assert_sound()


def test_the_number_of_statements_stays_the_same_however_many_documents_are_lowered(issuer):
    def statements(contracts_made: int, day: date) -> int:
        for _n in range(contracts_made):
            grant(make_contract(issuer, make_tenant(), price=make_price()), percent=Decimal(10))
        with CaptureQueriesContext(connection) as queries:
            bill(issuer, day)
        return len(queries)

    statements(1, FEBRUARY)
    assert statements(2, TENTH) == statements(20, date(2026, 2, 11))
