"""A document's facts as plain data: all that is printed or written into an e-invoice, with nothing to look up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from invoicing.kernel.printing import Explanation

UNEXPLAINED = Explanation()


class Kind(StrEnum):
    """What the document is in law. "Gutschrift" is none of them: in VAT law that is self-billing."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    CANCELLATION = "cancellation"


class Collection(StrEnum):
    """How the money comes in."""

    INVOICE = "invoice"
    DIRECT_DEBIT = "direct_debit"
    CARD = "card"


@dataclass(frozen=True, slots=True)
class PartyFacts:
    """A seller, buyer or payer as it was when the document was issued; ``country`` is an ISO code."""

    name: str
    street: str
    postcode: str
    city: str
    country: str
    reference: str = ""
    vat_id: str = ""
    tax_number: str = ""
    register_entry: str = ""
    managing_directors: str = ""
    contact: str = ""
    email: str = ""
    leitweg_id: str = ""  # of a public buyer (EN 16931 BT-10)
    phone: str = ""
    iban: str = ""
    bic: str = ""


@dataclass(frozen=True, slots=True)
class OriginalFacts:
    """The document that is corrected, named beyond doubt (EN 16931 BT-25, BT-26)."""

    number: str
    issued_on: date


@dataclass(frozen=True, slots=True)
class UsageFacts:
    """What a line's usage was: of whose account, counted by which meter when, from how many events.

    ``quantity`` is that of the whole period, of which ``before`` (``None``: nothing) was charged earlier.
    """

    account: PartyFacts
    application: str
    meter: str
    way: str  # of billing.kernel.usage.Aggregation
    property: str
    events: int
    quantity: Decimal
    counted_at: datetime  # in the account's time zone
    before: Decimal | None = None
    quota: Decimal = Decimal(0)  # that was free of charge


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One charge. ``net`` is final; the explanation says how it came about."""

    position: int
    text: str
    quantity: Decimal  # negative where a price is taken back: EN 16931 has no negative prices (BR-27)
    unit: str  # UN/ECE code
    net: Decimal
    starts_on: date
    last_day: date
    explanation: Explanation = UNEXPLAINED
    contract: str = ""
    corrects: OriginalFacts | None = None
    vat_category: str = "S"
    vat_rate: Decimal = Decimal(0)
    usage: UsageFacts | None = None


@dataclass(frozen=True, slots=True)
class SectionFacts:
    """The lines of one account on a consolidated document."""

    tenant_name: str
    tenant_reference: str
    lines: tuple[LineFacts, ...]
    net: Decimal
    project_code: str = ""


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """What the invoice tells about a contract, as of its date (A-14)."""

    reference: str
    text: str
    tenant_name: str
    starts_on: date
    licences: Decimal
    unit: str = "C62"
    last_day: date | None = None
    term_months: int | None = None
    renewal_months: int | None = None
    next_renewal_on: date | None = None
    notice_by: date | None = None  # last day on which notice still reaches the end of the term
    activated_on: date | None = None
    accepted_on: date | None = None


@dataclass(frozen=True, slots=True)
class VatShareFacts:
    """VAT of one category and rate; ``notice`` says why there is none."""

    category: str  # UNTDID 5305: S, AE, O, ...
    rate: Decimal  # in percent
    base: Decimal
    vat: Decimal
    notice: str = ""
    exemption_code: str = ""  # VATEX, where there is one


@dataclass(frozen=True, slots=True)
class AllowanceFacts:
    """A discount on the whole document, as far as it falls on one VAT category and rate (EN 16931 BG-20).

    ``amount`` is what it takes off, of the sign of the document. A percentage names the base it was taken from.
    """

    reason: str
    amount: Decimal
    vat_category: str
    vat_rate: Decimal
    percent: Decimal | None = None
    base: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BookFacts:
    """The VAT in the issuer's currency (BT-6, BT-111), one unit of which costs ``rate`` of the document's."""

    currency: str
    places: int
    vat: Decimal
    rate: Decimal
    rate_on: date
    source: str


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A whole document. Without a number it is a draft. ``net`` is that of the lines less the allowances."""

    kind: Kind
    number: str | None
    issued_on: date
    currency: str
    places: int  # decimals of the currency
    language: str
    seller: PartyFacts
    buyer: PartyFacts
    sections: tuple[SectionFacts, ...]
    vat: tuple[VatShareFacts, ...]
    net: Decimal
    vat_total: Decimal
    gross: Decimal
    due_on: date | None = None
    payment_days: int | None = None
    collection: Collection = Collection.INVOICE
    payer: PartyFacts | None = None  # where it is not the buyer
    po_number: str = ""
    project_code: str = ""
    creditor_id: str = ""
    mandate_reference: str = ""
    debited_iban: str = ""  # the payer's, under the mandate
    collect_on: date | None = None  # the day of the debit under the mandate
    contracts: tuple[ContractFacts, ...] = ()
    original: OriginalFacts | None = None
    reason: str = ""  # of a correction by hand
    vat_evidence: str = ""
    in_books: BookFacts | None = None  # of a document in another currency than the issuer's
    format: str = "pdf"  # of Tenant.DocumentFormat
    allowances: tuple[AllowanceFacts, ...] = ()

    @property
    def lines(self) -> Iterator[LineFacts]:
        """All lines, section by section."""
        return (line for section in self.sections for line in section.lines)

    @property
    def is_consolidated(self) -> bool:
        """Whether the lines stand in sections: several accounts, or one that is not the recipient's own."""
        return len(self.sections) > 1 or any(s.tenant_reference != self.buyer.reference for s in self.sections)
