"""A document before it has a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from billing.charging import Proposed
from invoicing import allowances, book_vat
from invoicing.kernel import vat
from invoicing.kernel.taxation import Treatment
from invoicing.kernel.totals import Share, Totals
from invoicing.parties import Account
from tenants.models import Tenant


@dataclass(slots=True)
class DraftLine:
    """A charge as it will be printed."""

    charge: Proposed
    section: int | None  # position of its section
    text: str
    unit: str
    rate: Decimal
    details: str  # canonical JSON


@dataclass(frozen=True, slots=True)
class DraftSection:
    tenant: int
    name: str
    net: Decimal
    project_code: str = ""


@dataclass(slots=True)
class Draft:
    """A document before it has a number; keys and content hash are its own from the moment it is written."""

    issuer: int
    recipient: Account
    payer: Account
    kind: str
    issued_on: date
    due_on: date
    language: str
    currency: str
    collection: str
    po_number: str
    case: vat.Case
    totals: Totals
    parties: str  # canonical JSON
    format: str
    sections: list[DraftSection]
    lines: list[DraftLine]
    lowered: Sequence[allowances.DraftAllowance] = ()
    treatments: dict[Decimal, Treatment] = field(default_factory=dict)  # by rate
    in_books: book_vat.InBooks | None = None
    vat_check: int | None = None  # that the document relies on
    waits_for: str = ""
    billed_with: int | None = None  # the payer in whose turn it arose, where that is not its own
    content_hash: str = ""
    key: int = 0
    section_keys: Sequence[int] = ()

    @property
    def billed_payer(self) -> int:
        """The payer whose outcome in the run tells of it."""
        return self.billed_with or self.payer.id

    @property
    def booked_shares(self) -> tuple[Share, ...]:
        """The VAT shares with the role of their ledger accounts."""
        return tuple(
            replace(share, ledger_role=self.treatments[share.rate].rule.ledger_role) for share in self.totals.shares
        )

    @property
    def waits_for_verdict(self) -> bool:
        """An e-invoice, which a worker judges before it is released (``invoicing.judging``)."""
        return self.format != Tenant.DocumentFormat.PDF and not self.is_nothing

    @property
    def waits(self) -> bool:
        """For something outside, so that no run issues it by itself now."""
        return self.waits_for_verdict or bool(self.waits_for and not self.is_nothing)

    @property
    def is_nothing(self) -> bool:
        """Nothing to claim: it is closed without a number, and its charges count as dealt with."""
        return not self.totals.gross


TAXED_BY = ("rule_id", "country", "exemption_code", "notice", "ledger_role", "vat_check_id")


def taxed_by(draft: Draft, share: Share) -> tuple[Any, ...]:
    """The columns ``TAXED_BY`` of a VAT share."""
    treatment = draft.treatments[share.rate]
    rule = treatment.rule
    notice = rule.notice(draft.language)
    return rule.key, treatment.country, rule.exemption_code, notice, rule.ledger_role, draft.vat_check
