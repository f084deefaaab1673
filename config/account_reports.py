"""What was booked on an account and what was invoiced, for one account or with all below: as page, CSV and PDF."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext

from billing.admin.metrics import contracts_seen, day_from
from billing.kernel.money import places_of, rounded
from billing.kernel.period import months_after
from invoicing.account_statement import Movement, Statement, statements
from invoicing.einvoice.reading import party_facts
from invoicing.models import Invoice, JournalEntry, OpenItem
from invoicing.parties import seller_of
from invoicing.pdf import account as account_pdf
from invoicing.pdf.style import style_of
from invoicing.revenue import By, Revenue, revenue
from tenants import responsibility
from tenants.admin import figures
from tenants.admin.csv_files import csv_answer
from tenants.admin.scope import Scope, scope_of
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.models.visibility import is_bounded

SHOWN = 1_000
BARS = 12


# The account statement


class NoIssuer(OperatorError):
    """A letter needs somebody who writes it."""


def statement(request: HttpRequest, key: int) -> HttpResponseBase:
    """The account's movements from `?from=` to `?to=`, with all below it if `?below=1`; `?as=csv` or `pdf`."""
    if not request.user.has_perm("invoicing.view_openitem"):
        raise PermissionDenied
    tenant = get_object_or_404(Tenant.objects.visible_to(request.user), pk=key)
    today = timezone.localdate()
    through = day_from(request.GET.get("to"), today)
    first = day_from(request.GET.get("from"), date(through.year, 1, 1))
    below = request.GET.get("below") == "1"
    seen = OpenItem.objects.visible_to(request.user) if is_bounded(request.user) else None
    found = statements(tenant, with_descendants=below, after=first - timedelta(days=1), through=through, among=seen)
    wanted = request.GET.get("as")
    if wanted == "csv":
        return statement_csv(tenant, found)
    if wanted == "pdf":
        currency = request.GET.get("currency", "")
        one = next((one for one in found if one.currency == currency or not currency), None)
        try:
            return statement_pdf(tenant, one, first, through, is_of_several=below)
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(reverse("account_statement", args=[tenant.pk]))
    context = {
        **admin.site.each_context(request),
        "title": gettext("Account statement"),
        "tenant": tenant,
        "first": first.isoformat(),
        "through": through.isoformat(),
        "scope": Scope(tenant.reference, tenant, below),
        "query": f"from={first.isoformat()}&to={through.isoformat()}" + ("&below=1" if below else ""),
        "statements": [statement_block(one, first, through) for one in found],
    }
    return TemplateResponse(request, "admin/account_statement.html", context)


def statement_block(one: Statement, first: date, through: date) -> dict[str, Any]:
    return {
        "currency": one.currency,
        "opening": figures.money_cell(one.opening, one.currency),
        "opening_day": figures.day(first),
        "closing": figures.money_cell(one.closing, one.currency),
        "closing_day": figures.day(through),
        "total": figures.money_cell(one.total, one.currency),
        "count": one.count,
        "is_cut": one.count > SHOWN,
        "rows": [
            {
                "day": figures.day(movement.day),
                "text": movement_text(movement),
                "url": reverse("admin:invoicing_invoice_change", args=[movement.invoice])
                if movement.invoice
                else reverse("admin:invoicing_openitem_change", args=[movement.open_item]),
                "account": movement.account,
                "amount": figures.money_cell(movement.amount, one.currency),
            }
            for movement in one.movements[:SHOWN]
        ],
    }


def movement_text(movement: Movement) -> str:
    """What a booking is, in the active language."""
    if movement.kind == JournalEntry.Kind.ISSUE:
        return f"{capfirst(Invoice.Kind(movement.document_kind).label)} {movement.document}"
    return f"{capfirst(JournalEntry.Kind(movement.kind).label)}: {movement.document}"


def statement_csv(tenant: Tenant, found: Sequence[Statement]) -> HttpResponse:
    """All movements, balances included as rows without a document."""
    head = [
        gettext("currency"),
        gettext("day"),
        gettext("text"),
        gettext("document"),
        gettext("account"),
        gettext("amount"),
        gettext("balance"),
    ]
    rows: list[list[Any]] = []
    for one in found:
        places = places_of(one.currency)
        balance = rounded(one.opening, places)
        rows.append([one.currency, "", gettext("opening balance"), "", tenant.reference, "", balance])
        for movement in one.movements:
            amount = rounded(movement.amount, places)
            balance += amount
            text = movement_text(movement)
            rows.append(
                [
                    one.currency,
                    movement.day,
                    text,
                    movement.document,
                    movement.account,
                    amount,
                    balance,
                ]
            )
        rows.append(
            [one.currency, "", gettext("closing balance"), "", tenant.reference, "", rounded(one.closing, places)]
        )
    return csv_answer(f"{tenant.reference}-statement.csv", head, rows)


def statement_pdf(
    tenant: Tenant, one: Statement | None, first: date, through: date, *, is_of_several: bool
) -> HttpResponse:
    """The statement of one currency in the account's language, under the head of the issuer that it deals with."""
    issuer = Issuer.objects.filter(subscriptions__tenant__in=Tenant.objects.under(tenant)).order_by("pk").first()
    issuer = issuer or Issuer.objects.order_by("pk").first()
    if issuer is None:
        raise NoIssuer(gettext("There is no issuer yet whose letter paper could be used."))
    settings = responsibility.effective([tenant], issuer)[tenant.pk]
    currency = one.currency if one else settings.currency
    language = settings.language
    names = ("reference", "name", "street", "postcode", "city", "country", "vat_id")
    with translation.override(language):
        movements = tuple(
            account_pdf.MovementFacts(movement.day, movement_text(movement), movement.account, movement.amount)
            for movement in (one.movements if one else ())
        )
    facts = account_pdf.AccountFacts(
        first=first,
        last=through,
        language=language,
        currency=currency,
        places=places_of(currency),
        seller=party_facts(seller_of(issuer)),
        customer=party_facts({name: getattr(tenant, name) for name in names}),
        opening=one.opening if one else Decimal(0),
        movements=movements,
        closing=one.closing if one else Decimal(0),
        is_of_several=is_of_several,
    )
    response = HttpResponse(account_pdf.render(facts, style_of(issuer.pk)), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{tenant.reference}-{through.isoformat()}.pdf"'
    response["Cache-Control"] = "no-store"
    return response


# Revenue


def revenue_page(request: HttpRequest) -> HttpResponseBase:
    """Net of issued documents by month, account, product or partner (`?by=`), of all or of a scope; `?as=csv`."""
    if not request.user.has_perm("invoicing.view_invoice"):
        raise PermissionDenied
    today = timezone.localdate()
    first = day_from(request.GET.get("from"), months_after(today.replace(day=1), -11))
    through = day_from(request.GET.get("to"), today)
    by = By(request.GET["by"]) if request.GET.get("by") in By.values else By.MONTH
    scope = scope_of(request)
    found: list[Revenue] = []
    if not scope.is_unknown:
        found = revenue(
            by,
            first=first,
            ends_before=through + timedelta(days=1),
            under=scope.account,
            with_descendants=scope.with_descendants,
            among=contracts_seen(request.user),
            language=get_language() or "en",
        )
    if request.GET.get("as") == "csv":
        return csv_answer(f"revenue-by-{by}.csv", *revenue_table(by, found))
    query = request.GET.copy()
    query["as"] = "csv"
    context = {
        **admin.site.each_context(request),
        "title": gettext("Invoiced revenue"),
        "first": first.isoformat(),
        "through": through.isoformat(),
        "by": by.value,
        "ways": By.choices,
        "scope": scope,
        "csv": query.urlencode(),
        "blocks": [revenue_block(by, currency, rows) for currency, rows in by_currency(found)],
    }
    return TemplateResponse(request, "admin/revenue.html", context)


def revenue_table(by: By, found: Iterable[Revenue]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of the file."""
    head = [str(by.label), gettext("name"), gettext("currency"), gettext("net"), gettext("documents")]
    rows = [
        [one.key, one.name, one.currency, rounded(one.net, places_of(one.currency)), one.documents] for one in found
    ]
    return head, rows


def by_currency(found: Iterable[Revenue]) -> list[tuple[str, list[Revenue]]]:
    """The currency with the most rows first."""
    groups: dict[str, list[Revenue]] = defaultdict(list)
    for one in found:
        groups[one.currency].append(one)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def revenue_block(by: By, currency: str, rows: list[Revenue]) -> dict[str, Any]:
    highest = max([*(one.net for one in rows), Decimal(1)])
    total = sum((one.net for one in rows), Decimal(0))
    return {
        "currency": currency,
        "total": figures.money(total, currency),
        "count": len(rows),
        "is_cut": len(rows) > SHOWN,
        "bars": [
            {
                "label": label_of(by, one),
                "net": figures.money(one.net, currency),
                "height": max(0, int(one.net * 100 / highest)),
            }
            for one in (rows[-BARS:] if by is By.MONTH else rows[:BARS])
        ],
        "rows": [
            {
                "label": label_of(by, one),
                "name": one.name,
                "documents": figures.number(one.documents),
                "net": figures.money_cell(one.net, currency),
            }
            for one in rows[:SHOWN]
        ],
    }


def label_of(by: By, one: Revenue) -> str:
    if by is By.MONTH:
        return date_format(date.fromisoformat(f"{one.key}-01"), "M y")
    return one.key or gettext("no partner")
