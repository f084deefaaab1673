"""Propose what is to be collected by direct debit: `collect --on 2026-02-09`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from payments import collection
from payments.models import LeftOut
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.terminal import add_issuer_argument, issuer_from
from tenants.transactions import acting


class Command(BaseCommand):
    help = "Propose a payment run of what is due; with --dry-run say what it would collect, and write nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, help="the day of the run; today if left out")
        parser.add_argument("--dry-run", action="store_true")
        add_issuer_argument(parser)

    def handle(self, *, on: date | None, dry_run: bool, issuer: str | None, **options: Any) -> None:
        self.total, self.debits = Decimal(0), 0
        self.left: Counter[str] = Counter()
        run = None
        day = on or timezone.localdate()
        try:
            seller = issuer_from(issuer)
            if dry_run:
                for proposal in collection.rehearse(seller, on=day):
                    self.report(proposal)
            else:
                with acting(actor="", channel="command"):
                    run = collection.propose(seller, on=day, on_chunk=self.report)
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            ngettext("%(debits)d debit, %(total)s EUR.", "%(debits)d debits, %(total)s EUR.", self.debits)
            % {"debits": self.debits, "total": f"{self.total:.2f}"}
        )
        for reason, count in sorted(self.left.items()):
            self.stdout.write(f"{count} × {LeftOut.Reason(reason).label}")
        if run is None:
            self.stdout.write(_("Dry run: nothing was written."))
        else:
            self.stdout.write(_("They stand in %(run)s, which waits to be released.") % {"run": run})

    def report(self, proposal: collection.Proposal) -> None:
        payers = Tenant.objects.in_bulk({one.payer for one in proposal.debits})
        for one in proposal.debits:
            attempt, documents = one.attempt, ", ".join(one.documents)
            self.stdout.write(
                f"{payers[one.payer]}; {attempt.collect_on}; {attempt.amount:.2f} EUR; {one.mandate}; {documents}"
            )
        self.debits += len(proposal.debits)
        self.total += proposal.total
        self.left.update(reason.value for _payer, _currency, reason, _amount in proposal.left)
