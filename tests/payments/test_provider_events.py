"""Webhooks: signed, stored once, applied forward; chargebacks, refunds, payouts, and the comparison of a day."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from config import books
from invoicing import correction
from invoicing.correction import Wanted
from invoicing.models import OpenItem, Posting
from payments import card_refunds, chargebacks, payouts, provider_accounts, reconciliation
from payments.models import (
    Allocation,
    Collection,
    EventHandling,
    Payment,
    PaymentMethod,
    PaymentReturn,
    ProviderComparison,
    ProviderEvent,
    ProviderFinding,
    ProviderPayout,
    Refund,
)
from tenants.models import Activity
from tests.payments import cards
from tests.payments.cards import DUE, NOW, charge, issue, make_account, make_payer, save_method, select
from tests.payments.test_dunning import defer_constraints
from tests.stripe_server import Stripe, provider

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=3)


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
def paid(server, account) -> Collection:
    """119.00, due on 15 February, taken from a card on that day."""
    payer = make_payer(account)
    save_method(server, account, payer)
    issue(account)
    defer_constraints()
    [collection] = select(account)
    charge()
    collection.refresh_from_db()
    assert collection.outcome == "succeeded"
    return collection


def left() -> Decimal:
    return OpenItem.objects.filter(invoice__kind="invoice").with_open_amount().get().open_amount


def held() -> Decimal:
    """What the provider holds for us by our books."""
    return sum(Posting.objects.filter(account__role="provider_clearing").values_list("amount", flat=True), Decimal(0))


def sound() -> bool:
    return list(books.check()) == []


# The webhook


def body_of(**changed: Any) -> bytes:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "created": 1_771_000_000,
        "data": {"object": {"id": "pi_none", "object": "payment_intent"}},
    }
    return json.dumps(event | changed).encode()


def post(account, body: bytes, secret: str = cards.WEBHOOK_SECRET, at: int | None = None) -> int:
    at = int(time.time()) if at is None else at
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    response = Client(SERVER_NAME="localhost", enforce_csrf_checks=True).post(
        f"/webhooks/stripe/{account.pk}/",
        data=body,
        content_type="application/json",
        headers={"stripe-signature": f"t={at},v1={signature}"},
    )
    return response.status_code


def test_a_signed_event_is_stored_byte_for_byte_once(account):
    body = body_of()
    assert [post(account, body), post(account, body)] == [200, 200]
    event = ProviderEvent.objects.get()
    assert (event.event_id, event.kind, event.about, event.payload) == (
        "evt_1",
        "payment_intent.succeeded",
        "pi_none",
        body.decode(),
    )
    assert EventHandling.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("secret", "age"), [pytest.param("whsec_other", 0, id="another secret"), pytest.param(None, 400, id="too old")]
)
def test_what_is_not_signed_is_refused_and_not_stored(account, secret, age):
    assert post(account, body_of(), secret or cards.WEBHOOK_SECRET, int(time.time()) - age) == 400
    assert ProviderEvent.objects.count() == 0


def test_there_is_nothing_at_another_account_nor_by_another_method(account):
    account.pk += 999
    assert post(account, body_of()) == 404
    account.pk -= 999
    assert Client(SERVER_NAME="localhost").get(f"/webhooks/stripe/{account.pk}/").status_code == 405
    assert post(account, b" " * 1_000_001) == 413


def test_after_an_exchange_both_secrets_count_for_a_day(account):
    user = User.objects.create_user("anna")
    now = datetime.now(tz=UTC)
    provider_accounts.exchange_keys(account, now=now, webhook_secret="whsec_new", by=user)
    account.refresh_from_db()
    assert provider_accounts.webhook_secrets(account, now=now + timedelta(hours=23)) == ["whsec_new", "whsec_test"]
    assert provider_accounts.webhook_secrets(account, now=now + timedelta(hours=25)) == ["whsec_new"]
    told = Activity.objects.filter(table="payments_provideraccount", action="keys").latest("pk")
    assert (told.actor, told.after) == ("anna", {"webhook_secret": "exchanged"})
    for activity in Activity.objects.filter(table="payments_provideraccount"):
        assert "whsec" not in json.dumps([activity.before, activity.after])
        assert account.secret_key not in json.dumps([activity.before, activity.after])
    assert account.webhook_secret != "whsec_new" and "sk_test" not in account.secret_key


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"secret_key": "pk_test_1"}, "no secret key"),
        ({"secret_key": "sk_test_1", "webhook_secret": "geheim"}, "no secret of webhooks"),
        ({"secret_key": "sk_test_1", "publishable_key": "pk_live_1"}, "One key is for tests"),
    ],
)
def test_keys_that_are_none_are_refused_without_being_repeated(server, keys, said):
    with pytest.raises(provider_accounts.WrongKey, match=said) as refusal:
        make_account(**keys)
    assert not any(value in str(refusal.value) for value in keys.values())


def test_keys_of_the_other_mode_are_an_account_of_their_own(account):
    with pytest.raises(provider_accounts.WrongKey, match="other mode"):
        provider_accounts.exchange_keys(account, now=NOW, secret_key="sk_live_1")


def test_an_event_of_the_other_mode_is_parked(server, account, paid):
    event = server.all("event")[-1] | {"livemode": True, "id": "evt_live"}
    stored = cards.told(account, event)
    assert (stored.handling.state, "different modes" in stored.handling.reason) == ("parked", True)


def test_an_event_about_what_is_none_of_ours_changes_nothing(server, account, paid):
    other = cards.told(
        account,
        {
            "id": "evt_other",
            "type": "customer.created",
            "livemode": False,
            "data": {"object": {"id": "cus_1"}},
        },
    )
    assert (other.handling.state, other.handling.said) == ("done", "")


def test_while_the_provider_is_silent_an_event_waits(server, account, paid):
    server.does("next", status=500, path="/v1/payment_intents", times=3)
    event = next(row for row in server.all("event") if row["type"] == "payment_intent.succeeded")
    stored = cards.told(account, event)
    assert stored.handling.state == "waiting"
    EventHandling.objects.update(next_at=NOW)
    from payments import provider_events

    provider_events.work_off(clock=cards.at(NOW))
    stored.handling.refresh_from_db()
    assert stored.handling.state == "done"


# Methods


def test_a_method_is_stored_as_people_know_it(server, account):
    payer = make_payer(account)
    card = save_method(server, account, payer)
    assert (card.kind, card.is_default, card.customer.tenant) == ("card", True, payer)
    debit = save_method(server, account, payer, "pm_sepa_debit")
    assert (debit.kind, debit.last4, debit.is_default) == ("sepa_debit", "3000", True)
    card.refresh_from_db()
    assert (card.is_default, card.is_active) == (False, True)
    assert len(server.all("customer")) == 1


def test_what_is_taken_from_its_customer_there_is_out_of_use_here(server, account):
    payer = make_payer(account)
    card = save_method(server, account, payer)
    from payments import payment_methods

    payment_methods.retire(card, by=User.objects.create_user("anna"), channel="portal")
    card.refresh_from_db()
    assert (card.is_active, card.is_default) == (False, False)
    assert [row["customer"] for row in server.all("payment_method")] == [None]
    other = save_method(server, account, payer)
    server.does("alter", id=other.external_id, values={"customer": None})
    cards.told(
        account,
        {
            "id": "evt_detached",
            "type": "payment_method.detached",
            "livemode": False,
            "data": {"object": {"id": other.external_id}},
        },
    )
    assert not PaymentMethod.objects.get(pk=other.pk).is_active


# Money that is taken back


def test_a_chargeback_opens_the_invoice_again_and_a_won_one_pays_it(server, account, paid):
    dispute = server.does("dispute", charge=server.all("charge")[-1]["id"])
    cards.tell_all(server, account, now=LATER)
    assert (left(), held()) == (Decimal("119.00"), Decimal(0))
    returned = PaymentReturn.objects.get()
    assert (returned.origin, returned.returned_on, returned.reason_code) == (
        dispute["id"],
        date(2026, 2, 18),
        "fraudulent",
    )
    paid.refresh_from_db()
    assert paid.outcome == "returned"
    assert select(account, on=date(2026, 4, 1)) == [], "who took his money back is not charged unasked"
    cards.tell_all(server, account, now=LATER)
    assert PaymentReturn.objects.count() == 1
    server.does("close_dispute", dispute=dispute["id"], status="won")
    cards.tell_all(server, account, now=LATER + timedelta(days=30))
    assert (left(), held()) == (0, Decimal("119.00"))
    assert Payment.objects.count() == 2
    assert sound()


def test_an_inquiry_moves_no_money(server, account, paid):
    dispute = server.does("dispute", charge=server.all("charge")[-1]["id"])
    server.does("alter", id=dispute["id"], values={"status": "warning_needs_response"})
    cards.tell_all(server, account, now=LATER)
    assert (left(), PaymentReturn.objects.count()) == (0, 0)


def test_a_chargeback_that_is_won_before_we_hear_of_it_changes_nothing(server, account, paid):
    dispute = server.does("dispute", charge=server.all("charge")[-1]["id"])
    server.does("close_dispute", dispute=dispute["id"], status="won")
    cards.tell_all(server, account, now=LATER, backwards=True)
    assert (left(), PaymentReturn.objects.count(), Payment.objects.count()) == (0, 0, 1)


def test_a_chargeback_above_the_payment_is_parked(server, account, paid):
    dispute = server.does("dispute", charge=server.all("charge")[-1]["id"])
    server.does("alter", id=dispute["id"], values={"amount": 12000})
    cards.tell_all(server, account, now=LATER)
    parked = EventHandling.objects.get(state="parked")
    assert parked.event.about == dispute["id"]
    assert "120.00" in parked.reason
    assert left() == 0


def test_what_is_paid_back_at_the_provider_is_open_again(server, account, paid):
    from payments.gateways import stripe_api

    access = provider_accounts.access_of(account)
    made = stripe_api.give_back(
        access, key="dashboard", charge=paid.order.charge_id, amount=Decimal("19.00"), currency="EUR"
    )
    cards.tell_all(server, account, now=LATER)
    assert (left(), held()) == (Decimal("19.00"), Decimal("100.00"))
    assert PaymentReturn.objects.get().origin == made.id
    assert [a.amount.amount for a in Allocation.objects.order_by("pk")] == [
        Decimal("119.00"),
        Decimal("-119.00"),
        Decimal("100.00"),
    ]
    cards.tell_all(server, account, now=LATER)
    assert PaymentReturn.objects.count() == 1
    assert sound()


# Refunds


@pytest.fixture
def two() -> tuple[User, User]:
    return User.objects.create_user("anna"), User.objects.create_user("bernd")


@pytest.fixture
def credit(paid) -> OpenItem:
    """A credit note over 23.80 on the paid invoice."""
    invoice = paid.items.get().open_item.invoice
    note = correction.credit(invoice.pk, [Wanted(1, amount=Decimal("20.00"))], on=date(2026, 2, 20), reason="Ausfall")
    defer_constraints()
    return OpenItem.objects.get(invoice=note)


def open_of(item: OpenItem) -> Decimal:
    return OpenItem.objects.with_open_amount().get(pk=item.pk).open_amount


def ask(credit, paid, two, amount="23.80") -> Refund:
    return card_refunds.request(credit.pk, paid.payment_id, Decimal(amount), grounds="Ausfall", by=two[0])


def approve(refund: Refund, two) -> None:
    card_refunds.approve(refund.pk, on=date(2026, 2, 21), now=LATER, by=two[1])


def state(refund: Refund) -> tuple[str, str]:
    refund.refresh_from_db()
    return refund.state, refund.external_id


def test_a_credit_goes_back_to_the_card_once_a_second_person_agreed(server, account, paid, credit, two):
    assert [(p.pk, left) for p, left in card_refunds.payments_of(credit.pk)] == [(paid.payment_id, Decimal("119.00"))]
    refund = ask(credit, paid, two)
    assert card_refunds.pay_pending(clock=cards.at(LATER)) == 0, "not before it is approved"
    with pytest.raises(card_refunds.NotRefundable, match="cannot approve it"):
        card_refunds.approve(refund.pk, on=date(2026, 2, 21), now=LATER, by=two[0])
    approve(refund, two)
    assert open_of(credit) == 0, "booked with the approval"
    assert card_refunds.pay_pending(clock=cards.at(LATER)) == 1
    [made] = server.all("refund")
    assert (made["amount"], made["charge"], made["metadata"]) == (
        2380,
        paid.order.charge_id,
        {"kontor_key": refund.key},
    )
    assert state(refund) == ("done", made["id"])
    assert held() == Decimal("95.20")
    cards.tell_all(server, account, now=LATER)
    cards.tell_all(server, account, now=LATER, backwards=True)
    assert (len(server.all("refund")), held(), open_of(credit)) == (1, Decimal("95.20"), 0)
    assert PaymentReturn.objects.count() == 0
    assert sound()


def test_never_more_than_the_credit_nor_than_was_paid(server, account, paid, credit, two):
    with pytest.raises(card_refunds.NotRefundable, match=r"less than 23\.81"):
        ask(credit, paid, two, "23.81")
    ask(credit, paid, two, "20.00")
    with pytest.raises(card_refunds.NotRefundable, match=r" 3\.80 EUR are left"):
        ask(credit, paid, two, "3.81")
    chargebacks.provider_money.take_back(
        Payment.objects.get(), Decimal("100.00"), origin="du_1", code="", reason="", on=DUE
    )
    with pytest.raises(card_refunds.NotRefundable, match="less than"):
        ask(credit, paid, two, "3.80")


def test_a_refund_whose_answer_is_lost_is_asked_for(server, account, paid, credit, two):
    refund = ask(credit, paid, two)
    approve(refund, two)
    server.does("next", status="lost", path="/v1/refunds")
    server.does("next", status="drop", path="/v1/refunds", times=2)
    card_refunds.pay_pending(clock=cards.at(LATER))
    assert state(refund)[0] == "unknown"
    assert card_refunds.ask_pending(clock=cards.at(LATER + timedelta(minutes=3))) == 1
    assert state(refund) == ("done", server.all("refund")[0]["id"])
    assert len(server.all("refund")) == 1


def test_a_refund_that_never_arrived_is_sent_with_the_same_key(server, account, paid, credit, two):
    refund = ask(credit, paid, two)
    approve(refund, two)
    server.does("next", status="drop", path="/v1/refunds", times=3)
    card_refunds.pay_pending(clock=cards.at(LATER))
    card_refunds.ask_pending(clock=cards.at(LATER + timedelta(minutes=3)))
    assert state(refund)[0] == "waiting"
    card_refunds.pay_pending(clock=cards.at(LATER + timedelta(hours=1)))
    assert state(refund)[0] == "done"
    assert [r["metadata"]["kontor_key"] for r in server.all("refund")] == [refund.key]


def test_a_refund_that_fails_afterwards_gives_the_credit_back(server, account, paid, credit, two):
    refund = ask(credit, paid, two)
    approve(refund, two)
    card_refunds.pay_pending(clock=cards.at(LATER))
    server.does("fail_refund", refund=server.all("refund")[0]["id"])
    cards.tell_all(server, account, now=LATER + timedelta(days=2))
    assert state(refund)[0] == "withdrawn"
    assert (open_of(credit), held()) == (Decimal("-23.80"), Decimal("119.00"))
    assert sound()


def test_a_refused_refund_is_parked_and_given_up(server, account, paid, credit, two):
    from payments.gateways import stripe_api

    refund = ask(credit, paid, two)
    approve(refund, two)
    stripe_api.give_back(
        provider_accounts.access_of(account),
        key="all",
        charge=paid.order.charge_id,
        amount=Decimal("119.00"),
        currency="EUR",
    )
    card_refunds.pay_pending(clock=cards.at(LATER))
    assert state(refund)[0] == "parked"
    card_refunds.give_up(refund.pk, on=date(2026, 2, 22), reason="längst erstattet", by=two[1])
    assert (state(refund)[0], open_of(credit)) == ("withdrawn", Decimal("-23.80"))


def test_what_is_not_approved_can_be_withdrawn(server, account, paid, credit, two):
    refund = ask(credit, paid, two)
    card_refunds.withdraw(refund.pk, reason="doch nicht", by=two[0])
    assert state(refund)[0] == "withdrawn"
    with pytest.raises(card_refunds.NotRefundable, match="decided about"):
        approve(refund, two)
    assert ask(credit, paid, two).amount.amount == Decimal("23.80")


# Payouts


def test_a_payout_books_the_charges_and_its_arrival_empties_clearing(server, account, paid):
    server.does("payout", on=int(datetime(2026, 2, 19, tzinfo=UTC).timestamp()))
    cards.tell_all(server, account, now=LATER)
    payout = ProviderPayout.objects.get()
    assert (payout.amount.amount, payout.charges.amount, payout.arrives_on) == (
        Decimal("116.97"),
        Decimal("2.03"),
        date(2026, 2, 19),
    )
    assert held() == Decimal("116.97")
    assert ProviderFinding.objects.count() == 0
    [expected] = payouts.expected(account.issuer, Decimal("116.97"), "EUR", on=date(2026, 2, 20))
    payouts.arrive(expected.pk, on=date(2026, 2, 20))
    assert held() == 0
    assert list(payouts.expected(account.issuer, Decimal("116.97"), "EUR", on=date(2026, 2, 20))) == []
    with pytest.raises(payouts.ArrivedBefore):
        payouts.arrive(expected.pk, on=date(2026, 2, 20))
    cards.tell_all(server, account, now=LATER)
    assert ProviderPayout.objects.count() == 1
    assert sound()


def test_a_payout_with_lines_of_others_is_a_difference(server, account, paid):
    from payments.gateways import stripe_api

    stripe_api.charge(
        provider_accounts.access_of(account),
        key="shop",
        amount=Decimal("10.00"),
        currency="EUR",
        customer=paid.order.customer.external_id,
        method="pm_card_visa",
        text="Shop",
    )
    server.does("payout", on=int(datetime(2026, 2, 19, tzinfo=UTC).timestamp()))
    cards.tell_all(server, account, now=LATER)
    finding = ProviderFinding.objects.get()
    assert (finding.kind, finding.external_id) == ("payout_differs", ProviderPayout.objects.get().external_id)


# The comparison of a day


def on_day(server: Stripe, *kinds: str, day: date = DUE) -> None:
    """Let objects of these kinds be made at noon of a day, by the provider's clock."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    for kind in kinds:
        for row in server.all(kind):
            server.does("alter", id=row["id"], values={"created": noon})


def compare(account, day: date = DUE) -> tuple[int, list[tuple[str, str, str]]]:
    done = reconciliation.compare(account, day, now=LATER)
    return done.differences, list(ProviderFinding.objects.order_by("pk").values_list("kind", "ours", "theirs"))


def test_equal_books_show_no_difference(server, account, paid):
    on_day(server, "payment_intent")
    assert compare(account) == (0, [])
    done = ProviderComparison.objects.get()
    assert (done.day, done.payments, done.refunds, done.payouts) == (DUE, 1, 0, 0)


def test_a_lost_event_is_found_and_made_up_for(server, account):
    payer = make_payer(account)
    save_method(server, account, payer, "pm_sepa_debit")
    issue(account)
    defer_constraints()
    select(account)
    charge()
    server.does("settle", payment_intent=server.all("payment_intent")[0]["id"])
    on_day(server, "payment_intent")
    assert compare(account) == (1, [("missing_payment", "", "119.00 EUR")])
    assert compare(account)[0] == 1 and ProviderFinding.objects.count() == 1, "named once"
    finding = ProviderFinding.objects.get()
    assert reconciliation.make_up(finding, now=LATER) == "was paid"
    assert left() == 0
    assert compare(account)[0] == 0
    user = User.objects.create_user("anna")
    with pytest.raises(reconciliation.NotExplained, match="with a reason"):
        reconciliation.explain(finding, explanation=" ", now=LATER, by=user)
    reconciliation.explain(finding, explanation="Webhook ausgefallen, nachgebucht", now=LATER, by=user)
    assert list(reconciliation.open_findings()) == []


def test_another_amount_and_what_is_not_there_are_found(server, account, paid):
    on_day(server, "payment_intent")
    [intent] = server.all("payment_intent")
    server.does("alter", id=intent["id"], values={"amount_received": 11800})
    assert compare(account)[1] == [("other_amount", "119.00 EUR", "118.00 EUR")]
    server.does("alter", id=intent["id"], values={"status": "canceled"})
    on_day(server, "payment_intent", day=date(2026, 1, 2))
    assert compare(account)[1][1:] == [("unknown_payment", "119.00 EUR", "")]


def test_refunds_chargebacks_and_payouts_are_compared(server, account, paid):
    from payments.gateways import stripe_api

    stripe_api.give_back(
        provider_accounts.access_of(account),
        key="dashboard",
        charge=paid.order.charge_id,
        amount=Decimal("19.00"),
        currency="EUR",
    )
    server.does("dispute", charge=paid.order.charge_id)
    server.does("payout", on=int(datetime(2026, 2, 19, tzinfo=UTC).timestamp()))
    on_day(server, "payment_intent", "refund", "dispute", "payout")
    found = compare(account)
    assert found[0] == 3
    assert [kind for kind, _ours, _theirs in found[1]] == ["missing_refund", "missing_return", "missing_payout"]
    done = ProviderComparison.objects.get()
    assert (done.payments, done.refunds, done.chargebacks, done.payouts) == (1, 1, 1, 1)


def test_a_silent_provider_leaves_the_day_to_be_compared(server, account, paid):
    from payments.payment_methods import NoAnswer

    server.does("next", status=500, path="/v1/payment_intents", times=3)
    with pytest.raises(NoAnswer):
        compare(account)
    assert ProviderComparison.objects.count() == 0
    type(account).objects.update(created_at=NOW - timedelta(days=1))
    assert reconciliation.missing(now=NOW + timedelta(days=1)) == [(account, DUE)]
    compare(account)
    assert reconciliation.missing(now=NOW + timedelta(days=1)) == []
