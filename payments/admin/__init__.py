"""Screens of bank statements, payments, providers, dunning, disputes and the texts of letters."""

from payments.admin import (
    bank_accounts,
    bank_lines,
    card_payments,
    disputes,
    dunning,
    letter_texts,
    payments,
    providers,
)

__all__ = [
    "bank_accounts",
    "bank_lines",
    "card_payments",
    "disputes",
    "dunning",
    "letter_texts",
    "payments",
    "providers",
]
