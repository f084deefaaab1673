"""What was booked on a customer's accounts, by currency: opening balance, movements, closing balance."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from billing.admin.metrics import day_from
from config import account_reports
from config.portal.chosen import chosen
from config.portal.doors import for_customers
from invoicing.account_statement import Movement, Statement, statements
from invoicing.models import DocumentFile, OpenItem
from tenants.admin import figures
from tenants.errors import OperatorError

SHOWN = 200


@for_customers("sees_payments")
def page(request: HttpRequest) -> HttpResponse:
    """The movements from `?from=` to `?to=`, of one account or with all below it; `?as=csv`, or `pdf` of a currency."""
    scope = chosen(request, "sees_payments")
    today = timezone.localdate()
    through = day_from(request.GET.get("to"), today)
    first = min(day_from(request.GET.get("from"), date(through.year, 1, 1)), through)
    found = statements(
        scope.account,
        with_descendants=scope.with_descendants,
        after=first - timedelta(days=1),
        through=through,
        among=OpenItem.objects.visible_to(request.user),
    )
    below = "1" if scope.with_descendants else ""
    asked = {"account": scope.account.reference, "below": below, "from": first.isoformat(), "to": through.isoformat()}
    wanted = request.GET.get("as")
    if wanted == "csv":
        return account_reports.statement_csv(scope.account, found)
    if wanted == "pdf":
        one = next((one for one in found if one.currency == request.GET.get("currency", "")), None)
        try:
            return account_reports.statement_pdf(
                scope.account, one, first, through, is_of_several=scope.with_descendants
            )
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(f"{reverse('portal:account_statement')}?{urlencode(asked)}")
    readable = documents_seen(request.user, found)
    context = {
        "scope": scope,
        "first": first.isoformat(),
        "through": through.isoformat(),
        "query": urlencode(asked),
        "statements": [block_of(one, first, through, readable) for one in found],
    }
    return render(request, "portal/account_statement.html", context)


def documents_seen(user: Any, found: list[Statement]) -> set[int]:
    """The keys of those documents of which the user may fetch the PDF."""
    keys = {movement.invoice for one in found for movement in one.movements[:SHOWN] if movement.invoice}
    files = DocumentFile.objects.visible_to(user).filter(kind=DocumentFile.Kind.PDF, invoice__in=keys)
    return set(files.values_list("invoice", flat=True))


def block_of(one: Statement, first: date, through: date, readable: set[int]) -> dict[str, Any]:
    return {
        "currency": one.currency,
        "opening": figures.money(one.opening, one.currency),
        "opening_day": figures.day(first),
        "closing": figures.money(one.closing, one.currency),
        "closing_day": figures.day(through),
        "count": one.count,
        "is_cut": one.count > SHOWN,
        "rows": [row_of(movement, one.currency, readable) for movement in one.movements[:SHOWN]],
    }


def row_of(movement: Movement, currency: str, readable: set[int]) -> dict[str, Any]:
    return {
        "day": figures.day(movement.day),
        "text": account_reports.movement_text(movement),
        "document": movement.invoice if movement.invoice in readable else None,
        "account": movement.account,
        "amount": figures.money(movement.amount, currency),
    }
