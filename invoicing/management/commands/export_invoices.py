"""Print every document issued on a day as CSV: `export_invoices --issued-on 2026-02-01`."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count

from billing.kernel.money import places_of, rounded
from invoicing.models import Invoice
from tenants.cells import neutralised

COLUMNS = "recipient payer currency po_number collection contracts lines vat_case net vat gross".split()


class Command(BaseCommand):
    help = f"Print the documents issued on a day: {';'.join(COLUMNS)}"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--issued-on", type=date.fromisoformat, required=True)

    def handle(self, *, issued_on: date, **options: Any) -> None:
        out = csv.writer(self.stdout, delimiter=";", lineterminator="\r\n")
        out.writerow(COLUMNS)
        documents = (
            Invoice.objects.issued()
            .filter(issued_on=issued_on)
            .order_by("recipient__reference", "payer__reference", "currency", "po_number", "collection", "sequence")
            .values_list("recipient__reference", "payer__reference", "currency", "po_number", "collection")
            .annotate(Count("lines__charge__item__subscription", distinct=True), Count("lines", distinct=True))
            .values_list(
                "recipient__reference",
                "payer__reference",
                "currency",
                "po_number",
                "collection",
                "lines__charge__item__subscription__count",
                "lines__count",
                "vat_case",
                "net",
                "vat",
                "gross",
            )
        )
        for *head, net, vat, gross in documents.iterator(chunk_size=2000):
            places = places_of(str(head[2]))
            texts = [neutralised(value) if isinstance(value, str) else value for value in head]
            out.writerow([*texts, *(rounded(amount, places) for amount in (net, vat, gross))])
