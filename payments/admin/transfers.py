"""Money paid back by SEPA transfer: asked for, approved by another person, followed to the bank."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from invoicing.models import OpenItem
from payments import refunds
from payments.admin.bank_lines import amount_of
from payments.models import Transfer
from tenants import mandates
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.scope import AccountScoped
from tenants.errors import OperatorError
from tenants.mandates import Bank

OTHER = "other"


class RefundForm(forms.Form):
    """How much of a credit, why, and to which bank account: one that is known of the payer, or another."""

    amount = forms.CharField(label=_("amount"), max_length=20, widget=UnfoldAdminTextInputWidget)
    grounds = forms.CharField(label=_("grounds"), max_length=200, widget=UnfoldAdminTextInputWidget)
    purpose = forms.CharField(
        label=_("purpose"),
        max_length=140,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("What the payer reads on his statement; the document, if left empty."),
    )
    account = forms.ChoiceField(label=_("bank account"), widget=UnfoldAdminSelectWidget)
    holder = forms.CharField(
        label=_("account holder"), max_length=70, required=False, widget=UnfoldAdminTextInputWidget
    )
    iban = forms.CharField(
        label=_("IBAN"),
        max_length=42,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    bic = forms.CharField(label=_("BIC"), max_length=11, required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, item: OpenItem, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known = refunds.known_accounts(item.issuer, item.payer_id)
        choices = [(str(place), f"{one.holder} …{one.tail}") for place, one in enumerate(self.known)]
        self.fields["account"].choices = [*choices, (OTHER, gettext("another one, entered below"))]
        self.fields["amount"].initial = figures.number(max(refunds.left_of(item.pk), Decimal(0)))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            cleaned["amount"] = amount_of(cleaned["amount"])
            if cleaned["account"] == OTHER:
                bank = Bank(cleaned["holder"], cleaned["iban"], cleaned["bic"])
            else:
                bank = refunds.bank_of(self.known[int(cleaned["account"])])
            cleaned["bank"] = mandates.checked(bank)
        except OperatorError as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return cleaned


@admin.register(Transfer)
class TransferAdmin(AccountScoped, RecordAdmin):
    """Refunds by SEPA transfer: asked for, agreed to, in which run, carried out when."""

    scope_accounts = ("refund__payer",)
    list_display = ["reference", "payer", "amount_shown", "account", "grounds", "run_shown", "progress"]
    list_select_related = ["refund__payer", "refund__requested_by", "run"]
    list_filter = [("refund__issuer", RelatedDropdownFilter)]
    search_accounts = ("refund__payer",)
    search_fields = ["refund__key__startswith"]
    sortable_by = ()
    change_form_outer_before_template = "payments/admin/transfer_tools.html"
    fields = [
        ("reference", "progress"),
        ("payer", "amount_shown"),
        ("account", "purpose"),
        ("credit", "grounds"),
        ("run_shown", "settled_on", "requested_by"),
    ]
    readonly_fields = [
        "reference",
        "progress",
        "payer",
        "amount_shown",
        "account",
        "credit",
        "grounds",
        "run_shown",
        "settled_on",
        "requested_by",
    ]

    @display(description=_("key"))
    def reference(self, transfer: Transfer) -> str:
        return transfer.refund.key

    @display(description=_("payer"))
    def payer(self, transfer: Transfer) -> str:
        return str(transfer.refund.payer)

    @display(description=_("amount"))
    def amount_shown(self, transfer: Transfer) -> SafeString:
        return figures.money_cell(transfer.refund.amount.amount, transfer.refund.currency)

    @display(description=_("bank account"))
    def account(self, transfer: Transfer) -> str:
        return f"{transfer.holder} …{transfer.iban_tail}"

    @display(description=_("credit"))
    def credit(self, transfer: Transfer) -> str:
        return str(transfer.refund.open_item)

    @display(description=_("grounds"))
    def grounds(self, transfer: Transfer) -> str:
        return transfer.refund.grounds

    @display(description=_("payment run"))
    def run_shown(self, transfer: Transfer) -> str:
        return f"KTR-{transfer.run_id}" if transfer.run_id else figures.EMPTY

    @display(description=_("settled on"))
    def settled_on(self, transfer: Transfer) -> str:
        return figures.day(transfer.refund.settled_on)

    @display(description=_("requested by"))
    def requested_by(self, transfer: Transfer) -> str:
        return str(transfer.refund.requested_by or figures.EMPTY)

    @display(description=_("state"))
    def progress(self, transfer: Transfer) -> SafeString:
        refund = transfer.refund
        if refund.state == "waiting":
            asked = refund.entry_id is None
            return figures.badge(gettext("to be approved") if asked else gettext("to be paid"), "warning")
        return figures.badge(refund.get_state_display(), "success" if refund.state == "done" else "")

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("of/<int:credit>/", wrap(self.request_view), name="payments_transfer_of"),
            path("<int:object_id>/do/", wrap(self.do_view), name="payments_transfer_do"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        context = dict(extra_context or {})
        transfer = self.get_queryset(request).filter(pk=int(object_id)).first() if object_id.isdigit() else None
        if transfer is not None:
            refund, user = transfer.refund, request.user
            is_asked = refund.state == "waiting" and refund.entry_id is None
            is_own = refund.requested_by_id == user.pk
            context |= {
                "may_approve": is_asked and not is_own and user.has_perm("tenants.decide_approval"),
                "may_withdraw": refund.state == "waiting"
                and (transfer.run is None or transfer.run.state in ("proposed", "discarded"))
                and (is_own or user.has_perm("tenants.decide_approval")),
            }
        return super().change_view(request, object_id, form_url, context)

    def do_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Approve what another person asked for, or give it up."""
        transfer = get_object_or_404(self.get_queryset(request), pk=object_id)
        back = HttpResponseRedirect(reverse("admin:payments_transfer_change", args=[object_id]))
        if request.method != "POST":
            return back
        today, may_decide = timezone.localdate(), request.user.has_perm("tenants.decide_approval")
        if "_approve" in request.POST:
            if not may_decide:
                raise PermissionDenied
            worked, done = self.call(request, refunds.approve, transfer.refund_id, on=today, by=request.user)
            if worked and not done:
                text = gettext("It can no longer be paid as it was asked for: the approval has lapsed.")
                self.message_user(request, text, messages.WARNING)
            elif worked:
                self.message_user(request, gettext("Approved: the next run of transfers pays it."), messages.SUCCESS)
            return back
        if not (may_decide or transfer.refund.requested_by_id == request.user.pk):
            raise PermissionDenied
        how = {"on": today, "reason": request.POST.get("reason", ""), "by": request.user}
        if self.call(request, refunds.withdraw, transfer.refund_id, **how)[0]:
            self.message_user(request, gettext("The refund is given up; the credit is there again."), messages.SUCCESS)
        return back

    def request_view(self, request: HttpRequest, credit: int) -> HttpResponseBase:
        """Ask for a refund of a credit: how much, why, and to which bank account."""
        if not request.user.has_perm("payments.add_transfer"):
            raise PermissionDenied
        item = get_object_or_404(OpenItem.objects.visible_to(request.user).select_related("issuer", "payer"), pk=credit)
        form = RefundForm(item, request.POST or None)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            how = {name: given[name] for name in ("bank", "grounds", "purpose")}
            worked, refund = self.call(
                request, refunds.request, item.pk, given["amount"], on=timezone.localdate(), by=request.user, **how
            )
            if worked:
                text = gettext("The refund is booked; the next run of transfers pays it.")
                if refund.entry_id is None:
                    text = gettext("Another person must approve the refund.")
                self.message_user(request, text, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:payments_transfer_change", args=[refund.transfer.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Pay %(credit)s back") % {"credit": item},
            "explanation": gettext("%(left)s can be paid back to %(payer)s.")
            % {"left": figures.money(refunds.left_of(item.pk), item.currency), "payer": item.payer},
            "form": form,
            "verb": gettext("Pay back"),
        }
        return TemplateResponse(request, "tenants/admin/enter.html", context)
