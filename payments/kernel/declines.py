"""What a refused attempt to collect means: whether and when to try again, or that the customer must act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

# Codes after which the same method will not pay, whatever the day: the customer has to give another one.
FOR_GOOD: Final = frozenset(
    """
    account_closed bank_account_restricted bank_account_unusable card_not_supported currency_not_supported
    debit_disputed debit_not_authorized expired_card fraudulent highest_risk_level incorrect_number invalid_account
    invalid_bank_account_iban invalid_expiry_month invalid_expiry_year invalid_number lost_card merchant_blacklist
    new_account_information_available no_account not_permitted payment_method_customer_mismatch
    payment_intent_mandate_invalid pickup_card resource_missing restricted_card revocation_of_all_authorizations
    revocation_of_authorization security_violation service_not_allowed stolen_card stop_payment_order
    transaction_not_allowed
    """.split()
)
NEEDS_CUSTOMER: Final = frozenset({"authentication_required", "authentication_not_handled", "needs_customer"})

# Days to wait after the first, second ... refusal by kind of method. A debit that came back is never tried again
# unasked: the customer is told first (semantics e7).
WAITS: Final[dict[str, tuple[int, ...]]] = {"card": (1, 3, 5, 7), "sepa_debit": ()}


def is_for_good(*codes: str) -> bool:
    """Whether one of a provider's ``codes`` says that this method will never pay."""
    return not FOR_GOOD.isdisjoint(codes)


def needs_customer(*codes: str) -> bool:
    """Whether one of ``codes`` says that the customer has to confirm the payment himself."""
    return not NEEDS_CUSTOMER.isdisjoint(codes)


def next_attempt(kind: str, refused_on: Sequence[date], waits: dict[str, tuple[int, ...]] = WAITS) -> date | None:
    """The day of the next attempt by a method of ``kind`` after refusals on these days; ``None``: no further one.

    Raises ``ValueError`` without any refusal: then nothing has to be waited for.
    """
    if not refused_on:
        raise ValueError("nothing was refused")
    planned = waits.get(kind, ())
    if len(refused_on) > len(planned):
        return None
    return max(refused_on) + timedelta(days=planned[len(refused_on) - 1])
