"""Screens of bank statements, payments, providers, dunning, disputes and the texts of letters."""

from payments.admin import (
    bank_accounts,
    bank_lines,
    card_payments,
    collection_blocks,
    disputes,
    dunning,
    letter_texts,
    payment_runs,
    payments,
    providers,
    transfers,
)

__all__ = [
    "bank_accounts",
    "bank_lines",
    "card_payments",
    "collection_blocks",
    "disputes",
    "dunning",
    "letter_texts",
    "payment_runs",
    "payments",
    "providers",
    "transfers",
]
