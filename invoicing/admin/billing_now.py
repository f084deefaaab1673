"""Bill one payer now: what that comprises is said before it begins."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSingleDateWidget

from billing import charging
from billing.models import Subscription
from tenants.admin import figures
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant

NAMED: Final = 8  # accounts that are named; of more only the number is said


class NowForm(forms.Form):
    through = forms.DateField(
        label=_("charged through"),
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("What is due up to and including this day is billed."),
    )


def view(screen: Any, request: HttpRequest, payer: int) -> HttpResponseBase:
    """Asks first, with the payer, its contracts and what is due; a POST with the day bills it.

    A run of its own with each issuer the payer has contracts with; its drafts wait for release.
    """
    if not screen.has_add_permission(request):
        raise PermissionDenied
    tenant = get_object_or_404(Tenant, pk=payer)
    today = timezone.localdate()
    paid_for = Subscription.objects.paid_by([tenant.pk])
    issuers = list(Issuer.objects.filter(subscriptions__in=paid_for).distinct().order_by("pk"))
    if not issuers:
        screen.message_user(request, gettext("%s has no contract to bill.") % tenant, messages.WARNING)
        return HttpResponseRedirect(reverse("account", args=[payer]))
    form = NowForm(request.POST or None, initial={"through": today})
    through = form.cleaned_data["through"] if form.is_bound and form.is_valid() else today
    if form.is_bound and form.is_valid() and "_reckon" not in request.POST:
        runs = []
        for issuer in issuers:
            worked, run = screen.call(
                request, screen.start, issuer=issuer, through=through, issue_on=today, payer=tenant, by=request.user
            )
            if worked:
                runs.append(run)
        if runs:
            text = gettext("%s is being billed. Look at the drafts, then release them.")
            screen.message_user(request, text % tenant, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:invoicing_billrun_change", args=[runs[0].pk]))
    context = {
        **screen.admin_site.each_context(request),
        **reckoned(tenant, issuers, through),
        "title": gettext("Bill %s now") % tenant,
        "opts": screen.opts,
        "payer": tenant,
        "through": figures.day(through),
        "others": others(tenant, paid_for, through),
        "form": form,
        "back": reverse("account", args=[payer]),
    }
    return TemplateResponse(request, "invoicing/admin/bill_now.html", context)


def others(payer: Tenant, paid_for: Any, through: date) -> dict[str, Any]:
    """The contracts that a run of the payer looks at, and whose they are beside its own."""
    begun = paid_for.filter(starts_on__lte=through)
    accounts = Tenant.objects.filter(subscriptions__in=begun).exclude(pk=payer.pk).distinct()
    count = accounts.count()
    return {
        "contracts": begun.count(),
        "accounts": count,
        "named": [str(account) for account in accounts.order_by("reference")[:NAMED]],
        "more": max(0, count - NAMED),
    }


def reckoned(payer: Tenant, issuers: list[Issuer], through: date) -> dict[str, Any]:
    """What is due, reckoned and not written: net by currency, before discounts on documents; or why it cannot be."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    count = 0
    try:
        for issuer in issuers:
            for charge in charging.propose(issuer.pk, [payer.pk], through=through).charges:
                sums[charge.position.contract.currency] += charge.due.net
                count += 1
    except OperatorError as refusal:
        return {"refusal": str(refusal)}
    return {"sums": [figures.money(amount, currency) for currency, amount in sorted(sums.items())], "lines": count}
