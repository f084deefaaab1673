"""A due invoice is charged to the saved method once, whatever becomes of the answer (A-11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import translation

from config import books
from invoicing.models import OpenItem, Posting
from payments import card_collection, card_selection
from payments.models import Allocation, Collection, CollectionItem, Payment
from tenants.models import Message
from tests.payments import cards
from tests.payments.cards import DUE, NOW, charge, issue, make_account, make_payer, outcome, save_method, select
from tests.payments.test_dunning import defer_constraints
from tests.stripe_server import Stripe, provider

pytestmark = pytest.mark.django_db


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
    return make_payer(account)


def prepared(server, account, payer, name="pm_card_visa") -> Collection:
    """An attempt over 119.00 that waits to be made."""
    if name.startswith("pm_card_visa") or name == "pm_sepa_debit":
        save_method(server, account, payer, name)
    else:
        method = save_method(server, account, payer)
        type(method).objects.filter(pk=method.pk).update(external_id=name)
    issue(account)
    defer_constraints()
    [collection] = select(account)
    return collection


def left() -> Decimal:
    return OpenItem.objects.filter(invoice__isnull=False).with_open_amount().get().open_amount


def balances() -> dict[str, Decimal]:
    rows: dict[str, Decimal] = {}
    for role, amount in Posting.objects.values_list("account__role", "amount"):
        rows[role] = rows.get(role, Decimal(0)) + amount
    return {role: amount for role, amount in rows.items() if amount}


def sound() -> bool:
    return list(books.check()) == []


def taken(server: Stripe) -> list[int]:
    return [row["amount"] for row in server.all("charge") if row["status"] == "succeeded"]


def test_a_due_invoice_is_paid_by_the_saved_card(server, account, payer):
    collection = prepared(server, account, payer)
    assert (collection.amount.amount, collection.currency) == (Decimal("119.00"), "EUR")
    assert charge() == 1
    assert outcome(collection) == ("succeeded", "done", "")
    [intent] = server.all("payment_intent")
    assert (intent["amount"], intent["metadata"]["kontor_key"]) == (11900, collection.key)
    asked = [r for r in server.requests if r["path"] == "/v1/payment_intents"]
    assert [r["idempotency_key"] for r in asked] == [collection.key]
    assert left() == 0
    payment = Payment.objects.get()
    assert (payment.origin, payment.amount.amount, payment.received_on) == (intent["id"], Decimal("119.00"), DUE)
    allocation = Allocation.objects.get()
    assert (allocation.rule, allocation.amount.amount) == ("collection", Decimal("119.00"))
    assert balances() == {
        "provider_clearing": Decimal("119.00"),
        "revenue_S_19": Decimal("-100.00"),
        "vat_19": Decimal("-19.00"),
    }
    assert sound()


def test_replayed_and_disordered_events_change_nothing(server, account, payer):
    prepared(server, account, payer)
    charge()
    before = (Payment.objects.count(), Allocation.objects.count(), Posting.objects.count())
    cards.tell_all(server, account, backwards=True)
    cards.tell_all(server, account)
    assert (Payment.objects.count(), Allocation.objects.count(), Posting.objects.count()) == before
    assert taken(server) == [11900]


def test_a_second_selection_finds_the_item_under_way_and_then_paid(server, account, payer):
    prepared(server, account, payer)
    assert select(account) != [] and Collection.objects.count() == 1
    charge()
    assert select(account) == []
    assert Collection.objects.count() == 1


def test_a_lost_answer_is_unknown_until_the_provider_is_asked(server, account, payer):
    collection = prepared(server, account, payer)
    server.does("next", status="lost", path="/v1/payment_intents")
    server.does("next", status="drop", path="/v1/payment_intents", times=2)
    charge()
    assert outcome(collection) == ("sent", "unknown", "")
    assert select(account) == [] and left() == Decimal("119.00")
    assert card_collection.ask_pending(clock=cards.at(NOW)) == 0, "not at once"
    assert card_collection.ask_pending(clock=cards.at(NOW + timedelta(minutes=3))) == 1
    assert outcome(collection) == ("succeeded", "done", "")
    assert (left(), taken(server)) == (0, [11900])
    assert sound()


def test_what_never_arrived_is_sent_again_with_the_same_key(server, account, payer):
    collection = prepared(server, account, payer)
    server.does("next", status="drop", path="/v1/payment_intents", times=3)
    charge()
    assert outcome(collection)[1] == "unknown"
    later = NOW + timedelta(minutes=3)
    card_collection.ask_pending(clock=cards.at(later))
    assert outcome(collection) == ("pending", "waiting", "")
    charge(later + timedelta(hours=1))
    assert outcome(collection) == ("succeeded", "done", "")
    assert taken(server) == [11900]


def test_what_never_arrived_and_is_old_is_given_up(server, account, payer):
    collection = prepared(server, account, payer)
    server.does("next", status="drop", path="/v1/payment_intents", times=3)
    charge()
    card_collection.ask_pending(clock=cards.at(NOW + timedelta(hours=24)))
    assert outcome(collection) == ("failed", "done", "never_arrived")
    assert taken(server) == []
    assert not CollectionItem.objects.filter(is_unsettled=True).exists()
    assert Message.objects.filter(key__startswith="payment_failed").count() == 0
    assert len(select(account)) == 1, "and may be tried anew, with another key"


def test_while_the_provider_is_silent_it_stays_unknown(server, account, payer):
    collection = prepared(server, account, payer)
    server.does("next", status=500, path="/v1/payment_intents", times=6)
    charge()
    card_collection.ask_pending(clock=cards.at(NOW + timedelta(days=3)))
    assert outcome(collection)[:2] == ("sent", "unknown")
    assert left() == Decimal("119.00")


def test_what_a_dead_worker_took_is_found(server, account, payer, monkeypatch):
    collection = prepared(server, account, payer)

    class Killed(BaseException):
        pass

    def kill(*arguments, **named):
        raise Killed

    monkeypatch.setattr(card_collection, "_take_answer", kill)
    with pytest.raises(Killed):
        charge()
    monkeypatch.undo()
    assert outcome(collection)[:2] == ("pending", "working")
    assert select(account) == []
    later = NOW + timedelta(hours=1)
    assert card_collection.expire(now=later) == 1
    assert outcome(collection)[:2] == ("pending", "unknown")
    assert card_collection.ask_pending(clock=cards.at(later)) == 1
    assert (outcome(collection)[0], left(), taken(server)) == ("succeeded", 0, [11900])


def test_too_many_requests_wait(server, account, payer):
    collection = prepared(server, account, payer)
    server.does("next", status=429, path="/v1/payment_intents")
    charge()
    assert outcome(collection)[:2] == ("pending", "waiting")
    charge(NOW + timedelta(hours=3))
    assert (outcome(collection)[0], taken(server)) == ("succeeded", [11900])


def test_a_soft_decline_is_tried_again_on_its_days_and_the_payer_is_told(server, account, payer):
    collection = prepared(server, account, payer, "pm_card_chargeDeclinedInsufficientFunds")
    charge()
    assert outcome(collection) == ("failed", "done", "insufficient_funds")
    message = Message.objects.get(key__startswith="payment_failed")
    assert message.recipient == payer.email
    assert message.subject == "Zahlung fehlgeschlagen: 119,00 €"
    assert "Das Konto war nicht gedeckt." in message.body
    assert "RE-2026-00001" in message.body
    assert "/portal/payments/" in message.body
    tried = []
    day = DUE
    while day < date(2026, 3, 20):
        if found := select(account, on=day):
            assert len(found) == 1
            tried.append((day - DUE).days)
            charge(NOW + (day - DUE) * 1)
        day += timedelta(days=1)
    assert tried == [1, 4, 9, 16], "after one, three, five and seven days, and no more"
    assert left() == Decimal("119.00")
    assert taken(server) == []
    assert sound()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "Die Karte ist abgelaufen."),
        ("pm_card_authenticationRequired", "authentication_required", "Ihre Bank möchte, dass Sie die Zahlung selbst"),
    ],
)
def test_a_hard_decline_stops_until_the_payer_gives_another_method(server, account, payer, name, code, words):
    collection = prepared(server, account, payer, name)
    charge()
    assert outcome(collection) == ("failed", "done", code)
    assert words in Message.objects.get(key__startswith="payment_failed").body
    assert select(account, on=DUE + timedelta(days=60)) == []
    save_method(server, account, payer)
    [again] = select(account, on=DUE + timedelta(days=60))
    charge(NOW + timedelta(days=60))
    assert outcome(again)[0] == "succeeded"
    assert left() == 0


def test_a_debit_is_money_only_when_the_bank_has_answered(server, account, payer):
    collection = prepared(server, account, payer, "pm_sepa_debit")
    charge()
    assert outcome(collection) == ("processing", "done", "")
    assert (left(), Payment.objects.count()) == (Decimal("119.00"), 0)
    [intent] = server.all("payment_intent")
    server.does("settle", payment_intent=intent["id"])
    cards.tell_all(server, account, now=NOW + timedelta(days=3))
    assert outcome(collection)[0] == "succeeded"
    assert (left(), Payment.objects.get().received_on) == (0, date(2026, 2, 18))


def test_a_debit_that_comes_back_is_told_and_not_tried_again(server, account, payer):
    collection = prepared(server, account, payer, "pm_sepa_debit")
    charge()
    [intent] = server.all("payment_intent")
    server.does("settle", payment_intent=intent["id"], outcome="failed", code="insufficient_funds")
    cards.tell_all(server, account, now=NOW + timedelta(days=3))
    assert outcome(collection) == ("failed", "done", "insufficient_funds")
    assert Message.objects.filter(key__startswith="payment_failed").count() == 1
    assert select(account, on=DUE + timedelta(days=30)) == []


def test_without_a_method_nothing_is_asked_for(server, account, payer):
    issue(account)
    defer_constraints()
    assert select(account) == []
    [proposal] = card_selection.rehearse(account.issuer, on=DUE)
    assert [(reason, amount) for _payer, _currency, reason, amount in proposal.left] == [
        ("no_mandate", Decimal("119.00"))
    ]


def test_an_answer_over_another_amount_is_not_believed(server, account, payer):
    collection = prepared(server, account, payer)
    server.does("next", status="lost", path="/v1/payment_intents")
    server.does("next", status="drop", path="/v1/payment_intents", times=2)
    charge()
    [intent] = server.all("payment_intent")
    server.does("alter", id=intent["id"], values={"amount_received": 11800})
    card_collection.ask_pending(clock=cards.at(NOW + timedelta(minutes=3)))
    assert outcome(collection)[:2] == ("sent", "unknown")
    collection.refresh_from_db()
    assert "118.00 EUR" in collection.reason
    assert (Payment.objects.count(), left()) == (0, Decimal("119.00"))


def test_credits_are_netted_and_used(server, account, payer):
    from invoicing import correction
    from invoicing.correction import Wanted

    save_method(server, account, payer)
    [invoice] = issue(account)
    defer_constraints()
    other = make_payer(account, "50.00", reference="OTHER")
    assert other.pk != payer.pk
    correction.credit(invoice.pk, [Wanted(1, amount=Decimal("10.00"))], on=date(2026, 2, 10), reason="Ausfall")
    defer_constraints()
    [collection] = select(account)
    assert collection.amount.amount == Decimal("107.10")
    charge()
    assert left_of(invoice) == 0
    assert taken(server) == [10710]
    assert sound()


def left_of(invoice) -> Decimal:
    return OpenItem.objects.with_open_amount().get(invoice=invoice).open_amount


@pytest.mark.parametrize(
    ("threshold", "amount", "is_taken"),
    [("119.00", "100.00", True), ("119.01", "100.00", False)],
)
def test_the_threshold_counts(server, account, threshold, amount, is_taken):
    payer = make_payer(account, amount, collection_threshold=Decimal(threshold))
    save_method(server, account, payer)
    issue(account)
    defer_constraints()
    assert bool(select(account)) is is_taken


def test_a_monthly_rhythm_takes_once_a_month(server, account):
    payer = make_payer(account, "100.00", collection_rhythm="monthly")
    save_method(server, account, payer)
    issue(account)
    defer_constraints()
    [first] = select(account)
    charge()
    assert outcome(first)[0] == "succeeded"
    from tests.payments.test_dunning import owe

    other = make_payer(account, "1.00")
    assert other
    owe(payer, account.issuer, on=date(2026, 2, 2))
    assert select(account, on=date(2026, 2, 27)) == []
    assert len(select(account, on=date(2026, 3, 16))) == 1


def test_another_way_of_payment_is_left_alone(server, account):
    payer = make_payer(account, "100.00", collection="invoice")
    save_method(server, account, payer)
    issue(account)
    defer_constraints()
    assert select(account) == []
