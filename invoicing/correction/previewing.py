"""A correction as it will be: drafted by the real code, read, and undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from invoicing import pdf
from invoicing.correction import cancelling, crediting, limits
from invoicing.einvoice.facts import DocumentFacts
from invoicing.models import Invoice
from tenants.transactions import rehearsal


@dataclass(frozen=True, slots=True)
class Preview:
    """The facts of the draft, the hash of its content, and whether another person must approve it."""

    facts: DocumentFacts
    content_hash: str
    needs_approval: bool
    pdf: bytes = b""


def preview_cancellation(invoice: int, *, on: date, reason: str, with_pdf: bool = False) -> Preview:
    """What ``cancel`` would issue; writes nothing. Raises as it does, but for the limit."""
    return _preview(lambda: cancelling.draft([invoice], on=on, reason=reason)[0], with_pdf)


def preview_credit(
    invoice: int, wanted: Sequence[crediting.Wanted], *, on: date, reason: str, with_pdf: bool = False
) -> Preview:
    """What ``credit`` would issue; writes nothing. Raises as it does, but for the limit."""
    return _preview(lambda: crediting.draft(invoice, wanted, on=on, reason=reason), with_pdf)


def _preview(write: Callable[[], int], with_pdf: bool) -> Preview:
    with rehearsal():
        key = write()
        draft = Invoice.objects.select_related("issuer").get(pk=key)
        facts = pdf.facts_of([key])[0]
    return Preview(
        facts,
        draft.content_hash,
        limits.needs_approval(draft),
        pdf.render(facts, pdf.style_of(draft.issuer_id)) if with_pdf else b"",
    )
