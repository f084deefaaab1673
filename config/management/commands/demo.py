"""Load a sample, run the main job, say what it made: `make demo`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Sum

from billing.kernel.money import places_of, rounded
from config import demo
from invoicing import bill_run
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
        self.stdout.write(f"Sample: {folder}")
        for batch in demo.take_in(folder):
            self.stdout.write(
                f"  {batch.file_name}: {demo.taken(batch)} taken in, {batch.counts['unchanged']} unchanged"
            )
        issuer = Issuer.objects.order_by("pk").first()
        assert issuer is not None
        run = demo.start_run(issuer)
        with progress_bar(self.stderr, bill_run.progress(run).pending, "payers billed") as advance:
            bill_run.bill(run, on_step=advance)
        done = bill_run.progress(run)
        self.stdout.write(
            f"Bill run of {run.issue_on}: {done.documents} documents issued with {done.lines} lines"
            f" for {done.issued} payers, {done.nothing_due} with nothing due, {done.parked} parked"
        )
        documents = demo.unprinted()
        with progress_bar(self.stderr, len(documents), "PDFs made") as advance:
            demo.print_all(documents, advance)
        self.stdout.write(f"PDFs: {len(documents)} made, in {settings.FILES_ROOT}/documents")
        self.totals()
        password = demo.ensure_user()
        self.stdout.write(
            "\nNow: make run, open http://127.0.0.1:8000/ and sign in as"
            f" {demo.USER} with the password {password}\n(it is kept in {settings.HOME}/demo_password)"
        )

    def totals(self) -> None:
        rows = (
            Invoice.objects.issued()
            .order_by()
            .values_list("currency")
            .annotate(Count("id"), Sum("net"), Sum("vat"), Sum("gross"))
            .order_by("currency")
        )
        self.stdout.write("Issued so far:")
        for currency, count, *amounts in rows:
            net, vat, gross = (f"{rounded(amount, places_of(currency)):,}" for amount in amounts)
            self.stdout.write(f"  {currency}  {count:>6} documents   net {net:>16}   VAT {vat:>14}   gross {gross:>16}")
