"""Bill every payer of an issuer through a day: `bill --through 2026-02-01 --issue-on 2026-02-01`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from invoicing import bill_run, judging
from invoicing.models import Outcome
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.terminal import add_issuer_argument, issuer_from, progress_bar
from tenants.transactions import acting


class Command(BaseCommand):
    help = "Charge and invoice every payer of an issuer; with --dry-run say what that would be, and write nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--through", type=date.fromisoformat, required=True, help="charge what is due on this day")
        parser.add_argument("--issue-on", type=date.fromisoformat, help="date of the documents (default: --through)")
        parser.add_argument("--chunk", type=int, default=1_000, help="payers per transaction")
        parser.add_argument("--draft", action="store_true", help="leave drafts for a person to release")
        parser.add_argument("--dry-run", action="store_true")
        add_issuer_argument(parser)

    def handle(
        self,
        *,
        through: date,
        issue_on: date | None,
        chunk: int,
        draft: bool,
        dry_run: bool,
        issuer: str | None,
        **options: Any,
    ) -> None:
        try:
            seller = issuer_from(issuer)
            bill_run.refuse_slips(through=through, issue_on=issue_on or through, today=timezone.localdate())
            if dry_run:
                self.rehearse(seller, through=through, issue_on=issue_on or through, chunk=chunk)
            else:
                self.bill(seller, through=through, issue_on=issue_on or through, chunk=chunk, draft=draft)
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal

    def bill(self, seller: Issuer, *, through: date, issue_on: date, chunk: int, draft: bool) -> None:
        with acting(actor="bill", channel="command"):
            run = bill_run.start(
                issuer=seller, through=through, issue_on=issue_on, issues_by_itself=not draft, chunk_size=chunk
            )
        with progress_bar(self.stderr, bill_run.progress(run).pending, _("payers")) as advance:
            bill_run.bill(run, on_step=advance)
        with progress_bar(self.stderr, judging.waiting().count(), _("e-invoices")) as advance:
            while judged := judging.judge_pending():
                advance(judged.judged)
        done = bill_run.progress(run)
        told = run.outcomes.exclude(reason="").select_related("payer")
        for outcome in sorted(told, key=lambda outcome: outcome.state != Outcome.State.PARKED):
            self.stdout.write(f"{outcome.get_state_display()}: {outcome.payer}: {outcome.reason}")
        self.stdout.write(
            _(
                "Run %(run)s (%(issuer)s, through %(through)s, dated %(issue_on)s): %(total)s payers,"
                " %(issued)s issued, %(proposed)s proposed, %(nothing_due)s with nothing due, %(skipped)s skipped,"
                " %(parked)s parked; %(documents)s documents with %(lines)s lines."
            )
            % {
                "run": run.pk,
                "issuer": seller.reference,
                "through": through,
                "issue_on": issue_on,
                "total": done.total,
                **asdict(done),
            }
        )

    def rehearse(self, seller: Issuer, *, through: date, issue_on: date, chunk: int) -> None:
        documents = Counter[str]()
        nets, gross = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
        lines = parked = 0
        for part in bill_run.rehearse(seller, through=through, issue_on=issue_on, chunk_size=chunk):
            if part.refusal is not None:
                parked += 1
                self.stdout.write(_("would be parked: %(reason)s") % {"reason": part.refusal})
            for one in part.drafts:
                lines += len(one.lines)
                if one.is_nothing:
                    continue
                documents[one.currency] += 1
                nets[one.currency] += one.totals.net
                gross[one.currency] += one.totals.gross
                self.stdout.write(
                    f"{one.payer.reference};{one.recipient.reference};{one.kind};{one.currency};{len(one.lines)};"
                    f"{one.case.value};{one.totals.net};{one.totals.vat};{one.totals.gross}"
                )
        for currency in sorted(documents):
            self.stdout.write(
                _("%(currency)s: %(documents)s documents, net %(net)s, gross %(gross)s")
                % {
                    "currency": currency,
                    "documents": documents[currency],
                    "net": nets[currency],
                    "gross": gross[currency],
                }
            )
        self.stdout.write(
            _("Dry run: %(documents)s documents, %(lines)s lines, %(parked)s parked; nothing written.")
            % {"documents": sum(documents.values()), "lines": lines, "parked": parked}
        )
