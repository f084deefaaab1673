"""The gateway against a Stripe in a process of its own: refused, hanging, cut after the request, doubled, late."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from payments.gateways import stripe_answers, stripe_api
from payments.gateways.stripe_answers import State, from_minor, to_minor
from payments.gateways.stripe_api import Access, Forged, Later, Refused, Unknown
from tests.stripe_server import Stripe, provider

ACCESS = Access("sk_test_1")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Stripe]:
    with provider(tmp_path_factory.mktemp("stripe")) as server:
        yield server


@pytest.fixture
def server(running: Stripe, settings) -> Stripe:
    settings.STRIPE_URL = running.url
    settings.STRIPE_TIMEOUT = 20
    return running


@pytest.fixture
def customer(server: Stripe, request) -> str:
    return stripe_api.open_customer(
        ACCESS, key=request.node.name[:200], name="Müller GmbH", email="a@example.org", reference="K-7"
    )


def saved(server: Stripe, customer: str, name: str = "pm_card_visa", key: str = "setup") -> str:
    page = stripe_api.setup_page(
        ACCESS, key=f"{key}:{customer}", customer=customer, currency="EUR", back="https://k.example/", language="de"
    )
    server.does("page", session=page.id, payment_method=name)
    done = stripe_api.session(ACCESS, page.id)
    return stripe_api.setup(ACCESS, done.setup).method


def charge(customer: str, method: str, key: str, amount: str = "119.00", **changed: Any) -> Any:
    facts = {"amount": Decimal(amount), "currency": "EUR", "text": "RE-2026-1"} | changed
    return stripe_api.charge(ACCESS, key=key, customer=customer, method=method, **facts)


def made(server: Stripe, customer: str) -> list[dict[str, Any]]:
    return [row for row in server.all("payment_intent") if row["customer"] == customer]


# Amounts


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        pytest.param("119.00", "EUR", 11900, id="cents"),
        pytest.param("0.01", "EUR", 1, id="one cent"),
        pytest.param("500", "JPY", 500, id="no decimals"),
        pytest.param("500.0000", "JPY", 500, id="no decimals, written with some"),
        pytest.param("1.230", "KWD", 1230, id="three decimals"),
        pytest.param("-3.50", "EUR", -350, id="below nothing"),
        pytest.param("1500", "ISK", 150000, id="whole units in hundredths"),
    ],
)
def test_amounts_go_there_and_back(amount, currency, units):
    assert to_minor(Decimal(amount), currency) == units
    assert from_minor(units, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        pytest.param("1.005", "EUR", id="half a cent"),
        pytest.param("0.5", "JPY", id="half a yen"),
        pytest.param("1.2345", "KWD", id="a tenth of a fils"),
        pytest.param("1.234", "KWD", id="Stripe takes tens of fils"),
        pytest.param("NaN", "EUR", id="no number"),
        pytest.param("Infinity", "EUR", id="endless"),
        pytest.param("1", "XYZ", id="no currency"),
    ],
)
def test_an_amount_that_does_not_fit_is_refused(amount, currency):
    with pytest.raises(ValueError):
        to_minor(Decimal(amount), currency)


def test_hundredths_of_a_whole_currency_are_refused():
    with pytest.raises(ValueError):
        from_minor(150050, "ISK")


# Paying


def test_a_saved_card_pays(server, customer):
    method = saved(server, customer)
    paid = charge(customer, method, "pays-1")
    assert (paid.state, paid.amount, paid.received, paid.currency) == (
        State.SUCCEEDED,
        Decimal("119.00"),
        Decimal("119.00"),
        "EUR",
    )
    assert (paid.key, paid.customer, paid.method, paid.is_live) == ("pays-1", customer, method, False)
    taken = stripe_api.charge_of(ACCESS, paid.charge)
    assert (taken.amount, taken.fee, taken.fee_currency, taken.intent) == (
        Decimal("119.00"),
        Decimal("2.03"),  # 1.5 % and 25 cents at the checker
        "EUR",
        paid.id,
    )
    asked = next(r for r in server.requests if r["idempotency_key"] == "pays-1")
    assert asked["findings"] == []
    assert "payment_method_types" not in asked["params"]


def test_the_same_key_pays_once(server, customer):
    method = saved(server, customer)
    first, again = (charge(customer, method, "once-1") for _ in range(2))
    assert first == again
    assert len(made(server, customer)) == 1


def test_a_key_used_for_something_else_is_not_known(server, customer):
    method = saved(server, customer)
    charge(customer, method, "other-1")
    with pytest.raises(Unknown):
        charge(customer, method, "other-1", amount="120.00")
    assert [row["amount"] for row in made(server, customer)] == [11900]


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("pm_card_chargeDeclinedInsufficientFunds", State.DECLINED, "insufficient_funds"),
        ("pm_card_chargeDeclined", State.DECLINED, "generic_decline"),
        ("pm_card_chargeDeclinedExpiredCard", State.DECLINED_FOR_GOOD, "expired_card"),
        ("pm_card_authenticationRequired", State.NEEDS_CUSTOMER, "authentication_required"),
    ],
)
def test_a_declined_payment_is_an_answer(server, customer, name, state, code):
    declined = charge(customer, name, f"declined-{name}")
    assert (declined.state, declined.code, declined.received) == (state, code, Decimal("0.00"))
    assert stripe_api.payment(ACCESS, declined.id) == declined
    assert charge(customer, name, f"declined-{name}") == declined, "a repetition says the same"


def test_a_debit_is_under_way_until_the_bank_has_answered(server, customer):
    method = saved(server, customer, "pm_sepa_debit")
    facts = stripe_api.method(ACCESS, method)
    assert (facts.kind, facts.brand, facts.last4, facts.expires, facts.customer) == (
        "sepa_debit",
        "DE",
        "3000",
        None,
        customer,
    )
    under_way = charge(customer, method, "debit-1")
    assert (under_way.state, under_way.received) == (State.PROCESSING, Decimal("0.00"))
    server.does("settle", payment_intent=under_way.id, outcome="failed", code="account_closed")
    assert stripe_api.payment(ACCESS, under_way.id).state == State.DECLINED_FOR_GOOD
    second = charge(customer, method, "debit-2")
    server.does("settle", payment_intent=second.id)
    assert stripe_api.payment(ACCESS, second.id).state == State.SUCCEEDED


# No answer


def test_a_lost_answer_is_asked_again_with_the_same_key(server, customer):
    method = saved(server, customer)
    server.does("next", status="lost", path="/v1/payment_intents")
    assert charge(customer, method, "lost-1").state == State.SUCCEEDED
    assert len(made(server, customer)) == 1


def test_an_answer_lost_each_time_is_not_known_and_can_be_found(server, customer):
    method = saved(server, customer)
    server.does("next", status="lost", path="/v1/payment_intents")
    server.does("next", status="drop", path="/v1/payment_intents", times=2)
    with pytest.raises(Unknown):
        charge(customer, method, "lost-3")
    found = [p for p in stripe_api.payments_of(ACCESS, customer, since=LONG_AGO) if p.key == "lost-3"]
    assert [(p.state, p.amount) for p in found] == [(State.SUCCEEDED, Decimal("119.00"))]
    assert charge(customer, method, "lost-3").id == found[0].id
    assert len(made(server, customer)) == 1


def test_a_request_that_never_arrived_is_not_known_either(server, customer):
    method = saved(server, customer)
    server.does("next", status="drop", path="/v1/payment_intents", times=3)
    with pytest.raises(Unknown):
        charge(customer, method, "drop-1")
    assert list(stripe_api.payments_of(ACCESS, customer, since=LONG_AGO)) == []


def test_trouble_at_stripe_is_not_known(server, customer):
    method = saved(server, customer)
    server.does("next", status=500, path="/v1/payment_intents", times=3)
    with pytest.raises(Unknown):
        charge(customer, method, "trouble-1")


def test_a_key_still_in_use_is_not_known(server, customer):
    method = saved(server, customer)
    server.does("next", status=409, path="/v1/payment_intents", times=3)
    with pytest.raises(Unknown):
        charge(customer, method, "in-use-1")


def test_too_many_requests_did_nothing(server, customer):
    method = saved(server, customer)
    server.does("next", status=429, path="/v1/payment_intents")
    with pytest.raises(Later):
        charge(customer, method, "busy-1")
    assert made(server, customer) == []
    assert charge(customer, method, "busy-1").state == State.SUCCEEDED


def test_a_hanging_answer_ends_in_time(server, customer, settings):
    method = saved(server, customer)
    settings.STRIPE_TIMEOUT = 1
    server.does("next", status="hang", path="/v1/payment_intents", times=3)
    started = time.monotonic()
    with pytest.raises(Unknown):
        charge(customer, method, "hang-1")
    assert time.monotonic() - started < stripe_api.longest_call().total_seconds()


def test_nobody_there_is_not_known(settings):
    settings.STRIPE_URL = "http://127.0.0.1:9"
    with pytest.raises(Unknown):
        stripe_api.payment(ACCESS, "pi_1")


class Nonsense(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>maintenance</html>")

    def log_message(self, *args: Any) -> None:
        """Silent."""


def test_nonsense_is_no_answer(settings):
    with HTTPServer(("127.0.0.1", 0), Nonsense) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        settings.STRIPE_URL = f"http://127.0.0.1:{http.server_port}"
        with pytest.raises(Unknown):
            stripe_api.payment(ACCESS, "pi_1")
        http.shutdown()


def test_a_wrong_key_is_refused_and_not_repeated_in_words(server):
    with pytest.raises(Refused) as refusal:
        stripe_api.payment(Access("sk_live_secret"), "pi_1")
    assert "sk_live_secret" not in str(refusal.value)
    assert "sk_live_secret" not in repr(Access("sk_live_secret"))


def test_an_amount_below_the_smallest_is_refused(server, customer):
    with pytest.raises(Refused) as refusal:
        charge(customer, "pm_card_visa", "small-1", amount="0.49")
    assert refusal.value.code == "amount_too_small"
    assert made(server, customer) == []


# Pages


def test_a_page_is_paid_once(server, customer):
    def page() -> stripe_answers.Session:
        return stripe_api.payment_page(
            ACCESS,
            key="page-1",
            amount=Decimal("59.50"),
            currency="EUR",
            customer=customer,
            text="RE-2026-2",
            back="https://k.example/",
            language="en",
            expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        )

    opened = page()
    assert opened == page()
    assert (opened.mode, opened.status, opened.intent) == ("payment", "open", "")
    assert opened.url.startswith(server.url)
    server.does("page", session=opened.id, payment_method="pm_card_visa")
    done = stripe_api.session(ACCESS, opened.id)
    assert (done.status, done.url) == ("complete", "")
    paid = stripe_api.payment(ACCESS, done.intent)
    assert (paid.state, paid.amount, paid.key) == (State.SUCCEEDED, Decimal("59.50"), "page-1")
    with pytest.raises(Refused):
        stripe_api.close_page(ACCESS, opened.id, key="close-1")


def test_a_page_can_be_closed(server, customer):
    page = stripe_api.payment_page(
        ACCESS,
        key="page-2",
        amount=Decimal("59.50"),
        currency="EUR",
        customer=customer,
        text="RE-2026-3",
        back="https://k.example/",
        language="en",
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert stripe_api.close_page(ACCESS, page.id, key="close-2").status == "expired"


def test_a_forgotten_method_belongs_to_nobody(server, customer):
    method = saved(server, customer)
    card = stripe_api.method(ACCESS, method)
    assert (card.kind, card.customer) == ("card", customer)
    assert stripe_api.forget_method(ACCESS, method, key="forget-1").customer == ""


# Money back


def test_money_goes_back_once_and_never_more_than_was_taken(server, customer):
    paid = charge(customer, saved(server, customer), "refund-charge")
    back = {"charge": paid.charge, "amount": Decimal("19.00"), "currency": "EUR"}
    first, again = (stripe_api.give_back(ACCESS, key="refund-1", **back) for _ in range(2))
    assert first == again
    assert (first.status, first.amount, first.key, first.intent) == ("succeeded", Decimal("19.00"), "refund-1", paid.id)
    with pytest.raises(Refused):
        stripe_api.give_back(ACCESS, key="refund-2", **back | {"amount": Decimal("100.01")})
    assert [r.id for r in stripe_api.refunds_of(ACCESS, paid.charge)] == [first.id]
    assert stripe_api.refund(ACCESS, first.id) == first


def test_a_chargeback_names_its_charge(server, customer):
    paid = charge(customer, saved(server, customer), "dispute-charge")
    made = server.does("dispute", charge=paid.charge)
    taken_back = stripe_api.chargeback(ACCESS, made["id"])
    assert (taken_back.charge, taken_back.intent, taken_back.amount, taken_back.status, taken_back.reason) == (
        paid.charge,
        paid.id,
        Decimal("119.00"),
        "needs_response",
        "fraudulent",
    )


def test_a_payout_says_what_it_is_made_of(server, customer):
    paid = charge(customer, saved(server, customer), "payout-charge")
    made = server.does("payout", on=int(datetime(2026, 3, 3, tzinfo=UTC).timestamp()))
    payout = stripe_api.payout(ACCESS, made["id"])
    lines = list(stripe_api.lines_of(ACCESS, payout.id))
    own = next(line for line in lines if line.source == paid.charge)
    assert (own.kind, own.amount, own.fee, own.net) == ("charge", Decimal("119.00"), Decimal("2.03"), Decimal("116.97"))
    assert sum(line.net for line in lines) == 0
    assert payout.amount == sum(line.net for line in lines if line.kind != "payout")
    assert (payout.status, payout.arrives_at) == ("paid", datetime(2026, 3, 3, tzinfo=UTC))


def test_a_day_is_listed_page_by_page(server, customer, monkeypatch):
    monkeypatch.setattr(stripe_api, "PAGE", 2)
    method = saved(server, customer)
    made = {charge(customer, method, f"list-{n}").id for n in range(5)}
    start = datetime.now(tz=UTC) - timedelta(hours=1)
    listed = [p.id for p in stripe_api.payments_between(ACCESS, start, start + timedelta(hours=2))]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    assert list(stripe_api.payments_between(ACCESS, LONG_AGO, start)) == []


# Webhooks


def signed(body: bytes, secret: str, at: int) -> str:
    import hmac
    from hashlib import sha256

    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + body, sha256).hexdigest()}"


EVENT = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "created": 1_770_000_000,
        "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    }
).encode()


def test_a_webhook_is_read_if_one_of_the_secrets_signed_it():
    header = signed(EVENT, "whsec_new", int(time.time()))
    event = stripe_api.read_event(EVENT, header, ["whsec_old", "whsec_new"])
    assert (event.id, event.kind, event.about, event.object, event.is_live) == (
        "evt_1",
        "payment_intent.succeeded",
        "pi_1",
        "payment_intent",
        False,
    )
    assert event.created_at == datetime.fromtimestamp(1_770_000_000, tz=UTC)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        pytest.param(EVENT, lambda now: signed(EVENT, "whsec_other", now), id="another secret"),
        pytest.param(EVENT + b" ", lambda now: signed(EVENT, "whsec", now), id="another body"),
        pytest.param(EVENT, lambda now: signed(EVENT, "whsec", now - 301), id="five minutes ago"),
        pytest.param(EVENT, lambda now: "", id="no header"),
        pytest.param(EVENT, lambda now: "t=x,v1=y", id="a header that is none"),
        pytest.param(b"\xff\xfe", lambda now: signed(b"\xff\xfe", "whsec", now), id="bytes that are no text"),
        pytest.param(b"[]", lambda now: signed(b"[]", "whsec", now), id="signed, but no event"),
        pytest.param(b"{}", lambda now: signed(b"{}", "whsec", now), id="signed, but empty"),
    ],
)
def test_what_is_not_signed_just_now_is_forged(body, header):
    with pytest.raises(Forged):
        stripe_api.read_event(body, header(int(time.time())), ["whsec"])


def test_a_webhook_needs_a_secret():
    with pytest.raises(Forged):
        stripe_api.read_event(EVENT, signed(EVENT, "", int(time.time())), [])


def test_no_library_of_stripe_is_known_elsewhere():
    root = Path(stripe_api.__file__).parents[2]
    others = [
        path
        for app in ("tenants", "billing", "invoicing", "payments", "config")
        for path in (root / app).rglob("*.py")
        if path != Path(stripe_api.__file__)
        and any(line.startswith(("import stripe", "from stripe")) for line in path.open())
    ]
    assert others == []
