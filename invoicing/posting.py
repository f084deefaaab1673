"""The only writer of journal entries and open items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from invoicing.kernel.entries import (
    BANK,
    BANK_CHARGES,
    CASH,
    DEBITS_IN_TRANSIT,
    PROVIDER_CLEARING,
    RECEIVABLES,
    REFUNDS_IN_TRANSIT,
    Side,
    document_issued,
    item_taken_over,
)
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
    "revenue_S_16": ("8340", "Erlöse 16 % USt"),
    "revenue_K": ("8125", "Steuerfreie innergemeinschaftliche Lieferungen (§ 4 Nr. 1b UStG)"),
    "revenue_G": ("8120", "Steuerfreie Ausfuhrlieferungen (§ 4 Nr. 1a UStG)"),
    "revenue_E": ("8100", "Steuerfreie Umsätze (§ 4 Nr. 8 ff. UStG)"),
    "revenue_SMALL": ("8195", "Erlöse als Kleinunternehmer (§ 19 UStG)"),
    "revenue_OSS": ("8331", "Erlöse, im anderen EU-Land steuerpflichtig (One-Stop-Shop)"),
    "revenue_O": ("8338", "Erlöse aus im Drittland steuerbaren Leistungen"),
    "vat_19": ("1776", "Umsatzsteuer 19 %"),
    "vat_16": ("1775", "Umsatzsteuer 16 %"),
    "vat_OSS": ("1768", "Umsatzsteuer anderer EU-Länder (One-Stop-Shop)"),
    "vat_7": ("1771", "Umsatzsteuer 7 %"),
    BANK: ("1200", "Bank"),
    CASH: ("1000", "Kasse"),
    DEBITS_IN_TRANSIT: ("1360", "Geldtransit Lastschriften"),
    PROVIDER_CLEARING: ("1361", "Geldtransit Zahlungsdienstleister"),
    REFUNDS_IN_TRANSIT: ("1362", "Geldtransit Erstattungen"),
    BANK_CHARGES: ("4970", "Nebenkosten des Geldverkehrs"),
    "discount_S_19": ("8736", "Gewährte Skonti 19 % USt"),
    "discount_S_7": ("8731", "Gewährte Skonti 7 % USt"),
    "discount_free": ("8730", "Gewährte Skonti"),
    "write_off_S_19": ("2406", "Forderungsverluste 19 % USt"),
    "write_off_S_7": ("2401", "Forderungsverluste 7 % USt"),
    "write_off_free": ("2400", "Forderungsverluste"),
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
    corrects: int | None = None  # the document whose open item it settles first


@dataclass(frozen=True, slots=True)
class Offset:
    """So much of a credit is set off against a claim; both are open items of one payer and currency.

    ``document`` is the correction that settles its own document, once; ``None`` where a person sets a balance off.
    """

    claim: int
    credit: int
    currency: str
    amount: Decimal
    document: int | None = None


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
    offsets = []
    settled = open_of_documents([one.corrects for one in receivables if one.corrects is not None])
    for receivable, entry, item in zip(receivables, keys[ENTRIES], keys[OPEN_ITEMS], strict=True):
        currency = receivable.currency
        entries.append((entry, issuer.pk, JournalEntry.Kind.ISSUE.value, on, receivable.invoice))
        items.append(
            (item, issuer.pk, receivable.invoice, receivable.payer, receivable.due_on, currency, receivable.gross)
        )
        for side in document_issued(receivable.shares):
            try:
                account = accounts[side.role]
            except KeyError:
                raise _no_account(issuer, side.role) from None
            postings.append((entry, account, item if side.role == RECEIVABLES else None, currency, side.amount))
        if receivable.corrects is not None:
            other, left = settled[receivable.corrects]
            if left * receivable.gross < 0:
                part = min(abs(left), abs(receivable.gross))
                claim, credit = (other, item) if left > 0 else (item, other)
                offsets.append(Offset(claim, credit, currency, part, receivable.invoice))
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on", "invoice_id"), entries)
    columns = ("id", "issuer_id", "invoice_id", "payer_id", "due_on", "currency", "amount")
    copy_rows(OPEN_ITEMS, columns, items)
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    offset(issuer, offsets, on=on)


def offset(issuer: Issuer, offsets: Sequence[Offset], *, on: date) -> None:
    """Book credits as set off on ``on``, in the caller's transaction, under the payers' locks.

    Raises ``NoAccount`` naming the missing role.
    """
    if not offsets:
        return
    receivables = account_of(issuer, RECEIVABLES)
    keys = new_keys(**{ENTRIES: len(offsets)})[ENTRIES]
    entries, postings = [], []
    for one, entry in zip(offsets, keys, strict=True):
        entries.append((entry, issuer.pk, JournalEntry.Kind.OFFSET.value, on, one.document))
        postings.append((entry, receivables, one.claim, one.currency, -one.amount))
        postings.append((entry, receivables, one.credit, one.currency, one.amount))
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on", "invoice_id"), entries)
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)


@dataclass(frozen=True, slots=True)
class Takeover:
    """What another payer takes over: the item that is closed, the one that is opened, and how much.

    ``document`` is ``None`` where what is taken over is what is left of a payment.
    """

    item: int
    opened: int
    document: int | None
    old_payer: int
    new_payer: int
    currency: str
    amount: Decimal


def take_over(payers: Mapping[int, int], *, on: date) -> list[Takeover]:
    """Let other payers take over what is open of ``payers``' items (item -> new payer), booked on ``on``.

    Each item is closed by an entry of its own that opens a new one of the same document or payment, due as before.
    Items of which nothing is open, that were taken over already or belong to that payer anyway are left. In the
    caller's transaction, under the locks of all payers. Raises ``NoAccount`` naming the missing role.
    """
    found = [
        item
        for item in OpenItem.objects.filter(pk__in=list(payers), moved_to=None)
        .select_related("issuer")
        .annotate(left=Sum("postings__amount"))
        .order_by("pk")
        if item.left and item.payer_id != payers[item.pk]
    ]
    issuers = {item.issuer_id for item in found}
    charts = LedgerAccount.objects.filter(role=RECEIVABLES, issuer__in=issuers)
    accounts = dict(charts.values_list("issuer_id", "id"))
    keys = new_keys(**{ENTRIES: len(found), OPEN_ITEMS: len(found)})
    entries, items, postings, taken = [], [], [], []
    for item, entry, opened in zip(found, keys[ENTRIES], keys[OPEN_ITEMS], strict=True):
        issuer, currency = item.issuer, item.currency
        if issuer.pk not in accounts:
            raise _no_account(issuer, RECEIVABLES)
        entries.append((entry, issuer.pk, JournalEntry.Kind.TRANSFER.value, on, item.invoice_id))
        items.append(
            (
                opened,
                issuer.pk,
                item.invoice_id,
                item.reference,
                payers[item.pk],
                item.due_on,
                currency,
                item.left,
                item.pk,
            )
        )
        for side, change in zip((opened, item.pk), item_taken_over(item.left), strict=True):
            postings.append((entry, accounts[issuer.pk], side, currency, change.amount))
        taken.append(Takeover(item.pk, opened, item.invoice_id, item.payer_id, payers[item.pk], currency, item.left))
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on", "invoice_id"), entries)
    columns = (
        "id",
        "issuer_id",
        "invoice_id",
        "reference",
        "payer_id",
        "due_on",
        "currency",
        "amount",
        "moved_from_id",
    )
    copy_rows(OPEN_ITEMS, columns, items)
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    return taken


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came in from a payer: its amount (above zero), and the ledger account (its key) where it lies now.

    ``reference`` says what it is on the payer's account, for instance the purpose of a transfer.
    """

    payer: int
    currency: str
    amount: Decimal
    account: int
    reference: str


@dataclass(frozen=True, slots=True)
class Received:
    """What a receipt became: its entry, and the payer's credit."""

    entry: int
    item: int


def post_receipts(issuer: Issuer, receipts: Sequence[Receipt], *, on: date) -> list[Received]:
    """Book money received on ``on``; each receipt opens an item, a credit of its payer that nothing is applied to yet.

    In the caller's transaction, under the payers' locks, in the order of ``receipts``. Raises ``NoAccount`` naming the
    missing role.
    """
    receivables = account_of(issuer, RECEIVABLES)
    keys = new_keys(**{ENTRIES: len(receipts), OPEN_ITEMS: len(receipts)})
    entries, items, received = [], [], []
    postings: list[tuple[int, int, int | None, str, Decimal]] = []
    for one, entry, item in zip(receipts, keys[ENTRIES], keys[OPEN_ITEMS], strict=True):
        entries.append((entry, issuer.pk, JournalEntry.Kind.PAYMENT.value, on))
        items.append((item, issuer.pk, one.reference[:140], one.payer, on, one.currency, -one.amount))
        postings.append((entry, one.account, None, one.currency, one.amount))
        postings.append((entry, receivables, item, one.currency, -one.amount))
        received.append(Received(entry, item))
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on"), entries)
    copy_rows(OPEN_ITEMS, ("id", "issuer_id", "reference", "payer_id", "due_on", "currency", "amount"), items)
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    return received


@dataclass(frozen=True, slots=True)
class Application:
    """So much of a credit is applied to a claim; below zero, so much of it is taken back from there."""

    credit: int
    claim: int
    currency: str
    amount: Decimal


def apply(issuer: Issuer, applications: Sequence[Application], *, on: date) -> list[int]:
    """Book money as applied to claims on ``on``; the keys of the entries, in order.

    In the caller's transaction, under the locks of the payers of both sides. Raises ``NoAccount``.
    """
    receivables = account_of(issuer, RECEIVABLES)
    keys: list[int] = new_keys(**{ENTRIES: len(applications)})[ENTRIES]
    entries, postings = [], []
    for one, entry in zip(applications, keys, strict=True):
        kind = JournalEntry.Kind.ALLOCATION if one.amount > 0 else JournalEntry.Kind.DEALLOCATION
        entries.append((entry, issuer.pk, kind.value, on))
        postings.append((entry, receivables, one.credit, one.currency, one.amount))
        postings.append((entry, receivables, one.claim, one.currency, -one.amount))
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on"), entries)
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    return keys


def post_paid_back(
    issuer: Issuer, item: int, amount: Decimal, *, currency: str, account: int, kind: JournalEntry.Kind, on: date
) -> int:
    """Book that so much of a credit left again by way of ``account``: paid back, or returned. The entry's key.

    In the caller's transaction, under the payer's lock. Raises ``NoAccount``.
    """
    entry: int
    [entry] = new_keys(**{ENTRIES: 1})[ENTRIES]
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on"), [(entry, issuer.pk, kind.value, on)])
    postings = [
        (entry, account_of(issuer, RECEIVABLES), item, currency, amount),
        (entry, account, None, currency, -amount),
    ]
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    return entry


def move(
    issuer: Issuer, amount: Decimal, *, currency: str, debit: int, credit: int, kind: JournalEntry.Kind, on: date
) -> int:
    """Book an amount from one ledger account (key) to another, neither of them receivables. The entry's key."""
    entry: int
    [entry] = new_keys(**{ENTRIES: 1})[ENTRIES]
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on"), [(entry, issuer.pk, kind.value, on)])
    postings = [(entry, debit, None, currency, amount), (entry, credit, None, currency, -amount)]
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    return entry


def post_reduced(
    issuer: Issuer, item: int, sides: Sequence[Side], *, currency: str, kind: JournalEntry.Kind, on: date
) -> int:
    """Book that a claim is waived in part, as ``claim_reduced`` says. The entry's key.

    In the caller's transaction, under the payer's lock. Raises ``NoAccount``.
    """
    entry: int
    [entry] = new_keys(**{ENTRIES: 1})[ENTRIES]
    postings = [
        (entry, account_of(issuer, side.role), item if side.role == RECEIVABLES else None, currency, side.amount)
        for side in sides
    ]
    copy_rows(ENTRIES, ("id", "issuer_id", "kind", "booked_on"), [(entry, issuer.pk, kind.value, on)])
    copy_rows(POSTINGS, ("entry_id", "account_id", "open_item_id", "currency", "amount"), postings)
    return entry


def account_of(issuer: Issuer, role: str) -> int:
    """The key of the issuer's ledger account with that role. Raises ``NoAccount``."""
    found = LedgerAccount.objects.filter(issuer=issuer, role=role).values_list("id", flat=True).first()
    if found is None:
        raise _no_account(issuer, role)
    return found


def open_of_documents(documents: Sequence[int]) -> dict[int, tuple[int, Decimal]]:
    """By document: its open item and what is open of it; negative where we owe it."""
    if not documents:
        return {}
    rows = (
        OpenItem.objects.filter(invoice__in=documents, moved_to=None)
        .order_by()
        .values_list("invoice_id", "id")
        .annotate(Sum("postings__amount"))
    )
    return {document: (item, left or Decimal(0)) for document, item, left in rows}


def _no_account(issuer: Issuer, role: str) -> NoAccount:
    return NoAccount(_("%(issuer)s has no ledger account for %(role)s.") % {"issuer": issuer.reference, "role": role})
