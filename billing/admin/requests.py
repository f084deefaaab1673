"""What customers asked for in the portal, to be accepted or declined."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing import requests
from billing.admin.amendments import RIGHT
from billing.models import ChangeRequest
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.scope import AccountScoped

LONGEST: Final = 2000  # of an answer
STATE_COLOURS = {
    ChangeRequest.State.OPEN: "warning",
    ChangeRequest.State.ACCEPTED: "success",
    ChangeRequest.State.DECLINED: "danger",
}


@admin.register(ChangeRequest)
class ChangeRequestAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("subscription__tenant",)
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
    change_form_outer_before_template = "billing/admin/request_tools.html"

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

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.decide_view)
        return [path("<int:object_id>/decide/", view, name="billing_changerequest_decide"), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With what a decision takes, and the way to change the contract."""
        asked = kwargs.get("obj")
        if asked is not None:
            context["tools"] = self.tools_of(asked, request)
        return super().render_change_form(request, context, *args, **kwargs)

    def tools_of(self, asked: ChangeRequest, request: HttpRequest) -> dict[str, Any]:
        is_change = asked.kind == ChangeRequest.Kind.CHANGE
        amend = reverse("admin:billing_subscription_amend", args=[asked.subscription_id])
        given = {"day": asked.wanted_on.isoformat() if asked.wanted_on else "", "reason": asked.wish[:500]}
        return {
            "is_open": asked.state == ChangeRequest.State.OPEN,
            "is_change": is_change,
            "may_decide": self.has_decide_permission(request),
            "may_amend": request.user.has_perm(RIGHT),
            "amend": f"{amend}?{urlencode({name: text for name, text in given.items() if text})}",
            "contract": reverse("admin:billing_subscription_change", args=[asked.subscription_id]),
            "decide": reverse("admin:billing_changerequest_decide", args=[asked.pk]),
            "amendments": [
                (one.sequence, one.get_kind_display(), figures.day(one.effective_on))
                for one in (requests.amended_since(asked) if is_change else ())
            ],
            "last_day": figures.day(asked.wanted_on - timedelta(days=1)) if asked.wanted_on else "",
        }

    def decide_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Accept or decline one request, with what the customer is told."""
        asked = get_object_or_404(self.get_queryset(request), pk=object_id)
        if request.method != "POST" or not self.has_decide_permission(request):
            raise PermissionDenied
        page = HttpResponseRedirect(reverse("admin:billing_changerequest_change", args=[object_id]))
        named: dict[str, Any] = {
            "at": timezone.now(),
            "by": request.user,
            "answer": request.POST.get("answer", "")[:LONGEST],
        }
        if "_decline" in request.POST:
            worked, _nothing = self.call(request, requests.decline, asked, **named)
            text = gettext("The request is declined; the customer reads it in the portal.")
        else:
            named |= {"on": timezone.localdate(), "needs_no_amendment": "needs_no_amendment" in request.POST}
            worked, _nothing = self.call(request, requests.accept, asked, **named)
            text = gettext("The request is accepted; the customer reads it in the portal.")
        if worked:
            self.message_user(request, text, messages.SUCCESS)
        return page

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.decide_changerequest")
