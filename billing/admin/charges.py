"""What contracts were charged, each amount explained."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from billing.explanation import explain
from billing.models import Charge
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.scope import AccountScoped


@admin.register(Charge)
class ChargeAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("item__subscription__tenant",)
    list_display = ["service", "contract", "product", "account", "sort", "quantity_shown", "net_shown"]
    list_filter = [("kind", ChoicesDropdownFilter), ("starts_on", RangeDateFilter)]
    search_fields = ["item__subscription__reference__startswith"]
    search_accounts = ("item__subscription__tenant",)
    search_help_text = _("Reference of the contract, or the account")
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": [("contract", "product", "account"), ("service", "quantity_shown", "net_shown")]}),
        (_("How the amount came about"), {"fields": ["explanation"]}),
        (_("Corrections"), {"fields": [("sort", "corrects"), ("reverses", "reversed_by"), "created_at"]}),
    ]
    readonly_fields = [
        "service",
        "contract",
        "product",
        "account",
        "sort",
        "quantity_shown",
        "net_shown",
        "explanation",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        """With what names it."""
        return super().get_queryset(request).select_related("item__subscription__tenant", "item__product")

    @display(description=_("service period"), ordering="starts_on")
    def service(self, charge: Charge) -> str:
        return f"{figures.day(charge.starts_on)} – {figures.day(charge.ends_before - timedelta(days=1))}"

    @display(description=_("contract"), ordering="item__subscription__reference")
    def contract(self, charge: Charge) -> str:
        return charge.item.subscription.reference

    @display(description=_("product"))
    def product(self, charge: Charge) -> str:
        return charge.item.product.reference

    @display(description=_("account"))
    def account(self, charge: Charge) -> str:
        return str(charge.item.subscription.tenant)

    @display(description=_("kind"))
    def sort(self, charge: Charge) -> SafeString:
        if charge.reversed_by_id:
            return figures.badge(_("reversed"), "danger")
        if charge.reverses_id:
            return figures.badge(_("reversal"), "danger")
        return figures.badge(charge.get_kind_display(), "success" if charge.kind == Charge.Kind.FEE else "warning")

    @display(description=_("quantity"))
    def quantity_shown(self, charge: Charge) -> SafeString:
        return figures.figure_cell(figures.number(charge.quantity))

    @display(description=_("net"), ordering="net")
    def net_shown(self, charge: Charge) -> SafeString:
        return figures.money_cell(charge.net.amount, charge.currency)

    @display(description=_("explanation"))
    def explanation(self, charge: Charge) -> SafeString:
        return format_html(
            '<ol class="k-steps">{}</ol>',
            format_html_join("", "<li>{}</li>", ((sentence,) for sentence in explain(charge.trace, charge.currency))),
        )
