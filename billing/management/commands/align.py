"""One billing day for a customer: `align GROUP --billing-day 1 --renews-on 2027-01-01 --reason "ein Termin"`."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import nullcontext
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import contracts
from billing.models import Subscription
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.transactions import rehearsal


class Command(BaseCommand):
    help = "Align the running contracts of an account and all below it to one billing day, one day of renewal, or both."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", metavar="ACCOUNT")
        parser.add_argument("--billing-day", type=int, metavar="DAY", help="day of the month, 1 to 31")
        parser.add_argument("--renews-on", type=date.fromisoformat, metavar="DAY", help="first day of the next term")
        parser.add_argument("--contract", action="append", metavar="REF", help="only these (default: all)")
        parser.add_argument("--on", type=date.fromisoformat, metavar="DAY", help="asked for on (default: today)")
        parser.add_argument("--reason", default="")
        parser.add_argument("--dry-run", action="store_true")

    def handle(
        self,
        *,
        account: str,
        billing_day: int | None,
        renews_on: date | None,
        contract: list[str] | None,
        on: date | None,
        reason: str,
        dry_run: bool,
        **options: Any,
    ) -> None:
        tenant = Tenant.objects.filter(reference=account).first()
        if tenant is None:
            raise CommandError(_("There is no account “%(reference)s”.") % {"reference": account})
        if billing_day is None and renews_on is None:
            raise CommandError(_("Say a billing day, a day of renewal, or both."))
        day = on or timezone.localdate()
        found = Subscription.objects.under(tenant).active_on(day).select_related("tenant", "issuer")
        if contract:
            found = found.filter(reference__in=contract)
        chosen = list(found.order_by("tenant__lft", "reference"))
        try:
            with rehearsal() if dry_run else nullcontext():
                count = contracts.join(
                    chosen,
                    billing_day=billing_day,
                    renews_on=renews_on,
                    on=day,
                    reason=reason,
                    by=None,
                    channel="command",
                )
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(_("%(count)s contracts aligned.") % {"count": count})
