from invoicing.models.allowance import Allowance
from invoicing.models.bill_run import BillRun, Outcome
from invoicing.models.calendar_feed import CalendarFeed
from invoicing.models.document_file import Delivery, DocumentFile, SectionCopy
from invoicing.models.invoice import Invoice
from invoicing.models.ledger import JournalEntry, LedgerAccount, OpenItem, Posting, RefundRequest
from invoicing.models.letterhead import Letterhead, LetterText
from invoicing.models.line import Line, Section, VatShare
from invoicing.models.number_range import NumberRange
from invoicing.models.statement import CollectiveStatement, StatementDelivery, StatementEntry
from invoicing.models.tax import BookVat, ExchangeRate, TaxRate, TaxRule
from invoicing.models.trouble import PrintTrouble
from invoicing.models.verdict import Verdict

__all__ = [
    "Allowance",
    "BillRun",
    "BookVat",
    "CalendarFeed",
    "CollectiveStatement",
    "Delivery",
    "DocumentFile",
    "ExchangeRate",
    "Invoice",
    "JournalEntry",
    "LedgerAccount",
    "LetterText",
    "Letterhead",
    "Line",
    "NumberRange",
    "OpenItem",
    "Outcome",
    "Posting",
    "PrintTrouble",
    "RefundRequest",
    "Section",
    "SectionCopy",
    "StatementDelivery",
    "StatementEntry",
    "TaxRate",
    "TaxRule",
    "VatShare",
    "Verdict",
]
