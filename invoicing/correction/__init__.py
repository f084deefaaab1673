"""Corrections by hand of issued documents: a cancellation takes a whole one back, a credit note parts of its lines.

A cancellation undoes the charges of its document, so that the next run finds their days due again: something was billed
wrongly. A credit note by hand leaves the charges as they stand, whatever it is for: it gives money back, and no run
charges it anew. What follows from a changed contract is corrected by the runs themselves.
"""

from invoicing.correction.approving import NeedsApproval, approve, refuse, request, withdraw
from invoicing.correction.billing_again import Comparison, bill_again, compare
from invoicing.correction.cancelling import cancel, cancellable, why_not
from invoicing.correction.crediting import Creditable, Wanted, credit, creditable, judge_credit
from invoicing.correction.drafts import NotCorrectable, refuse_ahead
from invoicing.correction.of_run import cancel_run, left_of_run
from invoicing.correction.previewing import Preview, preview_cancellation, preview_credit
from invoicing.correction.proving import reckoned

__all__ = [
    "Comparison",
    "Creditable",
    "NeedsApproval",
    "NotCorrectable",
    "Preview",
    "Wanted",
    "approve",
    "bill_again",
    "cancel",
    "cancel_run",
    "cancellable",
    "compare",
    "credit",
    "creditable",
    "judge_credit",
    "left_of_run",
    "preview_cancellation",
    "preview_credit",
    "reckoned",
    "refuse",
    "refuse_ahead",
    "request",
    "why_not",
    "withdraw",
]
