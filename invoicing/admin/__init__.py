"""Screens of bill runs, documents and their corrections, and the books."""

from invoicing.admin import corrections, documents, ledger, runs, statements, taxes

__all__ = ["corrections", "documents", "ledger", "runs", "statements", "taxes"]
