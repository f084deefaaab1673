"""Take what is due from payers by their saved methods: `charge --on 2026-02-15`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from payments import card_collection, card_selection
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.terminal import add_issuer_argument, issuer_from


class Command(BaseCommand):
    help = "Take what is due by a day by the methods that payers saved; with --dry-run say what, and take nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, required=True, help="what is due through this day")
        parser.add_argument("--dry-run", action="store_true")
        add_issuer_argument(parser)

    def handle(self, *, on: date, dry_run: bool, issuer: str | None, **options: Any) -> None:
        try:
            seller = issuer_from(issuer)
            if dry_run:
                return self.rehearse(seller, on)
            made = card_selection.select(seller, on=on)
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(ngettext("%d attempt is new.", "%d attempts are new.", made) % made)
        tried = 0
        while done := card_collection.charge_pending(clock=timezone.now):
            tried += done
        self.stdout.write(ngettext("%d attempt was made.", "%d attempts were made.", tried) % tried)
        unknown = card_collection.lost(now=timezone.now() + card_collection.ASK_AGAIN).count()
        if unknown:
            self.stdout.write(
                ngettext(
                    "Of %d attempt nobody knows yet what became of it; the provider is asked.",
                    "Of %d attempts nobody knows yet what became of them; the provider is asked.",
                    unknown,
                )
                % unknown
            )
        return None

    def rehearse(self, seller: Issuer, on: date) -> None:
        for proposal in card_selection.rehearse(seller, on=on):
            payers = Tenant.objects.in_bulk({payer for payer, _currency, _attempt in proposal.attempts})
            for payer, currency, attempt in proposal.attempts:
                self.stdout.write(f"{payers[payer]}; {attempt.amount} {currency}")
        self.stdout.write(_("Dry run: nothing was written."))
