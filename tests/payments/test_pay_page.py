"""Paying in the portal: one page for one sum, one payment for two clicks, and what is known when the payer is back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from config import books
from invoicing.models import OpenItem
from payments import card_selection, dunning, pay_page
from payments.models import Collection, CollectionItem, Letter, Payment, PaymentMethod, ProviderCustomer, ProviderOrder
from tenants.models import Access, Tenant
from tests.builders import make_issuer
from tests.payments import cards
from tests.payments.cards import DUE, NOW, issue, make_account, make_payer, save_method
from tests.payments.test_dunning import defer_constraints
from tests.stripe_server import Stripe, provider

pytestmark = pytest.mark.django_db
BACK = "https://k.example/portal/payments/pay/"


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Stripe]:
    with provider(tmp_path_factory.mktemp("stripe")) as server:
        yield server


@pytest.fixture
def server(running: Stripe, settings) -> Iterator[Stripe]:
    settings.STRIPE_URL = running.url
    running.does("forget")
    with translation.override("en"):
        yield running


@pytest.fixture
def account(server):
    return make_account()


@pytest.fixture
def payer(account):
    payer = make_payer(account, "100.00", collection="invoice")
    issue(account)
    defer_constraints()
    return payer


def items() -> list[int]:
    return list(OpenItem.objects.filter(invoice__isnull=False).order_by("pk").values_list("pk", flat=True))


def open_page(account, payer, now=NOW, keys=None) -> str:
    return pay_page.open_page(account.issuer, payer, keys or items(), back=BACK, language="de", clock=cards.at(now))


def page() -> str:
    return ProviderOrder.objects.latest("pk").page_id


def left() -> Decimal:
    return sum(OpenItem.objects.filter(invoice__isnull=False).with_open_amount().values_list("open_amount", flat=True))


def test_two_clicks_lead_to_one_page_and_one_payment(server, account, payer):
    first, again = open_page(account, payer), open_page(account, payer)
    assert first == again
    assert len(server.all("checkout.session")) == 1
    collection = Collection.objects.get()
    assert (collection.outcome, collection.state, collection.amount.amount) == ("customer", "done", Decimal("119.00"))
    event = server.does("page", session=page(), payment_method="pm_card_visa")
    assert left() == Decimal("119.00"), "the provider decides, not the payer's return"
    cards.told(account, event)
    cards.tell_all(server, account)
    assert (left(), Payment.objects.count()) == (0, 1)
    collection.refresh_from_db()
    assert (collection.outcome, collection.order.charge_id) == ("succeeded", server.all("charge")[-1]["id"])
    with pytest.raises(pay_page.NothingToPay):
        open_page(account, payer)
    assert list(books.check()) == []


def test_a_card_that_is_declined_on_the_page_leaves_it_open(server, account, payer):
    open_page(account, payer)
    from urllib.error import HTTPError

    with pytest.raises(HTTPError):
        server.does("page", session=page(), payment_method="pm_card_chargeDeclined")
    cards.tell_all(server, account)
    assert Collection.objects.get().outcome == "customer"
    server.does("alter", id=page(), values={"status": "open"})
    cards.told(account, server.does("page", session=page(), payment_method="pm_card_visa"))
    assert left() == 0


def test_a_page_on_which_nobody_paid_frees_its_items(server, account, payer):
    open_page(account, payer)
    assert CollectionItem.objects.filter(is_unsettled=True).count() == 1
    assert card_selection.plan(account, [payer.pk], on=DUE).attempts == []
    cards.told(account, server.does("expire", session=page()))
    assert Collection.objects.get().outcome == "discarded"
    assert not CollectionItem.objects.filter(is_unsettled=True).exists()
    open_page(account, payer)
    assert Collection.objects.count() == 2


def test_a_page_of_which_nothing_was_heard_is_asked_about(server, account, payer):
    open_page(account, payer)
    server.does("page", session=page(), payment_method="pm_card_visa")
    later = NOW + timedelta(hours=2)
    assert list(pay_page.overdue(now=NOW)) == []
    assert pay_page.close_pages(clock=cards.at(later)) == 1
    assert left() == 0
    assert pay_page.close_pages(clock=cards.at(later)) == 0


def test_a_changed_amount_gets_another_page_and_the_old_one_is_closed(server, account, payer):
    from tests.payments.test_dunning import pay

    first = open_page(account, payer)
    pay(OpenItem.objects.get(pk=items()[0]), "19.00")
    second = open_page(account, payer)
    assert first != second
    assert [row["status"] for row in server.all("checkout.session")] == ["expired", "open"]
    assert [c.outcome for c in Collection.objects.order_by("pk")] == ["discarded", "customer"]
    assert Collection.objects.latest("pk").amount.amount == Decimal("100.00")


def test_what_was_paid_on_the_old_page_meanwhile_is_not_paid_twice(server, account, payer):
    from tests.payments.test_dunning import pay

    open_page(account, payer)
    server.does("page", session=page(), payment_method="pm_card_visa")
    pay(OpenItem.objects.get(pk=items()[0]), "19.00")
    with pytest.raises(pay_page.NothingToPay):
        open_page(account, payer)
    assert len(server.all("checkout.session")) == 1
    assert [row["amount"] for row in server.all("charge")] == [11900]
    assert left() == 0
    unapplied = OpenItem.objects.filter(invoice=None).with_open_amount().get().open_amount
    assert unapplied == Decimal("-19.00"), "what was too much stays a credit"


def test_what_is_being_collected_is_not_paid_on_a_page_as_well(server, account):
    payer = make_payer(account)
    save_method(server, account, payer)
    issue(account)
    defer_constraints()
    cards.select(account)
    with pytest.raises(pay_page.UnderWay):
        open_page(account, payer)
    assert [row["mode"] for row in server.all("checkout.session")] == ["setup"]


def test_a_silent_provider_leaves_nothing_behind_that_hinders(server, account, payer):
    from payments.payment_methods import NoAnswer

    server.does("next", status="lost", path="/v1/checkout/sessions")
    server.does("next", status="drop", path="/v1/checkout/sessions", times=2)
    with pytest.raises(NoAnswer):
        open_page(account, payer)
    assert open_page(account, payer, NOW + timedelta(minutes=1)).startswith("http")
    assert len(server.all("checkout.session")) == 1, "the same key leads to the same page"


def test_nobody_is_reminded_of_what_is_under_way(server, account, payer):
    open_page(account, payer)
    dunning.remind(account.issuer, on=DUE + timedelta(days=5))
    assert Letter.objects.count() == 0
    [proposal] = dunning.rehearse(account.issuer, on=DUE + timedelta(days=5))
    assert set(proposal.left.values()) == {"under_way"}


def test_a_credit_makes_the_page_cheaper(server, account, payer):
    from invoicing import correction
    from invoicing.correction import Wanted
    from invoicing.models import Invoice

    other = make_payer(account, "10.00", collection="invoice")
    assert other
    correction.credit(Invoice.objects.get().pk, [Wanted(1, amount=Decimal("10.00"))], on=date(2026, 2, 10), reason="x")
    defer_constraints()
    open_page(account, payer)
    assert Collection.objects.get().amount.amount == Decimal("107.10")


# The portal's page


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=True):
        yield


def signed_in(payer: Tenant, *rights: str, language: str = "en") -> Client:
    user = User.objects.create_user(f"kunde{User.objects.count()}", email=f"k{User.objects.count()}@example.com")
    Access.objects.create(user=user, tenant=payer, **dict.fromkeys(rights, True))
    client = Client(SERVER_NAME="localhost", headers={"accept-language": language})
    client.force_login(user)
    return client


def test_a_customer_with_the_right_pays_from_the_portal(server, account, payer, settings):
    settings.STRIPE_PAGES = server.url
    client = signed_in(payer, "pays")
    shown = client.get("/portal/payments/pay/")
    assert "Pay €119.00 now" in shown.content.decode().replace("\xa0", " ")
    assert f"form-action 'self' {server.url}" in shown["Content-Security-Policy"]
    answer = client.post("/portal/payments/pay/", {"pay": "1", "item": items()})
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{server.url}/c/pay/")
    session = server.all("checkout.session")[0]["judge"]
    assert session["success_url"] == "http://localhost/portal/payments/pay/?done=1"
    assert session["locale"] == "en"
    cards.told(account, server.does("page", session=page(), payment_method="pm_card_visa"))
    back = client.get("/portal/payments/pay/?done=1", follow=True).content.decode()
    assert "As soon as the payment provider confirms" in back
    assert "received" in back and "Nothing is to be paid online" in back


@pytest.mark.parametrize("rights", [("sees_payments",), ("sees_invoices", "changes_contacts")])
def test_without_the_right_to_pay_there_is_no_page(server, account, payer, rights):
    client = signed_in(payer, *rights)
    assert client.get("/portal/payments/pay/").status_code == 404
    assert client.post("/portal/payments/pay/", {"pay": "1", "item": items()}).status_code == 404
    assert server.all("checkout.session") == []
    if "sees_payments" in rights:
        assert "Pay online" not in client.get("/portal/payments/").content.decode()


def test_nobody_pays_nor_keeps_methods_for_others(server, account, payer):
    other = make_payer(account, "10.00", reference="FREMD")
    card = save_method(server, account, other)
    mine = signed_in(payer, "pays")
    theirs = signed_in(other, "pays")
    for data in (
        {"pay": "1", "item": items()},
        {"pay_one": items()[0]},
        {"pay_one": "x"},
        {"pay": "1"},
    ):
        assert theirs.post("/portal/payments/pay/", data).status_code == 404
    for data in (
        {"retire": "1", "method": card.pk},
        {"standard": "1", "method": card.pk},
        {"add": "1", "payer": other.pk, "account": account.pk},
    ):
        assert mine.post("/portal/payments/pay/", data).status_code == 404
    card.refresh_from_db()
    assert card.is_active
    assert server.all("checkout.session")[1:] == []


def test_nobody_keeps_methods_with_an_issuer_that_he_has_nothing_to_do_with(server, account, payer):
    elsewhere = make_account(make_issuer(reference="ELSEWHERE"))
    client = signed_in(payer, "pays")
    told = {"add": "1", "payer": payer.pk, "account": elsewhere.pk}
    assert client.post("/portal/payments/pay/", told).status_code == 404
    assert not ProviderCustomer.objects.filter(account=elsewhere).exists()


def test_a_customer_keeps_methods(server, account, payer):
    client = signed_in(payer, "pays")
    answer = client.post("/portal/payments/pay/", {"add": "1", "payer": payer.pk, "account": account.pk})
    session = server.all("checkout.session")[-1]
    assert answer["Location"] == session["url"]
    cards.told(account, server.does("page", session=session["id"], payment_method="pm_sepa_debit"))
    first = PaymentMethod.objects.get()
    assert "DE ••3000" in client.get("/portal/payments/pay/").content.decode()
    second = save_method(server, account, payer)
    client.post("/portal/payments/pay/", {"standard": "1", "method": first.pk})
    first.refresh_from_db()
    assert first.is_default
    client.post("/portal/payments/pay/", {"retire": "1", "method": first.pk})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.is_active, second.is_default) == (False, True)


def test_an_issuer_without_an_account_takes_no_payments_online(server, payer, account):
    type(account).objects.update(is_active=False)
    client = signed_in(payer, "pays", "sees_payments")
    assert "Nothing is to be paid online" in client.get("/portal/payments/pay/").content.decode()
    assert "Pay online" not in client.get("/portal/payments/").content.decode()
