"""The report on coverage: every day of every contract position with its answer, and what is in error."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from billing import unbilled_usage
from billing.admin.metrics import contracts_asked_for, day_from
from billing.coverage import Covered
from billing.kernel.coverage import ANSWERS, Answer, Reason
from invoicing import coverage
from tenants.admin import figures
from tenants.admin.scope import scope_of

TONES = {
    Answer.CHARGED: "success",
    Answer.PENDING: "info",
    Answer.WAIVED: "",
    Answer.IN_ERROR: "danger",
}


def page(request: HttpRequest) -> HttpResponse:
    """Item-days up to a day (`?through=`, or today), summed up by answer and reason; of all or of a scope."""
    if not request.user.has_perm("billing.view_charge"):
        raise PermissionDenied
    through = day_from(request.GET.get("through"), timezone.localdate())
    scope = scope_of(request)
    among = contracts_asked_for(request.user, scope)
    report = coverage.report(through=through, among=among)
    usage = coverage.usage_report(
        through=through, among=among, user=request.user, accounts=scope.tenants if scope.reference else None
    )
    context = {
        **admin.site.each_context(request),
        "title": gettext("Coverage"),
        "through": through.isoformat(),
        "day": figures.day(through),
        "scope": scope,
        "item_days": figures.number(report.item_days),
        "answers": [answer_row(report, answer) for answer in Answer],
        "reasons": [reason_row(report, reason) for reason in Reason if report.days[reason]],
        "faults": [fault_row(one) for one in report.faults],
        "fault_count": report.fault_count,
        "is_cut": report.fault_count > len(report.faults),
        "events": figures.number(usage.total),
        "usage": usage_rows(usage),
    }
    return TemplateResponse(request, "invoicing/admin/coverage.html", context)


def answer_row(report: coverage.Report, answer: Answer) -> dict[str, Any]:
    days = report.answered(answer)
    return {
        "name": coverage.ANSWERED[answer],
        "days": figures.number(days),
        "share": share(days, report.item_days),
        "tone": "act" if answer is Answer.IN_ERROR and days else "ok",
    }


def reason_row(report: coverage.Report, reason: Reason) -> dict[str, Any]:
    days = report.days[reason]
    return {
        "answer": figures.badge(coverage.ANSWERED[ANSWERS[reason]], TONES[ANSWERS[reason]]),
        "name": coverage.REASONS[reason],
        "stretches": figures.number(report.stretches[reason]),
        "days": figures.number(days),
        "width": days * 100 // report.item_days,
        "share": share(days, report.item_days),
    }


def usage_rows(report: coverage.UsageReport) -> list[dict[str, Any]]:
    """Events by answer and reason; those of no contract last, with the way to who they are."""
    total = report.total
    rows = [
        {
            "answer": figures.badge(coverage.ANSWERED[ANSWERS[reason]], TONES[ANSWERS[reason]]),
            "name": coverage.REASONS[reason],
            "events": figures.number(report.events[reason]),
            "share": share(report.events[reason], total),
            "width": report.events[reason] * 100 // total,
        }
        for reason in Reason
        if report.events[reason]
    ]
    return rows + [
        {
            "answer": figures.badge(gettext("of no contract"), "warning"),
            "name": name,
            "events": figures.number(report.unbilled[reason]),
            "share": share(report.unbilled[reason], total),
            "width": report.unbilled[reason] * 100 // total,
        }
        for reason, name in unbilled_usage.REASONS.items()
        if report.unbilled[reason]
    ]


def share(days: int, of: int) -> str:
    """In percent, to one decimal, cut off: what is not all is never shown as 100."""
    tenths = Decimal(days * 1000 // of if of else 0)
    return f"{figures.number(tenths.scaleb(-1))}\N{NO-BREAK SPACE}%"


def fault_row(one: Covered) -> dict[str, Any]:
    period = one.stretch.period
    return {
        "contract": one.position.reference,
        "url": reverse("admin:billing_subscription_change", args=[one.position.contract]),
        "account": one.position.account_reference,
        "account_url": reverse("account", args=[one.position.account]),
        "product": one.position.product,
        "days": f"{figures.day(period.start)} – {figures.day(period.last_day)}",
        "count": figures.number(period.days),
        "reason": coverage.REASONS[one.stretch.reason],
        "detail": one.detail,
    }
