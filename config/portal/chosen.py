"""Which of a customer's accounts a page tells of: one of them, or with all below it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest

from tenants.models import Tenant
from tenants.models.visibility import accounts_granted


@dataclass(frozen=True, slots=True)
class Chosen:
    """The account asked for, whether with all below it, and those that could be chosen instead."""

    account: Tenant
    with_descendants: bool
    accounts: list[Tenant]


def chosen(request: HttpRequest, *rights: str) -> Chosen:
    """`?account=` (a reference; otherwise the topmost one) and `?below=` (empty: that account alone).

    Offered are the accounts at which the user has one of ``rights``; any other one does not exist.
    """
    granted = Tenant.objects.none()
    for right in rights:
        granted = granted | Tenant.objects.filter(pk__in=accounts_granted(request.user, right))
    accounts = list(granted.order_by("tree_id", "lft"))
    asked = request.GET.get("account", "")
    account = next((one for one in accounts if one.reference == asked or not asked), None)
    if account is None:
        raise Http404
    return Chosen(account, request.GET.get("below", "1") == "1", accounts)
