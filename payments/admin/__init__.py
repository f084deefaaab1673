"""Screens of dunning."""

from payments.admin import dunning

__all__ = ["dunning"]
