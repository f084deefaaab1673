"""Drafts -> rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from invoicing import allowances, book_vat
from invoicing.drafting.draft import TAXED_BY, Draft, taxed_by
from invoicing.drafting.hashing import content_hash_of
from invoicing.models import Invoice, Line, Section, VatShare
from tenants.copying import copy_rows, new_keys, table_of

INVOICES, SECTIONS, LINES, VAT_SHARES = (table_of(model) for model in (Invoice, Section, Line, VatShare))
INVOICE_COLUMNS: Final = (
    "id",
    "run_id",
    "issuer_id",
    "recipient_id",
    "payer_id",
    "billed_with_id",
    "kind",
    "state",
    "issued_on",
    "due_on",
    "language",
    "currency",
    "collection",
    "po_number",
    "vat_case",
    "net",
    "vat",
    "gross",
    "parties",
    "content_hash",
    "chain_hash",
    "reason",
    "waits_for",
)
SECTION_COLUMNS: Final = ("id", "invoice_id", "tenant_id", "position", "name", "project_code", "currency", "net")
LINE_COLUMNS: Final = (
    "invoice_id",
    "section_id",
    "charge_id",
    "position",
    "text",
    "quantity",
    "unit",
    "starts_on",
    "ends_before",
    "vat_case",
    "vat_rate",
    "currency",
    "net",
    "details",
)
VAT_SHARE_COLUMNS: Final = ("invoice_id", "vat_case", "vat_rate", "currency", "base", "vat", *TAXED_BY)
VAT_CHECK_PENDING = _("VAT check pending: VIES has not confirmed the VAT id yet. The document goes on by itself.")


def write(drafts: Sequence[Draft], *, run: int | None, state: str) -> None:
    """Store drafts whose charges are written, in the caller's transaction; each gets its key and its content hash.

    One of nothing is closed; an e-invoice is not released by anybody before it is judged.
    """
    keys = new_keys(**{INVOICES: len(drafts), SECTIONS: sum(len(draft.sections) for draft in drafts)})
    section_keys = iter(keys[SECTIONS])
    for draft, key in zip(drafts, keys[INVOICES], strict=True):
        draft.key = key
        draft.section_keys = list(islice(section_keys, len(draft.sections)))
    copy_rows(INVOICES, INVOICE_COLUMNS, _invoice_rows(drafts, run, state))
    copy_rows(SECTIONS, SECTION_COLUMNS, _section_rows(drafts))
    copy_rows(LINES, LINE_COLUMNS, _line_rows(drafts))
    copy_rows(VAT_SHARES, VAT_SHARE_COLUMNS, _vat_share_rows(drafts))
    book_vat.write((draft.key, draft.in_books) for draft in drafts if draft.in_books)
    allowances.write([(draft.key, draft.currency, draft.lowered) for draft in drafts])


def _invoice_rows(drafts: Sequence[Draft], run: int | None, state: str) -> Iterator[tuple[Any, ...]]:
    for draft in drafts:
        draft.content_hash = content_hash_of(draft)
        total = draft.totals
        yield (
            draft.key,
            run,
            draft.issuer,
            draft.recipient.id,
            draft.payer.id,
            draft.billed_with,
            draft.kind,
            _state_of(draft, state),
            draft.issued_on,
            draft.due_on,
            draft.language,
            draft.currency,
            draft.collection,
            draft.po_number,
            draft.case.value,
            total.net,
            total.vat,
            total.gross,
            draft.parties,
            draft.content_hash,
            "",
            str(VAT_CHECK_PENDING) if draft.waits_for and not draft.is_nothing else "",
            "" if draft.is_nothing else draft.waits_for,
        )


def _section_rows(drafts: Sequence[Draft]) -> Iterator[tuple[Any, ...]]:
    for draft in drafts:
        for position, (key, section) in enumerate(zip(draft.section_keys, draft.sections, strict=True), 1):
            told = (section.tenant, position, section.name, section.project_code, draft.currency, section.net)
            yield (key, draft.key, *told)


def _line_rows(drafts: Sequence[Draft]) -> Iterator[tuple[Any, ...]]:
    for draft in drafts:
        case = draft.case.value
        for position, line in enumerate(draft.lines, 1):
            due = line.charge.due
            yield (
                draft.key,
                None if line.section is None else draft.section_keys[line.section - 1],
                line.charge.key,
                position,
                line.text,
                due.quantity,
                line.unit,
                due.period.start,
                due.period.end,
                case,
                line.rate,
                draft.currency,
                due.net,
                line.details,
            )


def _vat_share_rows(drafts: Sequence[Draft]) -> Iterator[tuple[Any, ...]]:
    for draft in drafts:
        for share in draft.totals.shares:
            figures = (share.case.value, share.rate, draft.currency, share.base, share.vat)
            yield (draft.key, *figures, *taxed_by(draft, share))


def _state_of(draft: Draft, wanted: str) -> str:
    if draft.is_nothing:
        return Invoice.State.CLOSED.value
    if draft.waits_for:
        return Invoice.State.HELD.value
    return Invoice.State.DRAFT.value if draft.waits_for_verdict else wanted
