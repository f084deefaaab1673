"""Letters about new prices: what a price campaign changes for one account, as PDF and e-mail."""

from invoicing.price_notice.letter import NoticeFacts, PriceFacts, cover_note, render
from invoicing.price_notice.sending import facts_of, overdue, unwritten, waiting, without_address, write_notices

__all__ = [
    "NoticeFacts",
    "PriceFacts",
    "cover_note",
    "facts_of",
    "overdue",
    "render",
    "unwritten",
    "waiting",
    "without_address",
    "write_notices",
]
