"""Screens of bill runs, documents and their corrections, and the books."""

from invoicing.admin import approvals, corrections, documents, ledger, letterheads, runs, statements, taxes

__all__ = ["approvals", "corrections", "documents", "ledger", "letterheads", "runs", "statements", "taxes"]
