"""Load a sample, run the main job, say what it made: `make demo`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Sum
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from billing.kernel.money import places_of, rounded
from config import demo
from invoicing import bill_run, judging
from invoicing.models import Invoice
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.terminal import progress_bar


class Command(BaseCommand):
    help = "Import a sample, bill it as of 2026-02-01, print the documents and tell where they are. May be repeated."

    def handle(self, **options: Any) -> None:
        try:
            self.walk()
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal

    def walk(self) -> None:
        call_command("schedules", stdout=self.stdout)
        folder = demo.sample_folder()
        self.stdout.write(_("Sample: %(folder)s") % {"folder": folder})
        for batch in demo.take_in(folder):
            self.stdout.write(
                _("  %(file)s: %(taken)s taken in, %(unchanged)s unchanged")
                % {"file": batch.file_name, "taken": demo.taken(batch), "unchanged": batch.counts["unchanged"]}
            )
        issuer = Issuer.objects.order_by("pk").first()
        assert issuer is not None
        run = demo.start_run(issuer)
        with progress_bar(self.stderr, bill_run.progress(run).pending, _("payers billed")) as advance:
            bill_run.bill(run, on_step=advance)
        with progress_bar(self.stderr, judging.waiting().count(), _("e-invoices checked")) as advance:
            while some := judging.judge_pending():
                advance(some.judged)
        done = bill_run.progress(run)
        self.stdout.write(
            _(
                "Bill run of %(day)s: %(documents)s documents issued with %(lines)s lines for %(issued)s payers,"
                " %(nothing_due)s with nothing due, %(parked)s parked"
            )
            % {"day": run.issue_on, **asdict(done)}
        )
        documents = demo.unprinted()
        with progress_bar(self.stderr, len(documents), _("PDFs made")) as advance:
            demo.print_all(documents, advance)
        self.stdout.write(
            _("PDFs: %(made)s made, in %(folder)s")
            % {"made": len(documents), "folder": f"{settings.FILES_ROOT}/documents"}
        )
        self.totals()
        password = demo.ensure_user()
        self.stdout.write(
            "\n"
            + _(
                "Now: make run, open http://127.0.0.1:8000/ and sign in as %(user)s with the password %(password)s\n"
                "(it is kept in %(file)s)"
            )
            % {"user": demo.USER, "password": password, "file": f"{settings.HOME}/demo_password"}
        )
        customer = demo.ensure_customer()
        if customer:
            account, password = customer
            self.stdout.write(
                _("Customer portal: http://127.0.0.1:8000/portal/ as %(user)s of %(account)s, password %(password)s")
                % {"user": demo.CUSTOMER, "account": account.name, "password": password}
            )
        self.stdout.write("\n" + demo.outlook(issuer))

    def totals(self) -> None:
        rows = (
            Invoice.objects.issued()
            .order_by()
            .values_list("currency")
            .annotate(Count("id"), Sum("net"), Sum("vat"), Sum("gross"))
            .order_by("currency")
        )
        self.stdout.write(_("Issued so far:"))
        for currency, count, *amounts in rows:
            net, vat, gross = (
                number_format(rounded(amount, places_of(currency)), force_grouping=True) for amount in amounts
            )
            self.stdout.write(
                _("  %(currency)s  %(documents)s documents   net %(net)s   VAT %(vat)s   gross %(gross)s")
                % {
                    "currency": currency,
                    "documents": f"{count:>6}",
                    "net": f"{net:>16}",
                    "vat": f"{vat:>14}",
                    "gross": f"{gross:>16}",
                }
            )
