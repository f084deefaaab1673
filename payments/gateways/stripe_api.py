"""Stripe: the only file that imports its package.

Three ways in which a call yields no answer: ``Refused`` (nothing was done, and nothing will be until somebody changes
something), ``Later`` (nothing was done, ask again), ``Unknown`` (it may have been done: ask what became of it). A
payment that the customer's bank declines is an answer, not an error.

Every call that changes something names its own idempotency key; the package's repetitions keep it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeVar

import stripe
from django.conf import settings

from payments.gateways import stripe_answers as answers
from payments.gateways.stripe_answers import (
    BalanceLine,
    Charge,
    Chargeback,
    Event,
    Method,
    PaymentState,
    Payout,
    RefundState,
    Session,
    Setup,
)

REPETITIONS: Final = 2
CONNECTING: Final = 5.0  # seconds
TOLERANCE: Final = 300  # seconds that a webhook's signature may be old
PAGE: Final = 100
LONGEST: Final = timedelta(hours=24)  # that Stripe remembers an idempotency key
KEY: Final = "kontor_key"  # our own key, in the metadata of what it made

Answer = TypeVar("Answer")

stripe.enable_telemetry = False


class Silent(Exception):
    """No answer that says what was done; ``code`` is Stripe's, in no language."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class Refused(Silent):
    """Stripe refuses the request itself: nothing was done. A wrong key, a missing object, an amount too small."""


class Later(Silent):
    """Too many requests: nothing was done."""


class Unknown(Silent):
    """No answer, or one of trouble at Stripe: it may have been done."""


class Forged(Exception):
    """A webhook that Stripe did not sign, or not just now."""


@dataclass(frozen=True, slots=True)
class Access:
    """The key to an account at Stripe; never shown."""

    secret_key: str = field(repr=False)


def charge(
    access: Access, *, key: str, amount: Decimal, currency: str, customer: str, method: str, text: str
) -> PaymentState:
    """Take ``amount`` by a saved method without the customer: once for each ``key``, however often it is called.

    All arguments are the same whenever the same ``key`` is. A declined payment is returned, not raised.
    """
    params = {
        "amount": answers.to_minor(amount, currency),
        "currency": currency.lower(),
        "customer": customer,
        "payment_method": method,
        "off_session": True,
        "confirm": True,
        "description": text,
        "metadata": {KEY: key},
    }
    try:
        return answers.payment_state(_told(access, lambda api: api.payment_intents.create(params, _once(key))))
    except Refused as refusal:
        declined = _declined(refusal.__cause__)
        if declined is None:
            raise
        return declined


def payment(access: Access, intent: str) -> PaymentState:
    return answers.payment_state(_told(access, lambda api: api.payment_intents.retrieve(intent)))


def payments_of(access: Access, customer: str, *, since: datetime) -> Iterator[PaymentState]:
    """Payments of one customer made from ``since`` on, the latest first."""
    params = {"customer": customer, "created": {"gte": int(since.timestamp())}}
    return (
        found
        for row in _pages(access, "payment_intents", params)
        if (found := answers.payment_state(row)).created_at >= since - timedelta(seconds=1)
    )


def cancel_payment(access: Access, intent: str, *, key: str) -> PaymentState:
    """Give up a payment that waits for the customer. Raises ``Refused`` where it went through meanwhile."""
    params = {"cancellation_reason": "abandoned"}
    return answers.payment_state(_told(access, lambda api: api.payment_intents.cancel(intent, params, _once(key))))


def charge_of(access: Access, charge: str) -> Charge:
    """What was taken, with Stripe's fee if that is known."""
    params = {"expand": ["balance_transaction"]}
    return answers.charge(_told(access, lambda api: api.charges.retrieve(charge, params)))


def open_customer(access: Access, *, key: str, name: str, email: str, reference: str) -> str:
    """The id of a customer at Stripe: one for each ``key``."""
    params = {"name": name[:256], "metadata": {"kontor_account": reference}}
    if email:
        params["email"] = email
    return str(_told(access, lambda api: api.customers.create(params, _once(key)))["id"])


def setup_page(access: Access, *, key: str, customer: str, currency: str, back: str, language: str) -> Session:
    """A page of Stripe's where the customer saves a method for payments without him."""
    params: dict[str, Any] = {
        "mode": "setup",
        "customer": customer,
        "currency": currency.lower(),
        "success_url": f"{back}?saved=1",
        "cancel_url": back,
        "locale": language,
        "metadata": {KEY: key},
        "setup_intent_data": {"metadata": {KEY: key}},
    }
    return answers.session(_told(access, lambda api: api.checkout.sessions.create(params, _once(key))))


def payment_page(
    access: Access,
    *,
    key: str,
    amount: Decimal,
    currency: str,
    customer: str,
    text: str,
    back: str,
    language: str,
    expires_at: datetime,
) -> Session:
    """A page of Stripe's where the customer pays ``amount``: one page for each ``key``, and so one payment."""
    price = {
        "currency": currency.lower(),
        "unit_amount": answers.to_minor(amount, currency),
        "product_data": {"name": text},
    }
    params: dict[str, Any] = {
        "mode": "payment",
        "customer": customer,
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": f"{back}?done=1",
        "cancel_url": back,
        "locale": language,
        "expires_at": int(expires_at.timestamp()),
        "metadata": {KEY: key},
        "payment_intent_data": {"description": text, "metadata": {KEY: key}},
    }
    return answers.session(_told(access, lambda api: api.checkout.sessions.create(params, _once(key))))


def session(access: Access, session: str) -> Session:
    return answers.session(_told(access, lambda api: api.checkout.sessions.retrieve(session)))


def close_page(access: Access, session: str, *, key: str) -> Session:
    """Let a page of payment expire. Raises ``Refused`` where the customer has paid on it meanwhile."""
    return answers.session(_told(access, lambda api: api.checkout.sessions.expire(session, {}, _once(key))))


def setup(access: Access, setup: str) -> Setup:
    return answers.setup(_told(access, lambda api: api.setup_intents.retrieve(setup)))


def method(access: Access, method: str) -> Method:
    return answers.method(_told(access, lambda api: api.payment_methods.retrieve(method)))


def forget_method(access: Access, method: str, *, key: str) -> Method:
    """Take a method from its customer: nobody can charge it any more."""
    return answers.method(_told(access, lambda api: api.payment_methods.detach(method, {}, _once(key))))


def give_back(access: Access, *, key: str, charge: str, amount: Decimal, currency: str) -> RefundState:
    """Pay back ``amount`` of a charge: once for each ``key``. Raises ``Refused`` where that is more than was taken."""
    params = {"charge": charge, "amount": answers.to_minor(amount, currency), "metadata": {KEY: key}}
    return answers.refund_state(_told(access, lambda api: api.refunds.create(params, _once(key))))


def refund(access: Access, refund: str) -> RefundState:
    return answers.refund_state(_told(access, lambda api: api.refunds.retrieve(refund)))


def refunds_of(access: Access, charge: str) -> Iterator[RefundState]:
    return map(answers.refund_state, _pages(access, "refunds", {"charge": charge}))


def chargeback(access: Access, dispute: str) -> Chargeback:
    return answers.chargeback(_told(access, lambda api: api.disputes.retrieve(dispute)))


def payout(access: Access, payout: str) -> Payout:
    return answers.payout(_told(access, lambda api: api.payouts.retrieve(payout)))


def lines_of(access: Access, payout: str) -> Iterator[BalanceLine]:
    """What a payout is made of: charges, refunds, fees, and the payout itself."""
    return map(answers.balance_line, _pages(access, "balance_transactions", {"payout": payout}))


def payments_between(access: Access, start: datetime, end: datetime) -> Iterator[PaymentState]:
    return _between(access, "payment_intents", answers.payment_state, start, end)


def refunds_between(access: Access, start: datetime, end: datetime) -> Iterator[RefundState]:
    return _between(access, "refunds", answers.refund_state, start, end)


def chargebacks_between(access: Access, start: datetime, end: datetime) -> Iterator[Chargeback]:
    return _between(access, "disputes", answers.chargeback, start, end)


def payouts_between(access: Access, start: datetime, end: datetime) -> Iterator[Payout]:
    return _between(access, "payouts", answers.payout, start, end)


def read_event(payload: bytes, signature: str, secrets: Sequence[str]) -> Event:
    """What a webhook says, if one of ``secrets`` signed these very bytes within five minutes. Raises ``Forged``."""
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE)
        except (stripe.SignatureVerificationError, ValueError):  # ValueError: bytes that are no text
            continue
        try:
            return answers.event(json.loads(payload))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Forged("no event") from error
    raise Forged("no signature of ours")


def _between(
    access: Access, what: str, read: Callable[[dict[str, Any]], Answer], start: datetime, end: datetime
) -> Iterator[Answer]:
    params = {"created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())}}
    for row in _pages(access, what, params):
        if start <= answers.instant(row["created"]) < end:
            yield read(row)


def _pages(access: Access, what: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    after: dict[str, Any] = {}
    while True:
        asked = {**params, **after, "limit": PAGE}
        page = _told(access, lambda api, asked=asked: getattr(api, what).list(asked))  # type: ignore[misc]
        yield from page["data"]
        if not page["has_more"] or not page["data"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}


def _once(key: str) -> dict[str, str]:
    return {"idempotency_key": key}


@lru_cache(maxsize=32)
def _client(secret_key: str, base: str, seconds: int) -> Any:
    return stripe.StripeClient(
        secret_key,
        base_addresses={"api": base} if base else {},
        max_network_retries=REPETITIONS,
        http_client=stripe.RequestsClient(timeout=(CONNECTING, seconds)),
    )


def longest_call() -> timedelta:
    """The time after which a call has ended, whatever came of it: a worker's lease is longer."""
    return timedelta(seconds=(REPETITIONS + 1) * (CONNECTING + settings.STRIPE_TIMEOUT + 5))


def _told(access: Access, call: Callable[[Any], Any]) -> dict[str, Any]:
    with _heard():
        client = _client(access.secret_key, settings.STRIPE_URL, settings.STRIPE_TIMEOUT)
        found: dict[str, Any] = call(client.v1).to_dict()
        return found


@contextmanager
def _heard() -> Iterator[None]:
    """Sort what the package raises by what is known then; texts of Stripe are kept, requests are not."""
    try:
        yield
    except stripe.RateLimitError as error:
        raise Later(_text(error), error.code or "rate_limit") from error
    except stripe.IdempotencyError as error:  # the key is in use: what it did before counts
        raise Unknown(_text(error), error.code or "idempotency_error") from error
    except (
        stripe.CardError,
        stripe.InvalidRequestError,
        stripe.AuthenticationError,
        stripe.PermissionError,
    ) as error:
        if error.http_status == 409:
            raise Unknown(_text(error), error.code or "") from error
        raise Refused(_text(error), error.code or "") from error
    except stripe.StripeError as error:
        raise Unknown(_text(error), error.code or "") from error


def _text(error: stripe.StripeError) -> str:
    said = " ".join((error.user_message or type(error).__name__).split())
    return said.partition(" (")[0][:200] if isinstance(error, stripe.APIConnectionError) else said[:300]


def _declined(error: Any) -> PaymentState | None:
    """The payment that an error of Stripe's is about, if it names one: then it was made, and declined."""
    body = error.json_body if isinstance(error, stripe.StripeError) else None
    told = body.get("error") if isinstance(body, dict) else None
    intent = told.get("payment_intent") if isinstance(told, dict) else None
    if not isinstance(intent, dict) or not isinstance(told, dict):
        return None
    said = {name: told.get(name) for name in ("code", "decline_code")}
    return answers.payment_state({**intent, "last_payment_error": intent.get("last_payment_error") or said})
