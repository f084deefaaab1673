"""Screens of the catalog, the contracts and what they were charged."""

from billing.admin import catalog, charges, contracts

__all__ = ["catalog", "charges", "contracts"]
