"""Screens of the catalog, the contracts and what they were charged."""

from billing.admin import amendments, campaigns, catalog, charges, contracts, price_notices, requests, usage

__all__ = ["amendments", "campaigns", "catalog", "charges", "contracts", "price_notices", "requests", "usage"]
