"""What each section of stored documents comes to, VAT included, and what of it is still open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Sum

from billing.kernel.money import places_of
from invoicing.kernel.sections import SectionAmount, open_parts, section_amounts
from invoicing.kernel.totals import Share
from invoicing.kernel.vat import Case
from invoicing.models import Invoice, Line, Posting, VatShare


def amounts_of(invoices: Sequence[int]) -> dict[int, dict[int, SectionAmount]]:
    """By document (its key) and section (its key): its parts of net and VAT, which add up to the document's.

    Documents without sections are left out. Three queries however many they are.
    """
    currencies = dict(Invoice.objects.filter(pk__in=invoices).values_list("pk", "currency"))
    lines: dict[int, list[tuple[int, Case, Decimal, Decimal]]] = defaultdict(list)
    for invoice, section, case, rate, net in (
        Line.objects.filter(invoice__in=invoices, section__isnull=False)
        .order_by("invoice_id", "position")
        .values_list("invoice_id", "section_id", "vat_case", "vat_rate", "net")
    ):
        lines[invoice].append((section, Case(case), rate, net))
    shares: dict[int, list[Share]] = defaultdict(list)
    for invoice, case, rate, base, vat in (
        VatShare.objects.filter(invoice__in=invoices)
        .order_by("id")
        .values_list("invoice_id", "vat_case", "vat_rate", "base", "vat")
    ):
        shares[invoice].append(Share(Case(case), rate, base, vat))
    return {
        invoice: section_amounts(told, shares[invoice], places_of(currencies[invoice]))
        for invoice, told in lines.items()
    }


def open_of(invoices: Sequence[int]) -> dict[int, dict[int, Decimal]]:
    """By document and section (their keys): what is still open of the section's gross amount.

    A payment of the whole document settles each of its sections. Documents without sections are left out. Five
    queries however many they are.
    """
    amounts = amounts_of(invoices)
    currencies = dict(Invoice.objects.filter(pk__in=amounts).values_list("pk", "currency"))
    left = dict(
        Posting.objects.filter(open_item__invoice__in=amounts)
        .order_by()
        .values_list("open_item__invoice")
        .annotate(left=Sum("amount"))
    )
    return {
        invoice: open_parts(
            {section: part.gross for section, part in parts.items()},
            left.get(invoice, Decimal(0)),
            places_of(currencies[invoice]),
        )
        for invoice, parts in amounts.items()
    }
