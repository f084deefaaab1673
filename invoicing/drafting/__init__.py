"""Charges -> draft documents, one per recipient, payer and what else keeps them apart (``invoicing.grouping``)."""

from invoicing.drafting.composing import propose
from invoicing.drafting.draft import Draft
from invoicing.drafting.reading import CreditedByHand, StandsOnADraft, payers_of_corrected
from invoicing.drafting.refusing import UNUSUAL, BeyondBounds, InvoicesItself
from invoicing.drafting.writing import VAT_CHECK_PENDING, write

__all__ = [
    "UNUSUAL",
    "VAT_CHECK_PENDING",
    "BeyondBounds",
    "CreditedByHand",
    "Draft",
    "InvoicesItself",
    "StandsOnADraft",
    "payers_of_corrected",
    "propose",
    "write",
]
