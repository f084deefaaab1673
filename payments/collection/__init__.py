"""Collecting by SEPA direct debit: proposed, looked at, released as one file, sent, settled by the bank's lines.

What is collected is decided by ``payments.kernel.collecting``; an open item is on one way at a time, which the database
keeps (``collection_item_one_attempt_at_a_time``). A returned debit is never tried again until a person lets it.
"""

from payments.collection.approving import approve, refuse, request
from payments.collection.proposing import propose, rehearse
from payments.collection.reading import NoCreditor, Planned, Proposal
from payments.collection.releasing import (
    NotToBeReleased,
    content_hash,
    discard,
    load,
    mark_sent,
    release,
    take_out,
    total_of,
)
from payments.collection.settling import NotSettled, after_return, expected, fail, settle, take_back, with_bank

__all__ = [
    "NoCreditor",
    "NotSettled",
    "NotToBeReleased",
    "Planned",
    "Proposal",
    "after_return",
    "approve",
    "content_hash",
    "discard",
    "expected",
    "fail",
    "load",
    "mark_sent",
    "propose",
    "refuse",
    "rehearse",
    "release",
    "request",
    "settle",
    "take_back",
    "take_out",
    "total_of",
    "with_bank",
]
