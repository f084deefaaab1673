"""Screens of bill runs, documents, and the books."""

from invoicing.admin import documents, ledger, runs

__all__ = ["documents", "ledger", "runs"]
