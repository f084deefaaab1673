"""The pages of mandates, payment runs and refunds: what they show, who may do what."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from invoicing import correction
from invoicing.correction import Wanted
from invoicing.models import OpenItem
from payments import collection, refunds
from payments.models import Debit, PaymentRun, Transfer
from tenants import mandates
from tenants.mandates import Bank
from tenants.models import Activity, ImportBatch, Issuer, Mandate, MandateAccount
from tests.builders import make_issuer, make_tenant
from tests.payments.debits import IBAN, NOON, ON, OTHER_IBAN, issue, make_creditor, make_payer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def on_that_day(settings, tmp_path):
    settings.FILES_ROOT = tmp_path / "files"
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def issuer() -> Issuer:
    return make_creditor(make_issuer(reference="MAIN")).issuer


def person(name: str, *roles: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def signed_in(user: User) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.user = user
    client.force_login(user)
    return client


@pytest.fixture
def as_operator():
    return signed_in(person("olga", "operator"))


@pytest.fixture
def as_approver():
    return signed_in(person("anton", "approver"))


def page(client, name: str, *args) -> str:
    answer = client.get(reverse(f"admin:{name}", args=args))
    assert answer.status_code == 200, answer
    return answer.content.decode()


def do(client, run: PaymentRun, verb: str, **more) -> int:
    return client.post(
        reverse("admin:payments_paymentrun_do", args=[run.pk]),
        {f"_{verb}": "1", "seen": collection.content_hash(run), **more},
    ).status_code


def test_a_run_is_proposed_by_one_person_and_released_sent_and_loaded_by_another(issuer, as_operator, as_approver):
    for number in range(2):
        make_payer(issuer, "100.00", reference=f"P{number}")
    make_payer(issuer, "50.00", reference="NONE", mandate=False)
    issue(issuer)
    form = {"issuer": issuer.pk, "kind": "sepa_debit", "on": ON.isoformat()}
    as_operator.post(reverse("admin:payments_paymentrun_add"), form)
    run = PaymentRun.objects.get()
    html = page(as_operator, "payments_paymentrun_change", run.pk)
    assert "€238.00" in html and "no mandate: 1 (€59.50)" in html and "M-P0" in html
    assert IBAN not in html and "…2051" in html
    assert "Release: write the file" not in html
    assert do(as_operator, run, "release") == 403
    assert as_operator.get(reverse("admin:payments_paymentrun_file", args=[run.pk])).status_code == 403
    assert "Release: write the file" in page(as_approver, "payments_paymentrun_change", run.pk)
    assert do(as_approver, run, "release") == 302
    run.refresh_from_db()
    assert (run.state, run.released_by) == ("released", as_approver.user)
    answer = as_approver.get(reverse("admin:payments_paymentrun_file", args=[run.pk]))
    assert (answer["Cache-Control"], answer.content.count(IBAN.encode())) == ("no-store", 2)
    assert Activity.objects.filter(action="load", row=run.pk).count() == 1
    do(as_approver, run, "send")
    run.refresh_from_db()
    assert run.state == "sent"
    assert "0/2" in page(as_operator, "payments_paymentrun_changelist")


def test_chosen_debits_are_taken_out_and_a_run_is_discarded(issuer, as_operator):
    for number in range(2):
        make_payer(issuer, "100.00", reference=f"P{number}")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    one = run.collections.first()
    do(as_operator, run, "take_out", debit=str(one.pk))
    assert Debit.objects.exclude(collection__outcome="discarded").count() == 1
    do(as_operator, run, "discard")
    run.refresh_from_db()
    assert run.state == "discarded"
    second = collection.propose(issuer, on=ON)
    assert second.collections.count() == 2
    assert "€238.00" in page(as_operator, "payments_paymentrun_change", second.pk)


def test_a_run_is_compared_with_the_one_before(issuer, as_operator):
    make_payer(issuer, "100.00", reference="P0", name="Alt GmbH")
    issue(issuer)
    first = collection.release(collection.propose(issuer, on=ON).pk, now=NOON)
    collection.mark_sent(first.pk, now=NOON)
    make_payer(issuer, "10.00", reference="P1", name="Neu GmbH")
    issue(issuer)
    html = page(as_operator, "payments_paymentrun_change", collection.propose(issuer, on=ON).pk)
    assert "The run before had 1 debit of €119.00." in html
    assert "New: 1 (Neu GmbH)" in html and "no longer in it: 1 (Alt GmbH)" in html


def test_above_the_limit_it_is_asked_for_and_approved(issuer, as_operator, as_approver):
    issuer.creditor.run_limit = Decimal(100)
    issuer.creditor.save()
    make_payer(issuer, "100.00")
    issue(issuer)
    run = collection.propose(issuer, on=ON)
    assert "Ask for approval" in page(as_operator, "payments_paymentrun_change", run.pk)
    do(as_operator, run, "ask", reason="Februar")
    assert do(as_operator, run, "approve") == 403
    assert "Approve and write the file" in page(as_approver, "payments_paymentrun_change", run.pk)
    do(as_approver, run, "approve")
    run.refresh_from_db()
    assert run.state == "released"


# Mandates


def mandate_form(issuer: Issuer, **fields) -> dict:
    given = {"issuer": issuer.pk, "payer": "P0", "reference": "M-7", "scheme": "CORE", "signed_on": "2026-01-02"}
    return given | {"holder": "Café Zentral", "iban": "DE02 1203 0000 0000 2020 51", "bic": ""} | fields


def test_a_mandate_is_entered_by_one_and_its_bank_account_approved_by_another(issuer, as_operator, as_approver):
    issuer.creditor.checks_bank_details = True
    issuer.creditor.save()
    make_tenant(reference="P0")
    as_operator.post(reverse("admin:tenants_mandate_add"), mandate_form(issuer))
    mandate = Mandate.objects.get()
    account = mandate.accounts.get()
    assert (account.decision, account.iban_tail, mandates.bank_of(account).iban) == (None, "2051", IBAN)
    assert IBAN not in account.iban
    do_url = reverse("admin:tenants_mandate_do", args=[mandate.pk])
    assert as_operator.post(do_url, {"_approve": account.pk}).status_code == 403
    for client in (as_operator, as_approver):
        html = page(client, "tenants_mandate_change", mandate.pk)
        assert "…2051" in html and IBAN not in html
    as_approver.post(do_url, {"_approve": account.pk})
    assert MandateAccount.objects.get().decided_by == as_approver.user
    as_operator.post(do_url, {"_change": "1", "holder": "Neu", "iban": OTHER_IBAN, "bic": ""})
    as_operator.post(do_url, {"_revoke": "1", "reason": "Widerruf"})
    mandate.refresh_from_db()
    assert ([one.iban_tail for one in mandate.accounts.all()], mandate.revoked_on) == (["2051", "5030"], ON)
    assert "…2051" in page(as_operator, "tenants_mandate_changelist")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"iban": "DE03120300000000202051"}, "check digits of the IBAN"),
        ({"payer": "X"}, "There is no account of this reference"),
        ({"reference": "M 7"}, "valid value"),
        ({"bic": "X"}, "no BIC"),
    ],
)
def test_a_wrong_mandate_is_refused_on_the_form(issuer, as_operator, fields, said):
    make_tenant(reference="P0")
    answer = as_operator.post(reverse("admin:tenants_mandate_add"), mandate_form(issuer, **fields))
    assert said in answer.content.decode() and Mandate.objects.count() == 0


CSV = """mandate;tenant;holder;iban;signed_on;scheme
M-1;P0;Café Zentral;DE02120300000000202051;02.01.2026;CORE
M-2;P1;Müller;DE02500105170137075030;03.01.2026;B2B
"""


def upload(client, issuer: Issuer, text: str, *, takes_in: bool):
    file = SimpleUploadedFile("mandate.csv", text.encode(), content_type="text/csv")
    data = {"issuer": issuer.pk, "file": file} | ({"takes_in": "on"} if takes_in else {})
    return client.post(reverse("admin:tenants_mandate_import"), data)


def test_mandates_are_imported_after_a_look_and_neither_file_nor_rows_are_kept(issuer, as_operator, settings):
    for number in range(2):
        make_tenant(reference=f"P{number}")
    html = upload(as_operator, issuer, CSV, takes_in=False).content.decode()
    assert "2 new, 0 changed, 0 unchanged, 0 in error" in html
    assert (Mandate.objects.count(), IBAN in html, "…2051" in html) == (0, False, True)
    upload(as_operator, issuer, CSV, takes_in=True)
    assert sorted(Mandate.objects.values_list("reference", "scheme")) == [("M-1", "CORE"), ("M-2", "B2B")]
    batch = ImportBatch.objects.get()
    assert (batch.kind, batch.path, batch.rows.count(), batch.counts["new"]) == ("mandates", "", 0, 2)
    kept = [path.read_bytes() for path in settings.FILES_ROOT.rglob("*") if path.is_file()]
    assert not any(IBAN.encode() in content for content in kept)
    assert "0 new, 0 changed, 2 unchanged" in upload(as_operator, issuer, CSV, takes_in=False).content.decode()
    changed = CSV.replace("DE02500105170137075030", "DE89370400440532013000")
    html = upload(as_operator, issuer, changed, takes_in=False).content.decode()
    assert "…5030 Müller → …3000 Müller" in html
    page(as_operator, "tenants_importbatch_change", batch.pk)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("DE02120300000000202051", "DE03120300000000202051", "check digits of the IBAN"),
        ("P1", "P9", "there is no account of this reference"),
        ("M-2", "M-1", "stands in row 2 already"),
        ("03.01.2026", "03.01.2036", "day that is still to come"),
    ],
)
def test_a_file_with_an_error_is_not_taken_in_at_all(issuer, as_operator, old, new, said):
    for number in range(2):
        make_tenant(reference=f"P{number}")
    text = CSV.replace(old, new)
    assert said in upload(as_operator, issuer, text, takes_in=False).content.decode()
    upload(as_operator, issuer, text, takes_in=True)
    assert (Mandate.objects.count(), ImportBatch.objects.count()) == (0, 0)


# Refunds


def test_a_refund_is_asked_for_by_one_and_approved_by_another(issuer, as_operator, as_approver):
    payer = make_payer(issuer, "100.00", reference="P0")
    [invoice] = issue(issuer)
    run = collection.release(collection.propose(issuer, on=ON).pk, now=NOON)
    collection.settle([run.collections.get().pk], value_on=ON, on=ON)
    correction.credit(invoice.pk, [Wanted(1, amount=Decimal("50.00"))], on=date(2026, 2, 9), reason="Kulanz")
    item = OpenItem.objects.get(invoice__kind="credit_note")
    html = page(as_operator, "payments_transfer_of", item.pk)
    assert "€59.50 can be paid back" in html and "…2051" in html and IBAN not in html
    url = reverse("admin:payments_transfer_of", args=[item.pk])
    as_operator.post(url, {"amount": "59.50", "grounds": "Kulanz", "account": "0"})
    transfer = Transfer.objects.get()
    assert (transfer.refund.entry, transfer.iban_tail) == (None, "2051")
    do_url = reverse("admin:payments_transfer_do", args=[transfer.pk])
    assert as_operator.post(do_url, {"_approve": "1"}).status_code == 403
    assert "Approve the refund" in page(as_approver, "payments_transfer_change", transfer.pk)
    as_approver.post(do_url, {"_approve": "1"})
    transfer.refund.refresh_from_db()
    assert transfer.refund.entry is not None
    form = {"issuer": issuer.pk, "kind": "sepa_transfer", "on": ON.isoformat()}
    as_operator.post(reverse("admin:payments_paymentrun_add"), form)
    run = PaymentRun.objects.get(kind="sepa_transfer")
    assert "€59.50" in page(as_approver, "payments_paymentrun_change", run.pk)
    as_approver.post(
        reverse("admin:payments_paymentrun_do", args=[run.pk]),
        {"_release": "1", "seen": refunds.run_hash(run)},
    )
    run.refresh_from_db()
    assert (run.state, payer.mandates.count()) == ("released", 1)


def test_bank_objects_do_not_print_their_iban():
    assert IBAN not in repr(Bank("A", IBAN))
