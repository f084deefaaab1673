"""Screens of bank statements, payments, dunning, disputes and the texts of letters."""

from payments.admin import bank_accounts, bank_lines, disputes, dunning, letter_texts, payments

__all__ = ["bank_accounts", "bank_lines", "disputes", "dunning", "letter_texts", "payments"]
