"""The calendar of an account and all below it: list, month, CSV, and a secret link for calendar programs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from icalendar import Calendar, Event

from billing.admin.metrics import contracts_seen
from billing.kernel.money import places_of, rounded
from billing.kernel.period import months_after
from invoicing import calendar, feeds
from invoicing.calendar import Coming, Kind
from invoicing.models import CalendarFeed
from tenants.admin import figures
from tenants.admin.csv_files import csv_answer
from tenants.admin.scope import Scope
from tenants.errors import OperatorError
from tenants.models import Tenant

MONTHS: Final = 12
NAMES: Final = {
    Kind.INVOICE: _("invoice"),
    Kind.RENEWAL: _("renewal"),
    Kind.NOTICE: _("last day for notice"),
    Kind.END: _("end of the contract"),
}
TONES: Final = {Kind.INVOICE: "info", Kind.RENEWAL: "success", Kind.NOTICE: "warning", Kind.END: "danger"}


def page(request: HttpRequest, key: int) -> HttpResponseBase:
    """List of the next twelve months (`?view=month&month=2026-03`: one month; `?format=csv`: a file).

    With all below the account, unless `?below=` is empty.
    """
    tenant = _account(request, key)
    today = timezone.localdate()
    month = _month(request.GET.get("month"), today)
    is_month = request.GET.get("view") == "month"
    through = months_after(month, 1, 1) - timedelta(days=1) if is_month else months_after(today, MONTHS)
    refusal, entries = "", []
    below = request.GET.get("below", "1") == "1"
    seen = contracts_seen(request.user)
    try:
        entries = calendar.coming(tenant, on=today, through=max(through, today), with_descendants=below, among=seen)
    except OperatorError as error:
        refusal = str(error)
    if request.GET.get("format") == "csv":
        return csv_answer(f"calendar-{tenant.reference}.csv", *table_of(entries))
    feed = CalendarFeed.objects.filter(user=request.user, tenant=tenant, revoked_at=None).first()  # type: ignore[misc]
    context = {
        **admin.site.each_context(request),
        "title": gettext("Calendar of %(account)s") % {"account": tenant.name},
        "opts": Tenant._meta,
        "original": tenant,
        "tenant": tenant,
        "scope": Scope(tenant.reference, tenant, below),
        "below": "1" if below else "",
        "is_month": is_month,
        "first": month.strftime("%Y-%m"),
        "month": date_format(month, "F Y"),
        "previous": months_after(month, -1, 1).strftime("%Y-%m"),
        "following": months_after(month, 1, 1).strftime("%Y-%m"),
        "weeks": _weeks(month, today, entries) if is_month else [],
        "weekdays": [date_format(date(2024, 1, 1) + timedelta(days=n), "D") for n in range(7)],
        "rows": [_row(entry) for entry in entries],
        "sums": _sums(entries),
        "refusal": refusal,
        "link": request.build_absolute_uri(reverse("calendar_feed", args=[feeds.token_of(feed)])) if feed else "",
    }
    return TemplateResponse(request, "invoicing/admin/calendar.html", context)


def link(request: HttpRequest, key: int) -> HttpResponseBase:
    """Open the user's secret link (`do=open`), close it (`do=revoke`), or put a new one in its place (`do=renew`)."""
    if request.method != "POST":
        raise Http404
    tenant, user = _account(request, key), request.user
    asked = request.POST.get("do")
    if asked in ("revoke", "renew"):
        feeds.revoke(user, tenant)  # type: ignore[arg-type]
        messages.success(request, gettext("The link was revoked: whoever has it sees nothing any more."))
    if asked in ("open", "renew"):
        feeds.open_feed(user, tenant)  # type: ignore[arg-type]
    return HttpResponseRedirect(reverse("account_calendar", args=[tenant.pk]))


def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The calendar for programs; whoever has no valid token learns nothing."""
    opened = feeds.feed_of(token)
    if opened is None:
        raise Http404
    today = timezone.localdate()
    with translation.override(opened.tenant.language or translation.get_language()):
        try:
            seen = contracts_seen(opened.user)
            entries = calendar.coming(opened.tenant, on=today, through=months_after(today, MONTHS), among=seen)
        except OperatorError:
            entries = []
        body = _ical(opened.tenant, entries, now=timezone.now())
    response = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _account(request: HttpRequest, key: int) -> Tenant:
    if not request.user.has_perm(feeds.RIGHT):  # type: ignore[union-attr]
        raise PermissionDenied
    return get_object_or_404(Tenant.objects.visible_to(request.user), pk=key)


def _month(text: str | None, today: date) -> date:
    """The first day of the month asked for; of the present one if it is none."""
    if text and re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text):
        return date.fromisoformat(f"{text}-01")
    return today.replace(day=1)


def _row(entry: Coming) -> dict[str, Any]:
    return {
        "day": figures.day(entry.day),
        "kind": NAMES[entry.kind],
        "tone": TONES[entry.kind],
        "recipient": entry.recipient,
        "payer": entry.payer if entry.payer != entry.recipient else "",
        "accounts": _listed(entry.accounts),
        "contracts": _listed(entry.contracts),
        "net": figures.money(entry.net, entry.currency) if entry.net is not None else "",
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" +{len(names) - 5}" if len(names) > 5 else "")


def _weeks(month: date, today: date, entries: Sequence[Coming]) -> list[list[dict[str, Any]]]:
    """Six weeks at most, each from Monday, with what falls on their days."""
    by_day: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_day[entry.day].append(_row(entry))
    first = month - timedelta(days=month.weekday())
    weeks = []
    while first < months_after(month, 1, 1):
        days = [first + timedelta(days=n) for n in range(7)]
        weeks.append(
            [
                {
                    "number": day.day,
                    "is_other": day.month != month.month,
                    "is_today": day == today,
                    "entries": by_day[day] if day.month == month.month else [],
                }
                for day in days
            ]
        )
        first += timedelta(days=7)
    return weeks


def _sums(entries: Sequence[Coming]) -> list[str]:
    """The net of all invoices shown, per currency."""
    sums: dict[str, Any] = {}
    for entry in entries:
        if entry.net is not None:
            sums[entry.currency] = sums.get(entry.currency, 0) + entry.net
    return [figures.money(total, currency) for currency, total in sorted(sums.items())]


def table_of(entries: Sequence[Coming]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows, one per entry; contracts and accounts of one invoice are parted by blanks."""
    head = [
        gettext("day"),
        gettext("kind"),
        gettext("recipient"),
        gettext("payer"),
        gettext("accounts"),
        gettext("contracts"),
        gettext("net"),
        gettext("currency"),
    ]
    rows: list[list[Any]] = []
    for entry in entries:
        names = [entry.recipient, entry.payer, " ".join(entry.accounts), " ".join(entry.contracts)]
        net = None if entry.net is None else rounded(entry.net, places_of(entry.currency))
        rows.append([entry.day, str(NAMES[entry.kind]), *names, net, entry.currency])
    return head, rows


def _ical(tenant: Tenant, entries: Sequence[Coming], *, now: datetime) -> bytes:
    """Whole-day events (RFC 5545), each with a name of its own that stays the same."""
    found = Calendar()
    found.add("prodid", "-//Kontor//Calendar//EN")
    found.add("version", "2.0")
    found.add("x-wr-calname", gettext("Calendar of %(account)s") % {"account": tenant.name})
    for entry in entries:
        row = _row(entry)
        event = Event()
        event.add("uid", f"{entry.key}@kontor")
        event.add("dtstamp", datetime.combine(now.date(), time(), now.tzinfo))
        event.add("dtstart", entry.day)
        event.add("dtend", entry.day + timedelta(days=1))
        event.add("summary", " · ".join(filter(None, [str(row["kind"]), row["recipient"], row["net"]])))
        event.add("description", row["contracts"])
        event.add("transp", "TRANSPARENT")
        found.add_component(event)
    return bytes(found.to_ical())
