"""What is to come for a customer: invoices, renewals, last days for notice, ends of contracts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from billing.kernel.money import places_of, rounded
from billing.kernel.period import months_after
from billing.models import Subscription
from config.portal.chosen import Chosen, chosen
from config.portal.doors import for_customers
from invoicing import calendar
from invoicing.admin.calendar import NAMES
from invoicing.calendar import Coming, Kind
from tenants.admin import figures
from tenants.admin.csv_files import csv_answer
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.models.visibility import accounts_granted

MONTHS: Final = 12
TONES: Final = {Kind.INVOICE: "due", Kind.RENEWAL: "good", Kind.NOTICE: "late", Kind.END: "late"}
DAYS_OF_CONTRACTS: Final = (Kind.RENEWAL, Kind.NOTICE, Kind.END)
RIGHTS: Final = ("sees_invoices", "sees_subscriptions")


@for_customers(*RIGHTS)
def page(request: HttpRequest) -> HttpResponse:
    """The next twelve months of an account, with all below it or alone; `?as=csv`: a file.

    Invoices for who sees invoices, and days of contracts for who sees contracts: each at the account it is about.
    """
    scope = chosen(request, *RIGHTS)
    refusal, entries = "", []
    try:
        entries = ahead(request.user, scope)
    except OperatorError as error:
        refusal = str(error)
    names = names_of(entries)
    known = contracts_known(request.user, entries)
    if request.GET.get("as") == "csv":
        return csv_answer(f"calendar-{scope.account.reference}.csv", *table_of(entries, names, known))
    context = {
        "scope": scope,
        "refusal": refusal,
        "months": [
            {"name": date_format(month, "F Y"), "rows": [row_of(one, names, known) for one in of_month]}
            for month, of_month in groupby(entries, lambda one: one.day.replace(day=1))
        ],
        "sums": sums_of(entries),
    }
    return render(request, "portal/calendar.html", context)


def ahead(user: Any, scope: Chosen) -> list[Coming]:
    """By day; what a user may not see of a contract is not there."""
    today = timezone.localdate()
    entries: list[Coming] = []
    for right, kinds in (("sees_invoices", (Kind.INVOICE,)), ("sees_subscriptions", DAYS_OF_CONTRACTS)):
        entries += calendar.coming(
            scope.account,
            on=today,
            through=months_after(today, MONTHS),
            with_descendants=scope.with_descendants,
            among=Subscription.objects.filter(tenant__in=accounts_granted(user, right)),
            kinds=kinds,
        )
    return sorted(entries, key=lambda one: (one.day, list(Kind).index(one.kind), one.contracts))


def names_of(entries: Iterable[Coming]) -> dict[str, str]:
    """The names of all accounts in question."""
    references = {name for one in entries for name in (one.recipient, one.payer, *one.accounts)}
    return dict(Tenant.objects.filter(reference__in=references).values_list("reference", "name"))


def contracts_known(user: Any, entries: Iterable[Coming]) -> set[str]:
    """The references of those contracts that the user may see."""
    references = {name for one in entries for name in one.contracts}
    return set(
        Subscription.objects.visible_to(user).filter(reference__in=references).values_list("reference", flat=True)
    )


def row_of(one: Coming, names: dict[str, str], known: set[str]) -> dict[str, Any]:
    return {
        "day": figures.day(one.day),
        "kind": str(NAMES[one.kind]),
        "tone": TONES[one.kind],
        "accounts": ", ".join(names[name] for name in one.accounts),
        "contracts": ", ".join(name for name in one.contracts if name in known),
        "payer": gettext("paid by %(payer)s") % {"payer": names[one.payer]}
        if one.payer and one.payer not in one.accounts
        else "",
        "net": figures.money(one.net, one.currency) if one.net is not None else "",
    }


def sums_of(entries: Iterable[Coming]) -> list[str]:
    """The net of all invoices to come, per currency."""
    sums: dict[str, Any] = {}
    for one in entries:
        if one.net is not None:
            sums[one.currency] = sums.get(one.currency, 0) + one.net
    return [figures.money(total, currency) for currency, total in sorted(sums.items())]


def table_of(entries: Sequence[Coming], names: dict[str, str], known: set[str]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows, one per entry."""
    head = [
        gettext("day"),
        gettext("kind"),
        gettext("accounts"),
        gettext("contracts"),
        gettext("payer"),
        gettext("net"),
        gettext("currency"),
    ]
    rows: list[list[Any]] = []
    for one in entries:
        row = row_of(one, names, known)
        net = None if one.net is None else rounded(one.net, places_of(one.currency))
        payer = names.get(one.payer, "")
        rows.append([one.day, row["kind"], row["accounts"], row["contracts"], payer, net, one.currency])
    return head, rows
