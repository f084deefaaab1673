"""Contracts with their positions and discounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.admin.resources import ContractSheet
from billing.models import Charge, Grant, Item, PriceClass, Subscription
from tenants import responsibility
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RowsInline
from tenants.admin.sheets import SheetScreen
from tenants.models import Issuer, Tenant

# What was charged by these cannot be told otherwise afterwards; a contract changes by an amendment.
PRICE_RELEVANT = (
    "issuer",
    "tenant",
    "currency",
    "price_class",
    "starts_on",
    "trial_ends_before",
    "billing_day",
    "billed_before",
)


TERMS_OF_THE_PRODUCT = ("interval", "timing", "proration")


class RunningFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("running", _("running")), ("coming", _("to come")), ("over", _("over"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        today = timezone.localdate()
        if self.value() == "running":
            return queryset.active_on(today)
        if self.value() == "coming":
            return queryset.filter(starts_on__gt=today)
        if self.value() == "over":
            return queryset.filter(ends_before__lte=today)
        return queryset


class ItemForm(MasterForm):
    """A position that was charged keeps its terms; only its end can still be set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if getattr(self.instance, "is_charged", False):
            for name, field in self.fields.items():
                field.disabled = name != "ends_before"
        if not self.instance.pk:
            for name in TERMS_OF_THE_PRODUCT:
                field = self.fields[name]
                field.required = False
                field.initial = ""
                field.choices = [("", _("as the product")), *(choice for choice in field.choices if choice[0])]

    def clean(self) -> dict[str, Any] | None:
        """The product is the price's, and its terms hold where none are given."""
        cleaned = super().clean()
        price = self.cleaned_data.get("price")
        if price is not None:
            self.instance.product = price.product
            for name in TERMS_OF_THE_PRODUCT:
                if not self.cleaned_data.get(name):
                    self.cleaned_data[name] = getattr(price.product, name)
        return cleaned


class ItemInline(RowsInline):
    model = Item
    form = ItemForm
    fields = ["price", "quantity", "interval", "timing", "proration", "starts_on", "ends_before"]
    autocomplete_fields = ["price"]
    tab = False
    verbose_name_plural = _("contract positions")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        return (
            super()
            .get_queryset(request)
            .select_related("price__product", "price__price_class", "product")
            .annotate(is_charged=Exists(Charge.objects.filter(item=OuterRef("pk"))))
        )

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_charged(obj)


class GrantInline(RowsInline):
    model = Grant
    fields = ["discount", "reason"]
    autocomplete_fields = ["discount"]
    tab = False

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_charged(obj)


def is_charged(subscription: Subscription | None) -> bool:
    if subscription is None or subscription.pk is None:
        return False
    if not hasattr(subscription, "is_charged"):
        subscription.is_charged = Charge.objects.filter(item__subscription=subscription).exists()
    return bool(subscription.is_charged)


@admin.register(Subscription)
class SubscriptionAdmin(SheetScreen, MasterAdmin):
    sheet = ContractSheet
    change_form_outer_before_template = "invoicing/admin/what_if_link.html"
    import_needs_issuer = True
    list_display = ["reference", "account", "positions", "starts_on", "last_day", "currency", "price_class"]
    list_select_related = ["tenant", "issuer", "price_class"]
    list_filter = [RunningFilter, ("issuer", RelatedDropdownFilter)]
    search_fields = ["reference__startswith"]
    search_accounts = ("tenant",)
    search_help_text = _("Reference of the contract, or the account")
    autocomplete_fields = ["tenant"]
    inlines = [ItemInline, GrantInline]
    fieldsets = [
        (None, {"fields": [("reference", "issuer", "tenant"), ("currency", "price_class")]}),
        (
            _("Days"),
            {"fields": [("starts_on", "ends_before"), ("trial_ends_before", "billing_day", "billed_before")]},
        ),
        (
            _("Term"),
            {
                "fields": [("term_months", "renewal_months", "notice_days")],
                "description": _("Printed on the invoice; charging ends only with the last day."),
            },
        ),
        (_("On the invoice"), {"fields": ["po_number", "notes"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        running = Item.objects.filter(Q(ends_before=None) | Q(ends_before__gt=timezone.localdate()))
        items = running.select_related("product").order_by("id")
        return super().get_queryset(request).prefetch_related(Prefetch("items", items, to_attr="running"))

    @display(description=_("positions"))
    def positions(self, subscription: Any) -> SafeString:
        """What runs at present, or will: 5 × Seat."""
        in_german = get_language() == "de"
        names = [
            f"{figures.number(item.quantity)} × {item.product.name_de if in_german else item.product.name_en}"
            for item in subscription.running[:3]
        ]
        text = ", ".join(names) + (" …" if len(subscription.running) > 3 else "")
        return format_html('<span class="k-clip" title="{}">{}</span>', text, text)

    @display(description=_("account"), ordering="tenant__sort_name")
    def account(self, subscription: Subscription) -> SafeString:
        return format_html(
            '<a class="k-link" href="{}">{}</a>',
            reverse("account", args=[subscription.tenant_id]),
            subscription.tenant,
        )

    @display(description=_("last day"), ordering="ends_before")
    def last_day(self, subscription: Subscription) -> str:
        end = subscription.ends_before
        return figures.day(end - timedelta(days=1) if end else None)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A contract begun on an account's page has the account's currency and price class, and the only issuer."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        issuers = list(Issuer.objects.all()[:2])
        if len(issuers) != 1:
            return initial
        initial.setdefault("issuer", issuers[0].pk)
        asked = str(initial.get("tenant", ""))
        tenant = Tenant.objects.filter(pk=asked).first() if asked.isdigit() else None
        if tenant is not None:
            settings = responsibility.effective([tenant], issuers[0])[tenant.pk]
            price_class = PriceClass.objects.filter(number=settings.price_class).first()
            initial = {"currency": settings.currency, "price_class": price_class and price_class.pk, **initial}
        return initial

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not form.instance.items.exists():
            text = gettext("%s has no position yet, so nothing of it is billed.") % form.instance
            self.message_user(request, text, messages.WARNING)

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        return PRICE_RELEVANT if is_charged(obj) else super().get_readonly_fields(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        """With the reason why some fields of a contract that was charged are closed."""
        fieldsets = super().get_fieldsets(request, obj)
        if not is_charged(obj):
            return fieldsets
        reason = _(
            "This contract has been charged. What its charges rest on can no longer be changed; set the end of a"
            " position and add a new one, or end the contract. As long as they stand on drafts only, discard these:"
            " then everything can be corrected here."
        )
        return [(None, {**fieldsets[0][1], "description": reason}), *fieldsets[1:]]

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_charged(obj)
