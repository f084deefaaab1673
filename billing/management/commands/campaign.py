"""Raise prices of running contracts: `campaign "Preise 2027"` shows what would change, with `--apply` it is done.

    campaign "Preise 2027" --from 2027-01-01 --percent 3 --reason "Höhere Kosten"

A campaign of that name is made if there is none yet; without --apply its draft is not kept either.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import campaigns
from billing.models import PriceCampaign, PriceClass, Product
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.terminal import add_issuer_argument, issuer_from, progress_bar
from tenants.transactions import acting, rehearsal


class Command(BaseCommand):
    help = "New prices for running contracts: shows what would change, per contract; with --apply it is done."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="of the campaign")
        parser.add_argument("--from", dest="wanted_on", type=date.fromisoformat, metavar="DAY", help="wanted day")
        parser.add_argument("--percent", type=Decimal, help="so many percent more")
        parser.add_argument("--amount", type=Decimal, help="so much more per unit or period, in --currency")
        parser.add_argument("--list", action="store_true", help="the price that is valid in the list")
        parser.add_argument("--notice-days", type=int, metavar="N", help="days of announcement (default: 42)")
        parser.add_argument("--within-term", action="store_true", help="a term does not fix the price")
        parser.add_argument("--may-terminate", action="store_true", help="the letter grants the right to terminate")
        parser.add_argument("--product", metavar="REF")
        parser.add_argument("--price-class", type=int, metavar="N")
        parser.add_argument("--currency", default="", metavar="CODE")
        parser.add_argument("--tenant", metavar="REF", help="contracts of this account and all below it")
        parser.add_argument("--starts-from", type=date.fromisoformat, metavar="DAY", help="contracts from this day on")
        parser.add_argument("--starts-before", type=date.fromisoformat, metavar="DAY")
        parser.add_argument("--reason", default="", help="stands in the letters and the amendments")
        parser.add_argument("--on", type=date.fromisoformat, help="day of the announcement (default: today)")
        parser.add_argument("--apply", action="store_true", help="announce it, write the amendments and the letters")
        parser.add_argument("--withdraw", action="store_true", help="take back what is not in force yet, for --reason")
        add_issuer_argument(parser)

    def handle(
        self,
        *,
        name: str,
        on: date | None,
        apply: bool,
        withdraw: bool,
        issuer: str | None,
        reason: str,
        **options: Any,
    ) -> None:
        day = on or timezone.localdate()
        try:
            seller = issuer_from(issuer)
            if withdraw:
                self.withdraw(self.known(seller, name), day, reason)
                return
            with nullcontext() if apply else rehearsal():
                campaign = PriceCampaign.objects.filter(issuer=seller, name=name).first() or self.made(
                    seller, name, reason, options
                )
                if campaign.state == PriceCampaign.State.DRAFT:
                    self.show(campaigns.preview(campaign, on=day))
                if apply:
                    self.apply(campaign, day)
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        if not apply:
            self.stdout.write(_("Dry run: nothing was changed."))

    def known(self, seller: Issuer, name: str) -> PriceCampaign:
        campaign = PriceCampaign.objects.filter(issuer=seller, name=name).first()
        if campaign is None:
            raise OperatorError(_("There is no campaign “%(campaign)s”.") % {"campaign": name})
        return campaign

    def made(self, seller: Issuer, name: str, reason: str, options: dict[str, Any]) -> PriceCampaign:
        """A new draft. Refuses what the form would refuse."""
        if options["wanted_on"] is None or not reason.strip():
            raise OperatorError(_("A new campaign takes --from and --reason."))
        rule = PriceCampaign.Rule
        campaign = PriceCampaign(
            issuer=seller,
            name=name,
            reason=reason,
            rule=rule.LIST if options["list"] else rule.AMOUNT if options["amount"] is not None else rule.PERCENT,
            product=self.found(Product, options["product"]),
            tenant=self.found(Tenant, options["tenant"]),
            price_class=self.found(PriceClass, options["price_class"], by="number"),
            **{
                field: options[field]
                for field in (
                    "wanted_on",
                    "percent",
                    "amount",
                    "within_term",
                    "may_terminate",
                    "currency",
                    "starts_from",
                    "starts_before",
                )
            },
        )
        if options["notice_days"] is not None:
            campaign.notice_days = options["notice_days"]
        try:
            campaign.full_clean()
        except ValidationError as refusal:
            raise OperatorError(" ".join(refusal.messages)) from refusal
        with acting(actor="", channel="command", reason=reason):
            campaign.save()
        return campaign

    def found(self, model: Any, value: Any, by: str = "reference") -> Any:
        if value is None:
            return None
        record = model.objects.filter(**{by: value}).first()
        if record is None:
            raise OperatorError(
                _("There is no %(record)s “%(reference)s”.") % {"record": model._meta.verbose_name, "reference": value}
            )
        return record

    def apply(self, campaign: PriceCampaign, day: date) -> None:
        if campaign.state == PriceCampaign.State.DRAFT:
            campaign = campaigns.announce(campaign, on=day, by=None, channel="command")
        with progress_bar(self.stdout, campaigns.progress(campaign).pending, _("positions")) as advance:
            campaign = campaigns.apply(campaign, on_step=advance)
        done = campaigns.progress(campaign)
        for row in campaign.changes.filter(state="parked").select_related("subscription"):
            self.stdout.write(f"{row.subscription.reference}/{row.line}: {row.reason}")
        self.stdout.write(
            _("%(changed)s positions changed, %(skipped)s left as they are, %(parked)s parked, %(letters)s letters.")
            % {
                "changed": done.changed,
                "skipped": done.skipped,
                "parked": done.parked,
                "letters": campaign.notices.count(),
            }
        )

    def withdraw(self, campaign: PriceCampaign, day: date, reason: str) -> None:
        for refused in campaigns.withdraw(campaign, on=day, reason=reason, by=None, channel="command"):
            self.stdout.write(refused)
        done = campaigns.progress(campaign)
        self.stdout.write(
            _("The campaign is withdrawn: %(withdrawn)s changes taken back, %(changed)s stay.")
            % {"withdrawn": done.withdrawn, "changed": done.changed}
        )

    def show(self, found: campaigns.Preview) -> None:
        heads = (_("account"), _("contract"), _("from"), _("per month before"), _("per month afterwards"), _("reason"))
        lines = [
            (
                one.account,
                f"{one.contract}/{one.line}",
                one.effective_on.isoformat() if one.effective_on and one.changes else "",
                f"{one.mrr_before} {one.currency}" if one.changes else "",
                f"{one.mrr_after} {one.currency}" if one.changes else "",
                campaigns.why(one.steps) if one.changes else one.reason,
            )
            for one in found.positions
        ]
        for line in table([heads, *lines]):
            self.stdout.write(line)
        for currency, total in found.totals().items():
            self.stdout.write(
                _("%(positions)s positions: %(before)s → %(after)s %(currency)s per month, %(difference)s more.")
                % {
                    "positions": total.positions,
                    "before": total.before,
                    "after": total.after,
                    "currency": currency,
                    "difference": total.difference,
                }
            )


def table(rows: list[tuple[str, ...]]) -> Iterable[str]:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
