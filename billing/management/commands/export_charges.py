"""Print every charge through a day as CSV: `export_charges --through 2026-02-01`."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Q

from billing.kernel.money import places_of, rounded
from billing.models import Charge
from tenants.cells import neutralised


class Command(BaseCommand):
    help = "Print all standing charges that are due by a day: contract;service_from;service_before;net"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--through", type=date.fromisoformat, required=True)

    def handle(self, *, through: date, **options: Any) -> None:
        out = csv.writer(self.stdout, delimiter=";", lineterminator="\r\n")
        out.writerow(["contract", "service_from", "service_before", "net"])
        charges = (
            Charge.objects.standing()
            .filter(
                Q(item__timing="advance", starts_on__lte=through) | Q(item__timing="arrears", ends_before__lte=through)
            )
            .order_by("item__subscription__reference", "starts_on", "id")
            .values_list("item__subscription__reference", "starts_on", "ends_before", "net", "currency")
        )
        for contract, starts_on, ends_before, net, currency in charges.iterator(chunk_size=2000):
            out.writerow([neutralised(contract), starts_on, ends_before, rounded(net, places_of(currency))])
