"""Take a bank's file in, match its lines and book what is certain: `receive statement.xml`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from payments import bank_import, matching, trouble_words
from payments.gateways.reading import MAX_BYTES
from payments.models import BankAccount
from tenants.errors import OperatorError
from tenants.transactions import acting


class Command(BaseCommand):
    help = "Take in a bank file (camt, MT940 or CSV), match its lines with open items and book what is certain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--bank-account", help="its IBAN, where the file does not name the account")
        parser.add_argument("--dry-run", action="store_true", help="say what the file holds, and write nothing")

    def handle(self, *, file: Path, bank_account: str | None, dry_run: bool, **options: Any) -> None:
        try:
            if file.stat().st_size > MAX_BYTES:
                raise CommandError(_("The file is larger than %(limit)d MB.") % {"limit": MAX_BYTES // 2**20})
            data = file.read_bytes()
        except OSError as error:
            raise CommandError(str(error)) from error
        account = self.account(bank_account) if bank_account else None
        try:
            if dry_run:
                self.report(bank_import.preview(data, file.name, account=account))
                self.stdout.write(_("Dry run: nothing was written."))
                return
            with acting(actor="", channel="command"):
                told = bank_import.take_in(data, file.name, account=account)
            self.report(told)
            for one in {one.account.pk: one.account for one in told}.values():
                with acting(actor="", channel="command"):
                    result = matching.match(one)
                self.stdout.write(
                    _("%(account)s: %(booked)d booked by themselves, %(proposed)d proposed, %(unclear)d unclear.")
                    % {
                        "account": one,
                        "booked": result.booked,
                        "proposed": result.proposed,
                        "unclear": result.unclear,
                    }
                )
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal

    def account(self, iban: str) -> BankAccount:
        found = BankAccount.objects.filter(iban=iban.replace(" ", "").upper()).select_related("issuer").first()
        if found is None:
            raise CommandError(_("No bank account has this IBAN."))
        return found

    def report(self, told: list[bank_import.Told]) -> None:
        for one in told:
            if one.is_known:
                self.stdout.write(_("%(account)s: this statement was taken in before.") % {"account": one.account})
                continue
            lines = ngettext("%(count)d new line", "%(count)d new lines", len(one.fresh)) % {"count": len(one.fresh)}
            self.stdout.write(
                _("%(account)s: %(lines)s, %(known)d known before.")
                % {"account": one.account, "lines": lines, "known": one.known}
            )
            for trouble in one.statement.troubles:
                self.stdout.write(f"  {trouble_words.told(trouble.code, trouble.facts)}")
