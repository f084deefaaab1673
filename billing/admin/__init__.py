"""Screens of the catalog, the contracts and what they were charged."""

from billing.admin import amendments, catalog, charges, contracts

__all__ = ["amendments", "catalog", "charges", "contracts"]
