"""Drafts -> rows."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from invoicing import allowances, book_vat
from invoicing.drafting.draft import TAXED_BY, Draft, taxed_by
from invoicing.models import Invoice, Line, Section, VatShare
from tenants.copying import copy_rows, new_keys, table_of

INVOICES, SECTIONS, LINES, VAT_SHARES = (table_of(model) for model in (Invoice, Section, Line, VatShare))
VAT_CHECK_PENDING = _("VAT check pending: VIES has not confirmed the VAT id yet. The document goes on by itself.")


def write(drafts: Sequence[Draft], *, run: int | None, state: str) -> None:
    """Store drafts whose charges are written, in the caller's transaction.

    One of nothing is closed; an e-invoice is not released by anybody before it is judged.
    """
    keys = new_keys(**{INVOICES: len(drafts), SECTIONS: sum(len(draft.sections) for draft in drafts)})
    section_keys = iter(keys[SECTIONS])
    invoices, sections, lines, shares = [], [], [], []
    for draft, key in zip(drafts, keys[INVOICES], strict=True):
        draft.key = key
        total = draft.totals
        currency, case = draft.currency, draft.case.value
        invoices.append(
            (
                key,
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
                currency,
                draft.collection,
                draft.po_number,
                case,
                total.net,
                total.vat,
                total.gross,
                draft.parties,
                draft.content_hash,
                "",
                str(VAT_CHECK_PENDING) if draft.waits_for and not draft.is_nothing else "",
                "" if draft.is_nothing else draft.waits_for,
            )
        )
        places: list[int] = []
        for position, section in enumerate(draft.sections, 1):
            places.append(next(section_keys))
            code = section.project_code
            sections.append((places[-1], key, section.tenant, position, section.name, code, currency, section.net))
        for position, line in enumerate(draft.lines, 1):
            due = line.charge.due
            lines.append(
                (
                    key,
                    None if line.section is None else places[line.section - 1],
                    line.charge.key,
                    position,
                    line.text,
                    due.quantity,
                    line.unit,
                    due.period.start,
                    due.period.end,
                    case,
                    line.rate,
                    currency,
                    due.net,
                    line.details,
                )
            )
        shares += [
            (key, share.case.value, share.rate, currency, share.base, share.vat, *taxed_by(draft, share))
            for share in total.shares
        ]
    copy_rows(
        INVOICES,
        (
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
        ),
        invoices,
    )
    copy_rows(
        SECTIONS,
        ("id", "invoice_id", "tenant_id", "position", "name", "project_code", "currency", "net"),
        sections,
    )
    copy_rows(
        LINES,
        (
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
        ),
        lines,
    )
    copy_rows(VAT_SHARES, ("invoice_id", "vat_case", "vat_rate", "currency", "base", "vat", *TAXED_BY), shares)
    book_vat.write((draft.key, draft.in_books) for draft in drafts if draft.in_books)
    allowances.write([(draft.key, draft.currency, draft.lowered) for draft in drafts])


def _state_of(draft: Draft, wanted: str) -> str:
    if draft.is_nothing:
        return Invoice.State.CLOSED.value
    if draft.waits_for:
        return Invoice.State.HELD.value
    return Invoice.State.DRAFT.value if draft.waits_for_verdict else wanted
