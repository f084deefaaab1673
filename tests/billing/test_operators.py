"""What an issuer that an account operates can invoice is said when a contract is made, not only when it is billed."""

from __future__ import annotations

import io
from datetime import date

import pytest
from django.urls import reverse
from django.utils import translation

from billing import contract_import, contracts, operators
from billing.contracts import Position
from billing.models import Subscription
from config import books, restructuring
from invoicing.models import Outcome
from tenants import staging
from tenants.models import Tenant
from tests.builders import make_issuer, make_price, make_product, make_subscription, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db

BEYOND = "does not stand below RESELLER, which operates the issuer OWN and invoices those below it alone."
ITSELF = (
    "would be invoiced, which is or belongs to RESELLER: the issuer OWN is operated by that account and cannot invoice"
    " itself."
)


@pytest.fixture(autouse=True)
def in_english(settings, tmp_path):
    settings.FILES_ROOT = tmp_path
    with translation.override("en"):
        yield


@pytest.fixture
def own():
    """OWN is operated by RESELLER, below which stand a branch, CUSTOMER and its branch; ELSE stands beside."""
    reseller = make_tenant(reference="RESELLER")
    make_tenant(reference="BRANCH", kind="branch", parent=reseller)
    customer = make_tenant(reference="CUSTOMER", parent=reseller)
    make_tenant(reference="SHOP", kind="branch", parent=customer, invoice_to=customer)
    make_tenant(reference="RESOLD", parent=reseller, contracting_party=reseller, invoice_to=reseller)
    make_tenant(reference="ELSE")
    return make_issuer(reference="OWN", operated_by=reseller)


def account(reference: str) -> Tenant:
    return Tenant.objects.get(reference=reference)


EXPECTED = {
    "RESELLER": f"RESELLER {ITSELF}",
    "BRANCH": f"BRANCH {ITSELF}",
    "CUSTOMER": "",
    "SHOP": "",
    "RESOLD": f"RESELLER {ITSELF}",
    "ELSE": f"ELSE {BEYOND}",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_contract_is_started_or_refused(own, name):
    price = make_price(product=make_product(reference="SEAT"))
    contract = Subscription(
        issuer=own,
        reference="V",
        tenant=account(name),
        currency="EUR",
        price_class=price.price_class,
        starts_on=FEBRUARY,
        billing_day=1,
    )

    def start() -> None:
        contracts.start(contract, [Position(price.product)], reason="", by=None, channel="command")

    if EXPECTED[name]:
        with pytest.raises(operators.AgainstOperator) as refusal:
            start()
        assert str(refusal.value) == f"Contract V: {EXPECTED[name]}"
        assert not Subscription.objects.exists()
    else:
        start()
        assert Subscription.objects.get().tenant.reference == name


def test_a_file_names_the_rows_that_cannot_be_invoiced(own):
    make_price(product=make_product(reference="SEAT"))
    rows = [f"V-{name};{name};SEAT;1;2026-02-01" for name in EXPECTED]
    text = "\r\n".join(["contract;tenant;product;quantity;starts_on", *rows, ""])
    batch = staging.offer(
        contract_import.RECIPE, io.BytesIO(text.encode()), file_name="c.csv", issuer=own, skip_bad=True
    )
    found = {row.reference: [error.reason for error in staging.errors_of(row)] for row in batch.rows.all()}
    assert found == {f"V-{name}": [reason] if reason else [] for name, reason in EXPECTED.items()}
    staging.apply(contract_import.RECIPE, batch, actor="clerk", channel="import")
    assert set(Subscription.objects.values_list("reference", flat=True)) == {"V-CUSTOMER", "V-SHOP"}


def test_amendments_that_name_another_recipient_or_account_are_refused(own):
    contract = make_contract(own, account("SHOP"), reference="V", price=make_price())
    how = {"reason": "", "by": None, "channel": "command"}
    Tenant.objects.filter(reference="CUSTOMER").update(contracting_party=account("RESELLER"))
    with pytest.raises(operators.AgainstOperator, match="RESELLER would be invoiced"):
        contracts.assign(contract, invoice_to=account("RESELLER"), on=FEBRUARY, **how)
    for name in ("ELSE", "BRANCH"):
        with pytest.raises(operators.AgainstOperator, match=f"{name} (does not|would)"):
            contracts.transfer(contract, tenant=account(name), reference="W", effective=date(2026, 3, 1), **how)
    contract.refresh_from_db()
    assert (contract.invoice_to, Subscription.objects.count(), contract.ends_before) == (None, 1, None)
    contracts.transfer(contract, tenant=account("CUSTOMER"), reference="W", effective=date(2026, 3, 1), **how)
    assert Subscription.objects.get(reference="W").tenant.reference == "CUSTOMER"


def test_an_account_with_its_contracts_is_not_moved_out_from_under_the_operator(own):
    contract = make_contract(own, account("SHOP"), reference="V", price=make_price())
    move = {"follows": True, "takes_over": False}
    with pytest.raises(operators.AgainstOperator) as refusal:
        restructuring.preview("move", account("CUSTOMER"), account("ELSE"), move, on=FEBRUARY)
    assert str(refusal.value) == f"Contract V: SHOP {BEYOND}"
    plan = restructuring.plan(
        "move", account("CUSTOMER"), None, move, on=FEBRUARY, reason="", by=None, channel="command"
    )
    with pytest.raises(operators.AgainstOperator):
        restructuring.carry_out(plan, by=None, channel="command")
    assert account("CUSTOMER").parent == account("RESELLER")
    contracts.cancel(contract, on=FEBRUARY, effective=FEBRUARY, override=True, reason="", by=None, channel="command")
    restructuring.carry_out(plan, by=None, channel="command")
    assert account("CUSTOMER").parent is None


def test_what_was_wrong_before_does_not_hinder_a_change_that_mends_it(own):
    make_contract(own, account("ELSE"), reference="V", price=make_price())
    assert [one.contract.reference for one in operators.violations(Subscription.objects.all(), on=FEBRUARY)] == ["V"]
    move = {"follows": True, "takes_over": False}
    plan = restructuring.plan(
        "move", account("ELSE"), account("CUSTOMER"), move, on=FEBRUARY, reason="", by=None, channel="command"
    )
    restructuring.carry_out(plan, by=None, channel="command")
    assert operators.violations(Subscription.objects.all(), on=FEBRUARY) == []


def test_what_is_there_already_is_listed_and_a_breach_of_the_books(own, admin_client):
    price = make_price()
    for name in EXPECTED:
        make_contract(own, account(name), reference=f"V-{name}", price=price)
    make_contract(own, account("ELSE"), reference="OVER", price=make_price(), ends_before=date(2026, 2, 1))
    wrong = {f"V-{name}": reason for name, reason in EXPECTED.items() if reason}
    admin_client.cookies["django_language"] = "en"
    page = admin_client.get(reverse("contracts_attention"))
    assert {row["contract"]: row["reason"] for row in page.context["against"]} == wrong
    run = bill(own, FEBRUARY)
    found = {breach.record: breach.sentence for breach in books.check() if breach.invariant == "operated"}
    assert found == {f"contract {name}": reason for name, reason in wrong.items()}
    parked = set(run.outcomes.filter(state=Outcome.State.PARKED).values_list("payer__reference", flat=True))
    assert parked == {"RESELLER", "BRANCH", "RESOLD"}, "the run parks what would be invoiced to the operator"


def test_many_contracts_take_no_more_questions_than_few(own, django_assert_num_queries):
    customer = account("CUSTOMER")
    for number in range(12):
        below = make_tenant(reference=f"B{number}", kind="branch", parent=customer)
        make_subscription(issuer=own, tenant=below, reference=f"B{number}")
    with django_assert_num_queries(2):
        assert operators.violations(Subscription.objects.all(), on=FEBRUARY) == []
