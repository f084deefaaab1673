"""Screens of accounts and issuers, of what was done, and of who may do it."""

from tenants.admin import accounts, activities, batches, issuers, mandates, outgoing, users, vat, webhooks

__all__ = ["accounts", "activities", "batches", "issuers", "mandates", "outgoing", "users", "vat", "webhooks"]
