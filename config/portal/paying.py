"""Paying online: on a page of the payment provider, by card or direct debit; and the methods kept there.

No number of a card or account reaches us. What was paid is known when the provider says so, not when the customer
comes back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext

from billing.models import Subscription
from config.portal.doors import for_customers
from invoicing.models import OpenItem
from payments import pay_page, payment_methods
from payments.models import Collection, CollectionItem, CollectionMethod, PaymentMethod, ProviderAccount
from tenants.admin import figures
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.models.visibility import accounts_granted
from tenants.transactions import acting

MANY: Final = 200
SHOWN: Final = 10  # latest payments


@for_customers("pays")
def page(request: HttpRequest) -> HttpResponse:
    """What can be paid now, what is under way, and the saved methods of each paying account."""
    if request.method == "POST":
        return _done(request)
    if "done" in request.GET:
        messages.info(
            request,
            gettext("Thank you. As soon as the payment provider confirms the payment, it is shown here as paid."),
        )
        return redirect("portal:pay")
    if "saved" in request.GET:
        messages.info(
            request, gettext("Thank you. As soon as the payment provider confirms the method, it is shown here.")
        )
        return redirect("portal:pay")
    payers = list(Tenant.objects.filter(pk__in=accounts_granted(request.user, "pays")).order_by("sort_name")[:MANY])
    accounts = list(ProviderAccount.objects.filter(is_active=True).select_related("issuer").order_by("pk"))
    shown = render(
        request,
        "portal/pay.html",
        {
            "groups": groups_of(payers, accounts),
            "attempts": attempts_of(payers),
            "methods": methods_of(payers, accounts),
            "several": len(payers) > 1,
        },
    )
    shown.leads_to = settings.STRIPE_PAGES  # type: ignore[attr-defined]
    return shown


def groups_of(payers: list[Tenant], accounts: list[ProviderAccount]) -> list[dict[str, Any]]:
    """What is open, by payer, issuer and currency; what is under way or wanted back is left out."""
    under_way = CollectionItem.objects.filter(open_item=OuterRef("pk"), is_unsettled=True)
    elsewhere = under_way.filter(
        Q(collection__order__page_until=None) | Q(collection__order__page_until__lt=timezone.now())
    )
    found: Iterable[Any] = (
        OpenItem.objects.filter(payer__in=payers, issuer__in=[account.issuer_id for account in accounts], moved_to=None)
        .filter(refund_request=None)
        .with_open_amount()
        .exclude(open_amount=0)
        .annotate(is_under_way=Exists(elsewhere))
        .select_related("invoice", "issuer", "payer")
        .order_by("payer__sort_name", "issuer", "currency", "due_on", "pk")[:MANY]
    )
    groups: dict[tuple[int, int, str], list[Any]] = defaultdict(list)
    for item in found:
        if not item.is_under_way:
            groups[item.payer_id, item.issuer_id, item.currency].append(item)
    shown = []
    for (_payer, _issuer, currency), items in groups.items():
        total = sum((item.open_amount for item in items), Decimal(0))
        if total <= 0:
            continue
        shown.append(
            {
                "payer": items[0].payer,
                "issuer": items[0].issuer,
                "total": figures.money(total, currency),
                "keys": [item.pk for item in items],
                "rows": [
                    {
                        "item": item,
                        "due_on": figures.day(item.due_on),
                        "open": figures.money(item.open_amount, currency),
                        "may_pay": item.open_amount > 0 and len(items) > 1,
                    }
                    for item in items
                ],
            }
        )
    return shown


def attempts_of(payers: list[Tenant]) -> list[dict[str, Any]]:
    """The latest payments by way of the provider, and what is known of each."""
    found = (
        Collection.objects.filter(payer__in=payers, method=CollectionMethod.PROVIDER)
        .exclude(outcome=Collection.Outcome.DISCARDED)
        .select_related("payer", "order")
        .order_by("-pk")[:SHOWN]
    )
    return [
        {
            "text": one.order.text if hasattr(one, "order") else "",
            "on": figures.day(one.settled_on or timezone.localtime(one.created_at).date()),
            "amount": figures.money(one.amount.amount, one.currency),
            "outcome": one.get_outcome_display(),
            "tone": {"succeeded": "good", "failed": "late", "returned": "late"}.get(one.outcome, ""),
        }
        for one in found
    ]


def methods_of(payers: list[Tenant], accounts: list[ProviderAccount]) -> list[dict[str, Any]]:
    """By payer and issuer: the saved methods, where the payer has anything to do with the issuer."""
    kept: dict[tuple[int, int], list[PaymentMethod]] = defaultdict(list)
    methods = PaymentMethod.objects.filter(customer__tenant__in=payers, is_active=True).select_related("customer")
    for method in methods:
        kept[method.customer.tenant_id, method.customer.account_id].append(method)
    dealing = dealings_of(payers)
    return [
        {
            "payer": payer,
            "account": account,
            "is_collected": payer.collection == Tenant.Collection.CARD,
            "rows": [
                {
                    "method": method,
                    "expires": f"{method.expires_month:02}/{method.expires_year}" if method.expires_month else "",
                }
                for method in kept[payer.pk, account.pk]
            ],
        }
        for payer in payers
        for account in accounts
        if (payer.pk, account.issuer_id) in dealing or kept[payer.pk, account.pk]
    ]


def dealings_of(payers: list[Tenant]) -> set[tuple[int, int]]:
    """Which payer has to do with which issuer (keys): by a document or a contract."""
    dealing = set(OpenItem.objects.filter(payer__in=payers).order_by().values_list("payer", "issuer").distinct())
    contracts = Subscription.objects.filter(tenant__in=payers).order_by()
    return dealing | set(contracts.values_list("tenant", "issuer").distinct())


def _done(request: HttpRequest) -> HttpResponse:
    try:
        if "pay" in request.POST or "pay_one" in request.POST:
            return HttpResponseRedirect(_pay(request))
        if "add" in request.POST:
            return HttpResponseRedirect(_add(request))
        method = get_object_or_404(
            PaymentMethod.objects.visible_to(request.user).select_related("customer__account", "customer__tenant"),
            pk=_key(request.POST.get("method", "")),
            is_active=True,
        )
        if "retire" in request.POST:
            payment_methods.retire(method, by=request.user, channel="portal")
            messages.success(request, gettext("The payment method is removed."))
        elif "standard" in request.POST:
            with acting(actor=request.user.get_username(), channel="portal"):
                payment_methods.make_default(method)
            messages.success(request, gettext("What is due is taken by this method from now on."))
    except OperatorError as refusal:
        messages.error(request, str(refusal))
    return redirect("portal:pay")


def _pay(request: HttpRequest) -> str:
    keys = [_key(text) for text in request.POST.getlist("item")] if "pay" in request.POST else []
    keys = keys or [_key(request.POST.get("pay_one", ""))]
    granted = accounts_granted(request.user, "pays")
    items = list(OpenItem.objects.filter(pk__in=keys, payer__in=granted).select_related("issuer", "payer"))
    if not items or len({(item.payer_id, item.issuer_id, item.currency) for item in items}) > 1:
        raise Http404
    return pay_page.open_page(
        items[0].issuer,
        items[0].payer,
        [item.pk for item in items],
        back=request.build_absolute_uri(reverse("portal:pay")),
        language=_language(),
        clock=timezone.now,
    )


def _add(request: HttpRequest) -> str:
    payer = get_object_or_404(
        Tenant.objects.filter(pk__in=accounts_granted(request.user, "pays")), pk=_key(request.POST.get("payer", ""))
    )
    account = get_object_or_404(ProviderAccount, pk=_key(request.POST.get("account", "")), is_active=True)
    if (payer.pk, account.issuer_id) not in dealings_of([payer]):
        raise Http404
    back = request.build_absolute_uri(reverse("portal:pay"))
    return payment_methods.start(account.issuer, payer, back=back, language=_language()).url


def _key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)


def _language() -> str:
    return "de" if (get_language() or "").startswith("de") else "en"
