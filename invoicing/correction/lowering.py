"""The share of a document's discounts that goes back with what is credited by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db.models import Q, Sum

from billing.kernel.money import allocated, places_of, plain, rounded
from invoicing.kernel.totals import Totals
from invoicing.models import Allowance, Invoice, Line

ZERO: Final = Decimal(0)
Rate = tuple[str, Decimal]  # VAT case and rate


def shares(original: Invoice, key: int, given: Mapping[Rate, Decimal], total: Totals) -> Iterator[Allowance]:
    """Allowances of the credit note ``key``: what its lines (``given``, by rate) and its VAT shares (``total``) differ
    in, shared out over the document's allowances of each rate by what is left of these.
    """
    places = places_of(original.currency)
    nets: dict[Rate, Decimal] = defaultdict(lambda: ZERO)
    for case, rate, net in Line.objects.filter(invoice=original).values_list("vat_case", "vat_rate", "net"):
        nets[case, rate] += net
    rows: dict[Rate, list[Allowance]] = defaultdict(list)
    for row in Allowance.objects.filter(invoice=original).annotate(back=Sum("corrections__amount")):
        rows[row.vat_case, row.vat_rate].append(row)
    position = 0
    for share in total.shares:
        at = (share.case.value, share.rate)
        lowered = rounded(given[at] - share.base, places)
        if not lowered:
            continue
        left = [row.amount.amount + (row.back or ZERO) for row in rows[at]]
        parts = allocated(abs(lowered), [abs(one) for one in left], places)
        for row, part in zip(rows[at], parts, strict=True):
            if not part:
                continue
            position += 1
            amount = part if lowered > 0 else -part
            base = rounded(Fraction(row.base.amount) * Fraction(given[at]) / Fraction(nets[at]), places)
            if abs(base) < part:
                base = amount
            trace = {"v": 1, "of": [plain(row.amount.amount), plain(row.base.amount)], "net": plain(amount)}
            yield Allowance(
                invoice_id=key,
                position=position,
                grant_id=row.grant_id,
                corrects=row,
                text=row.text,
                percent=row.percent,
                vat_case=row.vat_case,
                vat_rate=row.vat_rate,
                currency=original.currency,
                base=base,
                amount=amount,
                trace=trace,
            )


def by_contract(original: Invoice, then: Q) -> dict[Rate, Decimal]:
    """What documents that follow from contracts gave back of the document's discounts, by rate; ``then``: which of them
    count.
    """
    found: dict[Rate, Decimal] = defaultdict(lambda: ZERO)
    documents = Invoice.objects.filter(then, corrects=None)
    rows = Allowance.objects.filter(corrects__invoice=original, invoice__in=documents)
    for case, rate, amount in rows.values_list("vat_case", "vat_rate", "amount"):
        found[case, rate] -= amount
    return found
