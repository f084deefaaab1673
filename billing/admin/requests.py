"""What customers asked for in the portal, to be accepted or declined."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing import requests
from billing.models import ChangeRequest
from tenants.admin import figures
from tenants.admin.base import RecordAdmin

STATE_COLOURS = {
    ChangeRequest.State.OPEN: "warning",
    ChangeRequest.State.ACCEPTED: "success",
    ChangeRequest.State.DECLINED: "danger",
}


@admin.register(ChangeRequest)
class ChangeRequestAdmin(RecordAdmin):
    list_display = ["asked_at", "subscription", "account", "kind", "wanted_on", "progress", "wish"]
    list_select_related = ["subscription__tenant"]
    list_filter = [("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter)]
    search_fields = ["subscription__reference__startswith"]
    search_accounts = ("subscription__tenant",)
    search_help_text = _("Reference of the contract, or the account")
    actions = ["accept", "decline"]
    fieldsets = [
        (None, {"fields": [("subscription", "kind", "progress"), ("wanted_on", "wish")]}),
        (_("Course"), {"fields": [("asked_by", "asked_at"), ("decided_by", "decided_at"), "answer"]}),
    ]
    readonly_fields = ["progress"]

    @display(description=_("account"))
    def account(self, request: ChangeRequest) -> str:
        return str(request.subscription.tenant)

    @display(description=_("state"))
    def progress(self, request: ChangeRequest) -> SafeString:
        return figures.badge(request.get_state_display(), STATE_COLOURS[ChangeRequest.State(request.state)])

    @admin.action(description=_("Accept the selected requests"), permissions=["decide"])
    def accept(self, request: HttpRequest, queryset: QuerySet[ChangeRequest]) -> None:
        self.each(request, queryset, requests.accept, on=timezone.localdate(), at=timezone.now(), by=request.user)

    @admin.action(description=_("Decline the selected requests"), permissions=["decide"])
    def decline(self, request: HttpRequest, queryset: QuerySet[ChangeRequest]) -> None:
        self.each(request, queryset, requests.decline, at=timezone.now(), by=request.user)

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.decide_changerequest")
