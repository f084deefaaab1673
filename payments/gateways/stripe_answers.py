"""What Stripe answers, as data of our own: amounts are Decimals again, states are few, and no card data are in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from billing.kernel.money import UNIT, places_of
from payments.kernel import declines

# Stripe counts these otherwise than ISO 4217 (docs.stripe.com/currencies): in hundredths that must be whole units, and
# in thousandths of which the last digit must be 0.
WHOLE_IN_HUNDREDTHS: Final = {"ISK", "UGX"}
LAST_DIGIT_ZERO: Final = {"BHD", "JOD", "KWD", "OMR", "TND"}


class State(StrEnum):
    """How far a payment is; each may only be followed by a later one, but for another attempt by the customer."""

    OPEN = "open"  # nobody has tried to pay yet
    NEEDS_CUSTOMER = "needs_customer"
    DECLINED = "declined"  # worth another attempt
    DECLINED_FOR_GOOD = "declined_for_good"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class PaymentState:
    """A PaymentIntent. ``key`` is our own, from its metadata; ``received`` what has come in."""

    id: str
    key: str
    state: State
    amount: Decimal
    received: Decimal
    currency: str
    customer: str
    method: str
    charge: str
    code: str
    is_live: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Charge:
    """What was taken; ``fee`` and ``settled`` are known once its balance transaction is, else ``None``."""

    id: str
    intent: str
    amount: Decimal
    currency: str
    method: str
    is_live: bool
    paid_at: datetime
    balance: str
    fee: Decimal | None
    fee_currency: str


@dataclass(frozen=True, slots=True)
class Method:
    """A saved card or bank account: how people know it, never its number."""

    id: str
    customer: str
    kind: str
    brand: str
    last4: str
    expires: tuple[int, int] | None  # month, year
    is_live: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """Whether a method was saved, and which."""

    id: str
    is_done: bool
    customer: str
    method: str
    is_live: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A page of Stripe's where the customer pays or saves a method. ``status``: open, complete or expired."""

    id: str
    mode: str
    status: str
    url: str
    intent: str
    setup: str
    customer: str
    is_live: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RefundState:
    """Money on its way back. ``status``: pending, requires_action, succeeded, failed or canceled."""

    id: str
    key: str
    charge: str
    intent: str
    amount: Decimal
    currency: str
    status: str
    code: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A payer's bank takes money back. ``status`` as Stripe calls it: needs_response, under_review, won, lost ..."""

    id: str
    charge: str
    intent: str
    amount: Decimal
    currency: str
    status: str
    reason: str
    is_live: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Payout:
    """What Stripe transfers to our bank account. ``status``: pending, in_transit, paid, failed or canceled."""

    id: str
    amount: Decimal
    currency: str
    status: str
    arrives_at: datetime
    is_live: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """A change of our balance at Stripe: ``amount`` less ``fee`` is ``net``."""

    id: str
    kind: str
    source: str
    amount: Decimal
    fee: Decimal
    net: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Event:
    """A message of Stripe: what happened to which object, and when it says so."""

    id: str
    kind: str
    about: str
    object: str
    is_live: bool
    created_at: datetime


def to_minor(amount: Decimal, currency: str) -> int:
    """The integer that Stripe takes for an amount. Raises ``ValueError`` for what does not fit the currency."""
    places = places_of(currency)
    units = amount / UNIT[places] if amount.is_finite() else Decimal("NaN")
    if not units.is_finite() or units != units.to_integral_value():
        raise ValueError(f"{amount} is no amount of {currency}")
    if currency in LAST_DIGIT_ZERO and units % 10:
        raise ValueError(f"{amount} {currency}: Stripe takes no such small parts of this currency")
    return int(units) * (100 if currency in WHOLE_IN_HUNDREDTHS and places == 0 else 1)


def from_minor(units: int, currency: str) -> Decimal:
    """The amount that Stripe's integer means, in the currency's places. Raises ``ValueError`` as ``to_minor`` does."""
    places = places_of(currency)
    if currency in WHOLE_IN_HUNDREDTHS and places == 0:
        if units % 100:
            raise ValueError(f"{units} is no amount of {currency}")
        units //= 100
    return Decimal(units).scaleb(-places)


def instant(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds or 0), tz=UTC)


def key_of(value: Any) -> str:
    """The id of an object, expanded or not; empty without one."""
    return str(value.get("id") or "") if isinstance(value, dict) else str(value or "")


def payment_state(found: dict[str, Any]) -> PaymentState:
    currency = str(found["currency"]).upper()
    error = found.get("last_payment_error") or {}
    codes = [str(error.get(name) or "") for name in ("decline_code", "code")]
    return PaymentState(
        id=found["id"],
        key=str((found.get("metadata") or {}).get("kontor_key") or ""),
        state=_state(str(found["status"]), codes),
        amount=from_minor(found["amount"], currency),
        received=from_minor(found.get("amount_received") or 0, currency),
        currency=currency,
        customer=key_of(found.get("customer")),
        method=key_of(found.get("payment_method")) or key_of(error.get("payment_method")),
        charge=key_of(found.get("latest_charge")),
        code=next((code for code in codes if code), ""),
        is_live=bool(found["livemode"]),
        created_at=instant(found["created"]),
    )


def _state(status: str, codes: list[str]) -> State:
    if status == "requires_payment_method" and any(codes):
        if declines.needs_customer(*codes):
            return State.NEEDS_CUSTOMER
        return State.DECLINED_FOR_GOOD if declines.is_for_good(*codes) else State.DECLINED
    return {
        "succeeded": State.SUCCEEDED,
        "processing": State.PROCESSING,
        "canceled": State.CANCELED,
        "requires_action": State.NEEDS_CUSTOMER,
        "requires_confirmation": State.NEEDS_CUSTOMER,
    }.get(status, State.OPEN)


def charge(found: dict[str, Any]) -> Charge:
    currency = str(found["currency"]).upper()
    balance = found.get("balance_transaction")
    line = balance_line(balance) if isinstance(balance, dict) else None
    return Charge(
        id=found["id"],
        intent=key_of(found.get("payment_intent")),
        amount=from_minor(found.get("amount_captured") or found["amount"], currency),
        currency=currency,
        method=key_of(found.get("payment_method")),
        is_live=bool(found["livemode"]),
        paid_at=instant(found["created"]),
        balance=key_of(balance),
        fee=line.fee if line else None,
        fee_currency=line.currency if line else "",
    )


def method(found: dict[str, Any]) -> Method:
    kind = str(found["type"])
    facts = found.get(kind) or {}
    month, year = facts.get("exp_month"), facts.get("exp_year")
    return Method(
        id=found["id"],
        customer=key_of(found.get("customer")),
        kind=kind,
        brand=str(facts.get("brand") or facts.get("country") or "")[:30],
        last4=str(facts.get("last4") or "")[:4],
        expires=(int(month), int(year)) if month and year else None,
        is_live=bool(found["livemode"]),
    )


def setup(found: dict[str, Any]) -> Setup:
    return Setup(
        id=found["id"],
        is_done=found["status"] == "succeeded",
        customer=key_of(found.get("customer")),
        method=key_of(found.get("payment_method")),
        is_live=bool(found["livemode"]),
    )


def session(found: dict[str, Any]) -> Session:
    return Session(
        id=found["id"],
        mode=str(found["mode"]),
        status=str(found.get("status") or ""),
        url=str(found.get("url") or ""),
        intent=key_of(found.get("payment_intent")),
        setup=key_of(found.get("setup_intent")),
        customer=key_of(found.get("customer")),
        is_live=bool(found["livemode"]),
        expires_at=instant(found["expires_at"]),
    )


def refund_state(found: dict[str, Any]) -> RefundState:
    currency = str(found["currency"]).upper()
    return RefundState(
        id=found["id"],
        key=str((found.get("metadata") or {}).get("kontor_key") or ""),
        charge=key_of(found.get("charge")),
        intent=key_of(found.get("payment_intent")),
        amount=from_minor(found["amount"], currency),
        currency=currency,
        status=str(found.get("status") or ""),
        code=str(found.get("failure_reason") or ""),
        created_at=instant(found["created"]),
    )


def chargeback(found: dict[str, Any]) -> Chargeback:
    currency = str(found["currency"]).upper()
    return Chargeback(
        id=found["id"],
        charge=key_of(found.get("charge")),
        intent=key_of(found.get("payment_intent")),
        amount=from_minor(found["amount"], currency),
        currency=currency,
        status=str(found["status"]),
        reason=str(found.get("reason") or ""),
        is_live=bool(found["livemode"]),
        created_at=instant(found["created"]),
    )


def payout(found: dict[str, Any]) -> Payout:
    currency = str(found["currency"]).upper()
    return Payout(
        id=found["id"],
        amount=from_minor(found["amount"], currency),
        currency=currency,
        status=str(found["status"]),
        arrives_at=instant(found.get("arrival_date") or found["created"]),
        is_live=bool(found["livemode"]),
        created_at=instant(found["created"]),
    )


def balance_line(found: dict[str, Any]) -> BalanceLine:
    currency = str(found["currency"]).upper()
    return BalanceLine(
        id=found["id"],
        kind=str(found["type"]),
        source=key_of(found.get("source")),
        amount=from_minor(found["amount"], currency),
        fee=from_minor(found["fee"], currency),
        net=from_minor(found["net"], currency),
        currency=currency,
    )


def event(found: dict[str, Any]) -> Event:
    about = (found.get("data") or {}).get("object") or {}
    return Event(
        id=str(found["id"]),
        kind=str(found["type"]),
        about=key_of(about),
        object=str(about.get("object") or ""),
        is_live=bool(found["livemode"]),
        created_at=instant(found["created"]),
    )
