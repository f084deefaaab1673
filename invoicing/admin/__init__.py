"""Screens of bill runs, documents and their corrections, and the books."""

from invoicing.admin import corrections, documents, ledger, letterheads, runs, statements, taxes

__all__ = ["corrections", "documents", "ledger", "letterheads", "runs", "statements", "taxes"]
