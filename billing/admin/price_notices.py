"""The letters about new prices, as they were sent."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from billing.models import PriceNotice
from tenants import files
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.outgoing import intent_badge
from tenants.admin.scope import AccountScoped


@admin.register(PriceNotice)
class PriceNoticeAdmin(AccountScoped, RecordAdmin):
    """The letters of campaigns, as they were sent."""

    scope_accounts = ("tenant",)
    list_display = ["written_on", "campaign", "tenant", "language", "mails", "pdf"]
    list_select_related = ["campaign", "tenant"]
    list_filter = [("campaign", RelatedDropdownFilter)]
    search_fields = ["tenant__reference__startswith"]
    search_accounts = ("tenant",)
    fields = [("campaign", "tenant"), ("written_on", "language"), ("mails", "pdf")]
    readonly_fields = ["mails", "pdf"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("messages")

    @display(description=_("e-mail"))
    def mails(self, notice: PriceNotice) -> SafeString:
        sent = notice.messages.all()
        if not sent:
            return format_html("{}", gettext("no e-mail address: to be posted") if notice.file_id else figures.EMPTY)
        return format_html("{} {}", intent_badge(sent[0]), ", ".join(one.recipient for one in sent))

    @display(description="PDF")
    def pdf(self, notice: PriceNotice) -> SafeString:
        if notice.file_id is None:
            return format_html("{}", figures.EMPTY)
        return format_html(
            '<a class="k-link" href="{}">PDF</a>', reverse("admin:billing_pricenotice_pdf", args=[notice.pk])
        )

    def get_urls(self) -> list[Any]:
        return [
            path("<int:object_id>/pdf/", self.admin_site.admin_view(self.pdf_view), name="billing_pricenotice_pdf"),
            *super().get_urls(),
        ]

    def pdf_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The letter as it was sent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        notice: PriceNotice = get_object_or_404(self.get_queryset(request).select_related("file"), pk=object_id)
        if notice.file is None:
            raise Http404
        worked, content = self.call_in_steps(request, files.read, notice.file)
        if not worked:
            return HttpResponseRedirect(reverse("admin:billing_pricenotice_change", args=[object_id]))
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'inline; filename="{notice.written_on.isoformat()}-{notice.pk}.pdf"'
        response["Cache-Control"] = "no-store"
        return response
