"""The life of a contract: every change is an amendment with its day, its channel, its author and its reason.

An amendment books no money. It says what the contract is from a day on; positions end and open accordingly, and
charging finds the money of it as what is due less what is booked. Backdated and future-dated changes are alike.
"""

from billing.contracts.asking import BY_DAY_ALONE, asked, values_of, zone_of
from billing.contracts.asking import FUNCTIONS as KINDS
from billing.contracts.discounts import end as end_discount
from billing.contracts.discounts import grant
from billing.contracts.ending import cancel, follow_file, reinstate, transfer, withdraw
from billing.contracts.joining import align_all, coterm, join
from billing.contracts.positions import add, agree_price, change_product, change_quantity, end, take_price
from billing.contracts.previewing import MoneyLine, MoneyPreview, preview
from billing.contracts.renewals import Renewal, Renewed, renew, renew_due
from billing.contracts.renewals import due as renewals_due
from billing.contracts.responsibility import assign
from billing.contracts.resting import activate, align, extend_trial, pause, resume
from billing.contracts.starting import Position, activation_missing, start
from billing.contracts.timing import earliest_end, term_of
from billing.contracts.values import monthly, mrr, tcv
from billing.contracts.writing import Author, ChangeRefused, course_of
from billing.kernel.changes import MoneyPolicy, PausePolicy, When

__all__ = [
    "BY_DAY_ALONE",
    "KINDS",
    "Author",
    "ChangeRefused",
    "MoneyLine",
    "MoneyPolicy",
    "MoneyPreview",
    "PausePolicy",
    "Position",
    "Renewal",
    "Renewed",
    "When",
    "activate",
    "activation_missing",
    "add",
    "agree_price",
    "align",
    "align_all",
    "asked",
    "assign",
    "cancel",
    "change_product",
    "change_quantity",
    "coterm",
    "course_of",
    "earliest_end",
    "end",
    "end_discount",
    "extend_trial",
    "follow_file",
    "grant",
    "join",
    "monthly",
    "mrr",
    "pause",
    "preview",
    "reinstate",
    "renew",
    "renew_due",
    "renewals_due",
    "resume",
    "start",
    "take_price",
    "tcv",
    "term_of",
    "transfer",
    "values_of",
    "withdraw",
    "zone_of",
]
