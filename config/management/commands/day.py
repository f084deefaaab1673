"""One business day by hand, station by station: `day --on 2026-02-01`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config import business_day
from invoicing import bill_run
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.terminal import issuer_from, progress_bar


class Command(BaseCommand):
    help = (
        "Renew, bill, print, deliver and remind what is due through a day, for every issuer or one. May be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, help="default: today, in the issuer's time zone")
        parser.add_argument("--issuer", metavar="REF", help="only this one")

    def handle(self, *, on: date | None, issuer: str | None, **options: Any) -> None:
        bar = partial(progress_bar, self.stderr)
        refusals = []
        try:
            if on:
                bill_run.refuse_slips(through=on, issue_on=on, today=timezone.localdate())
            issuers = [issuer_from(issuer)] if issuer else list(Issuer.objects.order_by("reference"))
            for seller in issuers:
                day = on or business_day.today_of(seller, timezone.now())
                self.stdout.write(f"{seller.reference} {day.isoformat()}")
                for reason in business_day.restructure(seller, on=day).refused:
                    self.stdout.write(reason)
                self.report_renewals(business_day.renew(seller, on=day))
                business_day.place_usage(seller, on=day)
                try:
                    self.report_run(business_day.bill(seller, on=day, bar=bar))
                except OperatorError as refusal:
                    refusals.append(str(refusal))
                business_day.settle(seller, on=day)
                business_day.take(seller, on=day)
                business_day.collect(seller, on=day)
                self.report_reminders(business_day.remind(seller, on=day))
            self.report_sent(business_day.send_out(clock=timezone.now, bar=bar))
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        if refusals:
            raise CommandError("\n".join(refusals))

    def report_renewals(self, done: Any) -> None:
        for reason in done.refused:
            self.stdout.write(reason)
        if done.amendments:
            count = len(done.amendments)
            self.stdout.write(ngettext("%d contract renewed.", "%d contracts renewed.", count) % count)

    def report_run(self, run: Any) -> None:
        done = bill_run.progress(run)
        self.stdout.write(
            _("Billed: %(documents)s documents for %(payers)s payers; %(nothing)s with nothing due, %(parked)s parked.")
            % {
                "documents": done.documents,
                "payers": done.issued + done.proposed,
                "nothing": done.nothing_due,
                "parked": done.parked,
            }
        )

    def report_reminders(self, run: Any) -> None:
        self.stdout.write(_("Reminded: %(letters)s letters.") % {"letters": run.letters.count()})

    def report_sent(self, sent: business_day.Sent) -> None:
        self.stdout.write(
            _("Printed: %(documents)s documents, %(letters)s letters. E-mails: %(written)s written, %(sent)s sent.")
            % {
                "documents": sent.rendered,
                "letters": sent.letters,
                "written": sent.delivered.mails,
                "sent": sent.sent,
            }
        )
        if sent.delivered.without_address:
            self.stdout.write(
                _("%(documents)s documents wait: their recipients have no e-mail address.")
                % {"documents": sent.delivered.without_address}
            )
