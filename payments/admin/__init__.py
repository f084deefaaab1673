"""Screens of dunning, disputes and the texts of letters."""

from payments.admin import disputes, dunning, letter_texts

__all__ = ["disputes", "dunning", "letter_texts"]
