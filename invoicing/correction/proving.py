"""What the VAT of corrections by hand must be: not that of their lines alone, where the last one takes the rest."""

from __future__ import annotations

from collections.abc import Sequence

from invoicing.correction import crediting
from invoicing.correction.drafts import NotCorrectable
from invoicing.kernel.totals import Share, Totals, total_of
from invoicing.kernel.vat import Case
from invoicing.models import Invoice, VatShare


def reckoned(documents: Sequence[int]) -> dict[int, Totals]:
    """The totals that follow for those of the documents (keys) that correct another by hand."""
    found = {}
    for document in Invoice.objects.filter(pk__in=documents, corrects__isnull=False).select_related("corrects"):
        try:
            is_cancellation = document.kind == Invoice.Kind.CANCELLATION
            found[document.pk] = _negated(document) if is_cancellation else crediting.reckoned(document)
        except NotCorrectable:
            found[document.pk] = total_of(())
    return found


def _negated(document: Invoice) -> Totals:
    shares = VatShare.objects.filter(invoice=document.corrects).order_by("-vat_rate", "vat_case")
    return total_of(
        [
            Share(Case(case), rate, -base, -vat)
            for case, rate, base, vat in shares.values_list("vat_case", "vat_rate", "base", "vat")
        ]
    )
