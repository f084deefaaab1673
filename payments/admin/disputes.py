"""Contested lines: raised on the page of a document, resolved here."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from invoicing import correction
from invoicing.models import Invoice
from payments import disputes
from payments.models import Dispute
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.scope import AccountScoped

COLOURS = {Dispute.State.OPEN: "warning", Dispute.State.UPHELD: "success", Dispute.State.REJECTED: ""}


class ContestForm(forms.Form):
    """Which line, why, and since when."""

    line = forms.ChoiceField(label=_("line"), widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(label=_("reason"), max_length=200, widget=UnfoldAdminTextInputWidget)
    on = forms.DateField(label=_("raised on"), initial=timezone.localdate, widget=UnfoldAdminSingleDateWidget)

    def __init__(self, invoice: Invoice, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["line"].choices = [
            (
                line.key,
                f"{line.position}. {line.text}, {figures.day(line.starts_on)} – {figures.day(line.last_day)}"
                f" ({figures.money(line.left, invoice.currency)})",
            )
            for line in correction.creditable(invoice)
            if line.left
        ]

    def clean_on(self) -> date:
        on: date = self.cleaned_data["on"]
        if on > timezone.localdate():
            raise forms.ValidationError(gettext("A dispute cannot have been raised on a day that is still to come."))
        return on


@admin.register(Dispute)
class DisputeAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("line__invoice__payer",)
    list_display = ["document", "position", "net_shown", "raised_on", "progress", "reason"]
    list_select_related = ["line__invoice"]
    list_filter = [("state", ChoicesDropdownFilter)]
    search_fields = ["line__invoice__number__startswith"]
    search_accounts = ("line__invoice__payer",)
    sortable_by = ()
    fields = [
        ("document", "position"),
        ("net_shown", "progress"),
        ("raised_on", "reason"),
        ("resolved_on", "resolution"),
    ]
    readonly_fields = ["document", "position", "net_shown", "progress"]
    change_form_outer_before_template = "payments/admin/dispute_tools.html"

    @display(description=_("document"))
    def document(self, dispute: Dispute) -> SafeString:
        invoice = dispute.line.invoice
        url = reverse("admin:invoicing_invoice_change", args=[invoice.pk])
        return format_html('<a class="k-link" href="{}">{}</a>', url, invoice)

    @display(description=_("line"))
    def position(self, dispute: Dispute) -> str:
        return str(dispute.line)

    @display(description=_("net"))
    def net_shown(self, dispute: Dispute) -> SafeString:
        return figures.money_cell(dispute.line.net.amount, dispute.line.currency)

    @display(description=_("state"))
    def progress(self, dispute: Dispute) -> SafeString:
        return figures.badge(dispute.get_state_display(), COLOURS[Dispute.State(dispute.state)])

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("of/<int:invoice>/", wrap(self.contest_view), name="payments_dispute_of_document"),
            path("<int:object_id>/resolve/", wrap(self.resolve_view), name="payments_dispute_resolve"),
            *super().get_urls(),
        ]

    def contest_view(self, request: HttpRequest, invoice: int) -> HttpResponseBase:
        """Note that the payer contests a line of a document."""
        if not request.user.has_perm("payments.add_dispute"):
            raise PermissionDenied
        document = get_object_or_404(Invoice.objects.visible_to(request.user).issued(), pk=invoice)
        form = ContestForm(document, request.POST or None)
        if request.method == "POST" and form.is_valid():
            line, how = int(form.cleaned_data["line"]), {name: form.cleaned_data[name] for name in ("on", "reason")}
            worked, made = self.call(request, disputes.contest, line, **how)
            if worked:
                text = gettext("The line is disputed: nobody is reminded of it until the dispute is resolved.")
                self.message_user(request, text, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:payments_dispute_change", args=[made.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Dispute a line of %(document)s") % {"document": document},
            "invoice": document,
            "form": form,
        }
        return TemplateResponse(request, "payments/admin/contest.html", context)

    def resolve_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Uphold, which credits the line, or reject. Upholding takes the right to credit, too."""
        if request.method != "POST" or not request.user.has_perm("payments.resolve_dispute"):
            raise PermissionDenied
        dispute = get_object_or_404(self.get_queryset(request), pk=object_id)
        how: dict[str, Any] = {"on": timezone.localdate(), "resolution": request.POST.get("resolution", "")}
        if "_uphold" in request.POST:
            if not request.user.has_perm("invoicing.credit_invoice"):
                raise PermissionDenied
            worked, note = self.call(request, disputes.uphold, dispute.pk, by=request.user, **how)
            text = gettext("The dispute is upheld.")
            if worked and note is not None:
                text = gettext("The dispute is upheld; %(note)s gives the line back.") % {
                    "note": Invoice.objects.get(pk=note)
                }
        else:
            worked, _answer = self.call(request, disputes.reject, dispute.pk, **how)
            text = gettext("The dispute is rejected; the line is reminded of again.")
        if worked:
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:payments_dispute_change", args=[object_id]))
