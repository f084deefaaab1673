"""Screens of dunning and disputes."""

from payments.admin import disputes, dunning

__all__ = ["disputes", "dunning"]
