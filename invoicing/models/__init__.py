from invoicing.models.bill_run import BillRun, Outcome
from invoicing.models.invoice import Delivery, DocumentFile, Invoice, Line, Section, VatShare
from invoicing.models.ledger import JournalEntry, LedgerAccount, OpenItem, Posting
from invoicing.models.number_range import NumberRange
from invoicing.models.trouble import PrintTrouble

__all__ = [
    "BillRun",
    "Delivery",
    "DocumentFile",
    "Invoice",
    "JournalEntry",
    "LedgerAccount",
    "Line",
    "NumberRange",
    "OpenItem",
    "Outcome",
    "Posting",
    "PrintTrouble",
    "Section",
    "VatShare",
]
