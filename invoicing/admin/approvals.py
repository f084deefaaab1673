"""What one person asked for and another must approve: the list, and the page on which it is decided."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from invoicing.admin.corrections import shown
from invoicing.correction import approving
from invoicing.models import Invoice
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Approval

DECISION_COLOURS = {"approved": "success", "refused": "danger", "lapsed": "warning", "withdrawn": ""}


@admin.register(Approval)
class ApprovalAdmin(RecordAdmin):
    """What waits for a second person, and what was decided."""

    list_display = ["subject", "action", "gross_shown", "requested_by", "requested_at", "progress"]
    list_select_related = ["requested_by"]
    list_filter = [("decision", ChoicesDropdownFilter), ("issuer", RelatedDropdownFilter)]
    search_fields = ["subject__startswith"]
    sortable_by = ()
    fields = [
        ("subject", "action"),
        ("gross_shown", "progress"),
        "reason",
        ("requested_by", "requested_at"),
        ("decided_by", "decided_at"),
        "note",
    ]
    readonly_fields = ["gross_shown", "progress"]
    change_form_outer_before_template = "invoicing/admin/approval_tools.html"

    @display(description=_("gross"))
    def gross_shown(self, approval: Approval) -> SafeString:
        return figures.money_cell(approval.gross.amount, approval.currency)

    @display(description=_("state"))
    def progress(self, approval: Approval) -> SafeString:
        if approval.decision is None:
            return figures.badge(gettext("waits for approval"), "warning")
        return figures.badge(approval.get_decision_display(), DECISION_COLOURS[approval.decision])

    def get_urls(self) -> list[Any]:
        return [
            path(
                "<int:object_id>/decide/",
                self.admin_site.admin_view(self.decide_view),
                name="tenants_approval_decide",
            ),
            *super().get_urls(),
        ]

    def decide_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The document as it would be issued now, for whoever decides; whoever asked may withdraw."""
        approval = get_object_or_404(self.get_queryset(request), pk=object_id)
        if approval.table != table_of(Invoice):  # decided on the page of what it is about
            return HttpResponseRedirect(reverse(f"admin:{approval.table}_change", args=[approval.row]))
        is_own = approval.requested_by_id == request.user.pk
        if not is_own and not request.user.has_perm("tenants.decide_approval"):
            raise PermissionDenied
        page = HttpResponseRedirect(reverse("admin:tenants_approval_change", args=[object_id]))
        preview, why = None, ""
        try:
            preview = approving.asked_for(approval) if approval.decision is None else None
        except OperatorError as refusal:
            why = str(refusal)
        if request.method == "POST":
            return self.on_record(request, lambda: self._decided(request, approval) or page)
        context = {
            **self.admin_site.each_context(request),
            "opts": Approval._meta,
            "original": approval,
            "title": str(approval),
            "approval": approval,
            "gross": figures.money(approval.gross.amount, approval.currency),
            "is_own": is_own,
            "why": why,
            "is_changed": preview is not None and preview.content_hash != approval.content_hash,
            "preview": shown(preview.facts) if preview else None,
        }
        return TemplateResponse(request, "invoicing/admin/decide.html", context)

    def _decided(self, request: HttpRequest, approval: Approval) -> HttpResponseBase | None:
        note = request.POST.get("note", "").strip()
        if "_withdraw" in request.POST:
            approving.withdraw(approval.pk, by=request.user)
        elif not request.user.has_perm("tenants.decide_approval"):
            raise PermissionDenied
        elif "_refuse" in request.POST:
            approving.refuse(approval.pk, by=request.user, note=note)
        else:
            key = approving.approve(approval.pk, by=request.user, note=note)
            if key is None:
                text = gettext("It would no longer be what was asked for: the approval has lapsed, nothing is issued.")
                self.message_user(request, text, messages.WARNING)
                return None
            self.message_user(request, gettext("Approved and issued."), messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:invoicing_invoice_change", args=[key]))
        return None
