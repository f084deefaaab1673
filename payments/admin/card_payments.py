"""Saved methods, attempts to collect by any way, and refunds by way of the provider."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from invoicing.models import OpenItem
from payments import card_refunds, payment_methods, receiving
from payments.failure_notice import reason_of
from payments.models import Collection, CollectionItem, CollectionMethod, PaymentMethod, ProviderRefund
from tenants import intents
from tenants.admin import figures
from tenants.admin.base import RecordAdmin, RecordInline
from tenants.admin.numbers import NumberField
from tenants.admin.outgoing import intent_badge
from tenants.admin.scope import AccountScoped
from tenants.transactions import wake

OUTCOME_COLOURS = {
    Collection.Outcome.PENDING: "",
    Collection.Outcome.SENT: "info",
    Collection.Outcome.PROCESSING: "info",
    Collection.Outcome.CUSTOMER: "info",
    Collection.Outcome.SUCCEEDED: "success",
    Collection.Outcome.FAILED: "danger",
    Collection.Outcome.RETURNED: "danger",
    Collection.Outcome.DISCARDED: "",
}


@admin.register(PaymentMethod)
class PaymentMethodAdmin(AccountScoped, RecordAdmin):
    """Payers save them in the portal; here they are only taken out of use."""

    scope_accounts = ("customer__tenant",)
    list_display = ["method", "payer", "account", "expires", "progress", "created_at"]
    list_select_related = ["customer__tenant", "customer__account"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    search_fields = ["last4", "external_id__startswith"]
    search_accounts = ("customer__tenant",)
    sortable_by = ()
    actions = ["retire"]
    fields = [("method", "kind"), ("payer", "account"), ("expires", "progress"), ("external_id", "created_at")]
    readonly_fields = ["method", "payer", "account", "expires", "progress"]

    @display(description=_("payment method"))
    def method(self, method: PaymentMethod) -> str:
        return str(method)

    @display(description=_("payer"))
    def payer(self, method: PaymentMethod) -> str:
        return str(method.customer.tenant)

    @display(description=_("account at the provider"))
    def account(self, method: PaymentMethod) -> str:
        return str(method.customer.account)

    @display(description=_("expires"))
    def expires(self, method: PaymentMethod) -> str:
        return f"{method.expires_month:02}/{method.expires_year}" if method.expires_month else figures.EMPTY

    @display(description=_("state"))
    def progress(self, method: PaymentMethod) -> SafeString:
        if not method.is_active:
            return figures.badge(gettext("out of use"))
        return (
            figures.badge(gettext("standard"), "success")
            if method.is_default
            else figures.badge(gettext("active"), "info")
        )

    @admin.action(description=_("Take out of use"), permissions=["retire"])
    def retire(self, request: HttpRequest, queryset: QuerySet[PaymentMethod]) -> None:
        for method in queryset.select_related("customer__account", "customer__tenant"):
            if self.call_in_steps(request, payment_methods.retire, method, by=request.user, channel="admin")[0]:
                text = gettext("%(method)s is out of use.") % {"method": method}
                self.message_user(request, text, messages.SUCCESS)

    def has_retire_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.retire_paymentmethod")


class CollectionItemInline(RecordInline):
    model = CollectionItem
    fields = ["document", "amount_shown", "is_unsettled"]
    readonly_fields = ["document", "amount_shown"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[CollectionItem]:
        return super().get_queryset(request).select_related("open_item__invoice")

    @display(description=_("open item"))
    def document(self, item: CollectionItem) -> SafeString:
        url = reverse("admin:invoicing_openitem_change", args=[item.open_item_id])
        return format_html('<a class="k-link" href="{}">{}</a>', url, item.open_item)

    @display(description=_("amount"))
    def amount_shown(self, item: CollectionItem) -> SafeString:
        return figures.money_cell(item.amount.amount, item.currency)


class AnswerFilter(DropdownFilter):
    """Attempts at the provider that stand still."""

    title = _("answer")
    parameter_name = "answer"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("none", _("none: unknown or parked"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() != "none":
            return queryset
        return queryset.filter(method=CollectionMethod.PROVIDER, state__in=["unknown", "parked"])


@admin.register(Collection)
class CollectionAdmin(AccountScoped, RecordAdmin):
    """Each attempt to take money, by direct debit or by the provider, and what became of it."""

    scope_accounts = ("payer",)
    list_display = ["created_at", "payer", "amount_shown", "method", "result", "progress", "why"]
    list_select_related = ["payer"]
    list_filter = [
        ("outcome", ChoicesDropdownFilter),
        ("method", ChoicesDropdownFilter),
        AnswerFilter,
        ("issuer", RelatedDropdownFilter),
    ]
    search_fields = ["key__startswith", "external_id__startswith"]
    search_accounts = ("payer",)
    sortable_by = ()
    inlines = [CollectionItemInline]
    actions = ["release"]
    fields = [
        ("payer", "amount_shown"),
        ("method", "run"),
        ("result", "why"),
        ("progress", "attempts", "next_at"),
        "reason",
        ("key", "external_id"),
        ("sent_at", "settled_on", "payment"),
    ]
    readonly_fields = ["amount_shown", "result", "why", "progress"]

    @display(description=_("amount"))
    def amount_shown(self, collection: Collection) -> SafeString:
        return figures.money_cell(collection.amount.amount, collection.currency)

    @display(description=_("what became of it"))
    def result(self, collection: Collection) -> SafeString:
        colour = OUTCOME_COLOURS[Collection.Outcome(collection.outcome)]
        return figures.badge(collection.get_outcome_display(), colour)

    @display(description=_("state"))
    def progress(self, collection: Collection) -> SafeString:
        return intent_badge(collection)

    @display(description=_("reason"))
    def why(self, collection: Collection) -> str:
        if not collection.failure_code:
            return figures.EMPTY
        if collection.method != CollectionMethod.PROVIDER:
            return collection.failure_code
        return f"{reason_of(collection.failure_code)} ({collection.failure_code})"

    @admin.action(description=_("Have parked attempts made again"), permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Collection]) -> None:
        """With the same key: the provider takes nothing twice. What is unknown is asked about, not released."""
        parked = queryset.filter(method=CollectionMethod.PROVIDER, state=Collection.State.PARKED)

        def station() -> int:
            wake("payments.charge")
            return intents.release(parked, now=timezone.now())

        worked, count = self.call(request, station)
        if worked:
            text = ngettext("%(count)d attempt is made again.", "%(count)d attempts are made again.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.release_paymentrun")


class AskForm(forms.Form):
    """By way of which payment, how much, and why."""

    payment = forms.ChoiceField(label=_("by way of"), widget=UnfoldAdminSelectWidget)
    amount = NumberField(label=_("amount"), max_digits=19, decimal_places=4, min_value=Decimal("0.0001"))
    grounds = forms.CharField(label=_("grounds"), max_length=200, widget=UnfoldAdminTextInputWidget)

    def __init__(self, item: OpenItem, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["payment"].choices = [
            (
                payment.pk,
                f"{figures.day(payment.received_on)} {payment.reference} ({figures.money(left, payment.currency)})",
            )
            for payment, left in card_refunds.payments_of(item.pk)
        ]


@admin.register(ProviderRefund)
class ProviderRefundAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("refund__payer",)
    list_display = ["payer", "amount_shown", "of_payment", "progress", "grounds", "requested_by", "approved_by"]
    list_select_related = ["refund__payer", "payment", "requested_by", "approved_by"]
    list_filter = [("refund__state", ChoicesDropdownFilter)]
    search_fields = ["refund__key__startswith", "refund__external_id__startswith"]
    search_accounts = ("refund__payer",)
    sortable_by = ()
    actions = ["approve", "withdraw", "release", "give_up"]
    fields = [
        ("payer", "amount_shown"),
        ("of_payment", "progress"),
        "grounds",
        ("requested_by", "approved_by", "approved_at"),
        ("key", "external_id", "settled_on"),
        "reason",
    ]
    readonly_fields = [
        "payer",
        "amount_shown",
        "of_payment",
        "progress",
        "grounds",
        "key",
        "external_id",
        "settled_on",
        "reason",
    ]

    @display(description=_("payer"))
    def payer(self, row: ProviderRefund) -> str:
        return str(row.refund.payer)

    @display(description=_("amount"))
    def amount_shown(self, row: ProviderRefund) -> SafeString:
        return figures.money_cell(row.refund.amount.amount, row.refund.currency)

    @display(description=_("payment"))
    def of_payment(self, row: ProviderRefund) -> str:
        return f"{figures.day(row.payment.received_on)} {row.payment}"

    @display(description=_("state"))
    def progress(self, row: ProviderRefund) -> SafeString:
        if row.approved_by_id is None and row.refund.state == row.refund.State.WAITING:
            return figures.badge(gettext("waits for approval"), "warning")
        return intent_badge(row.refund)

    @display(description=_("grounds"))
    def grounds(self, row: ProviderRefund) -> str:
        return row.refund.grounds

    @display(description=_("key"))
    def key(self, row: ProviderRefund) -> str:
        return row.refund.key

    @display(description=_("id at the provider"))
    def external_id(self, row: ProviderRefund) -> str:
        return row.refund.external_id or figures.EMPTY

    @display(description=_("carried out on"))
    def settled_on(self, row: ProviderRefund) -> str:
        return figures.day(row.refund.settled_on)

    @display(description=_("reason"))
    def reason(self, row: ProviderRefund) -> str:
        return row.refund.reason or figures.EMPTY

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.ask_view)
        return [path("of/<int:item>/", view, name="payments_providerrefund_ask"), *super().get_urls()]

    def ask_view(self, request: HttpRequest, item: int) -> HttpResponseBase:
        """Ask for a refund of a credit; another person approves it."""
        if not request.user.has_perm("payments.request_providerrefund"):
            raise PermissionDenied
        credit = get_object_or_404(
            OpenItem.objects.visible_to(request.user).select_related("payer", "invoice"), pk=item
        )
        left = -receiving.open_of([credit.pk]).get(credit.pk, Decimal(0))
        form = AskForm(credit, request.POST or None, initial={"amount": max(left, Decimal(0))})
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data
            worked, made = self.call(
                request,
                card_refunds.request,
                credit.pk,
                int(chosen["payment"]),
                chosen["amount"],
                grounds=chosen["grounds"],
                by=request.user,
            )
            if worked:
                text = gettext("The refund waits for another person to approve it.")
                self.message_user(request, text, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:payments_providerrefund_change", args=[made.at_provider.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Pay back %(credit)s") % {"credit": credit},
            "credit": credit,
            "left": figures.money(left, credit.currency),
            "form": form,
        }
        return TemplateResponse(request, "payments/admin/ask_refund.html", context)

    @admin.action(description=_("Approve and carry out"), permissions=["approve"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ProviderRefund]) -> None:
        now, today = timezone.now(), timezone.localdate()
        self.each(
            request,
            queryset.select_related("refund"),
            lambda row: card_refunds.approve(row.refund_id, on=today, now=now, by=request.user),
        )

    @admin.action(description=_("Withdraw what is not approved"), permissions=["request"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[ProviderRefund]) -> None:
        said = gettext("Withdrawn by %(user)s.") % {"user": request.user.get_username()}
        self.each(
            request,
            queryset.select_related("refund"),
            lambda row: card_refunds.withdraw(row.refund_id, reason=said, by=request.user),
        )

    @admin.action(description=_("Try again what the provider refused"), permissions=["approve"])
    def release(self, request: HttpRequest, queryset: QuerySet[ProviderRefund]) -> None:
        refunds = card_refunds.waiting().filter(at_provider__in=queryset, state="parked")

        def station() -> int:
            wake("payments.pay_back")
            return intents.release(refunds, now=timezone.now())

        worked, count = self.call(request, station)
        if worked:
            text = ngettext("%(count)d refund is tried again.", "%(count)d refunds are tried again.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    @admin.action(
        description=_("Give up what the provider refused: the credit is there again"), permissions=["approve"]
    )
    def give_up(self, request: HttpRequest, queryset: QuerySet[ProviderRefund]) -> None:
        said = gettext("Given up by %(user)s.") % {"user": request.user.get_username()}
        today = timezone.localdate()
        self.each(
            request,
            queryset.select_related("refund"),
            lambda row: card_refunds.give_up(row.refund_id, on=today, reason=said, by=request.user),
        )

    def has_request_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.request_providerrefund")

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.approve_providerrefund")
