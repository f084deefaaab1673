"""Invariants whose breaches one query finds. Figures are compared with figures; nothing here trusts a constraint."""

from typing import Final

from config.books.rules import accounts, charged, collected, debited, documents, ledger, received, sent, used
from config.books.rules.amounts import amounts_fit_their_currency
from config.books.rules.rule import breaches_of, rows_of

RULES: Final = tuple(
    rule
    for room in (accounts, charged, collected, debited, documents, ledger, received, sent, used)
    for rule in room.RULES
)

__all__ = ["RULES", "amounts_fit_their_currency", "breaches_of", "rows_of"]
