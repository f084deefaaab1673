"""Bring contracts of an account and all below it to one billing day and one day of renewal."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from billing import contracts
from billing.models import Subscription
from tenants.admin import figures
from tenants.errors import OperatorError
from tenants.models import Tenant

RIGHT: Final = "billing.amend_subscription"
MOST: Final = 200  # contracts that are previewed one by one


class AlignForm(forms.Form):
    billing_day = forms.IntegerField(
        label=_("billing day"), min_value=1, max_value=31, required=False, widget=UnfoldAdminTextInputWidget
    )
    renews_on = forms.DateField(
        label=_("first day of the next term"), required=False, widget=UnfoldAdminSingleDateWidget
    )
    reason = forms.CharField(label=_("reason"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.errors and not (self.cleaned_data["billing_day"] or self.cleaned_data["renews_on"]):
            raise forms.ValidationError(_("Say a billing day, a day of renewal, or both."))
        return cleaned


def page(request: HttpRequest, key: int) -> HttpResponseBase:
    """Choose contracts and a day; see each one's stub; confirm: all of them are moved, or none."""
    user = request.user
    if not user.has_perm(RIGHT):
        raise PermissionDenied
    tenant = get_object_or_404(Tenant.objects.visible_to(user), pk=key)
    today = timezone.localdate()
    found = list(
        Subscription.objects.under(tenant)
        .active_on(today)
        .select_related("tenant", "issuer", "price_class")
        .order_by("tenant__lft", "reference")[:MOST]
    )
    chosen = [one for one in found if str(one.pk) in request.POST.getlist("contract")]
    form = AlignForm(request.POST or None)
    shown = None
    if request.method == "POST" and form.is_valid():
        if not chosen:
            form.add_error(None, gettext("Choose at least one contract."))
        else:
            try:
                if "_confirm" in request.POST:
                    return _moved(request, tenant, chosen, form.cleaned_data, today)
                shown = [_row(one, form.cleaned_data, today) for one in chosen]
            except OperatorError as refusal:
                form.add_error(None, str(refusal))
    context = {
        **admin.site.each_context(request),
        "title": gettext("Align contracts of %(account)s") % {"account": tenant.name},
        "opts": Subscription._meta,
        "original": tenant,
        "tenant": tenant,
        "form": form,
        "contracts": [_listed(one, today, one in chosen or request.method != "POST") for one in found],
        "shown": shown,
    }
    return TemplateResponse(request, "billing/admin/align.html", context)


def _moved(
    request: HttpRequest, tenant: Tenant, chosen: list[Subscription], said: dict[str, Any], today: date
) -> HttpResponseBase:
    """One transaction for both changes: a refusal of the second one undoes the first."""
    count = contracts.join(
        chosen,
        billing_day=said["billing_day"],
        renews_on=said["renews_on"],
        on=today,
        reason=said["reason"],
        by=request.user,  # type: ignore[arg-type]
        channel="admin",
    )
    text = ngettext("%(count)s contract was aligned.", "%(count)s contracts were aligned.", count)
    messages.success(request, text % {"count": count})
    return HttpResponseRedirect(reverse("account", args=[tenant.pk]))


def _row(contract: Subscription, said: dict[str, Any], today: date) -> dict[str, Any]:
    """What a contract's move costs: the lines that a run through its day would book anew."""
    row: dict[str, Any] = {"contract": contract.reference, "account": contract.tenant.reference, "lines": []}
    if said["billing_day"]:
        change = partial(
            contracts.align,
            contract,
            billing_day=said["billing_day"],
            on=today,
            reason="",
            by=None,
            channel="admin",
        )
        preview = contracts.preview(contract, change, through=today)
        if preview.effective_on > today:
            preview = contracts.preview(contract, change, through=preview.effective_on)
        row["day"] = figures.day(preview.effective_on)
        row["lines"] = [
            (figures.day(line.period.start), figures.day(line.period.end), figures.money(line.net, preview.currency))
            for line in preview.added
        ]
    if said["renews_on"] and contract.term_months and contract.renewal_months:
        term = contracts.term_of(contract, today)
        row["renewed"] = figures.day(term.renews_on if term else None)
        row["renews_on"] = figures.day(said["renews_on"])
    return row


def _listed(contract: Subscription, today: date, is_chosen: bool) -> dict[str, Any]:
    term = contracts.term_of(contract, today)
    return {
        "key": contract.pk,
        "reference": contract.reference,
        "account": contract.tenant,
        "billing_day": contract.billing_day or contract.paid_from.day,
        "renews_on": figures.day(term.renews_on if term else None),
        "is_chosen": is_chosen,
    }
