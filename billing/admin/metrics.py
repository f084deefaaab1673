"""The report on recurring revenue: the last twelve months, the movements between two days, and what was lost."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.translation import gettext

from billing import metrics
from billing.kernel.money import places_of, rounded
from billing.kernel.period import months_after
from billing.models import Subscription
from tenants.admin import figures
from tenants.admin.scope import Scope, scope_of
from tenants.models.visibility import is_bounded

MONTHS = 12
DECREASES = 200


def page(request: HttpRequest) -> HttpResponse:
    """Recurring revenue from one day (`?from=`) to another (`?to=`), of all accounts or of a scope."""
    if not request.user.has_perm("billing.view_subscription"):
        raise PermissionDenied
    today = timezone.localdate()
    through = day_from(request.GET.get("to"), today)
    after = min(day_from(request.GET.get("from"), through.replace(day=1) - timedelta(days=1)), through)
    scope = scope_of(request)
    days = month_ends(through)
    report = metrics.Report()
    if not scope.is_unknown:
        report = metrics.report(
            after,
            through,
            under=scope.account,
            with_descendants=scope.with_descendants,
            among=contracts_seen(request.user),
            days=days,
        )
    decreases = sorted(report.decreases, key=lambda one: one.value or one.monthly, reverse=True)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Recurring revenue"),
        "after": after.isoformat(),
        "through": through.isoformat(),
        "scope": scope,
        "flows": [
            flow_block(currency, flow, days, after, through)
            for currency, flow in sorted(report.flows.items(), key=lambda entry: -entry[1].closing)
        ],
        "decreases": [decrease_row(one) for one in decreases[:DECREASES]],
        "refused": list(report.refused.values())[:20],
    }
    return TemplateResponse(request, "billing/admin/metrics.html", context)


def contracts_seen(user: Any) -> QuerySet[Subscription] | None:
    """The contracts that a report tells a member of staff of; ``None``: all, so that nobody need ask which."""
    return Subscription.objects.visible_to(user) if is_bounded(user) else None


def contracts_asked_for(user: Any, scope: Scope) -> QuerySet[Subscription] | None:
    """As ``contracts_seen``, of the accounts in ``scope``."""
    if not scope.reference:
        return contracts_seen(user)
    return scope.within(Subscription.objects.visible_to(user), "tenant")


def day_from(text: str | None, otherwise: date) -> date:
    """A day from a query string; what is none is as if it were left out."""
    try:
        return parse_date(text or "") or otherwise
    except ValueError:
        return otherwise


def month_ends(through: date) -> list[date]:
    """The last days of the months before the one of ``through``, and that day itself."""
    first = through.replace(day=1)
    return [*(months_after(first, -n) - timedelta(days=1) for n in range(MONTHS - 2, -1, -1)), through]


def flow_block(currency: str, flow: metrics.Flow, days: list[date], after: date, through: date) -> dict[str, Any]:
    places = places_of(currency)
    opening, amounts, closing = flow.rounded(places)
    highest = max([*flow.course, Fraction(1)])
    return {
        "currency": currency,
        "now": figures.money(closing, currency),
        "opening": figures.money(opening, currency),
        "opening_day": figures.day(after),
        "opening_customers": figures.number(flow.customers[0]),
        "closing_day": figures.day(through),
        "closing_customers": figures.number(flow.customers[1]),
        "movements": [
            {
                "name": metrics.CHANGES[change],
                "amount": figures.money_cell(amount, currency),
                "count": figures.number(flow.movements[change]),
            }
            for change, amount in amounts.items()
        ],
        "months": [
            {
                "label": date_format(day, "M y"),
                "amount": figures.number(rounded(value, 0)) if value else "",
                "height": int(value * 100 / highest),
                "is_current": day == through,
            }
            for day, value in zip(days, flow.course, strict=True)
        ],
    }


def decrease_row(one: metrics.Decrease) -> dict[str, Any]:
    places = places_of(one.currency)
    return {
        "contract": one.contract,
        "url": reverse("account", args=[one.account]),
        "day": figures.day(one.day),
        "monthly": figures.money(rounded(one.monthly, places), one.currency),
        "months": figures.EMPTY if one.months is None else figures.number(Decimal(rounded(one.months, 1))),
        "value": figures.EMPTY if one.value is None else figures.money(rounded(one.value, places), one.currency),
    }
