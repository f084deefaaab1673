"""Monthly recurring revenue: `mrr --on 2026-01-31`, `mrr --from 2025-12-31 --to 2026-01-31`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext

from billing import metrics
from billing.kernel.money import places_of, rounded
from billing.models import Subscription
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Print monthly recurring revenue on a day, how it moved between two days, or what a contract is worth."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, help="the revenue on this day")
        parser.add_argument("--from", type=date.fromisoformat, dest="after", help="with --to: the day compared with")
        parser.add_argument("--to", type=date.fromisoformat, dest="through")
        parser.add_argument("--account", metavar="REF", help="this account and all below it (default: all)")
        parser.add_argument("--contract", metavar="REF", help="with --on: the total value of this contract")

    def handle(
        self,
        *,
        on: date | None,
        after: date | None,
        through: date | None,
        account: str | None,
        contract: str | None,
        **options: Any,
    ) -> None:
        with translation.override(language_of_environment()):
            under = account_of(account) if account else None
            if on is not None and contract:
                self.contract(contract, on)
            elif on is not None:
                self.revenue(on, under)
            elif after is not None and through is not None and after <= through:
                self.flow(after, through, under)
            else:
                raise CommandError(gettext("Say --on DAY, or --from DAY --to DAY with the later one last."))

    def revenue(self, on: date, under: Tenant | None) -> None:
        for currency, amount in sorted(metrics.mrr(on, under=under).items()):
            self.stdout.write(f"{currency} {rounded(amount, places_of(currency))}")

    def flow(self, after: date, through: date, under: Tenant | None) -> None:
        report = metrics.report(after, through, under=under)
        for currency, flow in sorted(report.flows.items()):
            opening, amounts, closing = flow.rounded(places_of(currency))
            self.stdout.write(f"{currency} {after}: {opening} ({customers(flow.customers[0])})")
            for change, amount in amounts.items():
                self.stdout.write(f"    {metrics.CHANGES[change]}: {amount:+} ({flow.movements[change]})")
            self.stdout.write(f"{currency} {through}: {closing} ({customers(flow.customers[1])})")
        for one in report.decreases:
            places = places_of(one.currency)
            lost = "–" if one.value is None else str(rounded(one.value, places))
            self.stdout.write(
                gettext(
                    "%(contract)s: %(amount)s %(currency)s less per month from %(day)s, %(lost)s until its term ends"
                )
                % {
                    "contract": one.contract,
                    "amount": rounded(one.monthly, places),
                    "currency": one.currency,
                    "day": one.day,
                    "lost": lost,
                }
            )
        for reason in report.refused.values():
            self.stderr.write(reason)

    def contract(self, reference: str, on: date) -> None:
        found = list(Subscription.objects.filter(reference=reference))
        if len(found) != 1:
            raise CommandError(gettext("There is no contract %s.") % reference)
        try:
            value = metrics.contract_value(found[0], on)
        except OperatorError as refusal:
            raise CommandError(str(refusal)) from refusal
        if value is None:
            self.stdout.write(gettext("The contract has no end and no term: it has no total value."))
        else:
            self.stdout.write(f"{value.currency} {value.total} (< {value.ends_before})")


def account_of(reference: str) -> Tenant:
    found = Tenant.objects.filter(reference=reference).first()
    if found is None:
        raise CommandError(gettext("There is no account %s.") % reference)
    return found


def customers(count: int) -> str:
    return gettext("customers: %d") % count
