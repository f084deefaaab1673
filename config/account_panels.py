"""Parts of an account's page: its figures alone and with all below it, and how the tree around it changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext

from billing import metrics
from billing.admin.metrics import contracts_seen
from billing.kernel.money import places_of, rounded
from billing.kernel.period import months_after
from billing.models import Subscription
from config import tree_pages
from invoicing import account_statement
from invoicing import revenue as invoiced
from invoicing.models import OpenItem
from tenants.admin import figures
from tenants.models import Tenant, TreeChange
from tenants.models.visibility import is_bounded

MANY_CONTRACTS = 200  # beyond, recurring revenue is not reckoned while somebody waits for the page
MONTHS = 12


def roll_up(user: Any, tenant: Tenant, today: date) -> list[dict[str, Any]]:
    """Figures of the account and, where there is something below, of it with all below; each by its right.

    A fixed number of queries; recurring revenue of many contracts is left to its own page.
    """
    scopes = [(gettext("this account"), False)]
    if not tenant.is_leaf_node():
        scopes.append((gettext("with all below"), True))
    return [
        {"name": name, "below": "1" if below else "", "figures": list(scope_figures(user, tenant, today, below))}
        for name, below in scopes
    ]


def scope_figures(user: Any, tenant: Tenant, today: date, below: bool) -> Iterator[tuple[str, str, str]]:
    """Name, figure and page of each."""
    query = urlencode({"account": tenant.reference, "below": "1" if below else ""})
    accounts = Tenant.objects.in_scope(tenant, with_descendants=below)
    if user.has_perm("invoicing.view_openitem"):
        seen_items = OpenItem.objects.visible_to(user)
        among_items = seen_items if is_bounded(user) else None
        balance = account_statement.balances(tenant, with_descendants=below, among=among_items)
        url = reverse("account_statement", args=[tenant.pk])
        yield gettext("balance, from the customer's side"), sums(balance), f"{url}?{'below=1' if below else ''}"
        items = seen_items.filter(payer__in=accounts.values("pk")).with_open_amount().exclude(open_amount=0)
        late = Q(due_on__lt=today, open_amount__gt=0)
        row = items.aggregate(count=Count("pk"), late=Count("pk", filter=late))
        figure = gettext("%(count)s, %(late)s of them overdue") % row
        yield gettext("open items"), figure, f"{reverse('admin:invoicing_openitem_changelist')}?{query}"
    if user.has_perm("invoicing.view_invoice"):
        first = months_after(today.replace(day=1), 1 - MONTHS)
        found = invoiced.revenue(
            invoiced.By.MONTH,
            first=first,
            ends_before=today + timedelta(days=1),
            under=tenant,
            with_descendants=below,
            among=contracts_seen(user),
        )
        nets: dict[str, Decimal] = {}
        for one in found:
            nets[one.currency] = nets.get(one.currency, Decimal(0)) + one.net
        yield gettext("invoiced in 12 months, net"), sums(nets), f"{reverse('invoiced_revenue')}?{query}"
    if user.has_perm("billing.view_subscription"):
        running = Subscription.objects.visible_to(user).filter(tenant__in=accounts.values("pk")).active_on(today)
        count = running.count()
        yield (
            gettext("running contracts"),
            figures.number(count),
            f"{reverse('admin:billing_subscription_changelist')}?{query}",
        )
        if count <= MANY_CONTRACTS:
            monthly = metrics.mrr(today, under=tenant, with_descendants=below, among=contracts_seen(user))
            shown = {currency: rounded(value, places_of(currency)) for currency, value in monthly.items()}
            yield gettext("recurring revenue per month"), sums(shown), f"{reverse('metrics')}?{query}"


def sums(amounts: dict[str, Decimal]) -> str:
    return " · ".join(figures.money(amount, currency) for currency, amount in sorted(amounts.items())) or figures.EMPTY


def tree_changes(tenant: Tenant, today: date) -> list[dict[str, Any]]:
    """Moves, mergers, splits and closings of the account, planned or done; those whose day has come can be made."""
    found = TreeChange.objects.about(tenant).select_related("tenant", "target")
    return [
        {
            "change": change,
            "day": figures.day(change.effective_on),
            "tenant": change.tenant,
            "target": change.target,
            "taken_over": [
                (document, before, after, figures.money(Decimal(amount), currency))
                for document, before, after, currency, amount in change.outcome.get("taken_over", [])
            ],
            "is_planned": change.state == TreeChange.State.PLANNED,
            "is_due": change.effective_on <= today,
        }
        for change in found[:12]
    ]


def restructurings(tenant: Tenant) -> list[tuple[str, str]]:
    """The pages on which the account is moved, merged, split or closed; none once it is closed."""
    if tenant.status == Tenant.Status.CLOSED:
        return []
    return [(str(verb), reverse("restructure", args=[tenant.pk, kind])) for kind, verb in tree_pages.VERBS.items()]
