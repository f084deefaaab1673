"""The report on usage that nobody is billed for, by reason, source, account and meter; and the way to assign it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from billing import metering, unbilled_usage
from billing.admin.metrics import day_from
from billing.models import UsageConflict
from billing.unbilled_usage import REASONS, Unbilled
from tenants.admin import figures
from tenants.admin.csv_files import csv_answer
from tenants.admin.scope import scope_of
from tenants.models.visibility import is_bounded
from tenants.transactions import acting

DAYS: Final = 400  # that the page shows unless asked otherwise
SHOWN: Final = 500


def page(request: HttpRequest) -> HttpResponse:
    """From one day (`?from=`) to another (`?to=`), of all accounts or of a scope, of one reason (`?reason=`) or all."""
    user = request.user
    if not user.has_perm("billing.view_usageevent"):
        raise PermissionDenied
    may_assign = user.has_perm("billing.import_usageevent") and not is_bounded(user)
    if request.method == "POST":
        if not may_assign:
            raise PermissionDenied
        return assigned(request)
    last_on = day_from(request.GET.get("to"), timezone.localdate())
    first_on = min(day_from(request.GET.get("from"), last_on - timedelta(days=DAYS)), last_on)
    scope = scope_of(request)
    found = unbilled_usage.unbilled(user, first_on, last_on, accounts=scope.tenants if scope.reference else None)
    reason = request.GET.get("reason", "")
    rows = [one for one in found if not reason or one.reason == reason]
    if "csv" in request.GET:
        if not user.has_perm("billing.export_usageevent"):
            raise PermissionDenied
        return csv_answer("unbilled_usage.csv", head(), map(cells, rows))
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.reason] += one.events
    conflicts = [] if scope.reference else list(unbilled_usage.conflicts(user)[: SHOWN + 1])
    asked = {
        "from": first_on.isoformat(),
        "to": last_on.isoformat(),
        "account": scope.reference,
        "below": "1" if scope.with_descendants else "",
    }
    context = {
        **admin.site.each_context(request),
        "title": gettext("Usage that nobody is billed for"),
        "first_on": asked["from"],
        "last_on": asked["to"],
        "scope": scope,
        "asked": urlencode(asked),
        "reason": reason,
        "reasons": [
            (name, text, figures.number(counts[name]), name == reason) for name, text in REASONS.items() if counts[name]
        ],
        "total": figures.number(sum(counts.values())),
        "rows": [row_of(one) for one in rows[:SHOWN]],
        "more": len(rows) > SHOWN,
        "conflicts": [conflict_row(one) for one in conflicts[:SHOWN]],
        "more_conflicts": len(conflicts) > SHOWN,
        "may_export": user.has_perm("billing.export_usageevent"),
        "may_assign": may_assign,
    }
    return TemplateResponse(request, "billing/admin/unbilled_usage.html", context)


def assigned(request: HttpRequest) -> HttpResponse:
    with acting(actor=request.user.get_username(), channel="admin"):
        count = metering.assign()
    text = ngettext("%(count)d event was assigned.", "%(count)d events were assigned.", count)
    messages.success(request, text % {"count": count})
    return HttpResponseRedirect(reverse("unbilled_usage"))


def row_of(one: Unbilled) -> dict[str, Any]:
    return {
        "reason": REASONS[one.reason],
        "source": ", ".join(one.sources),
        "account": one.reference,
        "account_url": reverse("account", args=[one.account]) if one.account else "",
        "meter": f"{one.application} / {one.meter}",
        "events": figures.number(one.events),
        "first_on": figures.day(one.first_on),
        "last_on": figures.day(one.last_on),
    }


def conflict_row(one: UsageConflict) -> dict[str, Any]:
    return {
        "event": one.key.key,
        "url": reverse("admin:billing_usageconflict_change", args=[one.pk]),
        "source": one.key.source.reference,
        "account": one.content.get("tenant", ""),
        "meter": f"{one.content.get('application', '')} / {one.content.get('meter', '')}",
        "came_on": figures.day(timezone.localdate(one.batch.created_at)),
    }


def head() -> list[str]:
    return [
        gettext("reason"),
        gettext("usage source"),
        gettext("account"),
        gettext("application"),
        gettext("meter"),
        gettext("events"),
        gettext("first day"),
        gettext("last day"),
    ]


def cells(one: Unbilled) -> list[Any]:
    days: list[date] = [one.first_on, one.last_on]
    named = [one.reference, one.application, one.meter]
    return [str(REASONS[one.reason]), ", ".join(one.sources), *named, one.events, *days]
