"""Payments: what came in, what each was applied to and why; applied anew, undone, handed to another account."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from billing.kernel.money import places_of, rounded
from invoicing import posting
from invoicing.kernel.entries import CASH
from invoicing.models import OpenItem
from payments import receiving
from payments.admin.bank_lines import OFFERED, amount_of, shares_told, written
from payments.kernel.allocation import divide
from payments.matching import claims_of
from payments.models import Allocation, Payment
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.scope import AccountScoped
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant

# How the page of an open item asks for the payment of a booking.
BY_ENTRY = ("entry__id__exact", "allocations__entry__id__exact", "returns__entry__id__exact")


class CashForm(forms.Form):
    """Money that came in outside of a bank account: from whom, how much, when, and what for."""

    issuer = forms.ModelChoiceField(Issuer.objects.none(), label=_("issuer"), widget=UnfoldAdminSelectWidget)
    payer = forms.CharField(
        label=_("payer"), max_length=60, widget=UnfoldAdminTextInputWidget, help_text=_("reference of the account")
    )
    amount = forms.CharField(label=_("amount"), max_length=20, widget=UnfoldAdminTextInputWidget)
    currency = forms.ChoiceField(label=_("currency"), widget=UnfoldAdminSelectWidget)
    received_on = forms.DateField(
        label=_("received on"), initial=timezone.localdate, widget=UnfoldAdminSingleDateWidget
    )
    reference = forms.CharField(
        label=_("reference"), max_length=140, widget=UnfoldAdminTextInputWidget, help_text=_("such as the receipt")
    )
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, request: HttpRequest, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.user = request.user
        issuers = Issuer.objects.visible_to(request.user)
        self.fields["issuer"].queryset = issuers
        if issuers.count() == 1:
            self.fields["issuer"].initial = issuers.get()
        self.fields["currency"].choices = [(code, code) for code in settings.CURRENCIES]

    def clean_payer(self) -> Tenant:
        found = Tenant.objects.visible_to(self.user).filter(reference=self.cleaned_data["payer"].strip()).first()
        if found is None:
            raise forms.ValidationError(gettext("There is no account of this reference."))
        return found

    def clean_received_on(self) -> date:
        on: date = self.cleaned_data["received_on"]
        if on > timezone.localdate():
            raise forms.ValidationError(gettext("Money cannot have come in on a day that is still to come."))
        return on

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "amount" not in cleaned or "currency" not in cleaned:
            return cleaned
        try:
            amount = amount_of(cleaned["amount"])
        except OperatorError as refusal:
            raise forms.ValidationError({"amount": str(refusal)}) from None
        if amount <= 0 or rounded(amount, places_of(cleaned["currency"])) != amount:
            raise forms.ValidationError({"amount": gettext("An amount above zero, no finer than its currency.")})
        cleaned["amount"] = amount
        return cleaned


@admin.register(Payment)
class PaymentAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("payer",)
    list_display = ["received_on", "payer", "amount_shown", "source", "reference", "unapplied"]
    list_select_related = ["payer"]
    list_filter = [("source", ChoicesDropdownFilter), ("received_on", RangeDateFilter)]
    search_fields = ["reference__icontains"]
    search_accounts = ("payer",)
    search_help_text = _("Reference, or the account")
    sortable_by = ["received_on"]
    list_before_template = "payments/admin/payment_ways.html"
    change_form_outer_before_template = "payments/admin/payment_tools.html"
    fields = [
        ("payer", "issuer"), ("received_on", "amount_shown", "source"), "reference", ("line_shown", "entry_shown"),
        ("by", "created_at"),
    ]  # fmt: skip
    readonly_fields = ["amount_shown", "line_shown", "entry_shown"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payment]:
        items = OpenItem.objects.with_open_amount().filter(pk=OuterRef("open_item")).values("open_amount")
        return super().get_queryset(request).select_related("payer", "issuer").annotate(rest=Subquery(items))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in BY_ENTRY or super().lookup_allowed(lookup, value, request)

    @display(description=_("amount"))
    def amount_shown(self, payment: Payment) -> SafeString:
        return figures.money_cell(payment.amount.amount, payment.currency)

    @display(description=_("not applied"))
    def unapplied(self, payment: Any) -> SafeString:
        left = rounded(-(payment.rest or Decimal(0)), places_of(payment.currency))
        return figures.money_cell(left, payment.currency) if left else format_html("{}", figures.EMPTY)

    @display(description=_("bank line"))
    def line_shown(self, payment: Payment) -> SafeString | str:
        booking = getattr(payment.entry, "line_booking", None)
        if booking is None:
            return figures.EMPTY
        url = reverse("admin:payments_bankline_change", args=[booking.line_id])
        return format_html('<a class="k-link" href="{}">{}</a>', url, booking.line)

    @display(description=_("journal entry"))
    def entry_shown(self, payment: Payment) -> SafeString:
        url = reverse("admin:invoicing_journalentry_change", args=[payment.entry_id])
        return format_html('<a class="k-link" href="{}">{}</a>', url, payment.entry)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        may = request.user.has_perm("payments.add_payment")
        return super().changelist_view(request, (extra_context or {}) | {"may_enter": may})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        context = dict(extra_context or {})
        if object_id.isdigit():
            payment = self.get_queryset(request).filter(pk=int(object_id)).first()
            if payment is not None:
                context |= self.applied(request, payment)
        return super().change_view(request, object_id, form_url, context)

    def applied(self, request: HttpRequest, payment: Payment) -> dict[str, Any]:
        """What a payment was applied to, what is left of it, and what it could go to."""
        credit = receiving.credit_of(payment)
        may = request.user.has_perm("payments.book_bankline")
        found = payment.allocations.select_related("open_item__invoice", "open_item__payer", "reversed_by", "by")
        rows = [
            {
                "key": one.pk,
                "document": str(one.open_item),
                "url": reverse("admin:invoicing_openitem_change", args=[one.open_item_id]),
                "account": one.open_item.payer.name if one.open_item.payer_id != payment.payer_id else "",
                "on": figures.day(one.allocated_on),
                "amount": figures.money_cell(one.amount.amount, one.currency),
                "rule": one.get_rule_display(),
                "by": one.by or "",
                "may_undo": may and one.reverses_id is None and not hasattr(one, "reversed_by"),
                "is_undone": hasattr(one, "reversed_by"),
            }
            for one in found
        ]
        returns = [
            {
                "on": figures.day(one.returned_on),
                "amount": figures.money(one.amount.amount, one.currency),
                "charges": figures.money(one.charges.amount, one.currency) if one.charges.amount else "",
                "reason": " ".join(filter(None, [one.reason_code, one.reason])),
            }
            for one in payment.returns.all()
        ]
        return {
            "applied_rows": rows,
            "returned_rows": returns,
            "credit_left": credit.left,
            "credit_shown": figures.money(credit.left, payment.currency),
            "credit_holder": Tenant.objects.get(pk=credit.payer) if credit.payer != payment.payer_id else None,
            "credit_items": self.offered(payment, credit) if may and credit.left else [],
            "may_allocate": may,
        }

    def offered(self, payment: Payment, credit: receiving.Credit) -> list[dict[str, Any]]:
        """Open items of the credit's holder, with what the rules would apply."""
        places = places_of(payment.currency)
        claims = claims_of(payment.issuer, credit.payer, payment.currency)
        shares = {one.item: one for one in divide(credit.left, claims).shares} if claims else {}
        items = OpenItem.objects.select_related("invoice").in_bulk([claim.item for claim in claims[:OFFERED]])
        return [
            {
                "key": claim.item,
                "document": str(items[claim.item]),
                "due_on": figures.day(claim.due_on),
                "open": figures.money(claim.left, payment.currency),
                "amount": written(shares[claim.item].amount, places) if claim.item in shares else "",
            }
            for claim in claims[:OFFERED]
        ]

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("enter/", wrap(self.enter_view), name="payments_payment_enter"),
            path("<int:object_id>/allocate/", wrap(self.allocate_view), name="payments_payment_allocate"),
            *super().get_urls(),
        ]

    def allocate_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Apply what is left, undo an allocation, or let another account of the tree have the rest."""
        if request.method != "POST" or not request.user.has_perm("payments.book_bankline"):
            raise PermissionDenied
        payment = get_object_or_404(self.get_queryset(request), pk=object_id)
        today = timezone.localdate()
        if "_undo" in request.POST:
            allocation = get_object_or_404(Allocation, payment=payment, pk=request.POST["_undo"])
            worked, _made = self.call(request, receiving.undo, allocation, on=today, by=request.user)
            text = gettext("The allocation is undone; the document is open again.")
        elif "_transfer" in request.POST:
            to = Tenant.objects.visible_to(request.user).filter(reference=request.POST.get("to", "").strip()).first()
            if to is None:
                self.message_user(request, gettext("There is no account of this reference."), messages.ERROR)
                return HttpResponseRedirect(reverse("admin:payments_payment_change", args=[object_id]))
            worked, _made = self.call(request, receiving.transfer, payment, to, on=today, by=request.user)
            text = gettext("What was left is a credit of %(payer)s now.") % {"payer": to}
        else:
            worked, shares = self.call_in_steps(request, shares_told, request)
            if worked and not shares:
                worked = False
                self.message_user(request, gettext("No amount is entered."), messages.ERROR)
            if worked:
                worked, _made = self.call(request, receiving.apply, payment, shares, on=today, by=request.user)
            text = gettext("The payment is applied.")
        if worked:
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:payments_payment_change", args=[object_id]))

    def enter_view(self, request: HttpRequest) -> HttpResponseBase:
        """Enter cash; it becomes a credit of the payer, which the next page applies."""
        if not request.user.has_perm("payments.add_payment"):
            raise PermissionDenied
        form = CashForm(request, request.POST or None, initial={"key": uuid4(), "currency": "EUR"})
        if request.method == "POST" and form.is_valid():
            worked, payment = self.call(request, self.enter, form.cleaned_data, by=request.user)
            if worked:
                self.message_user(request, gettext("The payment is booked."), messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:payments_payment_change", args=[payment.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Enter cash"),
            "explanation": gettext(
                "For money that came in outside of a bank account. It is booked on the cash account as a credit of the"
                " payer; what it pays is chosen on the next page."
            ),
            "form": form,
        }
        return TemplateResponse(request, "payments/admin/enter_payment.html", context)

    @staticmethod
    def enter(told: dict[str, Any], *, by: Any) -> Payment:
        issuer = told["issuer"]
        posting.ensure_chart(issuer)
        receipt = receiving.Receipt(
            payer=told["payer"].pk,
            source=Payment.Source.MANUAL,
            origin=str(told["key"]),
            amount=told["amount"],
            currency=told["currency"],
            account=posting.account_of(issuer, CASH),
            reference=told["reference"],
            received_on=told["received_on"],
        )
        return receiving.receive(issuer, receipt, on=told["received_on"], by=by)
