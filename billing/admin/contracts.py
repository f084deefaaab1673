"""Contracts with their positions and discounts."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Max, Prefetch, Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.admin import amendments
from billing.admin.catalog import summary_of
from billing.admin.resources import ContractSheet
from billing.models import Charge, Grant, Item, PriceClass, Subscription
from tenants import responsibility
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RowsInline
from tenants.admin.scope import AccountScoped
from tenants.admin.sheets import SheetScreen
from tenants.models import Issuer, Tenant

# What was charged by these cannot be told otherwise afterwards; a contract changes by an amendment.
PRICE_RELEVANT = (
    "issuer",
    "tenant",
    "currency",
    "price_class",
    "starts_on",
    "ends_before",
    "trial_ends_before",
    "billing_day",
    "billed_before",
    "billing_starts_with",
    "activated_on",
    "accepted_on",
    "invoice_to",
    "pay_by",
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
    """What is left empty is as the product says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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


class ItemFormSet(BaseInlineFormSet):
    """Further positions get further numbers."""

    def save_new(self, form: Any, commit: bool = True) -> Any:
        taken = self.instance.items.aggregate(last=Max("line"))["last"] or 0
        form.instance.line = taken + 1
        return super().save_new(form, commit)


class ContractForm(MasterForm):
    def clean(self) -> dict[str, Any] | None:
        """Who is invoiced and who pays is the account or one above it."""
        cleaned = super().clean()
        tenant = self.cleaned_data.get("tenant") or (self.instance.tenant if self.instance.tenant_id else None)
        for name in ("invoice_to", "pay_by"):
            named = self.cleaned_data.get(name)
            if named and tenant and not tenant.is_descendant_of(named, include_self=True):
                self.add_error(name, _("%(account)s is neither the account nor one above it.") % {"account": named})
        return cleaned


class AgreedInline(RowsInline):
    """What a contract holds: edited here until it is charged or amended, and changed by amendments from then on."""

    def has_add_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_add_permission(request, obj) and not is_closed(obj)

    def has_change_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_change_permission(request, obj) and not is_closed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_closed(obj)


class ItemInline(AgreedInline):
    model = Item
    form = ItemForm
    formset = ItemFormSet
    fields = ["price", "quantity", "interval", "timing", "proration", "starts_on", "ends_before"]
    readonly_fields = ["quantity_shown", "figure", "standing"]
    autocomplete_fields = ["price"]
    tab = False
    verbose_name_plural = _("contract positions")

    def get_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        if not is_closed(obj):
            return self.fields
        return ["line", "standing", "price", "figure", "quantity_shown", *self.fields[2:]]

    @display(description=_("quantity"))
    def quantity_shown(self, item: Item) -> SafeString:
        return figures.figure_cell(figures.number(item.quantity))

    @display(description=_("price or amount"))
    def figure(self, item: Item) -> SafeString:
        """What the price is at present, and whether it was agreed for this contract alone."""
        agreed = (
            format_html('<br><span class="k-flag">{}</span>', gettext("agreed price"))
            if item.price.agreed_for_id
            else ""
        )
        return format_html("{}{}", summary_of(item.price), agreed)

    @display(description=_("state"))
    def standing(self, item: Item) -> SafeString:
        today = timezone.localdate()
        if item.ends_before is not None and item.ends_before <= today:
            return figures.badge(gettext("over"))
        if item.starts_on is not None and item.starts_on > today:
            return figures.badge(gettext("to come"), "info")
        return figures.badge(gettext("running"), "success")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        return (
            super()
            .get_queryset(request)
            .select_related("price__product", "price__price_class", "product")
            .prefetch_related("price__tiers")
        )


class GrantInline(AgreedInline):
    model = Grant
    fields = ["discount", "reason"]
    autocomplete_fields = ["discount"]
    tab = False


def is_charged(subscription: Subscription | None) -> bool:
    if subscription is None or subscription.pk is None:
        return False
    if not hasattr(subscription, "is_charged"):
        subscription.is_charged = Charge.objects.filter(item__subscription=subscription).exists()
    return bool(subscription.is_charged)


def is_closed(subscription: Subscription | None) -> bool:
    """Whether only amendments change it: it was charged, or amended."""
    if is_charged(subscription):
        return True
    if subscription is None or subscription.pk is None:
        return False
    if not hasattr(subscription, "is_amended"):
        subscription.is_amended = subscription.amendments.exists()
    return bool(subscription.is_amended)


@admin.register(Subscription)
class SubscriptionAdmin(AccountScoped, SheetScreen, MasterAdmin):
    scope_accounts = ("tenant",)
    sheet = ContractSheet
    change_form_outer_before_template = "invoicing/admin/what_if_link.html"
    import_needs_issuer = True
    list_display = ["reference", "account", "positions", "starts_on", "last_day", "currency", "price_class"]
    list_select_related = ["tenant", "issuer", "price_class"]
    list_filter = [RunningFilter, ("issuer", RelatedDropdownFilter)]
    search_fields = ["reference__startswith"]
    search_accounts = ("tenant",)
    search_help_text = _("Reference of the contract, or the account")
    autocomplete_fields = ["tenant", "invoice_to", "pay_by"]
    form = ContractForm
    inlines = [ItemInline, GrantInline]
    change_form_outer_after_template = "billing/admin/contract_changes.html"
    fieldsets = [
        (None, {"fields": [("reference", "issuer", "tenant"), ("currency", "price_class")]}),
        (
            _("Days"),
            {
                "fields": [
                    ("starts_on", "ends_before"),
                    ("trial_ends_before", "billing_day", "billed_before"),
                    ("billing_starts_with", "activated_on", "accepted_on"),
                ]
            },
        ),
        (
            _("Term"),
            {
                "fields": [("term_months", "renewal_months", "notice_days")],
                "description": _("Printed on the invoice; charging ends only with the last day."),
            },
        ),
        (
            _("On the invoice"),
            {"fields": [("invoice_to", "pay_by", "is_invoiced_alone"), "po_number", "notes"]},
        ),
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
            initial = {
                "currency": settings.currency,
                "price_class": price_class and price_class.pk,
                "billing_day": settings.billing_day,
                **initial,
            }
        return initial

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not form.instance.items.exists():
            text = gettext("%s has no position yet, so nothing of it is billed.") % form.instance
            self.message_user(request, text, messages.WARNING)

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        return PRICE_RELEVANT if is_closed(obj) else super().get_readonly_fields(request, obj)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(partial(amendments.amend_view, self))
        return [path("<path:object_id>/amend/", view, name="billing_subscription_amend"), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With what was changed so far, and the ways to change it."""
        contract = kwargs.get("obj")
        if contract is not None and contract.pk is not None:
            context |= {
                "changes": amendments.history_of(contract),
                "kinds": amendments.kinds_of(contract),
                "may_amend": request.user.has_perm(amendments.RIGHT),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        """With the reason why some fields of a contract that was charged are closed."""
        fieldsets = super().get_fieldsets(request, obj)
        if not is_closed(obj):
            return fieldsets
        reason = _(
            "This contract has been charged. What its charges rest on changes by amendments alone: see “Change this"
            " contract” below. As long as the charges stand on drafts only, these can be discarded; then everything can"
            " be corrected here."
        )
        if not is_charged(obj):
            reason = _("This contract was amended. It changes by further amendments: see “Change this contract” below.")
        return [(None, {**fieldsets[0][1], "description": reason}), *fieldsets[1:]]

    def has_delete_permission(self, request: HttpRequest, obj: Subscription | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_closed(obj)
