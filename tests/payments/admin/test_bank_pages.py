"""A bank's file taken in on its page, lines decided on in their tray, payments applied anew."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import translation

from config.rights import ensure_roles
from invoicing.models import LedgerAccount, OpenItem
from payments import bank_import, matching, receiving
from payments.models import Allocation, BankAccount, BankLine, BankStatement, LineSetAside, Payment
from tenants.models import Issuer, StaffScope, Tenant
from tests.builders import make_issuer, make_tenant
from tests.payments.bank_files import OURS, Entry, camt, returned
from tests.payments.test_bank_matching import PAID_ON, iban_of, make_bank_account, owe

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"
    settings.LANGUAGE_CODE = "en"
    with translation.override("en"):
        yield


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN", iban=OURS)


@pytest.fixture
def staff(client):
    """An operator, signed in, in English."""
    ensure_roles("default", reset=True)
    user = User.objects.create_user("olga", is_staff=True)
    user.groups.add(Group.objects.get(name="operator"))
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def owing(issuer) -> dict[str, OpenItem]:
    """K10001 owes 119.00 and 238.00, K10002 357.00; the account books nothing by itself."""
    make_bank_account(issuer, books_by_itself="never")
    one = make_tenant(reference="K10001", name="Eins GmbH", consolidation="by_contract")
    two = make_tenant(reference="K10002", name="Zwei GmbH")
    owe(issuer, [(one, 1), (one, 2), (two, 3)])
    return {str(item.amount.amount.normalize()): item for item in OpenItem.objects.select_related("invoice")}


def take_in(*entries: Entry, **fields) -> None:
    bank_import.take_in(camt(*entries, **fields), "a.xml")
    matching.match(BankAccount.objects.get())


def messages_of(response) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def test_a_file_is_looked_at_then_taken_in_and_matched(staff, owing):
    url = reverse("admin:payments_bankstatement_import")
    number = owing["119"].invoice.number
    data = camt(Entry("119.00", number, "Eins GmbH", iban_of(1)), Entry("5.00", "Danke", "Wer"))
    looked = staff.post(url, {"file": SimpleUploadedFile("a.xml", data), "_preview": "1"})
    assert looked.status_code == 200 and "2 new lines" in looked.content.decode()
    assert not BankStatement.objects.exists()
    kept = re.search(r'name="kept" value="([^"]+)"', looked.content.decode())
    assert kept and b"Eins" not in kept[1].encode()
    done = staff.post(url, {"kept": kept[1], "kept_name": "a.xml", "_import": "1"}, follow=True)
    assert "0 booked by themselves, 1 proposed, 1 unclear" in messages_of(done)
    assert BankStatement.objects.get().by.username == "olga"
    again = staff.post(url, {"file": SimpleUploadedFile("a.xml", data), "_import": "1"}, follow=True)
    assert "was taken in before" in messages_of(again)


def test_a_file_that_cannot_be_read_is_refused_with_its_reason(staff, owing):
    url = reverse("admin:payments_bankstatement_import")
    response = staff.post(url, {"file": SimpleUploadedFile("a.xml", b"<?xml version='1.0'?><a>"), "_import": "1"})
    assert "the file is not complete XML" in messages_of(response)
    assert not BankStatement.objects.exists()
    assert "Choose a file." in staff.post(url, {"_import": "1"}).content.decode()


def test_the_tray_shows_what_waits_and_accepts_proposals(staff, owing):
    numbers = [owing[key].invoice.number for key in ("119", "357")]
    take_in(
        Entry("119.00", numbers[0], "Eins GmbH", iban_of(1)),
        Entry("357.00", numbers[1], "Zwei GmbH", iban_of(2)),
        Entry("1.23", "Unsinn", "Wer"),
    )
    url = reverse("admin:payments_bankline_changelist")
    assert staff.get(url).context["cl"].result_count == 3
    assert [staff.get(url, {"state": state}).context["cl"].result_count for state in ("proposed", "unclear")] == [2, 1]
    keys = list(BankLine.objects.values_list("pk", flat=True))
    done = staff.post(url, {"action": "accept", "_selected_action": keys}, follow=True)
    assert "2 records were worked off." in messages_of(done) and "1 lines have no proposal" in messages_of(done)
    assert [staff.get(url, {"state": state}).context["cl"].result_count for state in ("waiting", "booked")] == [1, 2]
    assert {one.open_amount for one in OpenItem.objects.with_open_amount().filter(pk__in=[owing["119"].pk])} == {0}


def test_a_line_is_split_over_documents_that_a_person_chooses(staff, owing):
    take_in(Entry("200.00", "Danke", "Wer", iban_of(9)))
    line = BankLine.objects.get()
    page = reverse("admin:payments_bankline_change", args=[line.pk])
    shown = staff.get(page, {"payer": "K10001"}).content.decode()
    assert owing["119"].invoice.number in shown and owing["357"].invoice.number not in shown
    told = {f"item_{owing['119'].pk}": "119.00", f"item_{owing['238'].pk}": "50"}
    payer = Tenant.objects.get(reference="K10001").pk
    staff.post(reverse("admin:payments_bankline_decide", args=[line.pk]), {"payer": payer, "_book": "1", **told})
    payment = Payment.objects.get()
    assert [(one.open_item, one.amount.amount, one.rule, one.by.username) for one in payment.allocations.all()] == [
        (owing["119"], Decimal("119.00"), "person", "olga"),
        (owing["238"], Decimal("50.00"), "person", "olga"),
    ]
    assert receiving.credit_of(payment).left == Decimal("31.00")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("119,00", "“119,00” is not an amount."),
        ("120", "119.00 EUR are open, less than 120."),
        ("-5", "“-5” is not an amount."),
    ],
)
def test_amounts_that_do_not_fit_are_refused_and_nothing_is_booked(staff, owing, text, reason):
    take_in(Entry("200.00", "Danke", "Wer", iban_of(9)))
    line = BankLine.objects.get()
    told = {"payer": owing["119"].payer_id, f"item_{owing['119'].pk}": text, "_book": "1"}
    done = staff.post(reverse("admin:payments_bankline_decide", args=[line.pk]), told, follow=True)
    assert reason in messages_of(done)
    assert not Payment.objects.exists()


def test_a_line_is_set_aside_put_back_and_taken_out(staff, owing):
    take_in(Entry("119.00", owing["119"].invoice.number, "Eins GmbH", iban_of(1)))
    line = BankLine.objects.get()
    decide = reverse("admin:payments_bankline_decide", args=[line.pk])
    staff.post(decide, {"_aside": "1", "reason": "Umbuchung"})
    assert LineSetAside.objects.get().by.username == "olga"
    staff.post(decide, {"_back": "1"})
    assert not LineSetAside.objects.exists()
    staff.post(decide, {"payer": owing["119"].payer_id, "_book": "1", f"item_{owing['119'].pk}": "119.00"})
    assert Payment.objects.count() == 1
    staff.post(decide, {"_out": "1", "reason": "falscher Kunde"})
    assert list(BankLine.objects.undecided()) == [line]


def test_a_return_is_booked_on_its_page(staff, owing):
    paid = Entry("119.00", owing["119"].invoice.number, "Eins GmbH", iban_of(1), "E-7", reference="R1")
    account = BankAccount.objects.get()
    BankAccount.objects.filter(pk=account.pk).update(books_by_itself="certain")
    take_in(paid)
    take_in(returned(paid, "AC04", "3.00"), opening="1119.00", day="2026-03-04")
    line = BankLine.objects.get(is_return=True)
    shown = staff.get(reverse("admin:payments_bankline_change", args=[line.pk])).content.decode()
    assert "a payment comes back" in shown and 'name="_return"' in shown
    told = {"payer": owing["119"].payer_id, "payment": Payment.objects.get().pk, "_return": "1"}
    staff.post(reverse("admin:payments_bankline_decide", args=[line.pk]), told)
    back = Payment.objects.get().returns.get()
    assert (back.amount.amount, back.charges.amount, back.reason_code) == (Decimal("119.00"), Decimal("3.00"), "AC04")
    assert OpenItem.objects.with_open_amount().get(pk=owing["119"].pk).open_amount == Decimal("119.00")


def test_cash_is_entered_once_and_applied_and_undone(staff, owing):
    url = reverse("admin:payments_payment_enter")
    key = re.search(r'name="key" value="([^"]+)"', staff.get(url).content.decode())[1]
    told = {
        "issuer": Issuer.objects.get().pk, "payer": "K10001", "amount": "150.00", "currency": "EUR",
        "received_on": "2026-03-01", "reference": "Quittung 7", "key": key,
    }  # fmt: skip
    page = staff.post(url, told, follow=True)
    assert staff.post(url, told, follow=True).status_code == 200
    payment = Payment.objects.get()  # the same form twice is one payment
    assert "€150.00 not applied" in page.content.decode()
    assert LedgerAccount.objects.get(postings__entry=payment.entry, role="cash").code == "1000"
    allocate = reverse("admin:payments_payment_allocate", args=[payment.pk])
    staff.post(allocate, {f"item_{owing['119'].pk}": "119.00", "_apply": "1"})
    assert receiving.credit_of(payment).left == Decimal("31.00")
    shown = staff.get(reverse("admin:payments_payment_change", args=[payment.pk])).content.decode()
    assert "decided by a person" in shown and "€31.00 not applied" in shown
    staff.post(allocate, {"_undo": Allocation.objects.get().pk})
    assert receiving.credit_of(payment).left == Decimal("150.00")
    refused = staff.post(allocate, {"_transfer": "1", "to": "K10002"}, follow=True)
    assert "outside of the payer's accounts" in messages_of(refused)


def test_a_bank_account_is_entered_with_a_ledger_account_of_its_own(admin_client, issuer):
    admin_client.cookies["django_language"] = "en"
    url = reverse("admin:payments_bankaccount_add")
    told = {
        "issuer": issuer.pk, "name": "Hausbank", "iban": "DE74 2914 1777 6317 0669 07", "bic": "", "currency": "EUR",
        "ledger_code": "", "books_by_itself": "certain", "small_difference": "0.50", "layout": "", "is_active": "on",
    }  # fmt: skip
    assert admin_client.post(url, told | {"iban": "DE74291417776317066908"}).status_code == 200
    assert admin_client.post(url, told).status_code == 302
    first = BankAccount.objects.get()
    assert (first.iban, first.ledger_account.code, first.small_difference) == (OURS, "1200", Decimal("0.50"))
    second = told | {"iban": "DE02120300000000202051", "name": "Sparkonto"}
    assert "Another bank account is kept on 1200 Bank." in admin_client.post(url, second).content.decode()
    assert admin_client.post(url, second | {"ledger_code": "1210"}).status_code == 302
    assert str(BankAccount.objects.get(name="Sparkonto").ledger_account) == "1210 Sparkonto"


def test_the_page_of_an_account_reconciles_it_with_its_statements(admin_client, issuer):
    account = make_bank_account(issuer)
    bank_import.take_in(camt(Entry("119.00", "x", "Wer"), number="1"), "a.xml")
    later = camt(Entry("1.00", "y", "Wer"), number="3", opening="1100.00", day="2026-03-05")
    bank_import.take_in(later, "b.xml")
    admin_client.cookies["django_language"] = "en"
    shown = admin_client.get(reverse("admin:payments_bankaccount_change", args=[account.pk])).content.decode()
    for words in ("2026: statement 2 is missing.", "opens with €19.00 more or less than 1 closed with", "-€19.00"):
        assert words in shown


def test_who_may_only_look_sees_no_button_and_is_refused(client, owing):
    take_in(Entry("119.00", owing["119"].invoice.number, "Eins GmbH", iban_of(1)))
    ensure_roles("default", reset=True)
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="auditor"))
    client.force_login(user)
    line = BankLine.objects.get()
    shown = client.get(reverse("admin:payments_bankline_change", args=[line.pk])).content.decode()
    assert 'name="_book"' not in shown and 'name="_aside"' not in shown
    decide = reverse("admin:payments_bankline_decide", args=[line.pk])
    assert client.post(decide, {"payer": owing["119"].payer_id, "_book": "1"}).status_code == 403
    assert client.get(reverse("admin:payments_bankstatement_import")).status_code == 403
    assert client.get(reverse("admin:payments_payment_enter")).status_code == 403
    assert not Payment.objects.exists()


def test_staff_with_bounds_apply_money_to_no_account_outside(staff, owing):
    """Not even within one tree; and nothing is told of an item whose key is guessed."""
    head = Tenant.objects.get(reference="K10001")
    branch = make_tenant(reference="K10001-1", parent=head)
    issuer = Issuer.objects.get()
    receipt = receiving.Receipt(
        payer=branch.pk, source=Payment.Source.MANUAL, origin="bar", amount=Decimal(50), currency="EUR",
        account=LedgerAccount.objects.get(issuer=issuer, role="bank").pk, reference="bar", received_on=PAID_ON,
    )  # fmt: skip
    payment = receiving.receive(issuer, receipt, on=PAID_ON)
    StaffScope.objects.create(user=User.objects.get(username="olga"), tenant=branch)
    for item in owing.values():
        address = reverse("admin:payments_payment_allocate", args=[payment.pk])
        assert staff.post(address, {f"item_{item.pk}": "10"}).status_code == 404
    assert not Allocation.objects.exists()
