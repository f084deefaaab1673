"""Say of every day of every contract position why it is or is not charged: `coverage --through 2026-02-01`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext, ngettext

from billing import unbilled_usage
from billing.coverage import Covered
from billing.kernel.coverage import ANSWERS, Answer, Reason
from billing.models import Subscription
from invoicing import coverage
from tenants.terminal import add_issuer_argument, language_of_environment


class Command(BaseCommand):
    help = "Sum up charged, pending and waived days of all contract positions; list what is in error (exit code 1)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--through", type=date.fromisoformat, required=True, help="the last day looked at")
        parser.add_argument("--contract", metavar="REF", help="only this contract, and all of its days")
        add_issuer_argument(parser)

    def handle(self, *, through: date, contract: str | None, issuer: str | None = None, **options: Any) -> None:
        with translation.override(language_of_environment()):
            among = Subscription.objects.filter(pk=contract_key(contract, issuer)) if contract else None
            report = coverage.Report()
            for one in coverage.read(through=through, among=among):
                report.add(one)
                if contract or one.stretch.answer is Answer.IN_ERROR:
                    self.stdout.write(told(one))
            for answer in Answer:
                self.stdout.write(f"{coverage.ANSWERED[answer]}: {days_of(report.answered(answer))}")
                for reason in Reason:
                    if ANSWERS[reason] is answer and report.days[reason] and answer is not Answer.CHARGED:
                        self.stdout.write(f"    {coverage.REASONS[reason]}: {days_of(report.days[reason])}")
            self.stdout.write(gettext("Together: %(days)s") % {"days": days_of(report.item_days)})
            if not contract:
                self.usage(coverage.usage_report(through=through))
            if report.fault_count:
                raise CommandError(
                    ngettext("%(count)d stretch is in error.", "%(count)d stretches are in error.", report.fault_count)
                    % {"count": report.fault_count}
                )

    def usage(self, report: coverage.UsageReport) -> None:
        """Nothing where no usage was ever reported."""
        if not report.total:
            return
        for answer in Answer:
            events = events_of(report.answered(answer))
            self.stdout.write(
                gettext("Usage, %(answer)s: %(events)s") % {"answer": coverage.ANSWERED[answer], "events": events}
            )
            for reason in Reason:
                if ANSWERS[reason] is answer and report.events[reason] and answer is not Answer.CHARGED:
                    self.stdout.write(f"    {coverage.REASONS[reason]}: {events_of(report.events[reason])}")
        self.stdout.write(gettext("Usage, of no contract: %(events)s") % {"events": events_of(report.unbilled.total())})
        for name, words in unbilled_usage.REASONS.items():
            if report.unbilled[name]:
                self.stdout.write(f"    {words}: {events_of(report.unbilled[name])}")
        self.stdout.write(gettext("Usage, together: %(events)s") % {"events": events_of(report.total)})


def events_of(count: int) -> str:
    return ngettext("%(count)d event", "%(count)d events", count) % {"count": count}


def contract_key(reference: str, issuer: str | None) -> int:
    found = Subscription.objects.filter(reference=reference)
    keys = list((found.filter(issuer__reference=issuer) if issuer else found).values_list("pk", flat=True))
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise CommandError(gettext("Several issuers have a contract %s: name the issuer with --issuer.") % reference)
    raise CommandError(gettext("There is no contract %s.") % reference)


def told(one: Covered) -> str:
    """One stretch in a line: contract, product, days, answer, reason."""
    period, reason = one.stretch.period, one.stretch.reason
    why = f"{coverage.REASONS[reason]}: {one.detail}" if one.detail else str(coverage.REASONS[reason])
    return (
        f"{one.position.reference} {one.position.product} {period.start} – {period.last_day}:"
        f" {coverage.ANSWERED[one.stretch.answer]} ({why})"
    )


def days_of(count: int) -> str:
    return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}
