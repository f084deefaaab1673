"""Contracts that wait for the day with which billing starts, and contracts that renew themselves soon."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import operators
from billing.contracts import renewals
from billing.kernel.money import places_of, rounded
from billing.models import Subscription
from tenants.admin import figures
from tenants.admin.csv_files import csv_answer
from tenants.admin.scope import scope_of

DAYS: Final = 60
MOST_DAYS: Final = 730
SHOWN: Final = 500
MISSING: Final = {
    Subscription.BillingStart.ACTIVATION: _("the day of the activation"),
    Subscription.BillingStart.ACCEPTANCE: _("the day of the acceptance"),
}


def page(request: HttpRequest) -> HttpResponse:
    """The lists, of all or of a scope; renewals within so many days (`?days=`); `?csv=` and a list: that as a file."""
    if not request.user.has_perm("billing.view_subscription"):
        raise PermissionDenied
    today, days = timezone.localdate(), days_from(request.GET.get("days"))
    wanted = request.GET.get("csv")
    if wanted and not request.user.has_perm("billing.export_subscription"):
        raise PermissionDenied
    scope = scope_of(request)
    seen = scope.within(Subscription.objects.visible_to(request.user), "tenant")
    if wanted == "starts":
        return csv_answer("contracts_waiting.csv", start_head(), [start_cells(one) for one in waiting(seen)])
    overdue, soon = renewals.overdue_and_ahead(None, on=today, days=days, among=seen)
    if wanted == "renewals":
        return csv_answer("contracts_renewing.csv", renewal_head(), [renewal_cells(one) for one in [*overdue, *soon]])
    pending = list(waiting(seen)[: SHOWN + 1])
    sums: dict[str, Decimal] = defaultdict(lambda: Decimal(0))
    for one in soon:
        if one.notice_by < today:
            continue
        sums[one.subscription.currency] += one.at_risk
    context = {
        **admin.site.each_context(request),
        "title": gettext("Contracts to look at"),
        "days": days,
        "most_days": MOST_DAYS,
        "scope": scope,
        "asked": urlencode({"days": days, "account": scope.reference, "below": "1" if scope.with_descendants else ""}),
        "may_export": request.user.has_perm("billing.export_subscription"),
        "against": [against_row(one) for one in operators.violations(seen, on=today)[:SHOWN]],
        "starts": [start_row(one) for one in pending[:SHOWN]],
        "more_starts": len(pending) > SHOWN,
        "overdue": [renewal_row(one, today) for one in overdue[:SHOWN]],
        "more_overdue": len(overdue) > SHOWN,
        "renewals": [renewal_row(one, today) for one in soon[:SHOWN]],
        "more_renewals": len(soon) > SHOWN,
        "sums": [figures.money(amount, currency) for currency, amount in sorted(sums.items())],
    }
    return TemplateResponse(request, "billing/admin/attention.html", context)


def days_from(text: str | None) -> int:
    """A number of days from a query string; what is none is as if it were left out."""
    return min(int(text), MOST_DAYS) if text and text.isascii() and text.isdigit() and len(text) < 6 else DAYS


def waiting(seen: Any) -> Any:
    """Contracts of which the day is missing with which billing starts, those that wait longest first."""
    return (
        seen.waiting_to_start()
        .exclude(tenant__status="closed")
        .select_related("tenant", "issuer")
        .order_by("starts_on", "reference")
    )


def missing(contract: Subscription) -> str:
    """What a contract waits for, in words."""
    return str(MISSING[Subscription.BillingStart(contract.billing_starts_with)])


def against_row(one: operators.Violation) -> dict[str, Any]:
    contract = one.contract
    return {
        "contract": contract.reference,
        "url": reverse("admin:billing_subscription_change", args=[contract.pk]),
        "account": str(contract.tenant),
        "account_url": reverse("account", args=[contract.tenant_id]),
        "issuer": contract.issuer.reference,
        "reason": one.reason,
    }


def start_row(contract: Subscription) -> dict[str, Any]:
    amend = reverse("admin:billing_subscription_amend", args=[contract.pk])
    return {
        "contract": contract.reference,
        "url": reverse("admin:billing_subscription_change", args=[contract.pk]),
        "account": str(contract.tenant),
        "starts_on": figures.day(contract.starts_on),
        "missing": missing(contract),
        "amend": f"{amend}?kind=activation",
    }


def renewal_row(one: renewals.Renewal, on: date) -> dict[str, Any]:
    contract = one.subscription
    return {
        "contract": contract.reference,
        "url": reverse("admin:billing_subscription_change", args=[contract.pk]),
        "account": str(contract.tenant),
        "renews_on": figures.day(one.renews_on),
        "notice_by": figures.day(one.notice_by),
        "is_settled": one.notice_by < on,
        "at_risk": figures.money(one.at_risk, contract.currency),
    }


def start_head() -> list[str]:
    return [
        gettext("contract"),
        gettext("account"),
        gettext("name"),
        gettext("first day"),
        gettext("waits for"),
    ]


def renewal_head() -> list[str]:
    return [
        gettext("contract"),
        gettext("account"),
        gettext("name"),
        gettext("renews on"),
        gettext("notice by"),
        gettext("amount at risk"),
        gettext("currency"),
    ]


def start_cells(contract: Subscription) -> list[Any]:
    account = contract.tenant
    return [contract.reference, account.reference, account.name, contract.starts_on, missing(contract)]


def renewal_cells(one: renewals.Renewal) -> list[Any]:
    contract = one.subscription
    account = contract.tenant
    at_risk = rounded(one.at_risk, places_of(contract.currency))
    figures_ = [one.renews_on, one.notice_by, at_risk, contract.currency]
    return [contract.reference, account.reference, account.name, *figures_]
