"""What charging finds: positions with their terms, and the charges to be booked for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from billing.kernel.charges import Due, ItemTerms
from billing.kernel.pricing import Model
from billing.kernel.usage import Aggregation
from tenants.errors import OperatorError


class Unbillable(OperatorError):
    """A contract or a price says something that cannot be reckoned."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a document says about a contract."""

    key: int
    reference: str
    tenant: int
    currency: str
    po_number: str
    starts_on: date
    ends_before: date | None
    term_from: date
    term_months: int | None
    renewal_months: int | None
    notice_days: int | None
    extended_days: int
    invoice_to: int | None = None  # where it is not as the account says
    pay_by: int | None = None
    is_invoiced_alone: bool = False
    activated_on: date | None = None
    accepted_on: date | None = None


@dataclass(frozen=True, slots=True)
class Metered:
    """By which meter (its key) a product is charged, and how what that counts becomes a quantity.

    ``names`` are those of application and meter in German and in English, or else their references.
    """

    key: int
    application: str
    meter: str
    aggregation: Aggregation
    counted: str = ""  # name of the property of an event, if it is one
    names: tuple[tuple[str, str], tuple[str, str]] = (("", ""), ("", ""))

    @property
    def name(self) -> str:
        return f"{self.application}/{self.meter}"


@dataclass(frozen=True, slots=True)
class Position:
    """An item of a contract with its terms and what a document says about it; ``meter``: it is charged by use."""

    contract: Contract
    terms: ItemTerms
    product: int
    interval: str
    meter: Metered | None = None

    @property
    def is_commitment(self) -> bool:
        return self.terms.price.model is Model.COMMITMENT and self.meter is None


@dataclass(slots=True)
class Proposed:
    """A charge to be booked for a position; ``key`` is its own from the moment it is written."""

    position: Position
    due: Due
    key: int = 0


@dataclass(slots=True)
class Proposal:
    """What brings the charges of some payers in line. ``left_out`` names accounts of theirs that are not active."""

    charges: list[Proposed] = field(default_factory=list)
    left_out: dict[int, list[str]] = field(default_factory=dict)
