"""The settings of an account: what is in force, whose it is, and whom a change will affect before it is saved."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.forms import ChoiceField, modelform_factory
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from unfold.widgets import UnfoldAdminSelectWidget

from billing.models import Subscription
from invoicing.models import Invoice
from payments.models import DunningPolicy
from tenants import inheritance, responsibility
from tenants.admin.accounts import setting_text
from tenants.admin.base import MasterForm
from tenants.errors import OperatorError
from tenants.inheritance import SettingChange
from tenants.models import Issuer, Tenant

SHOWN: Final = 200  # effects listed one by one


def page(request: HttpRequest, key: int) -> HttpResponseBase:
    """Each setting with its origin; `_check` shows the effect of what was entered, `_confirm` saves it, `reset` names a
    setting that is to be inherited again."""
    user = request.user
    if not user.has_perm("tenants.view_tenant"):
        raise PermissionDenied
    tenant = get_object_or_404(Tenant.objects.visible_to(user), pk=key)
    may_change = user.has_perm("tenants.change_tenant")
    if request.method == "POST" and not may_change:
        raise PermissionDenied
    screen = admin.site._registry[Tenant]
    form_class = modelform_factory(
        Tenant,
        form=MasterForm,
        fields=responsibility.INHERITED,
        formfield_callback=partial(_field, screen=screen, request=request),
    )
    form = form_class(_entered(request) if request.method == "POST" else None, instance=tenant)
    issuers = list(Issuer.objects.all()[:2])
    issuer = issuers[0] if len(issuers) == 1 else None
    shown = None
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        stored = Tenant.objects.get(pk=tenant.pk)
        try:
            if "_confirm" in request.POST:
                return _saved(request, stored, values, issuer)
            shown = _effect(stored, values, issuer)
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
    context = {
        **admin.site.each_context(request),
        "title": gettext("Settings of %(account)s") % {"account": tenant.name},
        "opts": Tenant._meta,
        "original": tenant,
        "tenant": tenant,
        "form": form,
        "rows": _rows(Tenant.objects.get(pk=tenant.pk), form, issuer),
        "may_change": may_change,
        "effect": shown,
        "below_count": tenant.get_descendant_count(),
    }
    return TemplateResponse(request, "admin/account_settings.html", context)


def _field(setting: Any, *, screen: Any, request: HttpRequest, **options: Any) -> Any:
    """As the form of an account has it; a dunning policy is chosen among those that the issuers have."""
    if setting.name != "dunning_policy":
        return screen.formfield_for_dbfield(setting, request=request, **options)
    names = DunningPolicy.objects.order_by("name").values_list("name", flat=True).distinct()
    return ChoiceField(
        choices=[("", gettext("inherited")), *((name, name) for name in names)],
        required=False,
        label=setting.verbose_name,
        help_text=setting.help_text,
        widget=UnfoldAdminSelectWidget,
    )


def _entered(request: HttpRequest) -> Any:
    """What was sent; a reset empties its field."""
    data = request.POST.copy()
    if name := data.get("reset"):
        data[name] = ""
    return data


def _saved(request: HttpRequest, tenant: Tenant, values: dict[str, Any], issuer: Issuer | None) -> HttpResponseBase:
    seen = request.POST.get("seen", "")
    count = inheritance.change(tenant, values, issuer=issuer, seen=seen, by=request.user)  # type: ignore[arg-type]
    text = ngettext("Saved; %(count)s account is affected.", "Saved; %(count)s accounts are affected.", count)
    messages.success(request, text % {"count": count})
    if {"document_format", "leitweg_id"} & set(values):
        admin.site._registry[Tenant].warn_of_missing(request, Tenant.objects.get(pk=tenant.pk))  # type: ignore[attr-defined]
    return HttpResponseRedirect(reverse("account_settings", args=[tenant.pk]))


def _rows(tenant: Tenant, form: Any, issuer: Issuer | None) -> list[dict[str, Any]]:
    found = responsibility.origins(tenant, issuer)
    currency = found["currency"].value or ""
    return [
        {
            "field": form[name],
            "name": name,
            "label": tenant._meta.get_field(name).verbose_name,
            "value": setting_text(tenant, name, setting.value, currency),
            "is_own": setting.account == tenant.pk,
            "origin": setting.origin,
            "origin_key": setting.account,
        }
        for name, setting in found.items()
    ]


def _effect(tenant: Tenant, values: dict[str, Any], issuer: Issuer | None) -> dict[str, Any]:
    """Whom the change reaches: accounts with old and new value, their contracts, drafts made with the old one."""
    found = inheritance.effects(tenant, values, issuer)
    keys = {effect.account.pk for effect in found}
    contracts = Subscription.objects.filter(tenant__in=keys, ends_before=None).count()
    drafts = Invoice.objects.drafts().filter(Q(recipient__in=keys) | Q(payer__in=keys)).count()
    return {
        "seal": inheritance.seal(found),
        "accounts": len(keys),
        "contracts": contracts,
        "drafts": drafts,
        "rows": [_effect_row(effect) for effect in found[:SHOWN]],
        "more": max(0, len(found) - SHOWN),
        "changes": bool(values),
    }


def _effect_row(effect: SettingChange) -> dict[str, Any]:
    return {
        "account": effect.account,
        "setting": effect.account._meta.get_field(effect.name).verbose_name,
        "before": setting_text(effect.account, effect.name, effect.before),
        "after": setting_text(effect.account, effect.name, effect.after),
    }
