"""Remind payers of what is overdue: `remind --on 2026-02-18`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from payments import dunning
from payments.kernel.reminders import Left
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.terminal import add_issuer_argument, issuer_from, progress_bar


class Command(BaseCommand):
    help = "Write and print the reminders that are due on a day; with --dry-run say which, and write nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, required=True, help="the day of the letters")
        parser.add_argument("--dry-run", action="store_true")
        add_issuer_argument(parser)

    def handle(self, *, on: date, dry_run: bool, issuer: str | None, **options: Any) -> None:
        try:
            seller = issuer_from(issuer)
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        left: Counter[Left] = Counter()
        if dry_run:
            letters = sum(self.report(proposal, left) for proposal in dunning.rehearse(seller, on=on))
        else:
            letters = self.remind(seller, on, left)
        self.stdout.write(_("%(letters)s letters.") % {"letters": letters})
        for reason, count in sorted(left.items()):
            self.stdout.write(f"{count} × {reasons()[reason]}")
        if dry_run:
            self.stdout.write(_("Dry run: nothing was written."))

    def remind(self, seller: Issuer, on: date, left: Counter[Left]) -> int:
        letters = 0

        def heard(proposal: dunning.Proposal) -> None:
            nonlocal letters
            letters += self.report(proposal, left)

        dunning.remind(seller, on=on, on_chunk=heard)
        with progress_bar(self.stderr, dunning.waiting().count(), _("letters")) as advance:
            dunning.write_letters(limit=10**9, on_each=lambda: advance(1))
        return letters

    def report(self, proposal: dunning.Proposal, left: Counter[Left]) -> int:
        payers = Tenant.objects.in_bulk({payer for payer, _due in proposal.letters})
        for payer, due in proposal.letters:
            numbers = ", ".join(proposal.documents[item.key] for item in due.items)
            self.stdout.write(f"{payers[payer]}; {due.level.number}; {due.total} {due.currency}; {numbers}")
        left.update(proposal.left.values())
        return len(proposal.letters)


def reasons() -> dict[Left, str]:
    """Why items are left alone, in the user's language."""
    return {
        Left.BLOCKED: _("blocked"),
        Left.COLLECTED: _("collected automatically"),
        Left.UNDER_WAY: _("being collected"),
        Left.DISPUTED: _("disputed"),
        Left.COVERED: _("covered by credit notes"),
        Left.SMALL: _("below the smallest amount"),
        Left.NOT_YET: _("next level not due yet"),
        Left.LAST_SENT: _("last level sent"),
    }
