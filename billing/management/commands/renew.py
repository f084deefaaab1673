"""Renew the contracts of which notice can no longer be given: `renew --on 2026-10-03`; `renew --ahead 90` lists."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing import contracts
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.terminal import add_issuer_argument, issuer_from


class Command(BaseCommand):
    help = "Renew contracts at the end of their term; a second time finds nothing. With --ahead list what will renew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, help="the day (default: today)")
        parser.add_argument("--ahead", type=int, metavar="DAYS", help="only list the renewals within so many days")
        add_issuer_argument(parser)

    def handle(self, *, on: date | None, ahead: int | None, issuer: str | None, **options: Any) -> None:
        day = on or timezone.localdate()
        try:
            seller = issuer_from(issuer)
            if ahead is not None:
                self.show(seller, day, ahead)
                return
            done = contracts.renew_due(seller, on=day, channel="command")
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        for reason in done.refused:
            self.stdout.write(reason)
        count = len(done.amendments)
        self.stdout.write(ngettext("%d contract renewed.", "%d contracts renewed.", count) % count)

    def show(self, issuer: Issuer, on: date, days: int) -> None:
        for renewal in contracts.renewals_due(issuer, on=on, days=days):
            contract = renewal.subscription
            self.stdout.write(
                _("%(contract)s (%(account)s) renews on %(day)s, notice by %(notice)s: %(amount)s %(currency)s at risk")
                % {
                    "contract": contract.reference,
                    "account": contract.tenant.reference,
                    "day": renewal.renews_on.isoformat(),
                    "notice": renewal.notice_by.isoformat(),
                    "amount": renewal.at_risk,
                    "currency": contract.currency,
                }
            )
