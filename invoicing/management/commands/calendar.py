"""What is to come for an account and all below it: `calendar GROUP --through 2026-12-31`, as a file of lines."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation
from django.utils.translation import gettext

from billing.kernel.period import months_after
from invoicing import calendar
from invoicing.admin.calendar import table_of
from tenants.admin.csv_files import write_rows
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Print the coming invoices, renewals and last days for notice of an account and all below it, as CSV."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", metavar="ACCOUNT")
        parser.add_argument("--on", type=date.fromisoformat, metavar="DAY", help="from this day on (default: today)")
        parser.add_argument("--through", type=date.fromisoformat, metavar="DAY", help="default: twelve months")

    def handle(self, *, account: str, on: date | None, through: date | None, **options: Any) -> None:
        tenant = Tenant.objects.filter(reference=account).first()
        if tenant is None:
            raise CommandError(gettext("There is no account “%(reference)s”.") % {"reference": account})
        first = on or timezone.localdate()
        try:
            entries = calendar.coming(tenant, on=first, through=through or months_after(first, 12))
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        with translation.override(language_of_environment()):
            write_rows(self.stdout, *table_of(entries))
