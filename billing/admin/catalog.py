"""What is sold and at which prices: products, price lists as cells of class and currency, discounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.admin.price_example import price_example
from billing.admin.resources import CatalogSheet
from billing.models import Charge, Discount, Grant, Price, PriceClass, Product, Tier
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RowsInline
from tenants.admin.scope import AccountScoped
from tenants.admin.sheets import SheetScreen


@admin.register(PriceClass)
class PriceClassAdmin(MasterAdmin):
    list_display = ["number", "name"]
    search_fields = ["number", "name__icontains"]


SHORT_MODELS = {
    Price.Model.FLAT: _("flat"),
    Price.Model.PER_UNIT: _("per unit"),
    Price.Model.GRADUATED: _("graduated"),
    Price.Model.VOLUME: _("by volume"),
    Price.Model.PACKAGE: _("per package"),
    Price.Model.STAIRSTEP: _("in steps"),
    Price.Model.PERCENTAGE: _("in percent"),
    Price.Model.COMMITMENT: _("at least"),
}


def summary_of(price: Price) -> str:
    """A price in one line: "12,50 EUR per unit", "graduated, 3 tiers from 0,90 EUR"."""
    tiers = list(price.tiers.all())
    if not tiers:
        return gettext("no figures yet")
    first = tiers[0]
    if price.model in (Price.Model.FLAT, Price.Model.STAIRSTEP, Price.Model.COMMITMENT):
        figure = figures.unit_price(first.flat_amount, price.currency)
    else:
        figure = figures.unit_price(first.unit_price, price.currency)
    if len(tiers) > 1:
        return gettext("%(model)s, %(count)d tiers from %(figure)s") % {
            "model": SHORT_MODELS[Price.Model(price.model)],
            "count": len(tiers),
            "figure": figure,
        }
    return gettext("%(figure)s, %(model)s") % {"figure": figure, "model": SHORT_MODELS[Price.Model(price.model)]}


@admin.register(Product)
class ProductAdmin(SheetScreen, MasterAdmin):
    sheet = CatalogSheet
    list_display = ["reference", "name", "interval", "timing", "tax_category", "unit", "prices_kept"]
    list_filter = [("interval", ChoicesDropdownFilter), ("tax_category", ChoicesDropdownFilter)]
    search_fields = ["reference__startswith", "name_de__icontains", "name_en__icontains"]
    readonly_fields = ["price_list"]
    fieldsets = [
        (None, {"fields": ["reference", ("name_de", "name_en"), ("unit", "tax_category")]}),
        (
            _("Terms of new contracts"),
            {
                "fields": [("interval", "timing", "proration")],
                "description": _("Running contracts keep the terms they were made with."),
            },
        ),
        (_("Prices"), {"fields": ["price_list"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        return super().get_queryset(request).prefetch_related("prices")

    @display(description=_("name"))
    def name(self, product: Product) -> str:
        return product.name_de if get_language() == "de" else product.name_en

    @display(description=_("prices"))
    def prices_kept(self, product: Product) -> SafeString:
        listed = [price for price in product.prices.all() if price.agreed_for_id is None]
        return figures.figure_cell(str(len(listed)))

    @display(description=_("price list"))
    def price_list(self, product: Product) -> SafeString:
        """A row per price class, a column per currency; a cell leads to its price, or to a new one."""
        if product.pk is None:
            return format_html("{}", gettext("Save the product first, then add its prices."))
        prices = list(product.prices.filter(agreed_for=None).select_related("price_class").prefetch_related("tiers"))
        currencies = sorted({price.currency for price in prices} | {"EUR"}, key=lambda code: (code != "EUR", code))
        rows = [
            (
                str(price_class),
                format_html_join(
                    "", "<td>{}</td>", ((cell(product, price_class, code, prices),) for code in currencies)
                ),
            )
            for price_class in PriceClass.objects.all()
        ]
        return format_html(
            '<table class="k-table"><thead><tr><th>{}</th>{}</tr></thead><tbody>{}</tbody></table>',
            gettext("price class"),
            format_html_join("", "<th>{}</th>", ((code,) for code in currencies)),
            format_html_join("", "<tr><th>{}</th>{}</tr>", rows),
        )


def cell(product: Product, price_class: PriceClass, currency: str, prices: list[Price]) -> SafeString:
    held = [price for price in prices if price.price_class_id == price_class.pk and price.currency == currency]
    if not held:
        query = urlencode({"product": product.pk, "price_class": price_class.pk, "currency": currency})
        return format_html(
            '<a class="k-quiet" href="{}?{}">+ {}</a>', reverse("admin:billing_price_add"), query, gettext("new price")
        )
    return format_html_join(
        "",
        '<a class="k-link" href="{}">{}</a>{}<br>',
        (
            (reverse("admin:billing_price_change", args=[price.pk]), summary_of(price), validity(price))
            for price in held
        ),
    )


def validity(price: Price) -> SafeString:
    if price.starts_on is None and price.ends_before is None:
        return format_html("{}", "")
    return format_html(' <span class="k-quiet">{} – {}</span>', figures.day(price.starts_on), last_day(price))


def last_day(price: Price) -> str:
    return figures.day(price.ends_before - timedelta(days=1) if price.ends_before else None)


TIERS_OF_PACKAGES = (Price.Model.GRADUATED, Price.Model.VOLUME)


class TierFormSet(BaseInlineFormSet):
    """The tiers of a price as a whole: exactly one is open, and flat prices have no other."""

    def clean(self) -> None:
        super().clean()
        if any(form.errors for form in self.forms):
            return
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        opened = [row for row in kept if row.get("up_to") is None]
        if len(opened) != 1:
            raise ValidationError(_("Exactly one tier has no upper bound: the last one."))
        if len(kept) > 1 and self.instance.model in (Price.Model.FLAT, Price.Model.PER_UNIT, Price.Model.COMMITMENT):
            raise ValidationError(
                _("A price that is flat or per unit has no tiers: leave one row without upper bound.")
            )
        if self.instance.model not in TIERS_OF_PACKAGES and any(row.get("package_size") for row in kept):
            raise ValidationError(_("Only tiers of graduated and volume prices have packages of their own."))
        size = self.instance.package_size
        if self.instance.model == Price.Model.PACKAGE and size and not self.instance.package_per_tier:
            for row in kept:
                if row.get("up_to") is not None and row["up_to"] % size:
                    raise ValidationError(
                        _("A tier ends inside a package: end it with a full one, or let packages be rounded per tier.")
                    )


class TierInline(RowsInline):
    model = Tier
    formset = TierFormSet
    fields = ["up_to", "unit_price", "flat_amount", "package_size"]
    readonly_fields = ["up_to_shown", "unit_price_shown", "flat_amount_shown", "package_size_shown"]
    extra = 1
    tab = False

    def get_fields(self, request: HttpRequest, obj: Price | None = None) -> Any:
        return self.readonly_fields if is_charged(obj) else self.fields

    @display(description=_("up to (inclusive)"))
    def up_to_shown(self, tier: Tier) -> SafeString:
        return figures.figure_cell("∞" if tier.up_to is None else figures.number(tier.up_to))

    @display(description=_("unit price"))
    def unit_price_shown(self, tier: Tier) -> SafeString:
        return figures.figure_cell(figures.unit_price(tier.unit_price, tier.price.currency))

    @display(description=_("flat amount"))
    def flat_amount_shown(self, tier: Tier) -> SafeString:
        return figures.money_cell(tier.flat_amount, tier.price.currency)

    @display(description=_("package size"))
    def package_size_shown(self, tier: Tier) -> SafeString:
        return figures.figure_cell("" if tier.package_size is None else figures.number(tier.package_size))

    def get_extra(self, request: HttpRequest, obj: Price | None = None, **kwargs: Any) -> int:
        return 1 if obj is None else 0

    def has_add_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        return super().has_add_permission(request, obj) and not is_charged(obj)

    def has_change_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        return super().has_change_permission(request, obj) and not is_charged(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_charged(obj)


def is_charged(price: Price | None) -> bool:
    """Whether a contract was charged by it: then its figures stay, and a new price follows it."""
    if price is None or price.pk is None:
        return False
    if not hasattr(price, "is_charged"):
        price.is_charged = Charge.objects.filter(item__price=price).exists()
    return bool(price.is_charged)


RULES = ("package_per_tier", "quota_prorated", "flat_when_zero")


class PriceForm(MasterForm):
    def _get_validation_exclusions(self) -> set[str]:
        """Prices of the lists are agreed for no contract: the cell's rule needs to know, though nobody is asked."""
        return super()._get_validation_exclusions() - {"agreed_for"}


@admin.register(Price)
class PriceAdmin(MasterAdmin):
    form = PriceForm
    change_form_outer_before_template = "billing/admin/price_example.html"
    list_display = ["product", "price_class", "currency", "model", "figures_of", "starts_on", "ends_before"]
    list_select_related = ["product", "price_class"]
    list_filter = [("price_class", RelatedDropdownFilter), ("model", ChoicesDropdownFilter)]
    search_fields = ["product__reference__startswith", "currency__iexact"]
    autocomplete_fields = ["product"]
    inlines = [TierInline]
    fieldsets = [
        (None, {"fields": [("product", "price_class", "currency"), ("model", "package_size", "free_quantity")]}),
        (
            _("Finer rules"),
            {"fields": [("package_per_tier", "quota_prorated", "flat_when_zero")]},
        ),
        (
            _("Bounds and validity"),
            {
                "fields": [("minimum", "cap"), ("starts_on", "ends_before")],
                "description": _("Minimum and maximum hold for a whole period. Empty days: always."),
            },
        ),
    ]

    class Media:
        js = ("billing/price_example.js",)

    def get_urls(self) -> list[Any]:
        example = path("example/", self.admin_site.admin_view(price_example), name="billing_price_example")
        return [example, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        return (
            super()
            .get_queryset(request)
            .filter(agreed_for=None)
            .prefetch_related(Prefetch("tiers", Tier.objects.all()))
            .annotate(is_charged=Exists(Charge.objects.filter(item__price=OuterRef("pk"))))
        )

    @display(description=_("figures"))
    def figures_of(self, price: Price) -> str:
        return summary_of(price)

    def get_readonly_fields(self, request: HttpRequest, obj: Price | None = None) -> Any:
        if is_charged(obj):
            return ["product", "price_class", "currency", "model", "bounds", "starts_on"]
        return super().get_readonly_fields(request, obj)

    @display(description=_("bounds"))
    def bounds(self, price: Price) -> str:
        """Package size, free quantity, minimum and maximum, as far as the price has them."""
        named = [
            (field.verbose_name, getattr(price, field.name))
            for field in price._meta.fields
            if field.name in ("package_size", "free_quantity", "minimum", "cap")
        ]
        told = [f"{name} {figures.number(value)}" for name, value in named if value]
        rules = [field for field in price._meta.fields if field.name in RULES]
        told += [str(field.verbose_name) for field in rules if getattr(price, field.name)]
        return ", ".join(told) or figures.EMPTY

    def get_fieldsets(self, request: HttpRequest, obj: Price | None = None) -> Any:
        """With the reason why a price that was charged is closed."""
        if not is_charged(obj):
            return super().get_fieldsets(request, obj)
        reason = _(
            "Contracts were charged by this price, so its figures stay as they are. For new figures set its end and"
            " add a price that begins on that day."
        )
        return [
            (None, {"fields": [("product", "price_class", "currency"), ("model", "bounds")], "description": reason}),
            (_("Validity"), {"fields": [("starts_on", "ends_before")]}),
        ]


class AccountGrantForm(MasterForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        discount, tenant = self.cleaned_data.get("discount"), self.cleaned_data.get("tenant")
        if tenant is None and "tenant" not in self.errors:
            self.add_error("tenant", _("Name the account that gets the discount."))
        if discount is not None and discount.level != Discount.Level.DOCUMENT:
            self.add_error("discount", _("An account gets discounts of documents; others are granted to a contract."))
        return cleaned


@admin.register(Grant)
class AccountGrantAdmin(AccountScoped, MasterAdmin):
    """Discounts of documents that accounts have; those of contracts are amendments."""

    scope_accounts = ("tenant",)
    form = AccountGrantForm
    list_display = ["tenant", "discount", "starts_on", "ends_before", "periods", "reason"]
    list_select_related = ["tenant", "discount"]
    search_fields = ["tenant__reference__startswith", "discount__reference__startswith"]
    autocomplete_fields = ["tenant", "discount"]
    fieldsets = [
        (None, {"fields": [("tenant", "discount"), ("starts_on", "ends_before"), "periods", "reason"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Grant]:
        return super().get_queryset(request).filter(subscription=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> Any:
        return ["tenant", "discount", "starts_on"] if obj else super().get_readonly_fields(request, obj)


@admin.register(Discount)
class DiscountAdmin(MasterAdmin):
    list_display = ["reference", "name", "level", "value", "sequence", "periods", "after_periods"]
    list_filter = [("level", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter)]
    search_fields = ["reference__startswith", "name_de__icontains", "name_en__icontains"]
    fieldsets = [
        (None, {"fields": ["reference", ("name_de", "name_en"), "level"]}),
        (_("Value"), {"fields": [("kind", "percent"), ("amount", "currency"), ("is_stacked", "carry_remainder")]}),
        (_("For how long"), {"fields": [("periods", "after_periods", "sequence")]}),
    ]

    @display(description=_("name"))
    def name(self, discount: Discount) -> str:
        return discount.name_de if get_language() == "de" else discount.name_en

    @display(description=_("value"))
    def value(self, discount: Discount) -> SafeString:
        if discount.kind == Discount.Kind.PERCENT and discount.percent is not None:
            return figures.figure_cell(f"{figures.number(discount.percent)}\N{NO-BREAK SPACE}%")
        return figures.money_cell(discount.amount, discount.currency)
