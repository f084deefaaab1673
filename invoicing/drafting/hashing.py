"""The hash of a draft's content."""

from __future__ import annotations

from invoicing.drafting.draft import Draft, taxed_by
from invoicing.kernel import content
from invoicing.kernel.totals import Share


def _share_text(draft: Draft, share: Share) -> str:
    _rule, country, code, notice, _role, _check = taxed_by(draft, share)
    return content.share_text(share.case.value, share.rate, share.base, share.vat, country, code, notice)


def content_hash_of(draft: Draft) -> str:
    total, case = draft.totals, draft.case.value
    return content.content_hash(
        content.head_text(
            draft.kind,
            draft.issued_on,
            draft.due_on,
            draft.language,
            draft.currency,
            draft.collection,
            draft.po_number,
            case,
            total.net,
            total.vat,
            total.gross,
            draft.parties,
        ),
        [content.section_text(n, s.name, s.net, s.project_code) for n, s in enumerate(draft.sections, 1)],
        [
            content.line_text(
                n,
                line.section,
                line.text,
                line.charge.due.quantity,
                line.unit,
                line.charge.due.period.start,
                line.charge.due.period.end,
                case,
                line.rate,
                line.charge.due.net,
                line.details,
            )
            for n, line in enumerate(draft.lines, 1)
        ],
        [
            *(_share_text(draft, share) for share in total.shares),
            *([draft.in_books.text] if draft.in_books is not None else []),
        ],
        [
            content.allowance_text(n, one.text, one.percent, one.case.value, one.rate, one.base, one.amount)
            for n, one in enumerate(draft.lowered, 1)
        ],
    )
