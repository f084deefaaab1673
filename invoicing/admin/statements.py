"""Collective statements: what one payer pays for several recipients, with the documents on each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from invoicing.models import CollectiveStatement, StatementDelivery, StatementEntry
from tenants import files
from tenants.admin import figures
from tenants.admin.base import RecordAdmin, RecordInline
from tenants.admin.outgoing import intent_badge
from tenants.admin.scope import AccountScoped


class EntryInline(RecordInline):
    model = StatementEntry
    fields = ["position", "document", "recipient", "amount_shown"]
    readonly_fields = ["document", "recipient", "amount_shown"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatementEntry]:
        return super().get_queryset(request).select_related("invoice__recipient")

    @display(description=_("document"))
    def document(self, entry: StatementEntry) -> SafeString:
        url = reverse("admin:invoicing_invoice_change", args=[entry.invoice_id])
        return format_html('<a class="k-link" href="{}">{}</a>', url, entry.invoice)

    @display(description=_("recipient"))
    def recipient(self, entry: StatementEntry) -> str:
        return str(entry.invoice.recipient)

    @display(description=_("amount"))
    def amount_shown(self, entry: StatementEntry) -> SafeString:
        return figures.money_cell(entry.amount.amount, entry.currency)


class StatementDeliveryInline(RecordInline):
    model = StatementDelivery
    fields = ["recipient", "progress", "sent"]
    readonly_fields = ["progress", "sent"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatementDelivery]:
        return super().get_queryset(request).select_related("message")

    @display(description=_("state"))
    def progress(self, delivery: StatementDelivery) -> SafeString:
        return intent_badge(delivery.message)

    @display(description=_("sent at"))
    def sent(self, delivery: StatementDelivery) -> str:
        return figures.instant(delivery.message.sent_at)


@admin.register(CollectiveStatement)
class CollectiveStatementAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("payer",)
    list_display = ["reference", "payer", "issued_on", "due_on", "total_shown", "pdf"]
    list_select_related = ["payer"]
    list_filter = [("issuer", RelatedDropdownFilter)]
    search_fields = ["reference__startswith"]
    search_accounts = ("payer",)
    search_help_text = _("Payment reference, or the payer")
    inlines = [EntryInline, StatementDeliveryInline]
    fields = [("reference", "payer", "issuer"), ("issued_on", "due_on", "collection"), ("total_shown", "pdf")]
    readonly_fields = ["total_shown", "pdf"]

    @display(description=_("total"))
    def total_shown(self, statement: CollectiveStatement) -> SafeString:
        return figures.money_cell(statement.total.amount, statement.currency)

    @display(description="PDF")
    def pdf(self, statement: CollectiveStatement) -> SafeString:
        if statement.file_id is None:
            return format_html("{}", figures.EMPTY)
        url = reverse("admin:invoicing_collectivestatement_pdf", args=[statement.pk])
        return format_html('<a class="k-link" href="{}" target="_blank" rel="noopener">PDF</a>', url)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.pdf_view)
        return [
            path("<int:object_id>/pdf/", view, name="invoicing_collectivestatement_pdf"),
            *super().get_urls(),
        ]

    def pdf_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The statement as it was sent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        statement = get_object_or_404(self.get_queryset(request).select_related("file"), pk=object_id)
        if statement.file is None:
            raise Http404
        worked, content = self.call_in_steps(request, files.read, statement.file)
        if not worked:
            return HttpResponseRedirect(reverse("admin:invoicing_collectivestatement_change", args=[object_id]))
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'inline; filename="{statement.reference}.pdf"'
        response["Cache-Control"] = "no-store"
        return response
