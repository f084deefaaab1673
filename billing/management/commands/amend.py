"""Change a contract: `amend V01-00001 quantity --quantity 12 --effective 2026-03-15 --reason "Auftrag 4711"`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import contracts
from billing.kernel.changes import MoneyPolicy, PausePolicy, When
from billing.kernel.moment import read_moment
from billing.models import Discount, Grant, Product, Subscription
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.terminal import add_issuer_argument, issuer_from


def day_or_when(text: str) -> date | When:
    """`2026-03-15`, a moment such as `2024-02-29 15:00 Asia/Tokyo`, or one of the words."""
    if text in When.__members__.values():
        return When(text)
    return date.fromisoformat(text) if len(text) == 10 else read_moment(text)


class Command(BaseCommand):
    help = "Amend a contract; with --dry-run say what the next bill run would book of it, and change nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("contract", metavar="CONTRACT")
        parser.add_argument("kind", choices=sorted(contracts.KINDS), metavar="KIND", help=", ".join(contracts.KINDS))
        parser.add_argument(
            "--effective",
            type=day_or_when,
            metavar="DAY",
            help="first day of the change, a moment (2024-02-29 15:00 Asia/Tokyo), or immediate, period_end, term_end",
        )
        parser.add_argument("--on", type=date.fromisoformat, help="the day on which it is asked for (default: today)")
        parser.add_argument("--reason", default="", help="why; on record with the amendment")
        parser.add_argument("--line", type=int, default=1, help="number of the position (default: 1)")
        parser.add_argument("--quantity", type=Decimal)
        parser.add_argument("--product", metavar="REF")
        parser.add_argument("--unit-price", type=Decimal, metavar="AMOUNT", help="agreed price per unit")
        parser.add_argument("--flat-amount", type=Decimal, metavar="AMOUNT", help="agreed amount per period")
        parser.add_argument("--instalments", type=int, metavar="N", help="the further position ends after N periods")
        parser.add_argument("--discount", metavar="REF")
        parser.add_argument("--periods", type=int, metavar="N", help="so many billed periods")
        parser.add_argument("--until", type=date.fromisoformat, metavar="DAY", help="first day after the pause")
        parser.add_argument("--policy", choices=[policy.value for policy in PausePolicy])
        parser.add_argument("--ends-before", type=date.fromisoformat, metavar="DAY", help="first day no longer covered")
        parser.add_argument("--activated-on", type=date.fromisoformat, metavar="DAY")
        parser.add_argument("--accepted-on", type=date.fromisoformat, metavar="DAY")
        parser.add_argument("--billing-day", type=int, metavar="1..31")
        parser.add_argument("--renews-on", type=date.fromisoformat, metavar="DAY")
        parser.add_argument("--money", choices=[policy.value for policy in MoneyPolicy])
        parser.add_argument("--override", action="store_true", default=None, help="before the notice is over")
        parser.add_argument("--tenant", metavar="REF", help="account to which the contract is transferred")
        parser.add_argument("--invoice-to", metavar="REF", help="account that receives the invoices of the contract")
        parser.add_argument("--pay-by", metavar="REF", help="account that pays for the contract")
        parser.add_argument("--as-account", action="store_true", default=None, help="as the account says, again")
        parser.add_argument("--reference", metavar="REF", help="of the contract that goes on there")
        parser.add_argument("--sequence", type=int, metavar="N", help="amendment to withdraw")
        parser.add_argument("--through", type=date.fromisoformat, metavar="DAY", help="of the run that is previewed")
        parser.add_argument("--dry-run", action="store_true")
        add_issuer_argument(parser)

    def handle(
        self,
        *,
        contract: str,
        kind: str,
        on: date | None,
        reason: str,
        through: date | None,
        dry_run: bool,
        issuer: str | None,
        **options: Any,
    ) -> None:
        try:
            subscription = self.found(Subscription, contract, issuer=issuer_from(issuer))
            said_on = on or timezone.localdate()
            change = contracts.asked(
                subscription,
                kind,
                self.values(subscription, options),
                on=said_on,
                reason=reason,
                by=None,
                channel="command",
            )
            if dry_run:
                self.show(contracts.preview(subscription, change, through=through or said_on))
                return
            made = change()
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        amendment = made[0] if isinstance(made, tuple) else made
        self.stdout.write(
            _("Contract %(contract)s: amendment %(number)s, %(kind)s, effective from %(day)s.")
            % {
                "contract": contract,
                "number": amendment.sequence,
                "kind": amendment.get_kind_display(),
                "day": amendment.effective_on.isoformat(),
            }
        )

    def values(self, subscription: Subscription, options: dict[str, Any]) -> dict[str, Any]:
        """The options as ``contracts.asked`` takes them: references become records."""
        values = dict(options)
        for name, model in (
            ("product", Product),
            ("tenant", Tenant),
            ("invoice_to", Tenant),
            ("pay_by", Tenant),
            ("discount", Discount),
        ):
            if values.get(name):
                values[name] = self.found(model, values[name])
        if values.get("discount"):
            granted = Grant.objects.filter(subscription=subscription, discount=values["discount"], ends_before=None)
            values["grant"] = granted.order_by("pk").last()
        return values

    def found(self, model: Any, reference: str, **more: Any) -> Any:
        record = model.objects.filter(reference=reference, **more).first()
        if record is None:
            raise OperatorError(
                _("There is no %(record)s “%(reference)s”.")
                % {"record": model._meta.verbose_name, "reference": reference}
            )
        return record

    def show(self, shown: contracts.MoneyPreview) -> None:
        for line in shown.booked:
            self.stdout.write(
                f"{line.contract};{line.product.reference};{line.kind};{line.period.start};{line.period.end};"
                f"{line.quantity.normalize():f};{line.net};{shown.currency}"
            )
        self.stdout.write(
            _(
                "From %(day)s; a run through %(through)s would book %(net)s instead of %(without)s %(currency)s."
                " Per month: %(before)s → %(after)s."
            )
            % {
                "day": shown.effective_on.isoformat(),
                "through": shown.through.isoformat(),
                "net": shown.net,
                "without": shown.net_without,
                "currency": shown.currency,
                "before": shown.mrr_before,
                "after": shown.mrr_after,
            }
        )
        if shown.tcv_after is not None:
            self.stdout.write(
                _("Total value: %(before)s → %(after)s.") % {"before": shown.tcv_before, "after": shown.tcv_after}
            )
        for number in shown.overtaken:
            self.stdout.write(_("Amendment %(number)s would no longer have an effect.") % {"number": number})
        self.stdout.write(_("Dry run: nothing was changed."))
