"""The only writer of journal entries and open items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext_lazy as _

from invoicing.kernel.entries import RECEIVABLES, document_issued
from invoicing.kernel.totals import Share
from invoicing.models import JournalEntry, LedgerAccount, OpenItem, Posting
from tenants.copying import copy_rows, new_keys, table_of
from tenants.errors import OperatorError
from tenants.models import Issuer

ENTRIES, POSTINGS, OPEN_ITEMS = (table_of(model) for model in (JournalEntry, Posting, OpenItem))

# The chart an issuer starts with: role -> number and name in SKR03; staff may change both.
CHART: Final = {
    RECEIVABLES: ("1400", "Forderungen aus Lieferungen und Leistungen"),
    "revenue_S_19": ("8400", "Erlöse 19 % USt"),
    "revenue_S_7": ("8300", "Erlöse 7 % USt"),
    "revenue_AE": ("8336", "Erlöse aus im anderen EU-Land steuerpflichtigen sonstigen Leistungen"),
    "revenue_O": ("8338", "Erlöse aus im Drittland steuerbaren Leistungen"),
    "vat_19": ("1776", "Umsatzsteuer 19 %"),
    "vat_7": ("1771", "Umsatzsteuer 7 %"),
}


class NoAccount(OperatorError):
    """The issuer's chart has no account for something that must be booked."""


@dataclass(frozen=True, slots=True)
class Receivable:
    """An issued document as the books need it."""

    invoice: int
    payer: int
    currency: str
    due_on: date
    shares: tuple[Share, ...]
    gross: Decimal


def ensure_chart(issuer: Issuer) -> None:
    """Give an issuer the accounts it lacks; those it has stay as staff left them."""
    LedgerAccount.objects.bulk_create(
        [LedgerAccount(issuer=issuer, role=role, code=code, name=name) for role, (code, name) in CHART.items()],
        ignore_conflicts=True,
    )


def post_issued(issuer: Issuer, receivables: Sequence[Receivable], *, on: date) -> None:
    """Book documents as issued on ``on`` and open their items, in the caller's transaction.

    Raises ``NoAccount`` naming the missing role.
    """
    accounts = dict(LedgerAccount.objects.filter(issuer=issuer).values_list("role", "id"))
    keys = new_keys(**{ENTRIES: len(receivables), OPEN_ITEMS: len(receivables)})
    entries, items, postings = [], [], []
    for receivable, entry, item in zip(receivables, keys[ENTRIES], keys[OPEN_ITEMS], strict=True):
        currency = receivable.currency
        entries.append((entry, issuer.pk, JournalEntry.Kind.ISSUE.value, on, receivable.invoice))
        items.append((item, receivable.invoice, receivable.payer, receivable.due_on, currency, receivable.gross))
        for side in document_issued(receivable.shares):
            try:
                account = accounts[side.role]
            except KeyError:
                raise NoAccount(
                    _("%(issuer)s has no ledger account for %(role)s.")
                    % {"issuer": issuer.reference, "role": side.role}
                ) from None
            postings.append((entry, account, item if side.role == RECEIVABLES else None, currency, side.amount))
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on", "invoice_id"), entries)
    copy_rows(OPEN_ITEMS, ("id", "invoice_id", "payer_id", "due_on", "currency", "amount"), items)
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
